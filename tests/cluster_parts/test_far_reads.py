"""Sharded slots: what other nodes answer becomes part of what a handler sees."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import trio
import trio.testing
from cluster_cells import ManualClock, Node

from somart import App, Cell, ProgramSpec, SlotDecl, SomaError, handler, invariant
from somart.cluster.messages import Write
from somart.engines.cluster import ClusterEngine
from somart.engines.remote import GotCount, GotMany, GotOne
from somart.spec import ScaleSpec
from somart.values import Value

STOCK = "Shop.stock"


class Owners:
    """Stands for the core: all keys lie on one other node."""

    def __init__(self, owner: Node) -> None:
        self.owner = owner
        self.asked: list[str] = []
        self.late: list[Callable[[], None]] = []
        self.silent = False

    def settled(self, table: str, key: str) -> bool:
        return False

    def whole(self, table: str) -> bool:
        return False

    def get(self, table: str, key: str, answer: GotOne) -> None:
        self.asked.append(key)
        if self.silent:
            answer(SomaError("cluster: no answer from 'b' for slot 'stock'", "Unavailable"))
        else:
            answer(self.owner.replica.write_of(table, key))

    def entries(self, table: str, values: bool, answer: GotMany) -> None:
        self.asked.append("values" if values else "keys")
        replica = self.owner.replica
        found: list[Write] = []
        for segment in replica.segments(table):
            found += replica.writes_of(table, replica.visible(table, segment))
        if not values:
            found = [Write(w.table, w.key, w.version, "", "") for w in found]
        answer(found)

    def count(self, table: str, answer: GotCount) -> None:
        self.asked.append("count")
        replica = self.owner.replica
        answer(sum(replica.count(table, segment) for segment in replica.segments(table)))


def pair(folder: Path | None = None) -> tuple[Node, Node, Owners]:
    owner, node = Node("b"), Node("a", folder)
    owners = Owners(owner)
    node.engine.remote = owners
    return node, owner, owners


def inside(node: Node, body: Callable[[Any], Any]) -> Any:
    async def run() -> Any:
        return await body(node.app.Shop.stock)  # type: ignore[attr-defined]

    return trio.run(node.app.run, node.app.top_level[0], True, run)


def test_a_key_of_another_node_is_read_once_per_handler() -> None:
    node, owner, owners = pair()
    owner.call("put", "stock", "k", 5)

    async def body(slot: Any) -> Any:
        first = await slot.get("k")
        await owner.app.invoke("Shop", "put", ["stock", "k", 6])
        return first, await slot.get("k"), await slot.has("k"), await slot.has("none")

    assert inside(node, body) == (5, 5, True, False)
    assert owners.asked == ["k", "none"]
    assert inside(node, lambda slot: slot.get("k")) == 6


def test_own_writes_lie_over_what_others_answer() -> None:
    node, owner, _ = pair()
    for key in ("a", "b", "c"):
        owner.call("put", "stock", key, 1)

    async def body(slot: Any) -> Any:
        assert await slot.len() == 3
        await slot.set("b", 20)
        await slot.set("new", 4)
        assert await slot.delete("c") is True
        assert await slot.delete("none") is False
        assert await slot.len() == 3
        keys, values = await slot.keys(), await slot.values()
        return keys, values, await slot.as_map(), await slot.list(), await slot.len()

    keys, values, whole, listed, count = inside(node, body)
    assert keys == ["a", "b", "new"]
    assert values == listed == [1, 20, 4]
    assert whole == {"a": 1, "b": 20, "new": 4}
    assert count == 3


def test_a_number_needs_no_keys_until_something_was_written() -> None:
    node, owner, owners = pair()
    owner.call("put", "stock", "a", 1)
    assert inside(node, lambda slot: slot.len()) == 1
    assert owners.asked == ["count", "count"]  # of the values and of the log


def test_keys_alone_do_not_stand_for_values() -> None:
    node, owner, _ = pair()
    owner.call("put", "stock", "a", 7)

    async def body(slot: Any) -> Any:
        return await slot.keys(), await slot.get("a"), await slot.values()

    assert inside(node, body) == (["a"], 7, [7])


def test_who_does_not_answer_makes_an_error_and_nothing_is_written() -> None:
    node, _, owners = pair()
    owners.silent = True

    async def body(slot: Any) -> Any:
        await slot.set("x", 1)
        return await slot.get("k")

    with pytest.raises(SomaError, match="no answer from 'b'") as caught:
        inside(node, body)
    assert caught.value.kind == "Unavailable"
    owners.silent = False
    assert inside(node, lambda slot: slot.get("x")) is None


def test_an_addition_goes_on_top_of_what_the_owners_have() -> None:
    node, owner, _ = pair()
    owner.call("put", "stock", "k", 10)
    node.call("add", "stock", "k", 5)
    owner.call("add", "stock", "k", 1)
    node.tell(owner)
    assert owner.call("get", "stock", "k") == 16


def test_additions_to_keys_that_were_given_away_are_counted_on(tmp_path: Path) -> None:
    node, owner, owners = pair(tmp_path)
    owner.call("put", "stock", "k", 10)
    stale = owner.replica.writes_of(STOCK, ["k"])
    node.call("add", "stock", "k", 5)
    first = node.replica.writes_of(STOCK, ["k"])
    node.replica.forget(STOCK, ["k"])
    node.engine.flush()
    assert node.replica.version(STOCK, "k") is None
    node.close()
    node = Node("a", tmp_path)
    node.engine.remote = owners
    assert owners.owner.replica.writes_of(STOCK, ["k"]) == stale  # it has not heard of it yet
    node.call("add", "stock", "k", 7)
    second = node.replica.writes_of(STOCK, ["k"])
    for writes in (second, first):
        owner.replica.merge(writes)
    assert owner.call("get", "stock", "k") == 22
    node.close()


def test_an_answer_that_comes_later_is_waited_for() -> None:
    node, owner, owners = pair()
    owner.call("put", "stock", "k", 5)
    waiting: list[Callable[[], None]] = []
    real = owners.get

    def later(table: str, key: str, answer: GotOne) -> None:
        waiting.append(lambda: real(table, key, answer))

    owners.get = later  # type: ignore[method-assign]

    async def main() -> Any:
        async with trio.open_nursery() as nursery:
            results: list[Any] = []

            async def ask() -> None:
                results.append(await node.app.invoke("Shop", "get", ["stock", "k"]))

            nursery.start_soon(ask)
            await trio.testing.wait_all_tasks_blocked()
            assert results == []
            waiting.pop()()
        return results

    assert trio.run(main) == [5]


def test_a_slot_that_is_not_sharded_is_read_here() -> None:
    node, _, owners = pair()
    node.call("put", "notes", "k", "v")
    assert node.call("get", "notes", "k") == "v"
    assert owners.asked == []


class Store(Cell):
    soma_name = "Store"
    soma_scale = ScaleSpec(shard="stock", consistency="eventual", tolerance=1)
    stock: Any = SlotDecl("stock", "Map<String, Int>", (), shared=True)

    @invariant("stock", source="stock.len < 2 && stock.get(_key) >= 0")
    async def _invariant_1(self, _slot_len: int, _slot_name: str, _key: str) -> Value:
        value = await self.stock.get(_key)
        return await self.stock.len() < 2 and (value is None or value >= 0)

    @handler("put", "slot", "key", "value")
    async def put(self, slot: Value, key: Value, value: Value) -> Value:
        return await getattr(self, slot).set(key, value)


def test_invariants_do_not_wait_for_other_nodes() -> None:
    spec = ProgramSpec("store", (Store,))
    engines = [ClusterEngine(spec, name, clock=ManualClock()) for name in "ab"]
    node, owner = (App(spec, engine) for engine in engines)

    class Elsewhere(Owners):
        def __init__(self) -> None:
            self.asked = []
            self.silent = False

        def get(self, table: str, key: str, answer: GotOne) -> None:
            self.asked.append(key)
            answer(engines[1].replica.write_of(table, key))

    remote = engines[0].remote = Elsewhere()
    owner.call("Store", "put", ["stock", "a", 1])
    node.call("Store", "put", ["stock", "b", 1])  # one entry here, as far as the invariant sees
    with pytest.raises(SomaError, match="invariant"):
        node.call("Store", "put", ["stock", "b", -1])
    with pytest.raises(SomaError, match="invariant"):
        node.call("Store", "put", ["stock", "c", 1])
    assert remote.asked == ["b", "b", "c"]
