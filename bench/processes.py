"""Servers that the benchmark of the cluster starts: nodes of ours, etcd, Redis, a web service.

Every server runs under `timeout`, on the loopback address and on a port that was free, and is ended
by its own process id.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from serving import cpu_seconds, free_port

HERE = Path(__file__).resolve().parent
LIMIT_SECONDS = 150
"""No server lives longer, whatever becomes of the benchmark."""

START_SECONDS = 30.0
BUS_ABOVE_HTTP = 2


class Server:
    """A process that listens on `port`; `pid` is its own, not that of `timeout`."""

    def __init__(self, name: str, command: list[str], port: int, log: Path) -> None:
        self.name = name
        self.port = port
        self.log = log
        with log.open("wb") as sink:
            self._guard = subprocess.Popen(
                ["timeout", "-k", "1", str(LIMIT_SECONDS), *command],
                stdout=sink,
                stderr=subprocess.STDOUT,
            )
        self.pid = wait_for(self._child, f"{name} to start")

    def _child(self) -> int:
        own = self._guard.pid
        words = Path(f"/proc/{own}/task/{own}/children").read_text().split()
        return int(words[0]) if words else 0

    @property
    def cpu(self) -> float:
        """Seconds of CPU so far."""
        return cpu_seconds(self.pid)

    def listens(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    def kill(self) -> None:
        """As a crash would."""
        os.kill(self.pid, signal.SIGKILL)
        self._guard.wait(timeout=10)

    def stop(self) -> None:
        """Ends it, if it has not ended."""
        if self._guard.poll() is None:
            self._guard.terminate()
            try:
                self._guard.wait(timeout=15)
            except subprocess.TimeoutExpired:
                self.kill()


def wait_for(found: Callable[[], Any], what: str, seconds: float = START_SECONDS) -> Any:
    """What `found` gives once it is true. Raises TimeoutError."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            if result := found():
                return result
        except OSError:  # not there yet
            pass
        time.sleep(0.02)
    raise TimeoutError(f"waited {seconds:g} s for {what}")


@contextmanager
def server(name: str, command: list[str], port: int, folder: Path) -> Iterator[Server]:
    """A server for the time of a measurement."""
    found = Server(name, command, port, folder / f"{name}.log")
    try:
        wait_for(found.listens, f"{name} to listen")
        yield found
    except TimeoutError as error:
        tail = found.log.read_text(errors="replace")[-2_000:]
        raise RuntimeError(f"{error}\n{tail}") from error
    finally:
        found.stop()


# --- nodes of ours -------------------------------------------------------------------------------


def _node_port() -> int:
    """Free, with the port of the bus above it."""
    while True:
        port = free_port()
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port + BUS_ABOVE_HTTP))
            except OSError:
                continue
            return port


def status(port: int) -> dict[str, Any]:
    """`/__soma/cluster` of a node. Raises OSError."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/__soma/cluster", timeout=2) as answer:
        found: dict[str, Any] = json.load(answer)
        return found


def _node(name: str, cell: Path, folder: Path, seed: int | None) -> tuple[str, list[str], int]:
    port = _node_port()
    words = ["-m", "somac", "serve", str(cell), "-p", str(port)]
    words += ["--data", str(folder / name), "--quiet"]
    if seed is not None:
        words += ["--join", f"localhost:{seed + BUS_ABOVE_HTTP}"]
    return name, [sys.executable, *words], port


@contextmanager
def nodes(cell: Path, folder: Path, count: int = 3) -> Iterator[list[Server]]:
    """A cluster that is complete: all alive, all voters there. The first one has founded it."""
    with ExitStack() as stack:
        first = stack.enter_context(server(*_node("node1", cell, folder, None), folder))
        found = [first]
        for number in range(2, count + 1):
            name, command, port = _node(f"node{number}", cell, folder, first.port)
            found.append(Server(name, command, port, folder / f"{name}.log"))
            stack.callback(found[-1].stop)
        wait_for(lambda: all(complete(one, count) for one in found), "the cluster to be complete")
        yield found


def complete(node: Server, count: int) -> bool:
    """Whether a node sees so many members, and as many voters where there is consensus."""
    shown = status(node.port)
    alive = [member for member in shown["members"] if member["status"] == "alive"]
    voters = shown["consensus"]["voters"] if "consensus" in shown else alive
    return len(alive) == len(voters) == count and shown.get("leader") is not None


def leader_of(found: list[Server]) -> Server:
    """The node that leads, by the word of the first that is asked."""
    leader = status(found[0].port)["leader"]
    return next(one for one in found if status(one.port)["node"] == leader)


@contextmanager
def standalone(cell: Path, folder: Path) -> Iterator[Server]:
    """The same handlers without `scale`, on one node."""
    words = cell.read_text()
    begin = words.index("    scale {")
    end = words.index("    }\n", begin) + len("    }\n")
    plain = folder / "plain.cell"
    plain.write_text(words[:begin] + words[end:])
    with server(*_node("standalone", plain, folder, None), folder) as found:
        yield found


# --- others --------------------------------------------------------------------------------------


@contextmanager
def etcd(folder: Path, count: int = 3) -> Iterator[list[Server]]:
    """A cluster of etcd with its usual settings."""
    ports = [(free_port(), free_port()) for _ in range(count)]
    peers = ",".join(f"e{n}=http://127.0.0.1:{peer}" for n, (_, peer) in enumerate(ports))
    with ExitStack() as stack:
        found = []
        for number, (client, peer) in enumerate(ports):
            command = ["etcd", "--name", f"e{number}", "--data-dir", str(folder / f"e{number}")]
            for word, port in (("client", client), ("peer", peer)):
                url = f"http://127.0.0.1:{port}"
                command += [f"--listen-{word}-urls", url]
                command += [
                    f"--{'advertise' if word == 'client' else 'initial-advertise-peer'}"
                    f"{'-client' if word == 'client' else ''}-urls",
                    url,
                ]
            command += ["--initial-cluster", peers, "--log-level", "error"]
            found.append(Server(f"etcd{number}", command, client, folder / f"etcd{number}.log"))
            stack.callback(found[-1].stop)
        for one in found:
            wait_for(one.listens, f"{one.name} to listen")
        wait_for(lambda: etcd_leader(found), "etcd to elect a leader")
        yield found


def etcd_leader(found: list[Server]) -> Server | None:
    """The member that leads, None as long as there is none."""
    for one in found:
        request = urllib.request.Request(
            f"http://127.0.0.1:{one.port}/v3/maintenance/status", data=b"{}"
        )
        with urllib.request.urlopen(request, timeout=2) as answer:
            shown = json.load(answer)
        if shown.get("leader") == shown["header"]["member_id"]:
            return one
    return None


@contextmanager
def redis(folder: Path) -> Iterator[tuple[Server, Server]]:
    """A primary that syncs before it answers, and its replica."""
    with ExitStack() as stack:
        found: list[Server] = []
        for name in ("primary", "replica"):
            port, data = free_port(), folder / name
            data.mkdir()
            command = ["redis-server", "--port", str(port), "--bind", "127.0.0.1"]
            command += ["--dir", str(data), "--appendonly", "yes", "--appendfsync", "always"]
            command += ["--save", ""]
            if found:
                command += ["--replicaof", "127.0.0.1", str(found[0].port)]
            found.append(stack.enter_context(server(name, command, port, folder)))
        wait_for(lambda: _replicates(found[0].port), "the replica to follow")
        yield found[0], found[1]


def _replicates(port: int) -> bool:
    with socket.create_connection(("127.0.0.1", port), timeout=2) as link:
        link.sendall(b"INFO replication\r\n")
        return b"state=online" in link.recv(4096)


@contextmanager
def etcd_service(folder: Path, port_of_etcd: int) -> Iterator[Server]:
    """The web service of `peers/etcd_service.py`."""
    port = free_port()
    words = [str(HERE / "peers" / "etcd_service.py"), str(port), str(port_of_etcd)]
    with server("service", [sys.executable, *words], port, folder) as found:
        yield found


def missing(*programs: str) -> str:
    """Those that are not installed here, in words; empty if all are."""
    return ", ".join(name for name in programs if shutil.which(name) is None)
