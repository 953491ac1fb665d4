"""What lies here and belongs to others (decision 012, 3).

A holder of a segment that is no longer its own, or of a key that it wrote itself for others to
hold, shows it to all present owners, and drops it when they have confirmed that they have as much.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import islice

from .antientropy import Confirmed
from .context import Context
from .fetching import Begin
from .hashing import segment_of
from .messages import Batch, Write
from .replica import from_wire
from .rows import Rows
from .versions import Version

ByOwner = dict[str, int]
"""Owners, with the digest of what they have confirmed."""

DROPPED_AT_ONCE = 2_000
"""Keys that are dropped in one go, about: nobody is served and nothing else stored meanwhile."""
BREATH_MS = 20


class Handover:
    """What lies here and belongs to others."""

    def __init__(self, context: Context, store: Rows, begin: Begin) -> None:
        self._context = context
        self._store = store
        self._begin = begin
        self.foreign: dict[tuple[str, int], ByOwner] = {}
        self._due = False
        self._acknowledged = 0
        self._released: dict[str, dict[str, Version]] = {}
        self.on_release: Callable[[int], None] = lambda number: None
        """What belongs to others of own batches up to that number is about to be dropped."""
        self.on_drop: Callable[[], None] = lambda: None
        """A segment is about to be dropped."""

    # --- noticing --------------------------------------------------------------------------------

    def wrote(self, writes: Iterable[Write]) -> None:
        """These keys have been written here, by this node or another."""
        context = self._context
        for write in writes:
            if context.replica.copies(write.table) is not None:
                segment = segment_of(write.key)
                if not context.owns(write.table, segment):
                    self._hold(write.table, segment)

    def _hold(self, table: str, segment: int) -> None:
        self.foreign.setdefault((table, segment), {})
        self._later()

    def ring_changed(self, tables: Iterable[tuple[str, int]]) -> None:
        """Looks through all that lies here; what was confirmed by former owners counts no more."""
        context = self._context
        self.foreign = {}
        for table, copies in tables:
            owned = context.segments_of(context.me, copies)
            for segment in context.replica.segments(table):
                if segment not in owned:
                    self._hold(table, segment)

    def lost(self, peer: str) -> None:
        """The link with a peer has gone: it may come back without what it had confirmed."""
        for confirmed in self.foreign.values():
            confirmed.pop(peer, None)

    def _later(self, delay: int | None = None) -> None:
        if not self._due:
            self._due = True
            usual = 2 * self._context.config.resend_ms
            self._context.later(usual if delay is None else delay, self._step)

    # --- keys that were acknowledged -------------------------------------------------------------

    def acknowledged(self, batch: Batch) -> None:
        """All owners have a batch of this node: what belongs to others need not stay."""
        context = self._context
        for write in batch.writes:
            if context.replica.copies(write.table) is None:
                continue
            if not context.owns(write.table, segment_of(write.key)):
                held = context.replica.version(write.table, write.key)
                if held is not None and from_wire(write.version) == held:
                    self._released.setdefault(write.table, {})[write.key] = held
                    self._acknowledged = batch.number
                    self._later()

    def _forget_released(self) -> int:
        """Drops some of them, and gives how many: those that have not been written again, and have
        not become this node's own in the meantime."""
        if self._released:
            self.on_release(self._acknowledged)
        room = DROPPED_AT_ONCE
        for table, keys in list(self._released.items()):
            taken = {key: keys.pop(key) for key in list(islice(keys, room))}
            room -= len(taken)
            if not keys:
                del self._released[table]
            gone = [key for key, held in taken.items() if self._is_done(table, key, held)]
            self.drop(table, gone)
            for segment in {segment_of(key): True for key in gone}:
                if not self._context.replica.keys_of(table, segment):
                    self.foreign.pop((table, segment), None)
        return DROPPED_AT_ONCE - room

    def _is_done(self, table: str, key: str, acknowledged: Version) -> bool:
        context = self._context
        if context.owns(table, segment_of(key)):
            return False
        return context.replica.version(table, key) == acknowledged

    def drop(self, table: str, keys: list[str]) -> None:
        """Drops keys; they are here again when that could not be stored."""

        def stored(ok: bool) -> None:
            if not ok:
                for key in keys:
                    self._hold(table, segment_of(key))

        self._store.on_durable(self._context.replica.forget(table, keys), stored)

    # --- segments --------------------------------------------------------------------------------

    def _step(self) -> None:
        self._due = False
        dropped = self._forget_released()
        wanted: dict[tuple[str, str], list[int]] = {}
        for (table, segment), confirmed in list(self.foreign.items()):
            if dropped >= DROPPED_AT_ONCE:
                break
            missing = self._unconfirmed(table, segment, confirmed)
            if missing is None:
                dropped += self._drop(table, segment)
            for peer in missing or ():
                wanted.setdefault((peer, table), []).append(segment)
        for (peer, table), segments in wanted.items():
            self._show(peer, table, segments)
        if dropped >= DROPPED_AT_ONCE:
            self._later(BREATH_MS)
        elif self.foreign:
            self._later()

    def _unconfirmed(self, table: str, segment: int, confirmed: ByOwner) -> list[str] | None:
        """The owners to be asked; None when the segment need not stay. It stays while an owner is
        away: what the others have may be one copy too few."""
        context = self._context
        digest = context.replica.digests(table).get(segment, 0)
        owners = context.owners(table, segment)
        missing = [owner for owner in owners if confirmed.get(owner, -1) != digest]
        if digest and (missing or not owners):
            return [owner for owner in missing if owner in context.present]
        if digest and not all(owner in context.ready_ring.ids for owner in owners):
            return []  # others may still come here to read
        return None

    def _drop(self, table: str, segment: int) -> int:
        keys = self._context.replica.keys_of(table, segment)
        if keys:
            self.on_drop()
            self.drop(table, keys)
        del self.foreign[table, segment]
        return len(keys)

    def _show(self, peer: str, table: str, segments: list[int]) -> None:
        if peer not in self._context.linked:
            return
        comparison = self._begin(peer, True, False)
        if comparison is None:
            return

        def through(name: str, page: Confirmed, lacking: list[int]) -> None:
            for segment, digest in page.items():
                held = self.foreign.get((name, segment))
                if held is not None:
                    held[peer] = digest

        comparison.on_segments = through
        comparison.compare_segments(table, segments)
