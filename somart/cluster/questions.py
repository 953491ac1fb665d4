"""The question of one node to others about a key: all its owners are asked, and the newest state
wins; whoever was stale is told. Those about all entries of a table are in `listings.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from ..errors import UNAVAILABLE, SomaError
from ..memory.codec import decode, encode
from . import versions
from .context import Timer
from .digests import lacks
from .hashing import segment_of
from .messages import (
    Get,
    GetReply,
    SyncEntries,
    ValuesReply,
    VectorWire,
    VersionWire,
    Write,
)
from .replica import from_wire, to_wire

if TYPE_CHECKING:
    from .reads import Reads

WHOLE = -1
"""Stands for all segments of a table that lies on every member."""

_LISTED = 5


def unavailable(nodes: Iterable[str], table: str, segments: Iterable[int]) -> SomaError:
    """Nobody has answered for some segments; the call may be repeated."""
    slot = table.rpartition(".")[2]
    named = ", ".join(f"'{node}'" for node in sorted(nodes)) or "any node"
    some = sorted(s for s in segments if s != WHOLE)
    where = ""
    if some:
        listed = ", ".join(map(str, some[:_LISTED])) + (", …" if len(some) > _LISTED else "")
        where = f" (segment{'s' * (len(some) > 1)} {listed})"
    return SomaError(f"cluster: no answer from {named} for slot '{slot}'{where}", UNAVAILABLE)


def newest(mine: Write | None, other: Write | None) -> Write | None:
    """The state of a key that two nodes know, when they tell each other."""
    if mine is None or other is None:
        return mine or other
    known = (lacks(mine.version, other.version), lacks(other.version, mine.version))
    if known == (False, False) or known == (False, True):
        return mine
    if known == (True, False):
        return other
    merged = versions.merge(_state(mine), _state(other))
    kind, value = encode(merged.value)
    return Write(mine.table, mine.key, to_wire(merged.version), kind, value)


def _state(write: Write) -> versions.State:
    value = versions.ABSENT if write.kind is None else decode(write.kind, write.value)
    return versions.State(from_wire(write.version), value)


class One:
    """One key, asked of all its owners at once."""

    def __init__(
        self, reads: Reads, table: str, key: str, answer: Callable[[Write | SomaError | None], None]
    ) -> None:
        self._reads = reads
        self._context = reads.context
        self._table = table
        self._key = key
        self._segment = segment_of(key)
        self._answer = answer
        self._found: Write | None = None
        self._authority = reads.serves(table, self._segment)
        self._open: dict[str, bool] = {}
        self._versions: dict[str, VersionWire | None] = {}
        self._silent: dict[str, bool] = {}
        self._seen: VectorWire = {}
        self._request = 0
        self._timer: Timer | None = None

    def begin(self) -> None:
        context = self._context
        owners = dict.fromkeys(
            (
                *context.ready_owners(self._table, self._segment),
                *context.owners(self._table, self._segment),
            )
        )
        owners.pop(context.me, None)
        if context.replica.copies(self._table) is None:  # any one will do
            ready = [m for m in context.ready_ring.ids if m in owners and m in context.linked]
            self._silent.update(dict.fromkeys(owners, True))
            owners = dict.fromkeys(ready[:1])
        for owner in owners:
            if owner in context.linked:
                self._open[owner] = True
            else:
                self._silent[owner] = True
        if not self._open:
            self._finish()
            return
        self._request = self._reads.number()
        self._reads.open[self._request] = self
        after = self._reads.causality.vector()
        for owner in self._open:
            context.send(owner, Get(self._request, self._table, self._key, after))
        self._timer = context.later(context.config.read_timeout_ms, self._finish)
        context.wake()

    def answered(self, peer: str, message: GetReply | ValuesReply) -> None:
        if not isinstance(message, GetReply) or peer not in self._open:
            return
        del self._open[peer]
        self._found = newest(self._found, message.write)
        if message.refused:
            self._silent[peer] = True
        else:
            self._authority = True
            self._versions[peer] = message.write.version if message.write else None
            for origin, number in message.seen.items():
                self._seen[origin] = max(number, self._seen.get(origin, 0))
        if not self._open:
            self._finish()

    def lost(self, peer: str) -> None:
        if self._open.pop(peer, None):
            self._silent[peer] = True
            if not self._open:
                self._finish()

    def _finish(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._reads.open.pop(self._request, None)
        if not self._authority:
            nodes = [*self._silent, *self._open]
            self._answer(unavailable(nodes, self._table, [self._segment]))
            return
        # What lies here is looked at now: what was here before may have been lost by the disk.
        self._found = newest(self._context.replica.write_of(self._table, self._key), self._found)
        self._repair()
        self._reads.causality.wait(self._seen, self._caught_up)

    def _caught_up(self, ok: bool) -> None:
        """Under causal the answer counts when this node has seen as much as who gave it: else it
        could show an effect before its cause."""
        if ok:
            self._answer(self._found)
        else:
            self._answer(unavailable(self._versions, self._table, [self._segment]))

    def _repair(self) -> None:
        """Tells the owners that were stale, this node among them. Under causal that is left to
        batches: they come in an order that entries do not have."""
        found, context = self._found, self._context
        if found is None or context.causal:
            return
        if context.owns(self._table, self._segment):
            context.replica.merge(context.news([found]))
        for peer, version in self._versions.items():
            if lacks(version, found.version) and context.owned_by(peer, self._table, self._segment):
                context.send(peer, SyncEntries(0, [found], self._table, [], {}))
