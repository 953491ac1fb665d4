"""What a node shows of its cluster (`/__soma/cluster`), and which state of it the node is in."""

from __future__ import annotations

from typing import TYPE_CHECKING

from . import phase as phases
from .digests import size_of
from .origins import member_of

if TYPE_CHECKING:
    from ..consensus.service import Service
    from .core import ClusterCore


class Standing:
    """The node's phase (`phase.py`): after a partition it is recovering until it has compared all
    that it holds with every member that it reaches."""

    def __init__(self, members: int) -> None:
        self.behind = members > 1
        self.to_meet: dict[str, bool] = {}
        self._met: frozenset[str] | None = None

    def look(self, members: int, reachable: int, others: list[str], consistency: str) -> None:
        """The view of the members has changed."""
        was = self.behind
        known, self._met = self._met, frozenset(others)
        grown = known is not None and not self._met <= known and phases.must_meet(consistency)
        self.behind = phases.still_behind(was or grown, members, reachable, consistency)
        if members <= 1:
            self.behind = False
        if self.behind and (not was or grown or reachable < members):
            self.to_meet = dict.fromkeys(others, True)
        self.to_meet = {peer: True for peer in self.to_meet if peer in others}

    def met(self, peer: str, members: int, reachable: int, consistency: str) -> None:
        """All has been compared with a peer."""
        self.to_meet.pop(peer, None)
        if not self.to_meet and phases.may_cease(members, reachable, consistency):
            self.behind = False


def status_of(core: ClusterCore) -> dict[str, object]:
    """A plain dictionary for JSON: times in ms since the epoch, lags in ms, shares of 1."""
    context, membership = core.context, core.membership
    members, reachable = membership.reach()
    state = phases.phase(members, reachable, core.standing.behind, context.consistency)
    shares = context.ring.shares()
    return {
        "node": core.me,
        "leader": membership.lowest_live(),
        "term": None,
        "phase": state,
        "ready": core.fetching.complete and core.causality.caught_up(),
        "members": [_member(core, id, shares) for id in sorted(membership.members)],
        "outbox": len(core.journal.batches),
        "last_sync": max(core.last_sync.values(), default=None),
        "not_own": _foreign(core),
    }


def group_of(core: ClusterCore, service: Service, declared: int) -> dict[str, object]:
    """What strong cells add: who leads, who votes, and how many of them may still fail."""
    raft = service.raft
    voters = raft.configuration.voters
    alive = [voter for voter in voters if core.membership.is_linked(member_of(voter))]
    here = len(alive) + (service.node in voters)
    spare = max(0, here - (len(voters) // 2 + 1))
    return {
        "leader": member_of(raft.leader) if raft.leader else None,
        "term": raft.term,
        "consensus": {
            "voters": [member_of(voter) for voter in voters],
            "learners": [member_of(one) for one in raft.configuration.learners],
            "declared": declared,
            "present": here,
            "tolerates": spare,
            "summary": f"{len(voters)} of {declared}, tolerates {spare}",
            "index": raft.commit,
            "applied": raft.applied,
            "revision": service.state.revision,
        },
    }


def _member(core: ClusterCore, id: str, shares: dict[str, float]) -> dict[str, object]:
    state = core.membership.members[id].state
    found: dict[str, object] = {
        "id": id,
        "address": state.address,
        "http": state.http,
        "status": state.status,
        "ring": state.ring,
        "share": round(shares.get(id, 0.0), 4),
    }
    if id != core.me:
        stream = core.outbox.streams.get(id)
        found["linked"] = id in core.context.linked
        found["outbox"] = 0 if stream is None else len(stream.pending)
        found["lag_ms"] = core.outbox.lag(id)
        found["last_sync"] = core.last_sync.get(id)
    return found


WEIGHED = 2_000
"""Keys whose bytes are looked at: to look at all would stop a node that moves many."""


def _foreign(core: ClusterCore) -> dict[str, int]:
    """What lies here for others: to be zero soon after the ring has come to rest and, under causal,
    nobody writes any more. The bytes of many keys are those of some, times the number."""
    replica = core.context.replica
    keys = weighed = size = 0
    places = {*core.handover.foreign, *core.keeping.places()}
    for table, segment in places:
        held = replica.keys_of(table, segment)
        keys += len(held)
        if weighed < WEIGHED:
            weighed += len(held)
            size += sum(map(size_of, replica.writes_of(table, held)))
    if keys > weighed:
        size = size * keys // weighed
    return {"segments": len(places), "keys": keys, "bytes": size}
