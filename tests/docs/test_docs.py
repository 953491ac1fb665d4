"""Runs the commands that the documentation shows and compares what they print.

In Markdown, a block ```soma NAME.cell``` is written to a file, and a block ```console``` holds
commands after `$ ` with all that they print, where `…` stands for anything. A command that ends
in ` &` is a server: it runs until the page ends. Ports 8080, 8090 and 8100 become free ones, and so
do the two that follow each of them.
"""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
FENCE = re.compile(r"^```(\w*)([^\n]*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
COMMAND_SECONDS = 60
SHOWN_PORTS = (8080, 8090, 8100)
SHOWN_PORT = re.compile(r"\b(?:808|809|810)[012]\b")


@dataclass(frozen=True)
class Fence:
    kind: str
    title: str
    body: str
    line: int


def fences(page: Path) -> list[Fence]:
    text = page.read_text("utf-8")
    return [
        Fence(m[1], m[2].strip(), m[3], text.count("\n", 0, m.start()) + 1)
        for m in FENCE.finditer(text)
    ]


def pattern(expected: str) -> re.Pattern[str]:
    """The expected text with `…` for anything within a line; a line of `…` for any lines."""
    lines = [
        ".*" if line == "…" else re.escape(line).replace("…", r"[^\n]*")
        for line in expected.rstrip("\n").split("\n")
    ]
    return re.compile("\n".join(lines), re.DOTALL)


def free_port() -> int:
    """A port whose two neighbours (WebSocket, bus) are free as well."""
    while True:
        with ExitStack() as stack:
            first = stack.enter_context(socket.socket())
            first.bind(("127.0.0.1", 0))
            port: int = first.getsockname()[1]
            try:
                for offset in (1, 2):
                    other = stack.enter_context(socket.socket())
                    other.bind(("127.0.0.1", port + offset))
            except (OSError, OverflowError):
                continue
            return port


@dataclass
class Shell:
    """Runs the commands of one page in a folder that has the examples."""

    folder: Path
    ports: dict[int, int] = field(default_factory=lambda: {n: free_port() for n in SHOWN_PORTS})
    servers: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def __post_init__(self) -> None:
        (self.folder / "examples").symlink_to(ROOT / "examples")
        self.environment = {
            **os.environ,
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            "SOMA_CACHE_DIR": str(self.folder / ".cache"),
        }

    def ported(self, text: str) -> str:
        def real(found: re.Match[str]) -> str:
            shown = int(found[0])
            return str(self.ports[shown // 10 * 10] + shown % 10)

        return SHOWN_PORT.sub(real, text)

    def run(self, command: str) -> str:
        command = self.ported(command)
        if command.endswith(" &"):
            self.serve(command[:-2])
            return ""
        done = subprocess.run(
            ["bash", "-c", command],
            cwd=self.folder,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=COMMAND_SECONDS,
        )
        return done.stdout.decode()

    def serve(self, command: str) -> None:
        log = (self.folder / f"server-{len(self.servers)}.log").open("wb")
        with log:
            server = subprocess.Popen(
                ["bash", "-c", f"exec {command}"],
                cwd=self.folder,
                env=self.environment,
                stdout=log,
                stderr=log,
            )
        self.servers.append(server)
        port = int(re.findall(r"-p (\d+)", command)[0])
        deadline = time.monotonic() + COMMAND_SECONDS
        while time.monotonic() < deadline and server.poll() is None:
            try:
                socket.create_connection(("127.0.0.1", port), timeout=0.2).close()
                return
            except OSError:
                os.sched_yield()
        raise AssertionError(f"no server came up: {command}\n{Path(log.name).read_text()}")

    def stop(self) -> None:
        for server in self.servers:
            server.terminate()
            server.wait(timeout=COMMAND_SECONDS)


def steps(body: str) -> Iterator[tuple[str, str]]:
    """The commands of a console block, each with its output. `> ` continues a command."""
    command, output = "", ""
    for line in body.splitlines(keepends=True):
        if line.startswith("$ "):
            if command:
                yield command.rstrip("\n"), output
            command, output = line[2:], ""
        elif line.startswith("> ") and not output:
            command += line[2:]
        else:
            output += line
    if command:
        yield command.rstrip("\n"), output


CONSOLE_PAGES = [page for page in PAGES if any(f.kind == "console" for f in fences(page))]


@pytest.mark.slow
@pytest.mark.parametrize("page", CONSOLE_PAGES, ids=lambda page: page.name)
def test_commands_print_what_the_page_says(page: Path, tmp_path: Path) -> None:
    shell = Shell(tmp_path)
    try:
        for block in fences(page):
            if block.kind == "soma" and block.title:
                (tmp_path / block.title).write_text(block.body, "utf-8")
            if block.kind == "console":
                for command, expected in steps(block.body):
                    printed = shell.run(command)
                    matches = pattern(shell.ported(expected)).fullmatch(printed.rstrip("\n"))
                    assert matches, f"{page.name}:{block.line}: $ {command}\n{printed}"
    finally:
        shell.stop()


LINK = re.compile(r"\]\(([^)#:]+)(?:#[^)]*)?\)")


@pytest.mark.parametrize("page", [*PAGES, *sorted((ROOT / "docs" / "decisions").glob("*.md"))])
def test_links_lead_somewhere(page: Path) -> None:
    missing = [
        target
        for target in LINK.findall(page.read_text("utf-8"))
        if not (page.parent / target).exists()
    ]
    assert not missing
