"""The ring: balance, how little moves when members come and go, stability under all else."""

from __future__ import annotations

import time
from bisect import bisect_left
from collections import Counter
from statistics import mean, stdev

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from somart.cluster.hashing import SEGMENTS, fnv1a, segment_of
from somart.cluster.ring import Ring

IDS = st.lists(
    st.text(alphabet="abcdefgh0123456789.:-", min_size=1, max_size=12),
    min_size=1,
    max_size=7,
    unique=True,
)
THREE = ["n1:8082", "n2:8082", "n3:8082"]


def test_plain_fnv_is_skewed_as_the_spec_measured() -> None:
    points = sorted((fnv1a(f"{id}:{n}".encode()), id) for id in THREE for n in range(128))
    shares: Counter[str] = Counter()
    before = points[-1][0] - 2**64
    for place, id in points:
        shares[id] += place - before
        before = place
    assert [round(100 * shares[id] / 2**64) for id in THREE] == [34, 57, 9]
    hashes = [fnv1a(f"T{number:03d}".encode()) for number in range(1_000)]
    owners = {points[bisect_left(points, (place, "")) % len(points)][1] for place in hashes}
    assert len(owners) == 1


def test_the_mixed_ring_is_balanced() -> None:
    ring = Ring(THREE)
    assert sum(ring.shares().values()) == pytest.approx(1)
    assert all(0.27 < share < 0.40 for share in ring.shares().values())
    owners = Counter(ring.owners(segment_of(f"T{n:03d}"), 1)[0] for n in range(1_000))
    assert all(250 < owners[id] < 420 for id in THREE)


@pytest.mark.slow
def test_two_hundred_members_hold_like_shares() -> None:
    shares = list(Ring(f"node-{n}" for n in range(200)).shares(3).values())
    assert mean(shares) == pytest.approx(3 / 200)
    assert stdev(shares) < 0.15 * mean(shares)


@pytest.mark.slow
@pytest.mark.parametrize("size", [3, 10, 50])
def test_a_newcomer_takes_its_share_and_a_leaver_gives_it_back(size: int) -> None:
    moved: list[int] = []
    for trial in range(12):
        ids = [f"t{trial}-n{number}:8082" for number in range(size + 1)]
        before, after = Ring(ids[:-1]), Ring(ids)
        comes, goes = before.moved(after, 1), after.moved(before, 1)
        assert comes == after.segments_of(ids[-1], 1)  # nobody else gains anything
        assert comes == goes
        moved.append(len(comes))
    share = SEGMENTS / (size + 1)
    assert mean(moved) == pytest.approx(share, rel=0.15)
    assert all(0.7 * share < each < 1.35 * share for each in moved)


def test_copies_move_by_shares_too() -> None:
    before, after = Ring(THREE), Ring([*THREE, "n4:8082"])
    assert len(before.moved(after, 2)) == pytest.approx(SEGMENTS * 2 / 4, rel=0.15)


@pytest.mark.slow
@settings(max_examples=25, deadline=None)
@given(IDS, st.integers(1, 4))
def test_owners_are_distinct_members_and_as_many_as_there_can_be(
    ids: list[str], copies: int
) -> None:
    ring = Ring(ids, 16)
    for segment in range(0, SEGMENTS, 97):
        owners = ring.owners(segment, copies)
        assert len(owners) == len(set(owners)) == min(copies, len(ids))
        assert set(owners) <= set(ids)
        assert all((segment in ring.segments_of(id, copies)) == (id in owners) for id in ids)


@settings(max_examples=25, deadline=None)
@given(IDS, st.data())
def test_who_comes_or_goes_changes_only_its_own_segments(
    ids: list[str], data: st.DataObject
) -> None:
    gone = data.draw(st.sampled_from(ids))
    copies = data.draw(st.integers(1, 3))
    ring, smaller = Ring(ids, 16), Ring([id for id in ids if id != gone], 16)
    for segment in range(0, SEGMENTS, 41):
        before = ring.owners(segment, copies)
        after = smaller.owners(segment, copies)
        stayed = tuple(id for id in before if id != gone)
        assert after[: len(stayed)] == stayed  # and in the same order


@settings(max_examples=20, deadline=None)
@given(IDS)
def test_the_order_in_which_members_are_named_is_nothing(ids: list[str]) -> None:
    one, other = Ring(ids, 8), Ring(reversed(ids), 8)
    assert one.ids == other.ids
    assert all(one.owners(n, 2) == other.owners(n, 2) for n in range(0, SEGMENTS, 101))
    assert one.moved(other, 2) == frozenset()


def test_an_empty_ring_owns_nothing() -> None:
    ring = Ring([])
    assert ring.owners(0, 2) == ()
    assert ring.shares() == {}
    assert ring.segments_of("n1", 2) == frozenset()


def test_simulated_nodes_share_a_ring() -> None:
    assert Ring.of(("a", "b")) is Ring.of(("a", "b"))


@pytest.mark.slow
def test_a_large_ring_is_made_quickly() -> None:
    begin = time.process_time()
    Ring(f"fresh-{number}" for number in range(200)).owners(0, 3)
    assert time.process_time() - begin < 0.25  # 40 ms where nothing else runs
