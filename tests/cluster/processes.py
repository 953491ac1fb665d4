"""Nodes of a cluster as processes of a built package: started, called, killed; always ended.

Each runs in a folder of its own; its log goes to a file there. Intervals are scaled down by
`[cluster]` in `soma.toml`, so that what takes 15 s in operation takes 1.5 s here.
"""

from __future__ import annotations

import http.client
import json
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

WAIT_SECONDS = 25.0
PACKAGE = "nodes"
_PAUSE = threading.Event()  # never set

MANIFEST = """
[package]
name = "nodes"

[cluster]
heartbeat_ms = 300
dead_ms = 1500
sync_interval_ms = 500
resend_ms = 300
dial_most_ms = 300
"""


BELOW_EPHEMERAL = (12_000, 32_000)
"""Ports that the system gives to nobody by itself: a node that restarts finds its own free."""


def build(source: str, folder: Path, manifest: str = MANIFEST) -> Path:
    """Builds a program once; gives the folder to run `python -m nodes` in."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "nodes.cell").write_text(source, encoding="utf-8")
    (folder / "soma.toml").write_text(manifest, encoding="utf-8")
    command = [sys.executable, "-m", "somac", "build", "nodes.cell", "-o", "dist"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder / "dist"


def free_ports() -> int:
    """A port whose two neighbours are free as well."""
    while True:
        with ExitStack() as stack:
            port = random.randrange(*BELOW_EPHEMERAL)
            try:
                for offset in (0, 1, 2):
                    probe = stack.enter_context(socket.socket())
                    probe.bind(("127.0.0.1", port + offset))
            except (OSError, OverflowError):
                continue
            return port


def until(condition: Callable[[], object], what: str, seconds: float = WAIT_SECONDS) -> None:
    """Waits for a condition; fails with what was waited for."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"waited {seconds} s in vain: {what}"
        _PAUSE.wait(0.02)


@dataclass
class Answer:
    status: int
    body: Any
    headers: dict[str, str]


@dataclass
class Node:
    """One node. `address` is what it listens on, in the network namespace `namespace` if any."""

    package: Path
    folder: Path
    name: str
    port: int
    address: str = "127.0.0.1"
    namespace: str = ""
    environment: dict[str, str] = field(default_factory=dict)
    """Beside that of the test."""
    options: Sequence[str] = ()
    """Of every start."""
    process: subprocess.Popen[bytes] | None = None

    @property
    def data(self) -> Path:
        return self.folder / "data"

    @property
    def bus(self) -> str:
        return f"{self.address}:{self.port + 2}"

    @property
    def log(self) -> str:
        return (self.folder / "log").read_text(encoding="utf-8", errors="replace")

    def start(self, *options: str) -> None:
        """Starts the process, and does not wait for it."""
        self.folder.mkdir(parents=True, exist_ok=True)
        words = ["-p", str(self.port), "--data", str(self.data), "--node-id", self.name]
        command = [sys.executable, "-m", PACKAGE, *words, "--quiet"]
        command += [*self.options, *options]
        if self.namespace:
            command = ["ip", "netns", "exec", self.namespace, *command]
        inherited = {k: v for k, v in os.environ.items() if not k.startswith("SOMA_")}
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                command, cwd=self.package, stdout=log, stderr=log, env=inherited | self.environment
            )

    def request(self, method: str, path: str, body: Any = None, **headers: str) -> Answer:
        """One request on a connection of its own. Raises OSError when nobody answers."""
        connection = http.client.HTTPConnection(self.address, self.port, timeout=10)
        try:
            data = None if body is None else json.dumps(body).encode()
            named = {name.replace("_", "-"): value for name, value in headers.items()}
            connection.request(method, path, data, named)
            got = connection.getresponse()
            text = got.read()
            kind = got.headers.get_content_type()
            found = json.loads(text) if kind == "application/json" else text.decode()
            return Answer(got.status, found, dict(got.headers))
        except http.client.HTTPException as error:
            raise OSError(str(error)) from error
        finally:
            connection.close()

    def get(self, path: str) -> Any:
        """The JSON of a successful GET."""
        answer = self.request("GET", path)
        assert answer.status == 200, (path, answer)
        return answer.body

    def ready(self) -> bool:
        """Whether the node says so; fails when its process has ended."""
        assert self.process is not None
        assert self.process.poll() is None, self.log
        try:
            return self.request("GET", "/__soma/ready").status == 200
        except OSError:
            return False

    def wait_ready(self) -> None:
        until(self.ready, f"{self.name} is ready")

    def status(self) -> dict[str, Any]:
        """What `/__soma/cluster` says."""
        found: dict[str, Any] = self.get("/__soma/cluster")
        return found

    def sees(self) -> dict[str, str]:
        """The members and their states, as this node sees them."""
        return {one["id"]: one["status"] for one in self.status()["members"]}

    def signal(self, number: signal.Signals) -> None:
        assert self.process is not None
        self.process.send_signal(number)

    def kill(self) -> None:
        """SIGKILL: no chance to tidy up."""
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait()

    def stop(self, seconds: float = WAIT_SECONDS) -> int:
        """SIGTERM, as an operator does it; gives the exit code."""
        assert self.process is not None
        self.process.terminate()
        try:
            return self.process.wait(timeout=seconds)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"{self.name} did not end in {seconds} s\n{self.log}") from None

    def wipe(self) -> None:
        """Loses the disk."""
        shutil.rmtree(self.data)


@dataclass
class Cluster:
    """Nodes that end with the block."""

    package: Path
    folder: Path
    nodes: list[Node] = field(default_factory=list)

    def __enter__(self) -> Cluster:
        return self

    def __exit__(self, *_: object) -> None:
        for node in self.nodes:
            node.kill()
        for node in self.nodes:  # pytest shows it when the test has failed
            print(f"--- {node.name}\n{node.log if (node.folder / 'log').exists() else ''}")

    def add(self, **settings: Any) -> Node:
        """A node that has not been started."""
        name = settings.pop("name", f"n{len(self.nodes) + 1}")
        port = settings.pop("port", None) or free_ports()
        node = Node(self.package, self.folder / name, name, port, **settings)
        self.nodes.append(node)
        return node

    def grow(self, *options: str) -> Node:
        """A node that has joined those before it."""
        joining = ["--join", self.nodes[0].bus] if self.nodes else []
        node = self.add()
        node.start(*joining, *options)
        node.wait_ready()
        return node

    def of(self, count: int, *options: str) -> Sequence[Node]:
        """Grows to that many nodes that all see each other alive."""
        while len(self.nodes) < count:
            self.grow(*options)
        self.settle()
        return self.nodes

    def settle(self) -> None:
        """Waits until all nodes see each other alive."""
        names = {node.name: "alive" for node in self.nodes}
        for node in self.nodes:
            until(lambda node=node: node.sees() == names, f"{node.name} sees all alive")
