"""Strong memory on one node of a group of one: what the engine promises a handler."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from random import Random
from typing import Any

import pytest
import trio
from cluster_cells import ManualClock, Shop

from somart import App, Cell, ProgramSpec, SomaError, handler, limits
from somart.consensus.core import HardState, Raft, RaftConfig
from somart.consensus.log import Log
from somart.consensus.messages import Configuration
from somart.consensus.service import Service
from somart.consensus.state import State
from somart.consensus.storage import load
from somart.engines.consensus import RETRY_STORE_MS, ConsensusEngine
from somart.engines.database import Changes, Database, storage_error
from somart.errors import NO_QUORUM
from somart.events import Event
from somart.spec import ScaleSpec
from somart.timers import TICK, Tick
from somart.values import Value


@handler("both", "key")
async def both(self: Any, key: Value) -> Value:
    """Adds one in strong memory and in the node's own."""
    number = (await self.stock.get(key) or 0) + 1
    await trio.lowlevel.checkpoint()
    await self.stock.set(key, number)
    self.mine.set(key, (self.mine.get(key) or 0) + 1)
    return number


@handler("tell", "name", "write")
async def tell(self: Any, name: Value, write: Value) -> Value:
    """Emits, in a transaction that writes strong memory or none."""
    if write:
        await self.stock.set("told", 1)
    self.emit(name)


SCALE = ScaleSpec(replicas=3, shard="stock", consistency="strong", tolerance=1)
PARTS = {name: part for name, part in vars(Shop).items() if not name.startswith(("__", "soma"))}
Bank: Any = type(
    "Bank", (Cell,), {**PARTS, "soma_name": "Bank", "soma_scale": SCALE, "both": both, "tell": tell}
)


class Solo:
    """A group of one, whose clock stands still."""

    def __init__(self, data: Path | None = None) -> None:
        self.clock = ManualClock()
        self.engine = ConsensusEngine(ProgramSpec("bank", (Bank,)), "a", data, clock=self.clock)
        self.app = App(ProgramSpec("bank", (Bank,)), self.engine)
        state = State(self.engine.strong)
        log, hard, applied = Log(1, 0, Configuration(("a",))), HardState(), 1
        if self.engine.database is not None:
            found = load(self.engine.database, state)
            if not found.fresh:
                log, hard, applied = found.log, found.state, found.applied
                log = Log(1, 0, Configuration(("a",)), log.entries)
        raft = Raft(
            "a", RaftConfig(), Random(1), self.clock.now, state=hard, log=log, applied=applied
        )
        self.engine.service = Service(raft, state, self.engine.strong, self.engine.boot)
        self.engine.wake = lambda: self.woken.set()
        self.woken = trio.Event()

    async def carry(self) -> None:
        while True:
            self.engine.drive()
            if self.engine.last_ticket:
                with suppress(SomaError):  # of a full disk: whoever waits for the commit hears it
                    await self.engine.wait_durable(self.engine.last_ticket)
            self.engine.drive()
            await self.woken.wait()
            self.woken = trio.Event()

    def lead(self) -> None:
        """Lets so much time pass that the only member elects itself."""
        service = self.engine.service
        assert service is not None
        self.clock.now += 5_000
        service.tick(self.clock.now)
        self.woken.set()

    @asynccontextmanager
    async def running(self) -> Any:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self.carry)
            self.lead()
            yield self
            nursery.cancel_scope.cancel()
        self.app.close()

    async def call(self, name: str, *args: Value) -> Any:
        return await self.app.invoke("Bank", name, args)


def solo(body: Callable[[Solo], Awaitable[None]], data: Path | None = None) -> None:
    async def main() -> None:
        with trio.fail_after(20):
            async with Solo(data).running() as node:
                await body(node)

    trio.run(main)


def test_what_was_put_is_read() -> None:
    async def body(node: Solo) -> None:
        await node.call("put", "stock", "x", 5)
        assert await node.call("get", "stock", "x") == 5
        assert await node.call("everything", "stock") == {"x": 5}
        await node.call("cut", "stock", "x")
        assert await node.call("get", "stock", "x") is None

    solo(body)


def test_handlers_at_once_do_not_lose_each_other_s_writes() -> None:
    async def body(node: Solo) -> None:
        async with trio.open_nursery() as nursery:
            for _ in range(30):
                nursery.start_soon(node.call, "both", "x")
        assert await node.call("get", "stock", "x") == 30
        assert node.app.Bank.mine._table.entries["x"].value == 30  # type: ignore[attr-defined]

    solo(body)


def test_a_failed_handler_leaves_nothing_and_tells_why() -> None:
    async def body(node: Solo) -> None:
        with pytest.raises(SomaError, match="ZeroDivisionError"):
            await node.call("fail", "k")
        assert await node.call("everything", "notes") == {}

    solo(body)


def test_records_of_a_log_are_numbered_when_they_are_applied() -> None:
    async def body(node: Solo) -> None:
        async with trio.open_nursery() as nursery:
            for number in range(12):
                nursery.start_soon(node.call, "say", f"t{number}")
        said = await node.call("trail_", 0)
        assert sorted(said) == sorted(f"t{number}" for number in range(12))
        table = node.engine.strong.tables["Bank.trail#log"]
        assert list(table.entries) == list(range(1, 13))

    solo(body)


def test_what_is_emitted_is_told_here_and_left_to_the_log_elsewhere() -> None:
    class Carrier:
        def __init__(self) -> None:
            self.offered: list[str] = []

        def offer(self, event: Event) -> bool:
            self.offered.append(event.name)
            return True

        def close(self) -> None:
            return

    async def body(node: Solo) -> None:
        links, nodes = Carrier(), Carrier()
        node.app.events.attach(links)
        node.app.events.attach(nodes, carries=True)
        with node.app.events.subscribe() as feed:
            await node.call("tell", "written", True)
            await node.call("tell", "only read", False)
            assert [(await feed.receive()).name for _ in range(2)] == ["written", "only read"]
        assert links.offered == ["written", "only read"]
        assert nodes.offered == ["only read"], "nothing of it is in the log"

    solo(body)


def test_a_lifecycle_takes_one_edge() -> None:
    async def body(node: Solo) -> None:
        failed: list[SomaError] = []

        async def pay() -> None:
            try:
                await node.call("move", "o1", "paid")
            except SomaError as error:
                failed.append(error)

        async with trio.open_nursery() as nursery:
            for _ in range(5):
                nursery.start_soon(pay)
        assert len(failed) == 4
        assert all("invalid transition" in str(error) for error in failed)

    solo(body)


def test_everything_is_there_after_a_restart(tmp_path: Path) -> None:
    async def write(node: Solo) -> None:
        for number in range(20):
            await node.call("put", "stock", f"k{number}", number)
        await node.call("say", "hello")

    async def read(node: Solo) -> None:
        assert await node.call("everything", "stock") == {f"k{n}": n for n in range(20)}
        await node.call("say", "again")
        assert await node.call("trail_", 0) == ["hello", "again"]

    solo(write, tmp_path)
    solo(read, tmp_path)


def test_expired_entries_go_by_transaction() -> None:
    async def body(node: Solo) -> None:
        await node.call("put", "brief", "x", 1)
        node.clock.now += 4_000
        assert await node.call("get", "brief", "x") == 1
        table = node.engine.strong.tables["Bank.brief"]
        node.clock.now += 2_000
        table.expire(node.clock.now)
        assert "x" in table.entries  # no clock decides on its own
        assert await node.call("get", "brief", "x") is None
        assert "x" not in table.entries
        await node.call("put", "brief", "y", 1)
        node.clock.now += 6_000
        node.engine.sweep()
        while "y" in table.entries:
            await trio.lowlevel.checkpoint()

    solo(body)


def test_a_due_time_is_served_once() -> None:
    async def tick(node: Solo, due: int, term: int, since: int = -1) -> str:
        token = TICK.set(Tick("t", due, term, since))
        try:
            await node.call("both", "ticks")
        except SomaError as error:
            return error.kind
        finally:
            TICK.reset(token)
        return "ran"

    async def body(node: Solo) -> None:
        assert await tick(node, 1_000, 2) == "ran"
        assert await tick(node, 1_000, 3) == "Deposed"
        assert await tick(node, 2_000, 1) == "Deposed"
        assert await tick(node, 2_000, 3) == "ran"
        assert await tick(node, 2_345, 4, since=1_000) == "Deposed"  # 2_000 was served meanwhile
        assert await tick(node, 3_000, 4, since=2_000) == "ran"
        assert await node.call("get", "stock", "ticks") == 3

    solo(body)


def test_a_node_whose_disk_is_full_refuses_for_certain_until_there_is_room(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_: Database, changes: Changes) -> None:
        raise storage_error(f"no room for {len(changes)}")

    monkeypatch.setattr(limits, "INLINE_COMMIT_SECONDS", 60.0)  # no thread writes

    async def body(node: Solo) -> None:
        await node.call("put", "stock", "x", 1)
        assert node.engine.stalled() == ""
        with monkeypatch.context() as full:
            full.setattr(Database, "write", refuse)
            async with trio.open_nursery() as nursery:
                nursery.start_soon(node.call, "put", "stock", "x", 2)  # it waits
                while not node.engine.stalled():
                    await trio.lowlevel.checkpoint()
                with pytest.raises(SomaError, match="the disk of this node takes") as refused:
                    await node.call("put", "stock", "y", 3)
                assert refused.value.kind == NO_QUORUM
                full.undo()
                node.clock.now += RETRY_STORE_MS
                node.woken.set()
        assert node.engine.stalled() == ""
        assert await node.call("get", "stock", "x") == 2

    solo(body, tmp_path)


def test_a_node_outside_of_any_group_refuses_for_certain() -> None:
    async def body(node: Solo) -> None:
        node.engine.service = None
        for name, args in (("put", ("stock", "x", 1)), ("get", ("stock", "x"))):
            with pytest.raises(SomaError) as refused:
                await node.call(name, *args)
            assert refused.value.kind == NO_QUORUM

    solo(body)
