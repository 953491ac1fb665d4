"""Nodes of built packages as processes, for the demonstrations: started, called, killed, ended."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

START_SECONDS = 30


def step(text: str) -> None:
    """A heading."""
    print(f"\n== {text}", flush=True)


def shell(*command: str, cwd: Path | None = None) -> None:
    """Runs a command and shows it. Raises CalledProcessError when it fails."""
    print("$ " + " ".join(command), flush=True)
    subprocess.run(command, check=True, cwd=cwd)


def free_ports() -> int:
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


def wait_for(condition: Callable[[], bool], what: str, seconds: float = START_SECONDS) -> None:
    """Raises SystemExit when a condition does not come true in that time."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise SystemExit(f"FAILED: waited {seconds:g} s in vain until {what}")
        time.sleep(0.05)


class Node:
    """A node of a built package, in its own process."""

    def __init__(self, folder: Path, package: str, data: str, *options: str, port: int = 0) -> None:
        self.port = port or free_ports()
        self.url = f"http://127.0.0.1:{self.port}"
        self.bus = f"localhost:{self.port + 2}"
        self.data = folder / data
        words = ["-p", str(self.port), "--data", data, *options, "--quiet"]
        command = [sys.executable, "-m", f"dist.{package}", *words]
        print("$ python " + " ".join(command[1:]), flush=True)
        self._log = self.data.with_name(f"{data}.log")
        with self._log.open("ab") as log:
            self.process = subprocess.Popen(command, cwd=folder, stderr=log)

    def wait_ready(self) -> None:
        """Raises SystemExit, with the log, when the node does not get ready."""
        try:
            wait_for(lambda: self._ended() or self.ready(), f"{self.url} is ready")
        except SystemExit:
            self.kill()
            raise
        if self._ended():
            raise SystemExit(self._log.read_text(encoding="utf-8", errors="replace"))

    def _ended(self) -> bool:
        return self.process.poll() is not None

    def ready(self) -> bool:
        """Whether the node says that it is."""
        try:
            with urllib.request.urlopen(f"{self.url}/__soma/ready", timeout=1) as answer:
                return bool(answer.status == 200)
        except OSError:
            return False

    def call(self, path: str, body: dict[str, Any] | None = None) -> Any:
        """The JSON that comes back. Raises OSError for anything but success."""
        data = None if body is None else json.dumps(body).encode()
        with urllib.request.urlopen(self.url + path, data=data, timeout=10) as answer:
            return json.loads(answer.read())

    def kill(self) -> None:
        """SIGKILL: no chance to tidy up."""
        self.process.kill()
        self.process.wait()

    def stop(self) -> None:
        """SIGTERM, and if that is not heard SIGKILL."""
        self.process.terminate()
        try:
            self.process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            self.kill()
