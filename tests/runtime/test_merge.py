"""Laws of how replicas settle on one value."""

from __future__ import annotations

from functools import reduce
from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from somart.merge import (
    BEGINNING,
    Register,
    Stamp,
    covers,
    deliverable,
    joined,
    latest,
    moved,
    tick,
)

NODES = st.sampled_from(["n1", "n2", "n3"])
STAMPS = st.builds(Stamp, st.integers(0, 3), st.integers(0, 3), NODES)
REGISTERS = STAMPS.map(lambda stamp: Register(f"written at {stamp}", stamp))
VECTORS = st.dictionaries(NODES, st.integers(0, 3))
few = settings(max_examples=60, deadline=None)


@few
@given(REGISTERS, REGISTERS, REGISTERS)
def test_the_latest_write_wins_in_any_order(
    a: Register[str], b: Register[str], c: Register[str]
) -> None:
    assert latest(a, b) == latest(b, a)
    assert latest(a, latest(b, c)) == latest(latest(a, b), c)
    assert latest(a, a) == a
    assert latest(a, b).stamp == max(a.stamp, b.stamp)


@few
@given(st.lists(REGISTERS, min_size=1, max_size=5), st.data())
def test_replicas_agree_once_each_has_every_write(
    writes: list[Register[str]], data: st.DataObject
) -> None:
    order = data.draw(st.permutations(writes + writes[:2]))  # some arrive twice
    assert reduce(latest, order) == reduce(latest, writes)


@few
@given(STAMPS, st.integers(0, 5), NODES)
def test_a_write_is_later_than_all_that_its_node_has_seen(last: Stamp, now: int, node: str) -> None:
    stamp = tick(last, now, node)
    assert stamp > last
    assert stamp.physical >= now
    assert stamp.node == node


@few
@given(st.lists(st.integers(0, 4), max_size=8))
def test_stamps_of_a_node_ascend_though_its_clock_jumps_back(readings: list[int]) -> None:
    stamps = [BEGINNING]
    for now in readings:
        stamps.append(tick(stamps[-1], now, "n1"))
    assert all(a < b for a, b in pairwise(stamps))
    assert max(s.physical for s in stamps) <= max([0, *readings])  # no drift from the clock


@few
@given(st.data())
def test_causal_delivery_respects_what_the_sender_had_seen(data: st.DataObject) -> None:
    known: dict[str, dict[str, int]] = {"n1": {}, "n2": {}}
    messages: list[tuple[str, dict[str, int]]] = []
    for node in data.draw(st.lists(st.sampled_from(["n1", "n2"]), max_size=5)):
        hears_first = data.draw(st.booleans())
        if hears_first:
            for _, vector in messages:
                known[node] = joined(known[node], vector)
        known[node] = {**known[node], node: known[node].get(node, 0) + 1}
        messages.append((node, known[node]))
    waiting = data.draw(st.permutations(messages + messages[:1]))
    delivered: dict[str, int] = {}
    arrived: list[dict[str, int]] = []
    while ready := [m for m in waiting if deliverable(delivered, *m)]:
        sender, vector = ready[0]
        assert all(delivered.get(n, 0) >= c for n, c in vector.items() if n != sender)
        delivered = joined(delivered, vector)
        arrived.append(vector)
        waiting.remove(ready[0])
    assert len(arrived) == len(messages)  # each once, none for ever kept back
    for sender, vector in messages:
        assert not deliverable(delivered, sender, vector)


@few
@given(VECTORS, VECTORS, VECTORS)
def test_knowledge_is_joined_in_any_order(
    a: dict[str, int], b: dict[str, int], c: dict[str, int]
) -> None:
    assert joined(a, b) == joined(b, a)
    assert joined(a, joined(b, c)) == joined(joined(a, b), c)
    assert joined(a, a) == a


@few
@given(VECTORS, VECTORS)
def test_who_has_been_told_all_covers_a_reader(
    known: dict[str, int], token: dict[str, int]
) -> None:
    assert covers(joined(known, token), token)
    assert covers(known, token) == all(joined(known, token)[n] == known.get(n, 0) for n in token)
    assert covers(known, {})


def test_a_commit_is_refused_when_a_revision_that_it_read_has_moved() -> None:
    assert moved(("t1", "t2"), {"t1": 2}, at=2) is None
    assert moved(("t3", "t1"), {"t1": 2, "t2": 7, "t3": 1}, at=1) == "t1"


@few
@given(st.lists(st.sampled_from("ab"), max_size=6))
def test_of_commits_that_read_the_same_revision_one_takes_effect(keys: list[str]) -> None:
    current: dict[str, int] = {}
    taken: list[str] = []
    for key in keys:
        if moved((key,), current, at=0) is None:
            current[key] = len(taken) + 1
            taken.append(key)
    assert taken == list(dict.fromkeys(keys))
