"""States of members form a lattice, so tables agree whatever the order in which news arrives."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from somart.cluster.config import ClusterConfig
from somart.cluster.members import (
    RINGS,
    STATUSES,
    Table,
    in_ring,
    is_live,
    merge,
    state_digest,
    valid,
)
from somart.cluster.membership import Membership
from somart.cluster.messages import Gossip, Join, Members, MemberState
from somart.cluster.outputs import Send

STATES = st.builds(
    MemberState,
    id=st.just("n"),
    address=st.sampled_from(["a:1", "b:1"]),
    http=st.just(""),
    incarnation=st.integers(0, 3),
    status=st.sampled_from(STATUSES),
    ring=st.sampled_from(RINGS),
    boot=st.sampled_from(["0", "1"]),
    joined=st.integers(0, 3),
    expelled=st.integers(0, 3),
)
OTHERS = st.builds(
    MemberState,
    id=st.sampled_from(["a", "b", "c", "d"]),
    address=st.sampled_from(["a:1", "b:1"]),
    http=st.just(""),
    incarnation=st.integers(1, 3),
    status=st.sampled_from(STATUSES),
    ring=st.sampled_from(RINGS),
    joined=st.integers(1, 3),
    expelled=st.integers(0, 3),
)


@pytest.mark.slow
@settings(max_examples=150, deadline=None)
@given(STATES, STATES, STATES)
def test_merging_is_a_join(one: MemberState, two: MemberState, three: MemberState) -> None:
    assert merge(one, two) == merge(two, one)
    assert merge(merge(one, two), three) == merge(one, merge(two, three))
    assert merge(one, one) == one
    assert merge(one, merge(one, two)) == merge(one, two)


@settings(max_examples=60, deadline=None)
@given(STATES, STATES)
def test_a_later_life_beats_every_status_and_removal_is_never_unlearnt(
    one: MemberState, two: MemberState
) -> None:
    merged = merge(one, two)
    if one.incarnation > two.incarnation:
        assert (merged.status, merged.incarnation) == (one.status, one.incarnation)
    assert merged.expelled == max(one.expelled, two.expelled)
    assert not in_ring(merged) or merged.joined > max(one.expelled, two.expelled)


class _Still:
    def monotonic(self) -> int:
        return 0

    def wall(self) -> int:
        return 0


def _node(seed: int) -> Membership:
    record = MemberState("z", "z:1", "", 0, "alive", "ready")
    return Membership(record, ClusterConfig(), _Still(), Random(seed))


def _others(node: Membership) -> list[MemberState]:
    return [state for state in node.members.states() if state.id != "z"]


@pytest.mark.slow
@settings(max_examples=80, deadline=None)
@given(st.lists(OTHERS, max_size=12), st.randoms(use_true_random=False))
def test_tables_converge_in_any_order_with_doublets_and_in_any_parcels(
    news: list[MemberState], random: Random
) -> None:
    one, other = _node(1), _node(1)
    for state in news:
        one.receive("a", Gossip([state]))
    again = [*news, *news[::2]]
    random.shuffle(again)
    while again:
        size = random.randrange(1, 4)
        other.receive("b", Members(again[:size]))
        again = again[size:]
    assert _others(one) == _others(other)
    assert one.members.digest == other.members.digest
    assert (
        one.members.known
        == other.members.known
        == sum(s.status != "removed" for s in [*_others(one), one.me])
    )
    assert one.ring.ids == other.ring.ids
    assert one.live() == other.live()


@settings(max_examples=40, deadline=None)
@given(st.lists(OTHERS, max_size=10))
def test_digest_and_views_follow_the_table(news: list[MemberState]) -> None:
    table = Table(100)
    for state in news:
        table.put(state, 0)
    digest = 0
    for state in table.states():
        digest ^= state_digest(state)
    assert table.digest == digest
    assert table.ring_ids() == tuple(s.id for s in table.states() if in_ring(s))
    assert table.live() == tuple(s.id for s in table.states() if in_ring(s) and is_live(s))


def test_digests_tell_states_apart_but_forget_the_removed() -> None:
    state = MemberState("n", "a:1", "", 1, "alive", "ready", "b", 1, 0)
    worse = MemberState("n", "a:1", "", 1, "suspect", "ready", "b", 1, 0)
    gone = MemberState("n", "a:1", "", 1, "removed", "ready", "b", 1, 1)
    assert state_digest(state) != state_digest(worse)
    assert state_digest(gone) == 0


def test_a_full_table_forgets_who_was_removed_longest_ago_and_nobody_else() -> None:
    table = Table(2)
    gone = MemberState("gone", "a:1", "", 1, "removed", "ready", "", 1, 1)
    assert table.put(gone, 0) is not None
    assert table.put(MemberState("b", "b:1", "", 1, "alive", "ready", "", 1), 0) is not None
    assert table.put(MemberState("c", "c:1", "", 1, "alive", "ready", "", 1), 0) is not None
    assert list(table) == ["b", "c"]
    assert table.put(MemberState("d", "d:1", "", 1, "alive", "ready", "", 1), 0) is None
    assert list(table) == ["b", "c"]


def test_unknown_words_are_not_believed() -> None:
    assert not valid(MemberState("n", "a:1", "", 1, "immortal", "ready"))
    assert not valid(MemberState("n", "a:1", "", 1, "alive", "broken"))
    assert not valid(MemberState("", "a:1", "", 1, "alive", "ready"))
    assert not valid(MemberState("n", "a:1", "", 2**64 - 1, "alive", "ready"))
    assert not valid(MemberState("n", "a:1", "", 1, "alive", "ready", "", 1, 2**62))
    node = _node(1)
    node.receive("a", Gossip([MemberState("n", "a:1", "", 1, "immortal", "ready")]))
    assert _others(node) == []


def test_a_flood_of_members_is_bounded_and_noted_once() -> None:
    record = MemberState("z", "z:1", "", 0, "alive", "ready")
    config = ClusterConfig(members_most=10)
    node = Membership(record, config, _Still(), Random(1))
    flood = [MemberState(f"n{n}", f"n{n}:1", "", 1, "alive", "ready", "", 1) for n in range(30)]
    node.receive("n1", Gossip(flood))
    outputs, _ = node.take()
    assert len(node.members) == 10
    assert sum("too many members" in str(output) for output in outputs) == 1


def test_messages_are_bounded_whatever_there_is_to_tell() -> None:
    node = _node(1)
    many = [MemberState(f"n{n}", f"n{n}:1", "", 1, "alive", "ready", "", 1) for n in range(150)]
    node.link_up("n1")
    node.take()
    node.receive("n1", Members(many))
    node.established = True
    node.receive("n1", Gossip([*many[:3]]))
    node.receive("n1", Join(many[1], 1, known=3))
    outputs, _ = node.take()
    pages = [o.message for o in outputs if isinstance(o, Send) and isinstance(o.message, Members)]
    assert sum(len(page.members) for page in pages) == 151
    assert max(len(page.members) for page in pages) == node.config.members_page
    assert [page.digest != 0 for page in pages] == [False, False, True]
