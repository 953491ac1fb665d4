"""The engine of a node: a version with every write, stored together, merged from others."""

from __future__ import annotations

from pathlib import Path

import pytest
from cluster_cells import ManualClock, Node

from somart import SomaError


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
