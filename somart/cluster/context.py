"""What the parts of the replication core share: who we are, the ring, links, timers, outputs."""

from __future__ import annotations

import random
from collections.abc import Callable
from hashlib import blake2b
from heapq import heappop, heappush

from ..merge import BEGINNING, Stamp
from .clocks import Clock
from .config import ClusterConfig
from .hashing import segment_of
from .messages import (
    GetReply,
    Message,
    SyncDiffers,
    SyncDone,
    SyncEntries,
    SyncSummary,
    ValuesReply,
    Write,
)
from .outputs import Note, Output, Send
from .replica import Replica
from .ring import Ring

_TELLING = (GetReply, ValuesReply, SyncDiffers, SyncDone, SyncEntries, SyncSummary)


class Timer:
    """Something to be done later; `cancel` forgets it."""

    __slots__ = ("action",)

    def __init__(self, action: Callable[[], None] | None) -> None:
        self.action = action

    def cancel(self) -> None:
        self.action = None


class Context:
    """The node as its parts see it. `ring` has all members that were not removed, `ready_ring`
    those of them that have the data of their segments."""

    def __init__(
        self,
        me: str,
        config: ClusterConfig,
        clock: Clock,
        rng: random.Random,
        replica: Replica,
        causal: bool,
    ) -> None:
        self.me = me
        self.config = config
        self.clock = clock
        self.rng = rng
        self.replica = replica
        self.causal = causal
        self.consistency = "causal" if causal else "eventual"
        self.ring = Ring.of((me,), config.virtual_nodes)
        self.ready_ring = self.ring
        self.present: frozenset[str] = frozenset((me,))
        """Members that are neither dead nor gone."""
        self.linked: dict[str, bool] = {}
        self.floor: Stamp = BEGINNING
        """Deletions before it are known to all members, and are being forgotten."""
        self.outputs: list[Output] = []
        self.when_stored: Callable[[Callable[[bool], None]], None] = lambda told: told(True)
        """Calls back when all commits so far are durable, or lost; at once if nothing waits."""
        self.wake: Callable[[], None] = lambda: None
        """Called when there may be outputs though the shell has not just put something in."""
        self._timers: list[tuple[int, int, Timer]] = []
        self._sequence = 0
        self._fingerprint: tuple[tuple[tuple[str, ...], ...], int] = ((), 0)
        self._segments: dict[tuple[tuple[str, ...], tuple[str, ...], str, int], frozenset[int]] = {}

    # --- outputs ---------------------------------------------------------------------------------

    def send(self, to: str, message: Message, lost: Callable[[], None] | None = None) -> None:
        """To a peer, if there is a link with it. What tells of entries leaves when all that it may
        tell is durable: others must not keep what a crash or a full disk takes back here. It is
        not to be sent again once `lost` has been called."""
        if to not in self.linked:
            return
        if not isinstance(message, _TELLING):
            self.outputs.append(Send(to, message))
            return
        waiting = False

        def stored(ok: bool) -> None:
            if ok or not waiting:  # else it tells of what is no more; who has asked asks again
                self.outputs.append(Send(to, message))
                self.wake()
            elif lost is not None:
                lost()

        self.when_stored(stored)
        waiting = True

    def note(self, text: str) -> None:
        self.outputs.append(Note(text))

    # --- time ------------------------------------------------------------------------------------

    def later(self, delay_ms: int, action: Callable[[], None]) -> Timer:
        """Has something done by the first tick after the delay."""
        timer = Timer(action)
        self._sequence += 1
        heappush(self._timers, (self.clock.monotonic() + delay_ms, self._sequence, timer))
        return timer

    def next_wakeup(self) -> int | None:
        """When the first timer is due, by the monotonic clock."""
        while self._timers and self._timers[0][2].action is None:
            heappop(self._timers)
        return self._timers[0][0] if self._timers else None

    def run_timers(self) -> None:
        """Does what is due."""
        now = self.clock.monotonic()
        while self._timers and self._timers[0][0] <= now:
            action = heappop(self._timers)[2].action
            if action is not None:
                action()

    # --- placement -------------------------------------------------------------------------------

    def owners(self, table: str, segment: int) -> tuple[str, ...]:
        """The members that are to hold a segment, ready or not."""
        copies = self.replica.copies(table)
        return self.ring.ids if copies is None else self.ring.owners(segment, copies)

    def owns(self, table: str, segment: int) -> bool:
        """Whether this node is to hold a segment now."""
        return self.owned_by(self.me, table, segment)

    def owned_by(self, member: str, table: str, segment: int) -> bool:
        """Whether a member is to hold a segment now. While others are still joining, their
        predecessors go on: they get all writes, and are read."""
        copies = self.replica.copies(table)
        if copies is None:
            return member in self.ring.ids
        return member in self.ring.owners(segment, copies) or (
            member in self.ready_ring.owners(segment, copies)
        )

    def segments_of(self, member: str, copies: int) -> frozenset[int]:
        """The segments of tables with so many copies that a member is to hold now."""
        key = (self.ring.ids, self.ready_ring.ids, member, copies)
        found = self._segments.get(key)
        if found is None:
            if len(self._segments) > 1_024:
                self._segments.clear()
            found = self.ring.segments_of(member, copies)
            found |= self.ready_ring.segments_of(member, copies)
            self._segments[key] = found
        return found

    def shared_segments(self, peer: str, table: str) -> frozenset[int] | None:
        """The segments that both hold; None: all of them."""
        copies = self.replica.copies(table)
        if copies is None:
            return None
        return self.segments_of(self.me, copies) & self.segments_of(peer, copies)

    def others(self) -> list[str]:
        """All members but this one, sorted."""
        return [member for member in self.ring.ids if member != self.me]

    def targets(self, writes: list[Write]) -> list[str]:
        """The other members that are to hold one of the written keys."""
        found: dict[str, bool] = {}
        for write in writes:
            copies = self.replica.copies(write.table)
            if copies is None:
                return self.others()
            segment = segment_of(write.key)
            found.update(dict.fromkeys(self.ring.owners(segment, copies), True))
            found.update(dict.fromkeys(self.ready_ring.owners(segment, copies), True))
        found.pop(self.me, None)
        return list(found)

    def ready_owners(self, table: str, segment: int) -> tuple[str, ...]:
        """The members that were to hold a segment before those came that are still joining."""
        copies = self.replica.copies(table)
        ring = self.ready_ring
        return ring.ids if copies is None else ring.owners(segment, copies)

    def news(self, writes: list[Write]) -> list[Write]:
        """The writes without deletions that have been forgotten here already."""
        floor = self.floor
        if floor is BEGINNING:
            return writes
        return [w for w in writes if w.kind is not None or not self._forgotten(w, floor)]

    def _forgotten(self, write: Write, floor: Stamp) -> bool:
        return write.version.stamp < floor and self.replica.version(write.table, write.key) is None

    @property
    def sharded(self) -> bool:
        """Whether the keys of some tables lie on some of the members only."""
        return any(self.replica.copies(table) is not None for table in self.replica.tables)

    def fingerprint(self) -> int:
        """64 bits of who owns what."""
        view = self.ring.ids, self.ready_ring.ids
        if self._fingerprint[0] != view:
            text = "\0".join((*view[0], "", *view[1])).encode("utf-8", "replace")
            digest = blake2b(text, digest_size=8).digest()
            self._fingerprint = view, int.from_bytes(digest)
        return self._fingerprint[1]

    def relevant(self, peer: str, writes: list[Write]) -> list[Write]:
        """The writes whose keys the peer is to hold."""
        found = [w for w in writes if self.owned_by(peer, w.table, segment_of(w.key))]
        return writes if len(found) == len(writes) else found
