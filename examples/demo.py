"""What Soma promises, in a minute: check, verify, build, serve, kill -9, restart, nothing lost.

Run it with `make demo`. It writes into a temporary folder, listens on loopback only, and ends
every process that it started.
"""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
TRADES = 25
START_SECONDS = 30


def step(text: str) -> None:
    print(f"\n== {text}", flush=True)


def shell(*command: str, cwd: Path | None = None) -> None:
    print("$ " + " ".join(command), flush=True)
    subprocess.run(command, check=True, cwd=cwd)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class Node:
    """A node of the built package, in its own process."""

    def __init__(self, folder: Path, port: int) -> None:
        self.url = f"http://127.0.0.1:{port}"
        command = [sys.executable, "-m", "dist.app", "-p", str(port), "--data", "data", "--quiet"]
        print("$ python " + " ".join(command[1:]), flush=True)
        self.process = subprocess.Popen(command, cwd=folder, stderr=subprocess.PIPE)
        deadline = time.monotonic() + START_SECONDS
        while not self.ready():
            if self.process.poll() is not None or time.monotonic() > deadline:
                self.kill()
                raise SystemExit(self.process.communicate()[1].decode())
            time.sleep(0.05)

    def ready(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.url}/__soma/ready", timeout=1) as answer:
                return bool(answer.status == 200)
        except OSError:
            return False

    def call(self, path: str, body: dict[str, Any] | None = None) -> Any:
        data = None if body is None else json.dumps(body).encode()
        with urllib.request.urlopen(self.url + path, data=data, timeout=10) as answer:
            return json.loads(answer.read())

    def kill(self) -> None:
        """SIGKILL: no chance to tidy up."""
        self.process.kill()
        self.process.wait()

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait(timeout=30)


def book(node: Node, first: int, count: int) -> None:
    for number in range(first, first + count):
        trade = {"id": f"T{number:03}", "symbol": "ACME", "quantity": 10, "price": 40.0 + number}
        node.call("/book_trade", trade)
    for number in range(first, first + count, 5):
        node.call(f"/confirm/T{number:03}", {})
    print(f"booked {count} trades, confirmed every fifth")


def main() -> None:
    folder = Path(tempfile.mkdtemp(prefix="soma-demo-"))
    soma = shutil.which("soma") or "soma"
    source = str(HERE / "pricing" / "app.cell")
    try:
        step("The compiler checks the program, and its tests pass")
        shell(soma, "check", source)
        shell(soma, "test", source)
        step("An executed trade is never cancelled: proved, for every path")
        shell(soma, "verify", source)
        step("It becomes an ordinary Python package")
        shell(soma, "build", source, "-o", "dist/", cwd=folder)
        run_node(folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def run_node(folder: Path) -> None:
    port = free_port()
    step("One node serves it")
    node = Node(folder, port)
    try:
        book(node, 0, TRADES)
        step("kill -9, in the middle of the day")
        node.kill()
        node = Node(folder, port)
        blotter = node.call("/blotter")
        confirmed = [trade for trade in blotter if trade["status"] == "confirmed"]
        print(f"after the restart: {len(blotter)} trades, {len(confirmed)} of them confirmed")
        if len(blotter) != TRADES or len(confirmed) != TRADES // 5:
            raise SystemExit("trades were lost")
        step("Done: nothing that was acknowledged is lost")
        print("Several nodes (--join) come with the cluster release; the source stays the same.")
    finally:
        node.stop()


if __name__ == "__main__":
    main()
