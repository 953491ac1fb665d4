"""Three real nodes with many keys, and a fourth joins: what moves, and whether all is served.

    python tests/soak/many_keys.py [keys]

Clients read keys and write others on every node all the while. Prints the figures; ends with 1 when
more or less than a fourth (15 % either way) has moved, when a client was refused otherwise than
with `"definite": true`, when an acknowledged write is missing, or when a node keeps what is not
its own.
"""

from __future__ import annotations

import http.client
import json
import random
import shutil
import socket
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

CELL = """cell Big {
    memory { data: Map<String, String> [persistent] }
    scale { replicas: 4, shard: data, consistency: eventual, tolerance: 0 }
    on fill(first: Int, count: Int) {
        for i in range(first, first + count) { data.set("key{i}", "value{i}") }
        count
    }
    on put(key: String, value: String) { data.set(key, value)  "ok" }
    on look(key: String) { data.get(key) ?? "nothing" }
}
"""
MILLION = 1_000_000
BATCH = 1_000
WAIT_SECONDS = 1_800
PACE_SECONDS = 0.004
READERS = 2
RETRYABLE = (409, 503)
UNDER_WAY = 500
"""Keys that a node may hold for others while it is written to: they go within a few seconds."""
PATIENCE_SECONDS = 60
BUS_ABOVE_HTTP = 2


def free_port() -> int:
    """A port that has the one of the bus free as well."""
    while True:
        with socket.socket() as one, socket.socket() as two:
            one.bind(("127.0.0.1", 0))
            port: int = one.getsockname()[1]
            try:
                two.bind(("127.0.0.1", port + BUS_ABOVE_HTTP))
            except (OSError, OverflowError):
                continue
            return port


class Line:
    """A connection that is kept, for one thread."""

    def __init__(self, port: int) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE_SECONDS)

    def ask(self, path: str, body: Any = None) -> tuple[int, Any]:
        """Status and JSON of the answer. Raises OSError."""
        data = None if body is None else json.dumps(body).encode()
        try:
            self._connection.request("GET" if data is None else "POST", path, data)
            answer = self._connection.getresponse()
            return answer.status, json.loads(answer.read())
        except (http.client.HTTPException, OSError) as error:
            self.close()
            raise OSError(f"{type(error).__name__}: {error}") from error

    def close(self) -> None:
        """A node takes it back itself from who says nothing for 30 s."""
        self._connection.close()


class Node:
    """One node, served from source."""

    def __init__(self, folder: Path, name: str, seed: Node | None) -> None:
        self.name, self.port, self.data = name, free_port(), folder / name
        words = ["-p", str(self.port), "--data", str(self.data), "--node-id", name, "--quiet"]
        if seed is not None:
            words += ["--join", f"127.0.0.1:{seed.port + BUS_ABOVE_HTTP}"]
        command = [sys.executable, "-m", "somac", "serve", str(folder / "big.cell"), *words]
        with (folder / f"{name}.log").open("wb") as log:
            self.process = subprocess.Popen(command, stderr=log)
        self.line = Line(self.port)

    def ready(self) -> bool:
        if self.process.poll() is not None:
            raise SystemExit(f"{self.name} has ended")
        try:
            return self.line.ask("/__soma/ready")[0] == 200
        except OSError:
            return False
        finally:
            self.line.close()

    def status(self) -> dict[str, Any]:
        found: dict[str, Any] = self.line.ask("/__soma/cluster")[1]
        self.line.close()
        return found

    def keys(self) -> int:
        """The rows of the slot on this node's disk, once it has stopped."""
        with sqlite3.connect(self.data / "soma.db") as database:
            name = dict(database.execute("SELECT name, tbl FROM soma_tables"))["Big.data"]
            found: int = database.execute(f'SELECT count(*) FROM "{name}"').fetchone()[0]
            return found

    def sizes(self) -> str:
        """Its memory, now and at most, and its files."""
        lines = Path(f"/proc/{self.process.pid}/status").read_text("utf-8").splitlines()
        kilobytes = {line.split(":")[0]: line.split()[1] for line in lines if line.startswith("Vm")}
        now, most = (int(kilobytes[name]) / 1024 for name in ("VmRSS", "VmHWM"))
        disk = sum(file.stat().st_size for file in self.data.glob("*")) / 2**20
        return f"{self.name}: {disk:.0f} MiB on disk, RSS {now:.0f} MiB, at most {most:.0f} MiB"

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait(PATIENCE_SECONDS)


def until(condition: Callable[[], bool], what: str) -> None:
    pause, deadline = threading.Event(), time.monotonic() + WAIT_SECONDS
    while not condition():
        if time.monotonic() > deadline:
            raise SystemExit(f"waited {WAIT_SECONDS} s in vain until {what}")
        pause.wait(1.0)


class Client(threading.Thread, ABC):
    """Asks one node after the other, at random, until it is told to stop."""

    def __init__(self, nodes: list[Node], seed: int) -> None:
        super().__init__(daemon=True)
        self.nodes, self.choose = nodes, random.Random(seed)
        self.times: list[float] = []
        self.wrong: list[str] = []
        self.refused = 0
        self.over = threading.Event()
        self._lines: dict[str, Line] = {}

    def run(self) -> None:
        while not self.over.wait(PACE_SECONDS):
            node = self.choose.choice(self.nodes)
            try:
                self.once(node)
            except OSError as error:
                self.wrong.append(f"{node.name}: {error}")

    @abstractmethod
    def once(self, node: Node) -> None:
        """One request. Raises OSError when all is not as it should be."""

    def ask(self, node: Node, path: str, body: Any = None) -> Any:
        """The result, timed; None where the node wants to be asked again."""
        line = self._lines.setdefault(node.name, Line(node.port))
        begin = time.monotonic()
        status, found = line.ask(path, body)
        self.times.append(time.monotonic() - begin)
        if status in RETRYABLE and found.get("definite") is True:
            self.refused += 1
            return None
        if status != 200:
            raise OSError(f"{path}: {status} {found}")
        return found["result"] if isinstance(found, dict) else found

    def end(self) -> None:
        self.over.set()
        self.join()
        for line in self._lines.values():
            line.close()


class Reader(Client):
    """Reads what was there before."""

    def __init__(self, nodes: list[Node], seed: int, keys: int) -> None:
        super().__init__(nodes, seed)
        self.keys = keys

    def once(self, node: Node) -> None:
        number = self.choose.randrange(self.keys)
        found = self.ask(node, f"/look/key{number}")
        if found not in (None, f"value{number}"):
            raise OSError(f"key{number} is {found}")


class Writer(Client):
    """Writes keys of its own, some again and again."""

    def __init__(self, nodes: list[Node], seed: int) -> None:
        super().__init__(nodes, seed)
        self.written: dict[str, str] = {}
        self._count = 0

    def once(self, node: Node) -> None:
        key, self._count = f"new{self._count // 2}", self._count + 1
        value = f"{node.name}-{self._count}"
        if self.ask(node, "/put", {"key": key, "value": value}) is not None:
            self.written[key] = value

    def missing(self) -> list[str]:
        """The acknowledged writes that a node does not show."""
        return [
            f"{key} is {found} on {node.name}, {value} was written"
            for key, value in self.written.items()
            for node in self.nodes
            if (found := self.ask(node, f"/look/{key}")) != value
        ]


def fill(nodes: list[Node], keys: int) -> float:
    begin = time.monotonic()
    for first in range(0, keys, BATCH):
        node = nodes[first // BATCH % len(nodes)]
        status, found = node.line.ask("/fill", {"first": first, "count": min(BATCH, keys - first)})
        if status != 200:
            raise SystemExit(f"{node.name} did not take keys: {found}")
    return time.monotonic() - begin


def moved(nodes: list[Node]) -> bool:
    """Whether the ring has come to rest, and nobody holds more for others than writes under way."""
    for one in (node.status() for node in nodes):
        rings = [member["ring"] for member in one["members"]]
        if (
            rings != ["ready"] * len(nodes)
            or not one["ready"]
            or one["not_own"]["keys"] > UNDER_WAY
        ):
            return False
    return True


def settled(nodes: list[Node]) -> bool:
    """Three times in a row, since news takes a moment to get around: nothing is under way either,
    and nobody holds a byte that is not its own."""
    pause = threading.Event()
    for _ in range(3):
        found = [node.status() for node in nodes] if moved(nodes) else []
        if not found or any(any(one["not_own"].values()) or one["outbox"] for one in found):
            return False
        pause.wait(1.0)
    return True


@contextmanager
def cluster(folder: Path) -> Iterator[list[Node]]:
    """Three nodes, and those that are added; all end with the block."""
    nodes: list[Node] = []
    try:
        for name in ("n1", "n2", "n3"):
            nodes.append(Node(folder, name, nodes[0] if nodes else None))
            until(nodes[-1].ready, f"{name} is ready")
        yield nodes
    finally:
        for node in nodes:
            node.stop()


def grow(nodes: list[Node], folder: Path, clients: list[Client]) -> None:
    """The fourth node joins, and is asked by the clients, too, as soon as it is ready."""
    begin = time.monotonic()
    newcomer = Node(folder, "n4", nodes[0])
    everybody = [*nodes, newcomer]
    try:
        until(newcomer.ready, "the fourth node is ready")
        ready = time.monotonic() - begin
        for client in clients:
            client.nodes = everybody
        until(lambda: moved(everybody), "all is where it belongs")
        print(f"the fourth node was ready after {ready:.1f} s, and all had moved after", end=" ")
        print(f"{time.monotonic() - begin:.1f} s", flush=True)
    finally:
        nodes.append(newcomer)


def times(name: str, clients: list[Client]) -> str:
    found = [second * 1_000 for client in clients for second in client.times]
    cuts = statistics.quantiles(found, n=1_000)
    refused, wrong = (sum(c.refused for c in clients), sum(len(c.wrong) for c in clients))
    return (
        f"{len(found):,} {name}: {wrong} wrong, {refused} to be sent again;"
        f" p50 {cuts[499]:.1f} ms, p99 {cuts[989]:.1f} ms, slowest {max(found):,.0f} ms"
    )


def main(keys: int) -> int:
    folder = Path(tempfile.mkdtemp(prefix="soma-keys-"))
    (folder / "big.cell").write_text(CELL, "utf-8")
    try:
        with cluster(folder) as nodes:
            took = fill(nodes, keys)
            print(f"{keys:,} keys written in {took:.0f} s, {keys / took:,.0f} per second")
            until(lambda: settled(nodes), "all is where it belongs")
            print("\n".join(node.sizes() for node in nodes), flush=True)
            readers: list[Client] = [Reader(list(nodes), seed, keys) for seed in range(READERS)]
            writer = Writer(list(nodes), READERS)
            for client in (*readers, writer):
                client.start()
            grow(nodes, folder, [*readers, writer])
            for client in (*readers, writer):
                client.end()
            print(times("reads meanwhile", readers))
            print(times("writes meanwhile", [writer]))
            until(lambda: settled(nodes), "all is where it belongs")
            wrong = [line for client in (*readers, writer) for line in client.wrong]
            wrong += writer.missing()
            print("\n".join(node.sizes() for node in nodes), flush=True)
        held = {node.name: node.keys() for node in nodes}
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return report(keys + len(writer.written), held, wrong)


def report(keys: int, held: dict[str, int], wrong: list[str]) -> int:
    share = held["n4"] / keys
    print(f"keys per node: {held}; moved: {share:.3f} of all keys (a fourth is 0.250)")
    for line in wrong[:5]:
        print(f"  {line}")
    good = sum(held.values()) == keys and 0.85 <= share * 4 <= 1.15 and not wrong
    print("all as promised" if good else "NOT as promised")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]) if len(sys.argv) > 1 else MILLION))
