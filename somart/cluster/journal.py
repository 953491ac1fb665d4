"""A node's own batches, numbered and kept until all who are to have them do (decision 012, 6).

The rows of a batch travel in the very commit that it describes. A batch may be sent once that
commit is durable, not before: after a crash its number would be given to other writes, which
those who have the first would take for a repetition.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from ..merge import Stamp
from .context import Context
from .messages import Batch, VectorWire, Write
from .replica import SystemRows
from .rows import Rows
from .versions import Version, packed, unpacked

JOURNAL = "journal"
"""System table: a row per batch, by number."""
STATE = "core"
"""System table: what the core must not forget."""

_HEAD, _LOST, _LOST_FROM = "head", "lost", "lost_from"
LATEST = Stamp(2**62, 0, "")
_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(Batch).decode


def _row(number: int) -> str:
    return f"{number:012x}"


class Journal:
    """Batches `first` to `last`; those up to `durable` may be sent.

    `lost` is the last one that was given up, the journal being full, before all had it: what it
    held is for anti-entropy to bring. Until that is known to have happened, own writes since
    `lost_from` may lie here only.
    """

    def __init__(self, context: Context, store: Rows) -> None:
        self._context = context
        self._store = store
        self.batches: dict[int, Batch] = {}
        for key, value in sorted(store.stored(JOURNAL).items()):
            batch = _decode(value)
            if batch.origin == store.origin:
                self.batches[int(key, 16)] = batch
        state = store.stored(STATE)
        self.last = max(int(state.get(_HEAD, 0)), *self.batches, 0)
        self.lost = int(state.get(_LOST, 0))
        self.lost_from = unpacked(state[_LOST_FROM]).stamp if _LOST_FROM in state else None
        self.durable = self.last
        self._dropped: list[int] = []

    @property
    def first(self) -> int:
        """The earliest batch that is still here; `last + 1` when there is none."""
        return next(iter(self.batches), self.last + 1)

    def append(self, writes: list[Write], depends: VectorWire, keep: bool) -> SystemRows:
        """A new batch; the rows belong into its commit. `keep`: there is someone to send it to."""
        self.last += 1
        rows: dict[tuple[str, str], str | None] = {}
        if keep:
            batch = Batch(self._store.origin, self.last, self.last - 1, depends, writes)
            self.batches[self.last] = batch
            rows[JOURNAL, _row(self.last)] = _encode(batch).decode()
            self._trim(rows)
        else:
            rows[STATE, _HEAD] = str(self.last)
        for number in self._dropped:
            rows[JOURNAL, _row(number)] = None
        self._dropped.clear()
        return rows

    def _trim(self, rows: dict[tuple[str, str], str | None]) -> None:
        while len(self.batches) > self._context.config.journal_batches:
            self.lost = next(iter(self.batches))
            since = self._since(self.batches[self.lost])
            if self.lost_from is None or since < self.lost_from:
                self.lost_from = since
                rows[STATE, _LOST_FROM] = packed(Version(since))
            self.drop(self.lost)
            rows[STATE, _LOST] = str(self.lost)

    def stored(self, number: int) -> None:
        """The commit of a batch, and so of those before it, is durable."""
        self.durable = max(self.durable, number)

    def failed(self, number: int) -> None:
        """The commit of a batch could not be stored, nor those after it: their numbers are free."""
        for late in [n for n in self.batches if n >= number]:
            del self.batches[late]
        self.last = min(self.last, number - 1)

    def drop(self, number: int) -> None:
        """Nobody needs a batch any more. Its row goes with the next commit."""
        if self.batches.pop(number, None) is not None:
            self._dropped.append(number)

    def tidy(self) -> None:
        """Stores what was dropped though no commit follows: a node that comes back after it was
        taken out of the ring must not send again, as writes that nobody has, what all have had."""
        if self._dropped:
            rows: dict[tuple[str, str], str | None] = {(STATE, _HEAD): str(self.last)}
            rows.update({(JOURNAL, _row(number)): None for number in self._dropped})
            self._dropped.clear()
            self._store.store(rows)

    def _since(self, batch: Batch) -> Stamp:
        """The stamp of a batch; additions bear older ones, and are known by their origin."""
        plain = [Stamp(*w.version.stamp) for w in batch.writes if not w.version.added]
        return min((stamp for stamp in plain if stamp.node == self._origin), default=LATEST)

    def lacks(self, write: Write) -> bool:
        """Whether an entry may hold a write of this node that others do not have, and that is not
        in the journal either."""
        since = self.lost_from
        if since is None:
            return False
        version, origin = write.version, self._origin
        return any(name.startswith(origin) for name in version.added or ()) or (
            version.stamp[2] == origin and version.stamp >= since
        )

    @property
    def _origin(self) -> str:
        return self._context.replica.origin

    def recovered(self) -> None:
        """All other members have what was given up."""
        if self.lost_from is not None:
            self.lost_from = None
            self._store.record({(STATE, _LOST_FROM): None})

    def clear(self) -> list[Batch]:
        """Gives all batches up, and hands them out: the node starts anew under another origin."""
        batches = list(self.batches.values())
        self.batches.clear()
        self.last = self.durable = self.lost = 0
        self.lost_from = None
        self._dropped.clear()
        return batches

    def between(self, after: int) -> Iterable[int]:
        """The numbers of the batches after one."""
        return [number for number in self.batches if after < number <= self.durable]
