"""A program with shared memory of every kind, and nodes of it on a clock that stands still."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from somart import App, Cell, MachineDecl, ProgramSpec, SlotDecl, handler
from somart.cluster.messages import Write
from somart.cluster.replica import SystemRows
from somart.engines.cluster import ClusterEngine
from somart.spec import Arrow, Prop, ScaleSpec
from somart.values import Value


class ManualClock:
    """Time that moves when told to."""

    def __init__(self, now: int = 1_000_000) -> None:
        self.now = now

    def monotonic(self) -> int:
        return self.now

    def wall(self) -> int:
        return self.now


class Shop(Cell):
    soma_name = "Shop"
    soma_scale = ScaleSpec(replicas=3, shard="stock", consistency="eventual", tolerance=1)

    stock: Any = SlotDecl("stock", "Map<String, Int>", (Prop("persistent"),), shared=True)
    notes: Any = SlotDecl("notes", "Map<String, String>", (Prop("persistent"),), shared=True)
    hits: Any = SlotDecl("hits", "Map<String, Int>", (), shared=True)
    trail: Any = SlotDecl("trail", "List<String>", (Prop("persistent"),), shared=True)
    prices: Any = SlotDecl(
        "prices", "Map<String, Int>", (Prop("persistent"), Prop("versioned")), shared=True
    )
    brief: Any = SlotDecl(
        "brief", "Map<String, Int>", (Prop("persistent"), Prop("ttl", 5_000)), shared=True
    )
    mine: Any = SlotDecl("mine", "Map<String, Int>", (Prop("persistent"),))
    order: Any = MachineDecl(
        "order", "new", (Arrow("new", "paid"), Arrow("paid", "sent")), shared=True
    )

    @handler("put", "slot", "key", "value")
    async def put(self, slot: Value, key: Value, value: Value) -> Value:
        return await getattr(self, slot).set(key, value)

    @handler("cut", "slot", "key")
    async def cut(self, slot: Value, key: Value) -> Value:
        return await getattr(self, slot).delete(key)

    @handler("get", "slot", "key")
    async def get(self, slot: Value, key: Value) -> Value:
        return await getattr(self, slot).get(key)

    @handler("add", "slot", "key", "amount")
    async def add(self, slot: Value, key: Value, amount: Value) -> Value:
        return await getattr(self, slot).add(key, amount, 0)

    @handler("say", "text")
    async def say(self, text: Value) -> Value:
        return await self.trail.append(text)

    @handler("trail_", "n")
    async def trail_(self, _n: Value) -> Value:
        return await self.trail.list()

    @handler("everything", "slot")
    async def everything(self, slot: Value) -> Value:
        return await getattr(self, slot).as_map()

    @handler("own", "key", "value")
    def own(self, key: Value, value: Value) -> Value:
        return self.mine.set(key, value)

    @handler("move", "id", "to")
    async def move(self, id: Value, to: Value) -> Value:
        return await self.transition_async(id, to)

    @handler("fail", "key")
    async def fail(self, key: Value) -> Value:
        await self.notes.set(key, "never")
        raise ZeroDivisionError

    @handler("fresh")
    def fresh(self) -> Value:
        return self.next_id()


SHOP = ProgramSpec("shop", (Shop,))


def _part_of_shop(scale: ScaleSpec, names: Iterable[str]) -> ProgramSpec:
    parts = {name: Shop.__dict__[name] for name in names}
    cell: Any = type("Shop", (Cell,), {**parts, "soma_name": "Shop", "soma_scale": scale})
    return ProgramSpec("shop", (cell,))


CAUSAL_SHOP = _part_of_shop(
    ScaleSpec(replicas=3, shard="stock", consistency="causal", tolerance=1),
    [name for name in Shop.__dict__ if not name.startswith(("_", "soma_"))],
)

BOARD = _part_of_shop(
    ScaleSpec(replicas=3, consistency="eventual", tolerance=1), ["notes", "put", "cut"]
)
"""The least that is shared: clusters of many nodes form quickly."""


class Node:
    """An app on a cluster's engine, with the batches that its core would send."""

    def __init__(
        self, name: str, folder: Path | None = None, clock: ManualClock | None = None
    ) -> None:
        self.clock = clock or ManualClock()
        self.engine = ClusterEngine(SHOP, name, folder, clock=self.clock)
        self.batches: list[list[Write]] = []
        self.engine.on_batch = self.take
        self.app = App(SHOP, self.engine)
        self.replica = self.engine.replica

    def take(self, writes: list[Write]) -> SystemRows:
        self.batches.append(writes)
        return {("journal", str(len(self.batches))): b"batch"}

    def call(self, handler: str, *args: Any) -> Any:
        return self.app.call("Shop", handler, args)

    def tell(self, other: Node) -> None:
        """Gives another node everything, as a full synchronisation would."""
        for table in self.replica.tables:
            for segment in self.replica.segments(table):
                keys = self.replica.keys_of(table, segment)
                result = other.replica.merge(self.replica.writes_of(table, keys))
                assert not result.refused
        other.engine.flush()

    def same_as(self, other: Node) -> bool:
        return all(
            self.replica.digests(table) == other.replica.digests(table)
            for table in self.replica.tables
        )

    def close(self) -> None:
        self.app.close()
