"""What nodes run on, and what befalls it: cut networks, full disks, wall clocks that jump.

Networks and disks need root: who may not make them gets an OSError.
"""

from __future__ import annotations

import os
import random
import secrets
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from processes import Node


def run(*words: str) -> None:
    """A command of the system. Raises OSError with what it says when it fails."""
    done = subprocess.run(words, capture_output=True, text=True, timeout=20)
    if done.returncode:
        raise OSError(f"{' '.join(words)}: {done.stderr.strip()}")


# --- disks ---------------------------------------------------------------------------------------


@contextmanager
def small_disk(folder: Path, megabytes: int) -> Iterator[None]:
    """A disk of that size in place of a folder."""
    if os.geteuid() != 0:
        raise OSError("only root can mount a small disk")
    folder.mkdir(parents=True, exist_ok=True)
    run("mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "tmpfs", str(folder))
    try:
        yield
    finally:
        run("umount", "-l", str(folder))


@contextmanager
def full(folder: Path) -> Iterator[None]:
    """No room on the folder's disk, as long as the block lasts."""
    filler = folder / "filler"
    with filler.open("wb", buffering=0) as file:
        for piece in (b"x" * 65_536, b"x" * 512):
            with _until_full():
                while True:
                    file.write(piece)
    try:
        yield
    finally:
        filler.unlink()


@contextmanager
def _until_full() -> Iterator[None]:
    try:
        yield
    except OSError:
        return


# --- networks ------------------------------------------------------------------------------------


class Network:
    """A machine per node: network namespaces on a bridge, which the test is on as well."""

    def __init__(self) -> None:
        if os.geteuid() != 0:
            raise OSError("only root can make network namespaces")
        if shutil.which("ip") is None:
            raise OSError("the command `ip` is missing (iproute2)")
        self._tag = f"s{secrets.token_hex(3)}"  # the system takes its time to forget names
        self._net = f"10.{random.randrange(60, 250)}.{random.randrange(250)}"
        self._spaces: list[str] = []
        run("ip", "link", "add", self._tag, "type", "bridge")
        run("ip", "addr", "add", f"{self._net}.254/24", "dev", self._tag)
        run("ip", "link", "set", self._tag, "up")

    def machine(self) -> tuple[str, str]:
        """A new namespace, and its address."""
        number = len(self._spaces) + 1
        space, address = f"{self._tag}n{number}", f"{self._net}.{number}"
        outer, inner = f"{self._tag}o{number}", f"{self._tag}i{number}"
        run("ip", "netns", "add", space)
        self._spaces.append(space)
        run("ip", "link", "add", outer, "type", "veth", "peer", "name", inner)
        run("ip", "link", "set", inner, "netns", space)
        run("ip", "link", "set", outer, "master", self._tag, "up")
        inside = ("ip", "netns", "exec", space, "ip")
        run(*inside, "addr", "add", f"{address}/24", "dev", inner)
        run(*inside, "link", "set", inner, "up")
        run(*inside, "link", "set", "lo", "up")
        return space, address

    def cut(self, one: Node, other: Node, healed: bool = False) -> None:
        """Nothing gets from one node to the other any more, in both directions."""
        self.mute(one, other, healed)
        self.mute(other, one, healed)

    def mute(self, here: Node, there: Node, healed: bool = False) -> None:
        """Nothing gets from here to there any more; what comes the other way does."""
        verb = "del" if healed else "add"
        words = ("ip", "netns", "exec", here.namespace, "ip", "route", verb)
        run(*words, "blackhole", f"{there.address}/32")

    def remove(self) -> None:
        for space in self._spaces:
            subprocess.run(["ip", "netns", "del", space], capture_output=True, timeout=20)
        subprocess.run(["ip", "link", "del", self._tag], capture_output=True, timeout=20)


# --- clocks --------------------------------------------------------------------------------------


FAKETIME = "faketime/libfaketimeMT.so.1"


class WallClock:
    """A node's wall clock, which can be set at any time (libfaketime). Its monotonic one goes on:
    that is all that a machine whose time is corrected would see."""

    def __init__(self, file: Path) -> None:
        found = sorted(Path("/usr/lib").glob(f"*/{FAKETIME}")) or [Path("/usr/lib") / FAKETIME]
        if not found[0].exists():
            raise OSError("libfaketime is missing (Debian's package faketime)")
        self._file = file
        self.environment = {
            "LD_PRELOAD": str(found[0]),
            "FAKETIME_TIMESTAMP_FILE": str(file),
            "FAKETIME_NO_CACHE": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            # Else threads that wait for Python's lock spin instead.
            "FAKETIME_FORCE_MONOTONIC_FIX": "0",
        }
        file.parent.mkdir(parents=True, exist_ok=True)
        self.jump(0)

    def jump(self, seconds: int) -> None:
        """From now on the clock differs by so much from the true one."""
        fresh = self._file.with_suffix(".new")
        fresh.write_text(f"{seconds:+d}\n", encoding="utf-8")
        fresh.replace(self._file)
