"""The questions of one node to others: about a key, or about all entries of a table.

A key is asked of all its owners, and the newest state wins; whoever was stale is told. The entries
of a table are asked of one owner per segment; when one fails, another takes its segments over.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, NamedTuple

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
    Values,
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

KEYS, VALUES, LEN = "keys", "values", "len"
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


class Plan(NamedTuple):
    """How to get at all segments of a table."""

    local: list[int]
    asked: dict[str, list[int]]
    orphans: list[int]
    """Nobody with a link has them."""


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


class Part:
    """Some segments of a table, asked of one owner."""

    def __init__(self, many: Many, peer: str, segments: list[int]) -> None:
        self._many = many
        self.peer = peer
        self.segments = segments
        self.request = 0
        self._writes: list[Write] = []
        self._count = 0
        self._timer: Timer | None = None

    def ask(self, cursor: str = "") -> None:
        many = self._many
        context = many.context
        self._close()
        self.request = many.reads.number()
        many.reads.open[self.request] = self
        listed = [s for s in self.segments if s != WHOLE]
        after = many.reads.causality.vector()
        context.send(self.peer, Values(self.request, many.table, listed, many.what, after, cursor))
        delay = max(1, context.config.read_timeout_ms // 2)
        self._timer = context.later(delay, lambda: self.lost(self.peer))

    def _close(self) -> None:
        self._many.reads.open.pop(self.request, None)
        if self._timer is not None:
            self._timer.cancel()

    def answered(self, peer: str, message: GetReply | ValuesReply) -> None:
        if not isinstance(message, ValuesReply) or peer != self.peer:
            return
        if message.refused:
            self.lost(peer)
            return
        self._writes.extend(message.writes)
        self._count += message.count
        for origin, number in message.seen.items():
            self._many.seen[origin] = max(number, self._many.seen.get(origin, 0))
        if message.lacking:  # the numbers of a page are of no use when a segment is missing
            self._close()
            self._many.partly(self, self._writes, message.lacking)
        elif message.cursor:
            self.ask(message.cursor)
        else:
            self._close()
            self._many.through(self, self._writes, self._count)

    def lost(self, peer: str) -> None:
        if peer == self.peer:
            self._close()
            self._many.failed(self)

    def give_up(self) -> None:
        self._close()


class Many:
    """All entries of a table: `keys`, `values` or `len`."""

    def __init__(
        self,
        reads: Reads,
        table: str,
        what: str,
        answer: Callable[[list[Write] | int | SomaError], None],
    ) -> None:
        self.reads = reads
        self.context = reads.context
        self.table = table
        self.seen: VectorWire = {}
        self._answer = answer
        self._copies = self.context.replica.copies(table)
        own = any(held == table for held, _ in reads.handover.foreign)
        self._counting = what == LEN
        # What lies here for others may be news to them: then numbers alone do not do.
        self.what = KEYS if self._counting and (own or self._copies is None) else what
        self._found: dict[str, Write] = {}
        self._count = 0
        self._parts: dict[int, Part] = {}
        self._tried: dict[int, list[str]] = {}
        self._failed: dict[str, bool] = {}
        self._asked_of: dict[str, bool] = {}
        self._timer: Timer | None = None
        self._over = False

    def begin(self) -> None:
        self._timer = self.context.later(self.context.config.read_timeout_ms, self._timeout)
        if self._copies is None:
            self._ask([WHOLE])
        else:
            self._carry_out(self.reads.plan(self.table, self._copies))
        self.context.wake()

    def _ask(self, segments: list[int]) -> None:
        """Chooses other owners for segments that one has failed to give."""
        asked: dict[str, list[int]] = {}
        local: list[int] = []
        orphans: list[int] = []
        for segment in segments:
            if self.reads.serves(self.table, 0 if segment == WHOLE else segment):
                local.append(segment)
                continue
            peer = self._choice(segment)
            if peer is None:
                orphans.append(segment)
            else:
                asked.setdefault(peer, []).append(segment)
        self._carry_out(Plan(local, asked, orphans))

    def _carry_out(self, plan: Plan) -> None:
        if plan.orphans:
            self._fail(plan.orphans)
            return
        self._take_local(plan.local)
        for peer, group in plan.asked.items():
            part = Part(self, peer, group)
            self._parts[id(part)] = part
            self._asked_of[peer] = True
            part.ask()
        self._check()

    def _choice(self, segment: int) -> str | None:
        context, tried = self.context, self._tried.get(segment, ())
        place = 0 if segment == WHOLE else segment
        for owners in (context.ready_owners, context.owners):
            for owner in owners(self.table, place):
                if owner in context.linked and owner not in tried and owner != context.me:
                    return owner
        return None

    def _give_up_on(self, peer: str, segments: list[int]) -> None:
        for segment in segments:
            self._tried.setdefault(segment, []).append(peer)

    def _take_local(self, segments: list[int]) -> None:
        replica = self.context.replica
        if segments == [WHOLE]:
            segments = replica.segments(self.table)
        held = replica.digests(self.table)
        wanted = frozenset(segments)
        for segment in sorted(held):
            if segment in wanted:
                if self.what == LEN:
                    self._count += replica.count(self.table, segment)
                else:
                    self._add(self.reads.local(self.table, segment, self.what))

    def _add(self, writes: list[Write]) -> None:
        for write in writes:
            known = self._found.get(write.key)
            if known is None or lacks(known.version, write.version):
                self._found[write.key] = write

    # --- parts -----------------------------------------------------------------------------------

    def through(self, part: Part, writes: list[Write], count: int) -> None:
        """A part is complete."""
        del self._parts[id(part)]
        self._add(writes)
        self._count += count
        self._check()

    def partly(self, part: Part, writes: list[Write], lacking: list[int]) -> None:
        """An owner lacks some segments: its part is asked again without them."""
        del self._parts[id(part)]
        absent = frozenset(lacking)
        rest = [s for s in part.segments if s not in absent]
        if rest and len(rest) < len(part.segments):
            again = Part(self, part.peer, rest)
            self._parts[id(again)] = again
            again.ask()
        missing = [s for s in part.segments if s in absent or s == WHOLE]
        self._give_up_on(part.peer, missing)
        self._ask(missing)

    def failed(self, part: Part) -> None:
        """An owner does not answer: others take over."""
        del self._parts[id(part)]
        self._failed[part.peer] = True
        self._give_up_on(part.peer, part.segments)
        self._ask(part.segments)

    def _check(self) -> None:
        if self._parts or self._over:
            return
        self._close()
        self._overlay()
        self.reads.causality.wait(self.seen, self._caught_up)

    def _caught_up(self, ok: bool) -> None:
        if not ok:
            self._answer(unavailable(sorted(self._asked_of), self.table, []))
        elif self._counting:
            whole = self.what == LEN
            self._answer(self._count if whole else len(self._shown()))
        else:
            self._answer(self._shown())

    def _shown(self) -> list[Write]:
        return [write for write in self._found.values() if write.kind is not None]

    def _overlay(self) -> None:
        """What lies here for others, or was written here while joining, may be newer."""
        replica, table = self.context.replica, self.table
        if self.what == LEN:
            return
        segments = [segment for held, segment in self.reads.handover.foreign if held == table]
        if self._copies is None and not self.reads.serves(table, 0):
            segments = replica.segments(table)
        for segment in segments:
            keys = [key for key in replica.keys_of(table, segment) if key[:2] != "__"]
            for write in replica.writes_of(table, keys):
                known = self._found.get(write.key)
                self._found[write.key] = newest(known, write) or write

    # --- ends ------------------------------------------------------------------------------------

    def _timeout(self) -> None:
        segments = [s for part in self._parts.values() for s in part.segments]
        self._failed.update({part.peer: True for part in self._parts.values()})
        self._fail(segments)

    def _fail(self, segments: list[int]) -> None:
        nodes = dict(self._failed)
        for segment in segments:
            place = 0 if segment == WHOLE else segment
            owners = self.context.owners(self.table, place)
            silent = [n for n in owners if n not in self.context.linked and n != self.context.me]
            nodes.update(dict.fromkeys(silent, True))
        if not self._over:
            self._close()
            self._answer(unavailable(nodes, self.table, segments))

    def _close(self) -> None:
        self._over = True
        if self._timer is not None:
            self._timer.cancel()
        for part in list(self._parts.values()):
            part.give_up()
        self._parts.clear()
