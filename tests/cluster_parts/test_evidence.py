"""What counts as seen after fetching: never more than has come."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from somart.cluster.evidence import Account, Evidence

TABLE = "Wall.posts"
DROPPED = {"w": 99, "x": 99}
"""Nothing that belongs elsewhere is kept."""
OWNED = {TABLE: frozenset((1, 2))}


def never(origin: str) -> bool:
    return False


def of(evidence: Evidence, everybody: bool = False, gone: str = "") -> dict[str, int] | None:
    return evidence.seen(OWNED, {}, everybody, lambda origin: origin == gone)


def newcomer(seen: Mapping[str, int] | None = None) -> Evidence:
    return Evidence(Account(seen or {}, DROPPED), {})


def test_who_does_not_hold_a_segment_cannot_say_what_was_written_there() -> None:
    evidence = newcomer()
    evidence.account(Account({"w": 9}, DROPPED), {TABLE: [1]})
    evidence.account(Account({"w": 4}, DROPPED), {TABLE: [2]})
    assert of(evidence) == {"w": 4}
    evidence.account(Account({"w": 7}, DROPPED), {TABLE: [2]})
    assert of(evidence) == {"w": 7}


def test_who_has_dropped_nothing_since_vouches_for_what_belongs_elsewhere() -> None:
    evidence = newcomer()
    evidence.account(Account({"w": 4}, DROPPED), {TABLE: [1, 2]})
    evidence.account(Account({"w": 9}, {"w": 4}), {})
    assert of(evidence) == {"w": 9}


def test_nobody_vouches_for_what_it_may_have_dropped() -> None:
    evidence = newcomer()
    evidence.account(Account({"w": 4}, DROPPED), {TABLE: [1, 2]})
    evidence.account(Account({"w": 9}, {"w": 5}), {})
    assert of(evidence) == {"w": 4}


def test_who_was_cut_off_on_the_way_vouches_for_nothing() -> None:
    evidence = newcomer()
    evidence.account(Account({"w": 4}, DROPPED), {TABLE: [1, 2]})
    evidence.account(Account({"w": 9}, {}, through=False), {})
    assert of(evidence) == {"w": 4}


def test_what_is_lost_counts_as_seen_once_everybody_has_been_asked() -> None:
    evidence = newcomer()
    evidence.account(Account({"w": 4}, DROPPED), {TABLE: [1, 2]})
    evidence.account(Account({"w": 6}, DROPPED), {})
    assert of(evidence, everybody=False, gone="w") == {"w": 4}
    assert of(evidence, everybody=True) == {"w": 4}
    assert of(evidence, everybody=True, gone="w") == {"w": 6}
    assert evidence.seen(OWNED, {"w": 8}, True, lambda origin: True) == {"w": 8}


def test_a_segment_that_has_come_must_have_what_was_seen_before() -> None:
    evidence = newcomer({"w": 5})
    evidence.account(Account({"w": 4}, DROPPED), {TABLE: [1, 2]})
    assert of(evidence) is None
    evidence.account(Account({"w": 5}, DROPPED), {TABLE: [2]})
    assert of(evidence) is None
    evidence.nowhere(TABLE, 1)
    assert of(evidence) is None
    assert of(evidence, everybody=True) == {"w": 5}


def test_tables_that_lie_everywhere_need_one_account() -> None:
    evidence = newcomer({"w": 1})
    evidence.account(Account({"w": 4, "x": 1}, DROPPED), {})
    evidence.account(Account({"w": 3, "x": 2}, DROPPED), {})
    assert evidence.seen({}, {}, False, never) == {"w": 4, "x": 2}


@dataclass
class Member:
    """Who has seen the batches of all up to a number each; it has what it holds, and of what it
    does not hold those after `released`."""

    name: str
    holds: frozenset[int]
    seen: dict[str, int]
    released: dict[str, int]
    has: set[tuple[str, int]] = field(default_factory=set)


@pytest.mark.slow
@settings(max_examples=300, deadline=None)
@given(st.integers(0, 1 << 40))
def test_nothing_counts_as_seen_that_has_not_come(seed: int) -> None:
    rng = Random(seed)
    names = "abcdef"[: rng.randrange(2, 7)]
    segments = range(rng.randrange(1, 5))
    last = {name: rng.randrange(8) for name in names}
    place = {(o, n): rng.choice(segments) for o in names for n in range(1, last[o] + 1)}
    members = []
    for name in names:
        seen = {o: last[o] if o == name else rng.randrange(last[o] + 1) for o in names}
        holds = frozenset(s for s in segments if rng.random() < 0.5)
        released = {o: rng.randrange(seen[o] + 1) for o in names}
        member = Member(name, holds, seen, released)
        member.has = {
            (o, n)
            for (o, n), s in place.items()
            if n <= seen[o] and (s in holds or n > released[o])
        }
        members.append(member)
    me, *others = members
    reached = [member for member in others if rng.random() < 0.8]
    owned = frozenset(s for s in segments if rng.random() < 0.7)
    evidence = Evidence(Account(me.seen, me.released), {TABLE: owned & me.holds})
    come = set(me.has)
    for member in reached:
        through = rng.random() < 0.8
        parts = [s for s in owned if through or rng.random() < 0.5]
        come |= {batch for batch in member.has if place[batch] in parts}
        account = Account(member.seen, member.released, through)
        evidence.account(account, {TABLE: [s for s in parts if s in member.holds]})
    claimed = evidence.seen({TABLE: owned}, {}, False, never)
    if claimed is None:
        assert not owned <= me.holds
        return
    for (origin, number), segment in place.items():
        if segment in owned and number <= max(claimed.get(origin, 0), me.seen[origin]):
            assert (origin, number) in come, (claimed, origin, number, segment)
