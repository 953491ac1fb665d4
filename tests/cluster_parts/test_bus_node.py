"""The bus of served nodes, as processes: where it listens, `[peers]`, `bus tail`."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

PROGRAM = """
cell Board {
    memory { heard: Map<String, Int> [persistent] }
    on shout(word: String, n: Int) { emit noted(word, n) }
    on noted(word: String, n: Int) { heard.set(word, n) }
    on look(word: String) { return heard.get(word) ?? "nothing" }
    on _noted(word: String, n: Int) { heard.set("secret", n) }
    on sneak() { emit _noted("x", 1) }
}
"""
WAIT_SECONDS = 30


class Process:
    """A command whose stderr (or stdout) is read line by line."""

    def __init__(self, command: list[str], folder: Path, out: bool = False) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "somac", *command],
            cwd=folder,
            stdout=subprocess.PIPE if out else subprocess.DEVNULL,
            stderr=subprocess.DEVNULL if out else subprocess.PIPE,
            text=True,
        )
        self.lines: list[str] = []
        self._changed = threading.Condition()
        self._ended = False
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        stream = self.process.stdout or self.process.stderr
        assert stream is not None
        with stream:
            for line in stream:
                with self._changed:
                    self.lines.append(line.rstrip("\n"))
                    self._changed.notify_all()
        with self._changed:
            self._ended = True
            self._changed.notify_all()

    def line(self, part: str) -> str:
        """The first line with that part, waited for."""

        def found() -> str | None:
            return next((line for line in self.lines if part in line), None)

        with self._changed:
            self._changed.wait_for(lambda: found() or self._ended, WAIT_SECONDS)
            line = found()
        assert line is not None, "\n".join(self.lines)
        return line

    def end(self) -> int:
        self.process.terminate()
        code = self.process.wait(timeout=WAIT_SECONDS)
        self._reader.join(timeout=WAIT_SECONDS)
        return code


@contextmanager
def command(folder: Path, *words: str, out: bool = False) -> Iterator[Process]:
    process = Process(list(words), folder, out)
    try:
        yield process
    finally:
        if process.process.poll() is None:
            process.end()


class Node:
    """A served node and its two ports."""

    def __init__(self, process: Process) -> None:
        self.process = process
        self.http = process.line("listening on http").rpartition(":")[2]
        self.bus = process.line("bus: listening on :").rpartition(":")[2]

    def get(self, path: str) -> str:
        url = f"http://127.0.0.1:{self.http}{path}"
        with urllib.request.urlopen(url, timeout=WAIT_SECONDS) as answer:
            return str(answer.read().decode())


@contextmanager
def node(folder: Path, *options: str, manifest: str = "") -> Iterator[Node]:
    folder.mkdir(exist_ok=True)
    (folder / "app.cell").write_text(PROGRAM)
    (folder / "soma.toml").write_text(f'[package]\nname = "board"\n{manifest}')
    with command(folder, "serve", "app.cell", "-p", "0", *options) as process:
        yield Node(process)


def test_peers_hear_each_other_and_a_watcher_hears_both(tmp_path: Path) -> None:
    with node(tmp_path / "b") as b:
        peers = f'[peers]\nfriend = "localhost:{b.bus}"\n'
        with (
            node(tmp_path / "a", manifest=peers) as a,
            command(tmp_path, "bus", "tail", f"127.0.0.1:{b.bus}", "--json", out=True) as tail,
        ):
            a.process.line(f"[bus] connected to localhost:{b.bus}")
            n = 0
            while not tail.lines:  # until the watcher is there
                a.get(f"/shout/word/{n}")
                n += 1
            assert json.loads(b.get("/look/word"))["result"] in range(n)
            b.get("/shout/back/7")
            tail.line('noted[\\"back\\", 7]')
            tail.line('"EVENT _handled"')  # said after the handler, so perhaps later than that
            seen = [json.loads(line) for line in tail.lines]
            assert {entry["name"] for entry in seen} == {"EVENT", "EVENT _handled"}
            assert {entry["direction"] for entry in seen} == {"in", "out"}
            a.get("/sneak")
            b.process.line("[bus] no handler for '_noted'")
            assert json.loads(b.get("/look/secret"))["result"] == "nothing"
    assert a.process.lines[-1] == "stopping", a.process.lines


def test_the_bus_line_follows_the_banner(tmp_path: Path) -> None:
    with node(tmp_path) as alone:
        lines = alone.process.lines
        assert lines[lines.index("---") + 1] == f"bus: listening on :{alone.bus}"
        assert alone.process.end() == 0


def test_without_protection_other_machines_do_not_reach_the_bus(tmp_path: Path) -> None:
    with node(tmp_path, "--host", "0.0.0.0") as exposed:
        line = exposed.process.line("bus: listening")
        assert line.endswith(" for this machine only: it has neither secret nor TLS")


def test_a_secret_opens_the_bus_to_those_who_know_it(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("a long enough secret of this test\n")
    options = ("--host", "0.0.0.0", "--cluster-secret-file", str(secret))
    with node(tmp_path, *options) as safe:
        assert safe.process.line("bus: listening") == f"bus: listening on :{safe.bus}"
        address = f"127.0.0.1:{safe.bus}"
        refused = subprocess.run(
            [sys.executable, "-m", "somac", "bus", "tail", address],
            capture_output=True,
            text=True,
            timeout=WAIT_SECONDS,
        )
        expected = f"error: cannot watch {address}: refused: not authenticated\n"
        assert (refused.returncode, refused.stdout, refused.stderr) == (1, "", expected)
        safe.process.line("bus: refused 127.0.0.1: the other side does not know the cluster secret")
        words = ("bus", "tail", address, "--secret-file", str(secret))
        with command(tmp_path, *words) as watcher:
            watcher.line("watching ")


def test_a_program_for_several_nodes_does_not_start_unprotected(tmp_path: Path) -> None:
    scaled = PROGRAM.replace("memory", "scale { replicas: 3 consistency: eventual }\n    memory")
    (tmp_path / "app.cell").write_text(scaled)
    words = [sys.executable, "-m", "somac", "serve", "app.cell", "-p", "0", "--host", "0.0.0.0"]
    done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, timeout=WAIT_SECONDS)
    assert done.returncode == 1
    assert "error: the bus on 0.0.0.0 would let anybody in" in done.stderr
