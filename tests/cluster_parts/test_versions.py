"""Merging two states of a key: a join, in which no addition is lost and the later write wins."""

from __future__ import annotations

from functools import reduce
from itertools import permutations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from somart.cluster.versions import (
    ABSENT,
    NEVER,
    State,
    Version,
    carried,
    increment,
    joined_additions,
    later_record_key,
    merge,
    packed,
    record_key,
    stamp_of_record,
    unpacked,
)
from somart.merge import Stamp

LAW = settings(max_examples=100, deadline=None)
NODES = ("a", "b", "c")


def history(draws: list[tuple[int, int, int]]) -> list[State]:
    """Replicas that write, delete, add and now and then learn from each other: what can happen."""
    states = [NEVER, NEVER, NEVER]
    seen = []
    for index, (node, action, amount) in enumerate(draws):
        if action == 0:
            states[node] = State(Version(Stamp(index + 1, 0, NODES[node])), amount)
        elif action == 1:
            states[node] = State(Version(Stamp(index + 1, 0, NODES[node])))
        elif action == 2:
            states[node] = merge(states[node], states[amount % 3])
        else:
            states[node] = increment(states[node], NODES[node], amount, action - 3)
        seen.append(states[node])
    return seen


steps = st.lists(
    st.tuples(st.integers(0, 2), st.integers(0, 5), st.integers(-5, 9)), min_size=3, max_size=14
)


@pytest.mark.slow
@LAW
@given(steps, st.data())
def test_merging_is_a_join(draws: list[tuple[int, int, int]], data: st.DataObject) -> None:
    seen = history(draws)
    one, two, three = (data.draw(st.sampled_from(seen)) for _ in range(3))
    assert merge(one, one) == one
    assert merge(one, two) == merge(two, one)
    assert merge(merge(one, two), three) == merge(one, merge(two, three))
    both = merge(one, two)
    assert merge(both, one) == both == merge(both, two)


@pytest.mark.slow
@LAW
@given(st.lists(st.tuples(st.integers(0, 2), st.integers(-9, 9)), max_size=12))
def test_no_concurrent_addition_is_lost(adds: list[tuple[int, int]]) -> None:
    start = State(Version(Stamp(1, 0, "a")), 100)
    states = [start, start, start]
    for node, amount in adds:
        states[node] = increment(states[node], NODES[node], amount)
    for order in permutations(states):
        assert reduce(merge, order).value == 100 + sum(amount for _, amount in adds)


def test_a_later_write_replaces_the_value_with_what_was_added_to_it() -> None:
    start = State(Version(Stamp(1, 0, "a")), 10)
    added = increment(start, "b", 5)
    written = State(Version(Stamp(2, 0, "a")), 3)
    assert merge(added, written) == merge(written, added) == written
    assert merge(increment(written, "b", 1), added).value == 4


def test_a_deleted_key_counts_from_nothing_again() -> None:
    deleted = State(Version(Stamp(4, 0, "a")))
    one, two = increment(deleted, "a", 2), increment(deleted, "b", 3)
    assert merge(one, two).value == 5
    assert merge(one, deleted) == one
    assert merge(increment(NEVER, "a", 2), deleted) == deleted


def test_concurrent_first_additions_count_the_default_once() -> None:
    one, two = increment(NEVER, "a", 2, 10), increment(NEVER, "b", 3, 10)
    assert merge(one, two).value == 15
    assert merge(one, increment(NEVER, "b", 3, 20)).value == 25


def test_values_of_any_kind_are_carried() -> None:
    text = State(Version(Stamp(1, 0, "a")), "x")
    assert merge(NEVER, text) == merge(text, NEVER) == text
    gone = State(Version(Stamp(1, 0, "a")), ABSENT)
    assert merge(gone, text) == merge(text, gone) == text


def test_more_additions_of_a_node_know_its_earlier_ones() -> None:
    assert joined_additions({"a": (2, 5)}, {"a": (1, 9), "b": (1, 1)}) == {"a": (2, 5), "b": (1, 1)}
    assert joined_additions(None, None) is None


@pytest.mark.slow
@LAW
@given(
    st.builds(Stamp, st.integers(0, 1 << 45), st.integers(0, 99), st.text(max_size=5)),
    st.dictionaries(st.text(max_size=5), st.tuples(st.integers(1, 99), st.integers()), max_size=3),
)
def test_a_version_survives_as_text(stamp: Stamp, added: dict[str, tuple[int, int]]) -> None:
    version = Version(Stamp(stamp.physical, stamp.logical, "n\u00f6de~1"), added or None)
    assert unpacked(packed(version)) == version
    again = Version(version.stamp, dict(reversed(added.items())) or None)
    assert packed(again) == packed(version)


@pytest.mark.slow
@LAW
@given(st.lists(st.tuples(st.integers(0, 1 << 47), st.integers(0, 1 << 24)), min_size=2))
def test_keys_of_records_order_as_their_stamps(times: list[tuple[int, int]]) -> None:
    stamps = [carried(Stamp(physical, logical, "n")) for physical, logical in times]
    assert [stamp_of_record(record_key(stamp)) for stamp in stamps] == stamps
    assert sorted(map(record_key, stamps)) == [record_key(stamp) for stamp in sorted(stamps)]


def test_a_node_without_its_cluster_goes_on_behind_the_last_record() -> None:
    last = record_key(Stamp(5_000, 3, "zz"))
    assert later_record_key(last, 4_000) > last
    assert later_record_key(last, 6_000) > last
    assert later_record_key("1", 6_000) == record_key(Stamp(6_000, 0, ""))
    with pytest.raises(ValueError, match="invalid literal"):
        stamp_of_record("not a record's key")
