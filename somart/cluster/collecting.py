"""When deletions may be forgotten: when nobody can come with an older write of the key any more.

Two members that compare tell each other up to which stamp all that they have committed is durable
on all owners (`Settled`). Before the least of these stamps no batch is under way. Then this node
has to show what it holds to every other member, once: who had an older entry has the deletion
afterwards. A node compares with one member per round, whatever their number: with more of them
deletions stay longer, and nobody sends more. While a member is away nothing is forgotten; of one
that was taken out of the ring, what it held counts no more (`aside.py`).
"""

from __future__ import annotations

from collections.abc import Callable

from ..merge import BEGINNING, Stamp
from .context import Context
from .fetching import Fetching
from .handover import Handover
from .hashing import segment_of
from .journal import Journal
from .messages import Batch, Settled, Write
from .replica import Deletion, SystemRows
from .rows import Rows

COLLECTED = "collected"
"""System table: by table and segment when the latest deletion was made that is forgotten."""


class Collecting:
    """Forgets deletions that all members know of."""

    def __init__(
        self,
        context: Context,
        journal: Journal,
        fetching: Fetching,
        handover: Handover,
        store: Rows,
    ) -> None:
        self._context = context
        self._store = store
        self._journal = journal
        self._fetching = fetching
        self._handover = handover
        self._settled: dict[str, Stamp] = {}
        """By member, who was heard of longest ago first."""
        self._ring = context.fingerprint()
        self._candidate: Stamp | None = None
        self._begun = 0
        self._lost = 0
        self._confirmed: dict[str, bool] = {}
        self.collected = 0
        self.kept: Callable[[], Stamp | None] = lambda: None
        """Causal: the earliest write of others that is kept for them."""
        self.on_floor: Callable[[Stamp], None] = lambda stamp: None

    # --- what this node has settled --------------------------------------------------------------

    def settled(self) -> Stamp:
        """All own writes before this stamp are durable on all owners."""
        context = self._context
        if self._handover.foreign or not self._fetching.complete:
            return BEGINNING
        first = next(iter(self._journal.batches.values()), None)
        own = context.replica.tick() if first is None else earliest(first)
        kept = self.kept()
        return own if kept is None else min(own, kept)

    def tell(self) -> Settled:
        """The same, for a peer."""
        return Settled((*self.settled(),), self._ring)

    def heard(self, peer: str, message: Settled | None) -> None:
        """A peer has settled that much: among the owners that it knows, which must be the same."""
        if message is None:
            return
        self._settled.pop(peer, None)
        stamp = Stamp(*message.stamp)
        self._context.replica.observe(stamp)
        if message.ring == self._ring:
            self._settled[peer] = stamp

    def departed(self, peer: str) -> None:
        """A peer is away: what it says when it returns counts, not what it has said."""
        self._settled.pop(peer, None)
        self.restart()

    def ring_changed(self) -> None:
        """Keys have other owners now, or more: nothing counts that was said before."""
        self._ring = self._context.fingerprint()
        self._settled = {}
        self.restart()

    def restart(self) -> None:
        """What has been confirmed so far is not enough."""
        self._candidate = None
        self._confirmed = {}

    def took(self, writes: list[Write]) -> None:
        """These came by other ways than batches: if they are older than what is to be forgotten,
        everyone must be asked again."""
        candidate = self._candidate
        if candidate is not None and any(w.version.stamp < candidate for w in writes):
            self.restart()

    # --- forgetting ------------------------------------------------------------------------------

    def confirmed(self, peer: str, begun: int) -> None:
        """A peer has shown that it has all that this node held when the comparison began."""
        if self._candidate is not None and begun >= self._begun:
            self._confirmed[peer] = True

    def step(self) -> None:
        """Chooses the stamp to forget up to, and forgets when all have confirmed."""
        context = self._context
        others = context.others()
        away = [m for m in context.ring.ids if m not in context.present]
        if away or any(member not in self._settled for member in others):
            self.restart()
            return
        if self._candidate is None:
            self._choose(others)
        elif all(member in self._confirmed for member in others):
            context.floor = max(context.floor, self._candidate)
            self.collected += context.replica.collect(self._candidate, self._noted)
            self.on_floor(self._candidate)
            if self._journal.lost == self._lost:
                self._journal.recovered()
            self.restart()

    def latest(self, table: str, segment: int) -> int:
        """When the latest deletion in a segment of a sharded table was made that is forgotten, here
        or by who had the segment before (0: none is). Older entries that turn up may have been
        deleted."""
        return int(self._store.row(COLLECTED, _place(table, segment)) or 0)

    def inherit(self, table: str, collected: list[tuple[int, int]]) -> None:
        """Another owner, of whom this node fetches, has forgotten deletions."""
        rows = self._rows([(table, segment, time) for segment, time in collected])
        if rows:
            self._store.record(rows)

    def _noted(self, gone: list[Deletion]) -> SystemRows:
        copies = self._context.replica.copies
        sharded = [one for one in gone if copies(one[0]) is not None]
        rows = self._rows([(table, segment_of(key), s.physical) for table, key, s in sharded])
        self._store.applied(rows)
        return rows

    def _rows(self, found: list[tuple[str, int, int]]) -> SystemRows:
        latest: dict[tuple[str, int], int] = {}
        for table, segment, time in found:
            latest[table, segment] = max(time, latest.get((table, segment), 0))
        return {
            (COLLECTED, _place(*place)): str(time)
            for place, time in latest.items()
            if time > self.latest(*place)
        }

    def _choose(self, others: list[str]) -> None:
        context = self._context
        stamp = min([self.settled(), *(self._settled[member] for member in others)])
        # By the stamps' own clock, which is about the same on all nodes whatever their clocks say.
        stamp = Stamp(max(0, stamp.physical - context.config.tombstone_ms), 0, "")
        if stamp > context.floor:
            self._candidate = stamp
            self._begun = context.clock.monotonic()
            self._lost = self._journal.lost
            self._confirmed = {}

    @property
    def waiting_for(self) -> list[str]:
        """The members that have yet to settle or to confirm; else the one that was heard of longest
        ago, since the least of the stamps decides."""
        if self._candidate is not None:
            return [m for m in self._context.others() if m not in self._confirmed]
        missing = [m for m in self._context.others() if m not in self._settled]
        return missing or list(self._settled)[:1]


def _place(table: str, segment: int) -> str:
    return f"{table}\n{segment}"


def earliest(batch: Batch) -> Stamp:
    """The earliest stamp among the writes of a batch."""
    stamps = [Stamp(*write.version.stamp) for write in batch.writes]
    return min(stamps, default=BEGINNING)
