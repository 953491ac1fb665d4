"""How fast slots are: ephemeral get and set, durable set against bare apsw, group commit.

Prints one table of ratios. The two sides of a pair run interleaved in the same process, on the
same file system, with distinct values; the median round counts. Usage: python bench/memory.py
"""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import apsw
import trio
from figures import Figure, print_table

from somart import App, Cell, ProgramSpec, Prop, SlotDecl, StandaloneEngine, Value, handler

ROUNDS = 5
EPHEMERAL_OPS = 100_000
DURABLE_OPS = 300
TASKS = 32


class Store(Cell):
    """The smallest cell with a slot of each kind."""

    soma_name = "Store"
    kept = SlotDecl("kept", "Map<String, Int>", (Prop("persistent"),))
    scratch = SlotDecl("scratch", "Map<String, Int>", (Prop("ephemeral"), Prop("local")))

    @handler("put", "k", "v")
    def put(self, k: Value, v: Value) -> Value:
        self.kept.set(k, v)
        return v

    @handler("sets", "n")
    def sets(self, n: int) -> Value:
        for index in range(n):
            self.scratch.set("k", index)
        return None

    @handler("gets", "n")
    def gets(self, n: int) -> Value:
        for _ in range(n):
            self.scratch.get("k")
        return None

    @handler("nothing", "n")
    def nothing(self, n: int) -> Value:
        for _ in range(n):
            pass
        return None


def rate(action: Callable[[], None], count: int) -> float:
    begin = time.perf_counter()
    action()
    return count / (time.perf_counter() - begin)


def microseconds(app: App, name: str) -> float:
    def run(handler: str) -> float:
        begin = time.perf_counter()
        app.call("Store", handler, [EPHEMERAL_OPS])
        return time.perf_counter() - begin

    return (run(name) - run("nothing")) / EPHEMERAL_OPS * 1e6


def bare_commits(connection: apsw.Connection, start: int) -> None:
    for index in range(start, start + DURABLE_OPS):
        connection.execute("INSERT OR REPLACE INTO t VALUES (?, ?)", (f"k{index % 50}", index))


def one_client(app: App, start: int) -> None:
    for index in range(start, start + DURABLE_OPS):
        app.call("Store", "put", [f"k{index % 50}", index])


async def clients(app: App, tasks: int, each: int, start: int) -> None:
    async def client(number: int) -> None:
        for index in range(each):
            await app.invoke("Store", "put", [f"k{number}", start + number * each + index])

    async with trio.open_nursery() as nursery:
        for number in range(tasks):
            nursery.start_soon(client, number)


def measure(folder: Path) -> dict[str, list[float]]:
    connection = apsw.Connection(str(folder / "bare.db"))
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=FULL")
    connection.execute("CREATE TABLE t(key TEXT PRIMARY KEY, value)")
    found: dict[str, list[float]] = {}

    def note(name: str, value: float) -> None:
        found.setdefault(name, []).append(value)

    with App(ProgramSpec("bench", (Store,)), StandaloneEngine(folder / "data")) as app:
        for turn in range(ROUNDS):
            start = turn * 1_000_000
            note("bare", rate(lambda: bare_commits(connection, start), DURABLE_OPS))  # noqa: B023
            note("call", rate(lambda: one_client(app, start), DURABLE_OPS))  # noqa: B023
            for name, tasks, each in (("invoke1", 1, DURABLE_OPS), ("invoke32", TASKS, 100)):
                begin = time.perf_counter()
                trio.run(clients, app, tasks, each, start + 500_000)
                note(name, tasks * each / (time.perf_counter() - begin))
            note("set", microseconds(app, "sets"))
            note("get", microseconds(app, "gets"))
    connection.close()
    return found


def figures() -> list[Figure]:
    """What is promised of storage, with the absolute rates of this machine as detail."""
    with tempfile.TemporaryDirectory(dir=".") as folder:
        rounds = measure(Path(folder))
    mid = {name: statistics.median(values) for name, values in rounds.items()}

    def ratio(name: str, over: str, under: str, goal: float) -> Figure:
        value = statistics.median(a / b for a, b in zip(rounds[over], rounds[under], strict=True))
        detail = f"{mid[over]:.0f} against {mid[under]:.0f} per second"
        return Figure(name, value, goal, at_most=False, detail=detail)

    return [
        Figure("[ephemeral, local] get", mid["get"], 2, unit="us"),
        Figure("[ephemeral, local] set", mid["set"], 2, unit="us"),
        ratio("durable set over bare apsw, App.call", "call", "bare", 0.5),
        ratio("durable set over bare apsw, one task", "invoke1", "bare", 0.5),
        ratio(f"group commit: {TASKS} tasks over one", "invoke32", "invoke1", 5),
    ]


if __name__ == "__main__":
    print_table(figures())
