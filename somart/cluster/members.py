"""What is known of the members of a cluster: states that merge in any order, and their table."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from hashlib import blake2b
from typing import NamedTuple

from msgspec.structs import replace

from .messages import MemberState
from .ring import Ring

ALIVE, SUSPECT, DEAD, LEFT, REMOVED = STATUSES = ("alive", "suspect", "dead", "left", "removed")
JOINING, READY = RINGS = ("joining", "ready")
MOST_INCARNATIONS = 2**62
"""The wire has 64 bits, and whoever is spoken ill of adds one."""
_RANK = {status: rank for rank, status in enumerate(STATUSES)}
_LIVE = (ALIVE, SUSPECT)


# --- states --------------------------------------------------------------------------------------


def valid(state: MemberState) -> bool:
    """Whether a state that arrived uses words that we know, names somebody, and leaves room for
    incarnations to come."""
    highest = max(state.incarnation, state.joined, state.expelled)
    known = state.status in _RANK and state.ring in RINGS
    return known and state.id != "" and highest < MOST_INCARNATIONS


def merge(mine: MemberState, other: MemberState) -> MemberState:
    """The least state that covers both: commutative, associative, idempotent.

    The later life of a member (incarnation, then boot) counts alone; within one life the worse
    status wins (Das and others 2002, §4.2), and ready over joining. `expelled` only grows.
    """
    expelled = max(mine.expelled, other.expelled)
    one, two = _life(mine), _life(other)
    if one != two:
        later = mine if one > two else other
        return later if later.expelled == expelled else replace(later, expelled=expelled)
    return replace(
        mine,
        status=max(mine.status, other.status, key=_RANK.__getitem__),
        ring=max(mine.ring, other.ring),  # "joining" < "ready"
        joined=max(mine.joined, other.joined),
        expelled=expelled,
    )


def _life(state: MemberState) -> tuple[int, str, str, str]:
    return state.incarnation, state.boot, state.address, state.http


def standing(state: MemberState) -> tuple[str, int, str]:
    """What makes an absence one and the same: a member may come back in between."""
    return state.status, state.incarnation, state.boot


def is_live(state: MemberState) -> bool:
    """Alive, or not yet proved otherwise."""
    return state.status in _LIVE


def in_ring(state: MemberState) -> bool:
    """Whether the member holds segments: it came in after it was last taken out."""
    return state.status != REMOVED and state.joined > state.expelled


def _place(state: MemberState) -> tuple[bool, bool]:
    return in_ring(state), is_live(state)


def state_digest(state: MemberState) -> int:
    """64 bits that differ when states differ; 0 for one removed, which need not be remembered."""
    if state.status == REMOVED:
        return 0
    text = "\0".join(str(getattr(state, field)) for field in state.__struct_fields__)
    return int.from_bytes(blake2b(text.encode("utf-8", "replace"), digest_size=8).digest(), "big")


def first_record(id: str, address: str, http: str, founder: bool) -> MemberState:
    """The record of a node that has never run. A founder has all there is, others must be given it
    and are `joining` until then."""
    return MemberState(id, address, http, 0, ALIVE, READY if founder else JOINING)


# --- changes -------------------------------------------------------------------------------------


class Identity(NamedTuple):
    """This node's own record has changed: to be durable before the outputs taken with it are sent,
    and handed to the next life's `Membership`."""

    me: MemberState


class Joined(NamedTuple):
    """A member that was not known."""

    member: MemberState


class Suspected(NamedTuple):
    """A member that did not answer; it has time to speak up."""

    id: str


class Refuted(NamedTuple):
    """A suspect that spoke up."""

    id: str


class Died(NamedTuple):
    """A member without a sign of life for `dead_ms`. It keeps its segments."""

    id: str


class Left(NamedTuple):
    """A member that said goodbye. It keeps its segments."""

    id: str


class Returned(NamedTuple):
    """A member that was dead, had left or restarted is back, maybe at another address."""

    member: MemberState


class Removed(NamedTuple):
    """A member that is out of the ring until it joins anew."""

    id: str


class MadeReady(NamedTuple):
    """A joining member now serves reads."""

    id: str


class RingChanged(NamedTuple):
    """The members that hold segments are others than before."""

    before: tuple[str, ...]
    ids: tuple[str, ...]


class Superseded(NamedTuple):
    """Another, later process has this node's id: this one has to stop."""

    other: MemberState


Change = (
    Identity
    | Joined
    | Suspected
    | Refuted
    | Died
    | Left
    | Returned
    | Removed
    | MadeReady
    | RingChanged
    | Superseded
)


def changes_between(old: MemberState | None, new: MemberState) -> Iterator[Change]:
    """What another member's new state means. A member first heard of when it is gone already is
    no event."""
    if old is None:
        if is_live(new):
            yield Joined(new)
    elif is_live(new) and (not is_live(old) or new.boot != old.boot):
        yield Returned(new)
    elif new.status != old.status:
        yield _status_change(old, new)
    if old is not None and new.ring == READY and old.ring == JOINING:
        yield MadeReady(new.id)


def _status_change(old: MemberState, new: MemberState) -> Change:
    match new.status:
        case "alive":
            return Refuted(new.id)
        case "suspect":
            return Suspected(new.id)
        case "dead":
            return Died(new.id)
        case "left":
            return Left(new.id)
        case _:
            return Removed(new.id)


# --- the table -----------------------------------------------------------------------------------


class Member:
    """A member's state, and what this node alone knows of it (ms of its own monotonic clock)."""

    __slots__ = ("_told", "dial_from", "heard", "lost", "since", "state")

    def __init__(self, state: MemberState, now: int) -> None:
        self.state = state
        self.heard = now
        """The last sign of life, be it over another member."""
        self.lost = 0
        """When the last link with it went down; 0: there was none."""
        self.since = now
        """When the status became what it is."""
        self.dial_from = now
        """When this node begins to dial it, if there is no link by then."""
        self._told: tuple[MemberState, int] | None = None

    def tells(self, now: int, interval: int) -> bool:
        """Whether the member is to be told what it is thought to be: if it does not refute that,
        not again for a while, since two who doubt each other would never cease to answer."""
        state, at = self._told or (None, 0)
        if state == self.state and now - at < interval:
            return False
        self._told = self.state, now
        return True


class Table(Mapping[str, Member]):
    """All members by id, this node too, with a digest that equals another's when the tables do."""

    def __init__(self, most: int) -> None:
        self._members: dict[str, Member] = {}
        self._most = most
        self._sorted: list[str] | None = None
        self._ring_ids: tuple[str, ...] | None = None
        self._live: tuple[str, ...] | None = None
        self.digest = 0
        self.known = 0
        """How many are not removed."""

    def __getitem__(self, id: str) -> Member:
        return self._members[id]

    def __iter__(self) -> Iterator[str]:
        return iter(self._members)

    def __len__(self) -> int:
        return len(self._members)

    def put(self, state: MemberState, now: int) -> Member | None:
        """Takes a state over; None when the table is full of members that may not be forgotten."""
        member = self._members.get(state.id)
        if member is None:
            if len(self._members) >= self._most and not self._forget_one():
                return None
            member = self._members[state.id] = Member(state, now)
            self._sorted = self._ring_ids = self._live = None
        else:
            if _place(member.state) != _place(state):
                self._ring_ids = self._live = None
            self.digest ^= state_digest(member.state)
            self.known -= member.state.status != REMOVED
            if standing(state) != standing(member.state):
                member.since = now
            member.state = state
        self.known += state.status != REMOVED
        self.digest ^= state_digest(state)
        return member

    def states(self) -> list[MemberState]:
        """All states, by id."""
        if self._sorted is None:
            self._sorted = sorted(self._members)
        return [self._members[id].state for id in self._sorted]

    def ring_ids(self) -> tuple[str, ...]:
        """The members that hold segments, sorted."""
        if self._ring_ids is None:
            self._ring_ids = tuple(state.id for state in self.states() if in_ring(state))
        return self._ring_ids

    def state(self, id: str) -> MemberState | None:
        """What is known of a member."""
        member = self.get(id)
        return None if member is None else member.state

    def hears(self, id: str) -> bool:
        """Whether a member has been heard of lately: this node itself always."""
        member = self.get(id)
        return member is not None and member.state.status == ALIVE

    def live(self) -> tuple[str, ...]:
        """The members of the ring that are not known to be gone, sorted."""
        if self._live is None:
            ids = self.ring_ids()
            self._live = tuple(id for id in ids if is_live(self._members[id].state))
        return self._live

    def ring(self, virtual_nodes: int) -> Ring:
        """The ring of all members that hold segments."""
        return Ring.of(self.ring_ids(), virtual_nodes)

    def speaks_for_the_cluster(self) -> bool:
        """Whether those that are alive here are the greater part of the ring, members that left not
        counted; of two halves, the one with the lowest id. Others may be cut off, and not dead."""
        states = [self._members[id].state for id in self.ring_ids()]
        staying = [state for state in states if state.status != LEFT]
        alive = sum(is_live(state) for state in staying)
        if 2 * alive == len(staying):
            return bool(staying) and is_live(staying[0])
        return 2 * alive > len(staying)

    def _forget_one(self) -> bool:
        """Drops the member that was removed longest ago."""
        removed = [m for m in self._members.values() if m.state.status == REMOVED]
        if not removed:
            return False
        oldest = min(removed, key=lambda member: (member.since, member.state.id))
        del self._members[oldest.state.id]
        self._sorted = None
        return True
