"""The engine of a node: a version with every write, stored together, merged from others."""

from __future__ import annotations

from pathlib import Path

import pytest
import trio
from cluster_cells import ManualClock, Node

from somart import SomaError
from somart.cluster.messages import Write
from somart.cluster.replica import SystemRows


def test_a_commit_makes_one_batch_with_one_stamp_and_a_row_of_the_core(tmp_path: Path) -> None:
    node = Node("a", tmp_path)
    node.call("put", "notes", "k", "v")
    node.call("move", "o1", "paid")
    (notes,), (order,) = node.batches
    assert (notes.table, notes.key, notes.kind, notes.value) == ("Shop.notes", "k", "string", "v")
    assert (order.table, order.key, order.value) == ("Shop.#machine.order", "o1", "paid")
    assert notes.version.stamp < order.version.stamp
    assert dict(node.engine.system_table("journal").load()) == {"1": b"batch", "2": b"batch"}
    node.close()


def test_local_memory_and_failed_handlers_make_no_batch(tmp_path: Path) -> None:
    node = Node("a", tmp_path)
    node.call("own", "k", 1)
    with pytest.raises(SomaError):
        node.call("fail", "k")
    assert node.batches == []
    node.close()


def test_two_nodes_converge_whatever_came_first() -> None:
    clock = ManualClock()
    a, b = Node("a", clock=clock), Node("b", clock=clock)
    for index, node in enumerate((a, b)):
        node.call("put", "notes", "k", f"of {index}")
        node.call("add", "hits", "page", 5 + index)
        node.call("say", f"hello {index}")
        node.call("move", "o1", "paid")
    a.tell(b)
    b.tell(a)
    assert a.same_as(b)
    for node in (a, b):
        assert node.call("get", "notes", "k") == "of 1"
        assert node.call("get", "hits", "page") == 11
        assert node.call("trail_", 0) == ["hello 0", "hello 1"]


def test_what_was_stored_comes_back_with_its_version(tmp_path: Path) -> None:
    node, other = Node("a", tmp_path), Node("b")
    node.call("put", "notes", "k", "v")
    node.call("put", "notes", "gone", "v")
    node.call("cut", "notes", "gone")
    node.call("add", "stock", "n", 3)
    node.call("say", "first")
    node.tell(other)
    node.close()
    again = Node("a", tmp_path)
    assert again.same_as(other)
    again.call("add", "stock", "n", 4)
    again.tell(other)
    assert other.call("get", "stock", "n") == 7
    assert other.call("get", "notes", "gone") is None
    again.close()


def test_a_group_that_cannot_be_stored_leaves_no_version_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    node = Node("a", tmp_path)
    node.call("put", "notes", "k", "kept")
    node.call("add", "stock", "n", 1)
    digests = {table: dict(node.replica.digests(table)) for table in node.replica.tables}
    heard: list[bool] = []
    assert node.engine._database is not None

    def on_batch(writes: list[Write]) -> SystemRows:
        node.engine.on_durable(node.engine.next_ticket, heard.append)
        return {("journal", "9"): "row"}

    def full(changes: object) -> None:
        raise SomaError("disk is full")

    node.engine.on_batch = on_batch
    with monkeypatch.context() as patch:
        patch.setattr(node.engine._database, "write", full)
        for call in (("put", "notes", "k", "x"), ("cut", "notes", "k"), ("add", "stock", "n", 5)):
            with pytest.raises(SomaError, match="disk is full"):
                node.call(*call)
    assert heard == [False] * 3
    assert {table: dict(node.replica.digests(table)) for table in node.replica.tables} == digests
    assert node.call("get", "notes", "k") == "kept"
    node.call("add", "stock", "n", 5)
    assert node.call("get", "stock", "n") == 6
    assert heard == [False] * 3 + [True]
    node.close()


def test_callbacks_come_in_the_order_of_tickets_and_late_ones_at_once(tmp_path: Path) -> None:
    node = Node("a", tmp_path)
    heard: list[str] = []
    first = node.engine.record({("t", "1"): "x"})
    second = node.engine.record({("t", "2"): "x"})
    node.engine.on_durable(second, lambda ok: heard.append(f"second {ok}"))
    node.engine.on_durable(first, lambda ok: heard.append(f"first {ok}"))
    node.engine.flush()
    node.engine.on_durable(first, lambda ok: heard.append(f"late {ok}"))
    assert heard == ["first True", "second True", "late True"]
    node.close()


def test_reserved_keys_travel_but_are_not_listed() -> None:
    a, b = Node("a"), Node("b")
    a.call("put", "notes", "__sys", "x")
    a.tell(b)
    assert b.call("get", "notes", "__sys") == "x"
    assert b.call("everything", "notes") == {}
    (segment,) = b.replica.segments("Shop.notes")
    assert b.replica.count("Shop.notes", segment) == 0


def test_a_transaction_that_read_what_a_merge_changed_runs_again() -> None:
    a, b = Node("a"), Node("b")
    b.call("put", "notes", "k", "remote")
    runs = []

    async def body() -> str:
        slot = a.app.Shop.notes  # type: ignore[attr-defined]
        value = await slot.get("k")
        runs.append(value)
        if len(runs) == 1:
            b.tell(a)
        await slot.set("copy", value)
        return str(value)

    result = trio.run(a.app.run, a.app.top_level[0], True, body)
    assert result == "remote"
    assert runs == [None, "remote"]
    assert a.call("get", "notes", "copy") == "remote"


def test_additions_in_one_handler_are_one_addition() -> None:
    a, b = Node("a"), Node("b")

    async def body() -> None:
        slot = a.app.Shop.stock  # type: ignore[attr-defined]
        await slot.add("k", 2, 10)
        await slot.subtract("k", 1, 10)
        assert await slot.get("k") == 11
        await slot.set("plain", 1)
        await slot.add("plain", 1, 0)
        await slot.add("gone", 1, 0)
        await slot.delete("gone")
        await slot.add("gone", 5, 0)

    trio.run(a.app.run, a.app.top_level[0], True, body)
    versions = {key: a.replica.version("Shop.stock", key) for key in ("k", "plain", "gone")}
    assert versions["k"] is not None
    assert versions["k"].added == {f"{a.engine.origin}!1": (1, 1)}
    assert all(v is not None and v.added is None for k, v in versions.items() if k != "k")
    a.tell(b)
    assert b.call("everything", "stock") == {"gone": 5, "k": 11, "plain": 2}


def test_an_addition_undone_by_try_is_undone() -> None:
    node = Node("a")

    async def body() -> None:
        slot = node.app.Shop.stock  # type: ignore[attr-defined]
        await slot.add("k", 2, 0)
        mark = node.app.top_level[0].savepoint()
        await slot.add("k", 40, 0)
        node.app.top_level[0].rollback(mark)

    trio.run(node.app.run, node.app.top_level[0], True, body)
    assert node.call("get", "stock", "k") == 2
    node.call("add", "stock", "k", 1)
    assert node.call("get", "stock", "k") == 3


def test_previous_values_are_kept_under_stamps() -> None:
    a, b = Node("a"), Node("b")
    for value in (1, 2, 3):
        a.call("put", "prices", "k", value)
    a.tell(b)
    history = b.engine.table("Shop.prices#versions", b.app.Shop.prices.rules)  # type: ignore[attr-defined]
    assert [entry.value["value"] for _, entry in sorted(history.entries.items())] == [1, 2]
