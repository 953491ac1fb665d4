"""Replicated memory of one node: digests, merging, forgetting; no core between the nodes."""

from __future__ import annotations

from itertools import permutations
from pathlib import Path

import msgspec
import pytest
from cluster_cells import ManualClock, Node
from hypothesis import given, settings
from hypothesis import strategies as st

from somart.cluster.hashing import segment_of
from somart.cluster.messages import VersionWire, Write
from somart.cluster.replica import DRIFT_MS, EXPIRED_MS, MergeResult
from somart.cluster.versiontable import fingerprint
from somart.merge import Stamp

NOTES, STOCK, BRIEF, TRAIL = "Shop.notes", "Shop.stock", "Shop.brief", "Shop.trail#log"


def two() -> tuple[Node, Node]:
    clock = ManualClock()
    return Node("a", clock=clock), Node("b", clock=clock)


def send(sender: Node, receiver: Node, table: str, *keys: str) -> MergeResult:
    writes = sender.replica.writes_of(table, keys)
    wire = msgspec.msgpack.encode(writes)
    return receiver.replica.merge(msgspec.msgpack.decode(wire, type=list[Write]))


def test_which_tables_are_replicated_and_where() -> None:
    node = Node("a")
    tables = node.replica.tables
    assert "Shop.mine" not in tables
    assert {NOTES, STOCK, TRAIL, "Shop.prices#versions", "Shop.#machine.order"} < set(tables)
    assert node.replica.copies(STOCK) == node.replica.copies("Shop.stock#log") == 2
    assert node.replica.copies(NOTES) is None
    assert node.replica.consistency(STOCK) == "eventual"


def test_digests_follow_every_change_and_vanish_with_the_last_key() -> None:
    node = Node("a")
    node.call("put", "notes", "k", "v")
    segment = segment_of("k")
    version = node.replica.version(NOTES, "k")
    assert version is not None
    assert node.replica.digests(NOTES) == {segment: fingerprint(NOTES, "k", version)}
    node.call("cut", "notes", "k")
    deleted = node.replica.version(NOTES, "k")
    assert deleted is not None
    assert node.replica.digests(NOTES) == {segment: fingerprint(NOTES, "k", deleted)}
    assert node.replica.keys_of(NOTES, segment) == ["k"]
    node.replica.forget(NOTES, ["k"])
    assert node.replica.digests(NOTES) == {}
    assert node.replica.segments(NOTES) == []


def test_merging_again_does_nothing_and_says_who_is_stale() -> None:
    a, b = two()
    a.call("put", "notes", "k", "old")
    assert send(a, b, NOTES, "k").applied == 1
    assert send(a, b, NOTES, "k").applied == 0
    b.call("put", "notes", "k", "new")
    result = send(a, b, NOTES, "k")
    assert (result.applied, result.stale) == (0, [(NOTES, "k")])
    result = send(b, a, NOTES, "k")
    assert (result.applied, result.conflicts, result.stale) == (1, 1, [])
    assert a.call("get", "notes", "k") == "new"


def test_additions_that_cross_are_joined_and_both_sides_are_told() -> None:
    a, b = two()
    a.call("add", "stock", "k", 5)
    b.call("add", "stock", "k", 7)
    result = send(a, b, STOCK, "k")
    assert (result.applied, result.stale) == (1, [(STOCK, "k")])
    assert b.call("get", "stock", "k") == 12
    send(b, a, STOCK, "k")
    assert a.call("get", "stock", "k") == 12
    assert a.same_as(b)
    a.call("put", "stock", "k", 1)
    b.call("add", "stock", "k", 100)
    send(b, a, STOCK, "k")
    send(a, b, STOCK, "k")
    assert [n.call("get", "stock", "k") for n in (a, b)] == [1, 1]


def test_an_addition_of_something_else_than_an_int_is_a_write() -> None:
    a, b = two()
    a.call("add", "hits", "k", 1.5)
    version = a.replica.version("Shop.hits", "k")
    assert version is not None
    assert version.added is None
    a.call("put", "notes", "k", "x")
    a.call("add", "notes", "k", "y")
    assert a.call("get", "notes", "k") == "xy"
    a.call("add", "stock", "big", 1 << 80)
    big = a.replica.version(STOCK, "big")
    assert big is not None
    assert big.added is None
    send(a, b, STOCK, "big")
    assert b.call("get", "stock", "big") == 1 << 80


def test_a_deletion_is_kept_until_it_is_collected() -> None:
    a, b = two()
    a.call("put", "notes", "k", "v")
    send(a, b, NOTES, "k")
    a.call("cut", "notes", "k")
    deleted = a.replica.write_of(NOTES, "k")
    assert deleted is not None
    assert deleted.kind is None
    assert send(b, a, NOTES, "k").stale == [(NOTES, "k")]
    send(a, b, NOTES, "k")
    assert b.call("get", "notes", "k") is None
    before = Stamp(*deleted.version.stamp)
    assert b.replica.collect(before) == 0
    assert b.replica.collect(before._replace(logical=before.logical + 1)) == 1
    assert b.replica.write_of(NOTES, "k") is None
    b.call("put", "notes", "k", "again")
    assert b.replica.collect(Stamp(1 << 50, 0, "")) == 0


def test_a_stamp_from_far_in_the_future_is_refused_as_a_whole() -> None:
    a, b = two()
    late = Node("late", clock=ManualClock(a.clock.now + DRIFT_MS + 5_000))
    late.call("put", "notes", "k", "v")
    result = send(late, b, NOTES, "k")
    assert "'late~" in result.refused
    assert "3605 s ahead" in result.refused
    assert b.call("get", "notes", "k") is None
    assert b.replica.last < Stamp(late.clock.now, 0, "")
    b.clock.now += 10_000
    assert not send(late, b, NOTES, "k").refused
    assert b.call("get", "notes", "k") == "v"
    b.call("put", "notes", "k", "mine")  # though this node's clock is an hour behind
    assert send(b, late, NOTES, "k").applied == 1
    assert late.call("get", "notes", "k") == "mine"


def test_expiry_needs_no_message() -> None:
    a, b = two()
    a.call("put", "brief", "k", 1)
    a.tell(b)
    a.clock.now += 5_000
    assert a.call("get", "brief", "k") is b.call("get", "brief", "k") is None
    assert a.same_as(b)
    assert a.replica.digests(BRIEF)
    late = a.replica.write_of(BRIEF, "k")
    assert late is not None
    assert late.expires
    a.clock.now += EXPIRED_MS + 1
    a.engine.sweep()
    assert a.replica.digests(BRIEF) == {}
    assert send(b, a, BRIEF, "k").applied == 0  # it does not come back
    b.engine.sweep()
    assert a.same_as(b)


def test_a_table_that_this_program_does_not_have_is_counted() -> None:
    node = Node("a")
    write = Write("Other.slot", "k", VersionWire((1, 0, "b")), "int", "1")
    result = node.replica.merge([write])
    assert (result.unknown, result.applied) == (1, 0)


def test_two_states_of_one_key_in_one_merge_are_joined() -> None:
    a, b = two()
    c = Node("c", clock=a.clock)
    a.call("add", "stock", "k", 5)
    b.call("add", "stock", "k", 7)
    writes = a.replica.writes_of(STOCK, ["k"]) + b.replica.writes_of(STOCK, ["k"])
    c.replica.merge(writes)
    assert c.call("get", "stock", "k") == 12


def test_records_join_in_the_order_of_their_stamps() -> None:
    a, b = two()
    for index in range(3):
        a.call("say", f"a{index}")
        a.clock.now += 10
        b.call("say", f"b{index}")
        a.clock.now += 10
    a.tell(b)
    b.tell(a)
    heard = a.call("trail_", 0)
    assert heard == b.call("trail_", 0) == ["a0", "b0", "a1", "b1", "a2", "b2"]


def test_rows_of_the_core_are_stored_with_what_is_merged(tmp_path: Path) -> None:
    a, b = Node("a"), Node("b", tmp_path)
    a.call("put", "notes", "k", "v")
    heard: list[bool] = []
    result = b.replica.merge(a.replica.writes_of(NOTES, ["k"]), {("seen", "a"): "1"})
    b.engine.on_durable(result.ticket, heard.append)
    assert heard == []
    b.engine.flush()
    assert heard == [True]
    assert dict(b.engine.stored_rows("seen")) == {"a": "1"}
    b.close()


Steps = st.lists(
    st.tuples(
        st.integers(0, 2),
        st.sampled_from(["put", "cut", "add", "tell"]),
        st.sampled_from("xy"),
        st.integers(0, 9),
    ),
    max_size=12,
)


@pytest.mark.slow
@settings(max_examples=25, deadline=None)
@given(Steps)
def test_nodes_that_have_heard_of_everything_are_equal(
    steps: list[tuple[int, str, str, int]],
) -> None:
    clock = ManualClock()
    nodes = [Node(name, clock=clock) for name in "abc"]
    for index, action, key, amount in steps:
        node = nodes[index]
        if action == "tell":
            node.tell(nodes[amount % 3])
        else:
            node.call(action, "stock", key, *([] if action == "cut" else [amount]))
    for one, other in [*permutations(nodes, 2)] * 2:
        one.tell(other)
    assert nodes[0].same_as(nodes[1])
    assert nodes[1].same_as(nodes[2])
    assert len({str(node.call("everything", "stock")) for node in nodes}) == 1


def test_an_addition_after_a_deletion_was_forgotten_is_not_deleted_again(tmp_path: Path) -> None:
    clock = ManualClock()
    a, b = Node("a", tmp_path, clock), Node("b", clock=clock)
    a.call("add", "stock", "k", 5)
    a.call("cut", "stock", "k")
    a.tell(b)
    deleted = b.replica.writes_of(STOCK, ["k"])
    settled = a.replica.tick()
    assert a.replica.collect(settled) == 1
    a.call("add", "stock", "k", 7)
    a.engine.flush()
    a.close()
    a = Node("a", tmp_path, clock)
    send(a, b, STOCK, "k")
    assert b.call("get", "stock", "k") is None  # it has yet to forget
    assert a.replica.merge(deleted).applied == 0
    assert a.call("get", "stock", "k") == 7
    b.replica.collect(settled)
    send(a, b, STOCK, "k")
    assert b.call("get", "stock", "k") == 7
    assert a.same_as(b)
    a.close()


# --- digests of what is shown --------------------------------------------------------------------


def test_digests_of_what_is_shown_leave_deletions_out(tmp_path: Path) -> None:
    def of_entries(node: Node) -> dict[int, int]:
        found: dict[int, int] = {}
        for key in [f"k{n}" for n in range(30)]:
            version = node.replica.version(NOTES, key)
            if version is not None and node.replica.shows(NOTES, key):
                segment = segment_of(key)
                found[segment] = found.get(segment, 0) ^ fingerprint(NOTES, key, version)
        return found

    def told(node: Node) -> dict[int, int]:
        return {
            segment: digest for segment, digest in node.replica.present(NOTES).items() if digest
        }

    node = Node("a", tmp_path)
    for n in range(30):
        node.call("put", "notes", f"k{n}", "v")
    for n in range(0, 30, 2):
        node.call("cut", "notes", f"k{n}")
    for n in range(0, 30, 4):
        node.call("put", "notes", f"k{n}", "again")
    assert told(node) == of_entries(node)
    node.replica.forget(NOTES, ["k1", "k2", "k4"])
    assert told(node) == of_entries(node)
    node.close()
    again = Node("a", tmp_path)
    again.call("get", "notes", "k3")
    assert told(again) == of_entries(again)
    assert len(told(again)) > 10
    again.close()
