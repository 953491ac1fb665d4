"""Three real nodes with many keys, and a fourth joins: what moves, and whether all is served.

    python tests/soak/many_keys.py [keys]

Counts the keys on each node's own disk before and after, and reads keys from every node all the
while. Prints the figures; ends with 1 when more or less than a fourth (15 % either way) has moved,
when a read failed, or when a node keeps what is not its own.
"""

from __future__ import annotations

import json
import random
import shutil
import socket
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

CELL = """cell Big {
    memory { data: Map<String, String> [persistent] }
    scale { replicas: 4, shard: data, consistency: eventual, tolerance: 0 }
    on fill(first: Int, count: Int) {
        for i in range(first, first + count) { data.set("key{i}", "value{i}") }
        count
    }
    on look(key: String) { data.get(key) ?? "nothing" }
}
"""
BATCH = 1_000
WAIT_SECONDS = 900


def free_port() -> int:
    while True:
        with socket.socket() as one, socket.socket() as two:
            one.bind(("127.0.0.1", 0))
            port: int = one.getsockname()[1]
            try:
                two.bind(("127.0.0.1", port + 2))
            except (OSError, OverflowError):
                continue
            return port


class Node:
    """One node, served from source."""

    def __init__(self, folder: Path, name: str, seed: Node | None) -> None:
        self.name, self.port = name, free_port()
        self.data = folder / name
        words = ["-p", str(self.port), "--data", str(self.data), "--node-id", name, "--quiet"]
        if seed is not None:
            words += ["--join", f"127.0.0.1:{seed.port + 2}"]
        command = [sys.executable, "-m", "somac", "serve", str(folder / "big.cell"), *words]
        self.log = (folder / f"{name}.log").open("wb")
        self.process = subprocess.Popen(command, stderr=self.log)
        self.until(lambda: self.status()["ready"], 60)

    def get(self, path: str, body: Any = None) -> Any:
        data = None if body is None else json.dumps(body).encode()
        url = f"http://127.0.0.1:{self.port}{path}"
        with urllib.request.urlopen(url, data=data, timeout=60) as answer:
            return json.loads(answer.read())

    def status(self) -> dict[str, Any]:
        found: dict[str, Any] = self.get("/__soma/cluster")
        return found

    def until(self, condition: Any, seconds: float) -> None:
        pause, deadline = threading.Event(), time.monotonic() + seconds
        while time.monotonic() < deadline:
            try:
                if condition():
                    return
            except OSError:
                if self.process.poll() is not None:
                    break
            pause.wait(0.2)
        raise SystemExit(f"{self.name}: it did not happen within {seconds} s")

    def keys(self) -> int:
        """The rows of the slot on this node's disk, once it has stopped."""
        with sqlite3.connect(self.data / "soma.db") as database:
            name = dict(database.execute("SELECT name, tbl FROM soma_tables"))["Big.data"]
            found: int = database.execute(f'SELECT count(*) FROM "{name}"').fetchone()[0]
            return found

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait(60)
        self.log.close()


class Reader(threading.Thread):
    """Reads random keys from every node until it is told to stop."""

    def __init__(self, nodes: list[Node], keys: int) -> None:
        super().__init__(daemon=True)
        self.nodes, self.keys = nodes, keys
        self.reads, self.slowest = 0, 0.0
        self.wrong: list[str] = []
        self.over = threading.Event()

    def run(self) -> None:
        choose = random.Random(7)
        while not self.over.is_set():
            number, node = choose.randrange(self.keys), choose.choice(self.nodes)
            begin = time.monotonic()
            try:
                found = node.get(f"/look/key{number}")
            except (OSError, urllib.error.HTTPError) as error:
                found = f"{type(error).__name__}: {error}"
            self.slowest = max(self.slowest, time.monotonic() - begin)
            self.reads += 1
            if found != {"result": f"value{number}"} and found != f"value{number}":
                self.wrong.append(f"key{number} on {node.name}: {found}")


def fill(nodes: list[Node], keys: int) -> float:
    begin = time.monotonic()
    for first in range(0, keys, BATCH):
        node = nodes[first // BATCH % len(nodes)]
        node.get("/fill", {"first": first, "count": min(BATCH, keys - first)})
    return time.monotonic() - begin


def settled(nodes: list[Node]) -> bool:
    """Whether all know all, nothing is under way, and nobody holds what is not its own."""
    for one in (node.status() for node in nodes):
        rings = [member["ring"] for member in one["members"]]
        if rings != ["ready"] * len(nodes) or not one["ready"]:
            return False
        if one["not_own"]["keys"] or one["outbox"]:
            return False
    return True


def settled_for_long(nodes: list[Node]) -> bool:
    """The same three times in a row: news takes a moment to get around."""
    pause = threading.Event()
    return all(settled(nodes) and not pause.wait(1.0) for _ in range(3))


def main(keys: int) -> int:
    folder = Path(tempfile.mkdtemp(prefix="soma-keys-"))
    (folder / "big.cell").write_text(CELL, "utf-8")
    nodes: list[Node] = []
    try:
        for name in ("n1", "n2", "n3"):
            nodes.append(Node(folder, name, nodes[0] if nodes else None))
        took = fill(nodes, keys)
        nodes[0].until(lambda: settled_for_long(nodes), WAIT_SECONDS)
        print(f"{keys:,} keys written in {took:.0f} s, {keys / took:,.0f} per second", flush=True)
        reader = Reader(list(nodes), keys)
        reader.start()
        begin = time.monotonic()
        nodes.append(Node(folder, "n4", nodes[0]))
        nodes[0].until(lambda: settled_for_long(nodes), WAIT_SECONDS)
        moved_in = time.monotonic() - begin
        reader.over.set()
        reader.join()
    finally:
        for node in nodes:
            node.stop()
        held = {node.name: node.keys() for node in nodes}
        shutil.rmtree(folder, ignore_errors=True)
    return report(keys, held, moved_in, reader)


def report(keys: int, held: dict[str, int], moved_in: float, reader: Reader) -> int:
    share = held["n4"] / keys
    print(f"the fourth node had its share after {moved_in:.1f} s; keys per node: {held}")
    print(f"moved: {share:.3f} of all keys (a fourth is 0.250)")
    print(
        f"meanwhile {reader.reads} reads, {len(reader.wrong)} wrong, slowest {reader.slowest:.2f} s"
    )
    for line in reader.wrong[:5]:
        print(f"  {line}")
    good = sum(held.values()) == keys and 0.85 <= share * 4 <= 1.15 and not reader.wrong
    print("all as promised" if good else "NOT as promised")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]) if len(sys.argv) > 1 else 100_000))
