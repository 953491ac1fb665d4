"""A node's own batches, numbered and kept until all who are to have them do (decision 012, 6).

The rows of a batch travel in the very commit that it describes. A batch may be sent once that
commit is durable, not before: after a crash its number would be given to other writes, which
those who have the first would take for a repetition.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from .context import Context
from .messages import Batch, VectorWire, Write
from .replica import SystemRows
from .rows import Rows

JOURNAL = "journal"
"""System table: a row per batch, by number."""
STATE = "core"
"""System table: what the core must not forget."""

_HEAD, _LOST = "head", "lost"
_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(Batch).decode


def _row(number: int) -> str:
    return f"{number:012x}"


class Journal:
    """Batches `first` to `last`; those up to `durable` may be sent.

    `lost` is the last one that was given up, the journal being full, before all had it: what it
    held is for anti-entropy to bring.
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
        """Nobody needs a batch any more. Its row goes with the next commit; the latest row stays,
        so that no number is ever given twice."""
        if self.batches.pop(number, None) is not None:
            self._dropped.append(number)

    def clear(self) -> list[Batch]:
        """Gives all batches up, and hands them out: the node starts anew under another origin."""
        batches = list(self.batches.values())
        self.batches.clear()
        self.last = self.durable = self.lost = 0
        self._dropped.clear()
        return batches

    def between(self, after: int) -> Iterable[int]:
        """The numbers of the batches after one."""
        return [number for number in self.batches if after < number <= self.durable]
