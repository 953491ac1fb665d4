"""Savepoints, interleaving handlers, group commit, and commits that fail."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import apsw
import pytest
import trio
import trio.testing
from gauge_program import Clock

from somart import (
    App,
    Cell,
    ProgramSpec,
    Prop,
    SlotDecl,
    SomaError,
    StandaloneEngine,
    Value,
    handler,
)
from somart.engines.database import Database, storage_error
from somart.errors import require_failed
from somart.memory.properties import PLAIN

PERSISTENT = (Prop("persistent"),)


class Bank(Cell):
    """Accounts with handlers of both colours."""

    soma_name = "Bank"
    money = SlotDecl("money", "Map<String, Int>", PERSISTENT)
    cache = SlotDecl("cache", "Map<String, Int>", (Prop("ephemeral"),))

    @handler("put", "who", "v")
    def put(self, who: Value, v: Value) -> Value:
        self.money.set(who, v)
        self.cache.set(who, v)
        self.publish("put", who)
        return v

    @handler("get", "who")
    def get(self, who: Value) -> Value:
        return [self.money.get(who), self.cache.get(who)]

    @handler("total")
    def total(self) -> Value:
        return sum(self.money.values())

    @handler("refuse", "who")
    def refuse(self, who: Value) -> Value:
        raise require_failed(str(self.money.get(who)))

    @handler("slow_add", "who", "v")
    async def slow_add(self, who: Value, v: Value) -> Value:
        before = self.money.get(who) or 0
        await trio.sleep(1)
        self.money.set(who, before + v)
        return before + v


class Other(Cell):
    """Another cell: its handlers interleave with those of the bank."""

    soma_name = "Other"

    @handler("slow_add", "who", "v")
    async def slow_add(self, who: Value, v: Value) -> Value:
        return await self.delegate_async("Bank", "slow_add", who, v)

    @handler("slow_sum")
    async def slow_sum(self) -> Value:
        bank = self.app.Bank  # type: ignore[attr-defined]
        first = bank.money.len()
        await trio.sleep(1)
        return [first, bank.money.len(), sum(bank.money.values())]

    @handler("put", "who", "v")
    def put(self, who: Value, v: Value) -> Value:
        return self.delegate("Bank", "put", who, v)


class Third(Other):
    """One more of them."""

    soma_name = "Third"

    @handler("slow_add", "who", "v")
    async def slow_add(self, who: Value, v: Value) -> Value:
        return await self.delegate_async("Bank", "slow_add", who, v)


BANK = ProgramSpec("bank", (Bank, Other, Third))
Start = Callable[..., App]


def run(main: Callable[[], Any]) -> Any:
    return trio.run(main, clock=trio.testing.MockClock(autojump_threshold=0))


# --- savepoints ----------------------------------------------------------------------------------


def test_savepoints_nest(start: Start) -> None:
    app = start(BANK)
    bank: Any = app.top_level[0]
    with app.transaction():
        bank.money.set("a", 1)
        outer = bank.savepoint()
        bank.money.set("a", 2)
        bank.money.set("b", 2)
        inner = bank.savepoint()
        bank.money.delete("a")
        bank.publish("x", 1)
        assert bank.money.keys() == ["b"]
        bank.rollback(inner)
        assert (bank.money.get("a"), bank.money.len()) == (2, 2)
        bank.rollback(outer)
        assert bank.money.keys() == ["a"]
        assert bank.money.len() == 1
        bank.money.set("c", 3)
    with app.transaction() as transaction:
        assert bank.money.as_map() == {"a": 1, "c": 3}
        assert transaction.events == []


def test_ten_thousand_rolled_back_writes_cost_little(start: Start) -> None:
    app = start(BANK, durable=False)
    bank: Any = app.top_level[0]
    with app.transaction() as transaction:
        for number in range(10_000):
            mark = bank.savepoint()
            bank.money.set(str(number), number)
            bank.rollback(mark)
        assert transaction.journal == []
        assert bank.money.len() == 0


def test_writes_without_a_savepoint_are_not_journaled(start: Start) -> None:
    app = start(BANK, durable=False)
    bank: Any = app.top_level[0]
    with app.transaction() as transaction:
        for number in range(1_000):
            bank.money.set("a", number)
            bank.money.delete("a")
        assert len(transaction.journal) == 0
        mark = bank.savepoint()
        for number in range(1_000):
            bank.money.set("b", number)
        assert len(transaction.journal) == 1
        bank.rollback(mark)
        assert bank.money.len() == 0


# --- interleaving --------------------------------------------------------------------------------


def test_one_handler_at_a_time_per_cell(start: Start) -> None:
    app = start(BANK)
    order: list[Value] = []

    async def call(name: str, *args: Value) -> None:
        order.append(await app.invoke("Bank", name, args))

    async def main() -> None:
        async with trio.open_nursery() as nursery:
            for _ in range(5):
                nursery.start_soon(call, "slow_add", "a", 1)
        order.append(trio.current_time())
        async with trio.open_nursery() as nursery:
            nursery.start_soon(call, "slow_add", "a", 1)
            await trio.testing.wait_all_tasks_blocked()
            nursery.start_soon(call, "get", "a")  # does not wait, but waits for its turn

    run(main)
    assert sorted(order[:5]) == [1, 2, 3, 4, 5]
    assert order[6:] in ([6, [6, None]], [[6, None], 6])


def test_interleaved_handlers_do_not_lose_updates(start: Start) -> None:
    app = start(BANK)

    async def main() -> None:
        async with trio.open_nursery() as nursery:
            for cell in ("Bank", "Other", "Third", "Bank", "Other", "Third"):
                nursery.start_soon(app.invoke, cell, "slow_add", ["a", 1])

    run(main)
    assert app.call("Bank", "get", ["a"])[0] == 6


def test_an_interleaved_handler_sees_one_state(start: Start) -> None:
    app = start(BANK)
    app.call("Bank", "put", ["a", 1])
    seen: list[Value] = []

    async def reader() -> None:
        seen.append(await app.invoke("Other", "slow_sum", []))

    async def main() -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(reader)
            await trio.testing.wait_all_tasks_blocked()
            await app.invoke("Bank", "put", ["b", 2])

    run(main)
    assert seen == [[2, 2, 3]]  # it ran again


def test_a_handler_that_always_loses_runs_alone_at_last(start: Start) -> None:
    app = start(BANK)
    done = False

    async def writer() -> None:
        number = 0
        while not done:
            number += 1
            await app.invoke("Bank", "put", ["a", number])
            await trio.sleep(0.3)

    async def main() -> None:
        nonlocal done
        async with trio.open_nursery() as nursery:
            nursery.start_soon(writer)
            await trio.sleep(0.1)
            assert await app.invoke("Other", "slow_add", ["a", 1_000]) > 1_000
            done = True

    run(main)


def test_a_cancelled_handler_leaves_no_trace_and_no_lock(start: Start) -> None:
    app = start(BANK)

    async def main() -> None:
        with trio.move_on_after(0.5):
            await app.invoke("Bank", "slow_add", ["a", 1])
        assert await app.invoke("Bank", "slow_add", ["a", 5]) == 5

    run(main)


# --- group commit --------------------------------------------------------------------------------


def test_concurrent_commits_share_a_write(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    app = start(BANK)
    batches: list[int] = []
    write = Database.write

    def counting(self: Database, changes: Any) -> None:
        batches.append(len(changes))
        write(self, changes)

    monkeypatch.setattr(Database, "write", counting)

    async def main() -> None:
        async with trio.open_nursery() as nursery:
            for number in range(100):
                nursery.start_soon(app.invoke, "Bank", "put", [str(number), number])

    trio.run(main)
    assert sum(batches) == 100
    assert len(batches) <= 5
    app.close()
    assert start(BANK).call("Bank", "total") == sum(range(100))


def test_what_is_read_is_durable_before_the_answer(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = start(BANK)
    written: list[str] = []
    write = Database.write

    def noting(self: Database, changes: Any) -> None:
        write(self, changes)
        written.append("written")

    monkeypatch.setattr(Database, "write", noting)

    async def read() -> None:
        value = await app.invoke("Bank", "get", ["a"])
        written.append(f"read {value[0]}")

    async def main() -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(app.invoke, "Bank", "put", ["a", 7])
            while app.engine.table("Bank.money", PLAIN).ticket == 0:  # until it has run
                await trio.lowlevel.checkpoint()
            nursery.start_soon(read)

    trio.run(main)
    assert written == ["written", "read 7"]


def test_what_an_error_has_read_is_durable_before_the_answer(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = start(BANK)
    outcomes: list[str] = []

    async def fail() -> None:
        try:
            await app.invoke("Bank", "refuse", ["a"])
        except SomaError as error:
            outcomes.append(str(error))

    async def main() -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(app.invoke, "Bank", "put", ["a", 7])
            while app.engine.table("Bank.money", PLAIN).ticket == 0:
                await trio.lowlevel.checkpoint()
            nursery.start_soon(fail)
            nursery.start_soon(fail)

    def noting(self: Database, changes: Any) -> None:
        write(self, changes)
        outcomes.append("written")

    write = Database.write
    monkeypatch.setattr(Database, "write", noting)
    trio.run(main)
    assert outcomes == ["written", "require failed: 7", "require failed: 7"]


def test_a_failed_commit_fails_its_transactions_and_is_forgotten(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = start(BANK)
    app.call("Bank", "put", ["a", 1])
    app.call("Bank", "put", ["b", 1])
    outcomes: list[str] = []

    def full(self: Database, changes: Any) -> None:
        raise storage_error("cannot write 'soma.db': FullError: database or disk is full")

    async def put(who: str, v: int) -> None:
        try:
            outcomes.append(str(await app.invoke("Bank", "put", [who, v])))
        except SomaError as error:
            outcomes.append(str(error))

    async def main() -> None:
        with monkeypatch.context() as patch, app.events.subscribe() as events:
            patch.setattr(Database, "write", full)
            async with trio.open_nursery() as nursery:
                for number in range(3):
                    nursery.start_soon(put, "a", 10 + number)
                nursery.start_soon(put, "c", 5)
            with trio.move_on_after(0):
                raise AssertionError(await events.receive())
        assert await app.invoke("Bank", "get", ["a"]) == [1, 1]
        assert await app.invoke("Bank", "get", ["c"]) == [None, None]
        assert await app.invoke("Bank", "put", ["b", 3]) == 3

    trio.run(main)
    message = "storage error: cannot write 'soma.db': FullError: database or disk is full"
    assert outcomes == [message] * 4
    app.close()
    again = start(BANK)
    assert again.call("Bank", "total") == 4


def test_a_failed_commit_without_a_loop(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    app = start(BANK)

    def full(self: Database, *_: Any) -> None:
        raise apsw.FullError("database or disk is full")

    with monkeypatch.context() as patch:
        patch.setattr(Database, "_store", full)
        with pytest.raises(SomaError, match=r"storage error: cannot write '.*soma\.db': database"):
            app.call("Bank", "put", ["a", 1])
    assert app.call("Bank", "get", ["a"]) == [None, None]
    assert app.call("Bank", "put", ["a", 2]) == 2


def test_a_damaged_database_is_a_clear_error(tmp_path: Path) -> None:
    (tmp_path / "soma.db").write_bytes(b"no database at all" * 100)
    with pytest.raises(SomaError, match=r"^storage error: "):
        App(BANK, StandaloneEngine(tmp_path))


def test_programs_without_persistent_slots_leave_no_files(tmp_path: Path, clock: Clock) -> None:
    parts = {"soma_name": "C", "s": SlotDecl("s", "Map")}
    with App(ProgramSpec("p", (type("C", (Cell,), parts),)), StandaloneEngine(tmp_path / "d")):
        pass
    assert not (tmp_path / "d").exists()


# --- events --------------------------------------------------------------------------------------


def test_events_arrive_after_the_commit_and_slow_subscribers_are_dropped(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = start(BANK)
    app.events._queue = 2

    async def main() -> None:
        with app.events.subscribe(["put"]) as mine, app.events.subscribe(["nothing"]) as others:
            await app.invoke("Bank", "put", ["a", 1])
            event = await mine.receive()
            assert (event.name, event.payload, event.published) == ("put", "a", True)
            for who in "bcd":
                await app.invoke("Bank", "put", [who, 1])
            assert [event.payload async for event in mine] == ["b", "c"]
            assert (mine.dropped, others.dropped, app.events.dropped) == (True, False, 1)

    trio.run(main)


# --- crashes -------------------------------------------------------------------------------------

CHILD = """
import sys
sys.path.insert(0, sys.argv[2])
from test_transactions import BANK
from somart import App, StandaloneEngine
app = App(BANK, StandaloneEngine(sys.argv[1]))
number = int(sys.argv[3])
while True:
    number += 1
    app.call("Bank", "put", [str(number), number])
    print(number, flush=True)
"""


@pytest.mark.slow
def test_acknowledged_writes_survive_sigkill(tmp_path: Path) -> None:
    acknowledged = 0
    for _ in range(3):
        arguments = [str(tmp_path), os.path.dirname(__file__), str(acknowledged)]
        with subprocess.Popen(
            [sys.executable, "-c", CHILD, *arguments], stdout=subprocess.PIPE, text=True
        ) as child:
            assert child.stdout is not None
            for _ in range(20):
                acknowledged = int(child.stdout.readline())
            child.send_signal(signal.SIGKILL)
            for line in child.stdout:
                acknowledged = int(line)
        with App(BANK, StandaloneEngine(tmp_path)) as app:
            kept = [app.call("Bank", "get", [str(number)])[0] for number in range(1, acknowledged)]
            assert kept == list(range(1, acknowledged))
            with app.transaction():
                acknowledged = app.top_level[0].money.len()  # type: ignore[attr-defined]
