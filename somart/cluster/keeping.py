"""What a node keeps of others' batches though the keys belong elsewhere (causal; decision 012, 37).

Who has seen a batch may write its effects. So every member keeps all that it has seen until the
origin says that all members have it: else a cause would be lost with the one node that has it, or
be missing while that node is away, and the effects would stay. Where a node drops something, it
remembers up to which batch, for it can vouch for later ones only (`evidence.py`).
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Iterator
from typing import NamedTuple

import msgspec

from ..merge import Stamp, Vector
from .context import Context
from .handover import DROPPED_AT_ONCE
from .hashing import segment_of
from .journal import STATE
from .messages import Batch, Everywhere, VectorWire, Write
from .origins import Seen
from .rows import Rows

RELEASED = "released"
"""Row of STATE: see `Keeping.released`."""
MOST_MS = 30_000
"""What is kept for longer is shown to its owners: the origin may never speak again."""
_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(VectorWire).decode


class _Kept(NamedTuple):
    number: int
    at: int
    writes: list[Write]


class Keeping:
    """Batches by origin with the writes that are kept. `on_hold` hears of those that are to be
    shown to their owners; `drop` drops keys of a table."""

    def __init__(self, context: Context, store: Rows, seen: Seen) -> None:
        self._context = context
        self._store = store
        self._seen = seen
        self._on = context.causal and context.sharded
        self._kept: dict[str, deque[_Kept]] = {}
        self._places: Counter[tuple[str, str]] = Counter()
        """How many of the kept batches wrote a key."""
        self._done: dict[tuple[str, str], bool] = {}
        self._news = False
        row = store.row(STATE, RELEASED)
        self.released: VectorWire = {} if row is None else _decode(row)
        """By origin the last batch of which something may have been dropped here; stored before
        that is done."""
        self.on_hold: Callable[[list[Write]], None] = lambda writes: None
        self.is_held: Callable[[str, int], bool] = lambda table, segment: False
        self.drop: Callable[[str, list[str]], None] = lambda table, keys: None

    def keep(self, batch: Batch) -> None:
        """A batch of another node has been applied."""
        context = self._context
        if not self._on:
            self.on_hold(batch.writes)
            return
        foreign = [w for w in batch.writes if not context.owns(w.table, segment_of(w.key))]
        if not foreign:
            return
        if batch.ring != context.fingerprint():  # its origin knows others, and waits for those
            self.on_hold(foreign)
            return
        kept = _Kept(batch.number, context.clock.monotonic(), foreign)
        self._kept.setdefault(batch.origin, deque()).append(kept)
        self._places.update((write.table, write.key) for write in foreign)

    def everywhere(self, message: Everywhere) -> None:
        """All members have the batches of an origin up to a number."""
        kept = self._kept.get(message.origin)
        if message.ring != self._context.fingerprint():
            return
        while kept and kept[0].number <= message.number:
            self._drops(message.origin, kept[0].number)
            for place in self._take(kept):
                self._done[place] = True

    def _take(self, kept: deque[_Kept]) -> list[tuple[str, str]]:
        """The keys that no other kept batch wrote."""
        found = []
        for write in kept.popleft().writes:
            place = write.table, write.key
            self._places[place] -= 1
            if self._places[place] <= 0:
                del self._places[place]
                found.append(place)
        return found

    def drops_own(self, number: int) -> None:
        """Something of own batches up to that one is about to be dropped."""
        self._drops(self._store.origin, number)
        self._remember()

    def _drops(self, origin: str, number: int) -> None:
        if self._on and number > self.released.get(origin, 0):
            self.released[origin] = number
            self._news = True

    def claims(self, seen: Vector) -> None:
        """Batches are about to count as seen that have not come: of them nothing is kept."""
        for origin, number in seen.items():
            if number > self._seen.get(origin):
                self._drops(origin, number)
        self._remember()

    def drops_any(self) -> None:
        """Something is about to be dropped, of whatever batch."""
        for origin, number in self._seen.vector().items():
            self._drops(origin, number)
        self._remember()

    def _remember(self) -> None:
        if self._news:
            self._news = False
            self._store.record({(STATE, RELEASED): _encode(self.released).decode()})

    def step(self) -> None:
        """Drops what may go. To be repeated."""
        before = self._context.clock.monotonic() - MOST_MS
        for kept in self._kept.values():
            while kept and kept[0].at < before:
                self.on_hold(kept[0].writes)
                self._take(kept)
        self._remember()
        keys: dict[str, list[str]] = {}
        while self._done and sum(map(len, keys.values())) < DROPPED_AT_ONCE:
            table, key = next(iter(self._done))
            del self._done[table, key]
            segment = segment_of(key)
            kept_again = (table, key) in self._places or self.is_held(table, segment)
            if not kept_again and not self._context.owns(table, segment):
                keys.setdefault(table, []).append(key)
        for table, found in keys.items():
            self.drop(table, found)

    def places(self) -> Iterator[tuple[str, int]]:
        """The tables and segments of which something is kept."""
        for table, key in (*self._places, *self._done):
            yield table, segment_of(key)

    def ring_changed(self) -> None:
        """All that is here and belongs elsewhere is shown to its owners."""
        self._kept.clear()
        self._places.clear()
        self._done.clear()

    def earliest(self) -> Stamp | None:
        """The earliest stamp of what is kept; None: nothing is."""
        firsts = [kept[0].writes for kept in self._kept.values() if kept]
        return min((Stamp(*w.version.stamp) for found in firsts for w in found), default=None)
