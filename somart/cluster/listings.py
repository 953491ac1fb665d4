"""The questions of one node to others about all entries of a table: `keys`, `values` and `len`.

One owner of each segment is asked for its entries; when it fails, another takes its segments over.
All other owners with a link are asked for digests of what they hold: where one of these differs,
both tell all that they know, deletions too, and the later versions count, as for a single key. So
owners that agree cost a digest for each segment that has keys, and others what they differ in.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, NamedTuple

from ..errors import SomaError
from .context import Timer
from .digests import lacks
from .messages import GetReply, Values, ValuesReply, VectorWire, Write
from .questions import WHOLE, newest, unavailable

if TYPE_CHECKING:
    from .reads import Reads

KEYS, VALUES, LEN, DIGESTS = "keys", "values", "len", "digests"

Told = dict[int, tuple[int, int]]
"""By segment how many keys it shows, and the digest of all that are not deleted."""


class Plan(NamedTuple):
    """How to get at all segments of a table."""

    local: list[int]
    asked: dict[str, list[int]]
    orphans: list[int]
    """Nobody with a link has them."""
    checked: dict[str, list[int]]
    """Who else holds some of those that are here or asked of others."""


class Part:
    """Some segments of a table, asked of one owner. `needed`: without an answer there is none to
    the whole question."""

    def __init__(
        self, many: Many, peer: str, segments: list[int], what: str = "", deleted: bool = False
    ) -> None:
        self._many = many
        self.peer = peer
        self.segments = segments
        self.needed = not what
        self.request = 0
        self.writes: list[Write] = []
        self.told: Told = {}
        self.lacking: list[int] = []
        self._what = what or many.what
        self._deleted = deleted
        self._timer: Timer | None = None

    def ask(self, cursor: str = "") -> None:
        many = self._many
        context = many.context
        self._close()
        self.request = many.reads.number()
        many.reads.open[self.request] = self
        listed = [s for s in self.segments if s != WHOLE]
        after = many.reads.causality.vector()
        message = Values(self.request, many.table, listed, self._what, after, cursor, self._deleted)
        context.send(self.peer, message)
        delay = max(1, context.config.read_timeout_ms // (2 if self.needed else 4))
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
        self.writes.extend(message.writes)
        self.lacking = message.lacking
        self.told.update({segment: (count, digest) for segment, count, digest in message.digests})
        for origin, number in message.seen.items():
            self._many.seen[origin] = max(number, self._many.seen.get(origin, 0))
        if message.lacking and self.needed:
            self._close()  # the numbers of a page are of no use when a segment is missing
            self._many.partly(self)
        elif message.cursor:
            self.ask(message.cursor)
        else:
            self._close()
            self._many.through(self)

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
        self._told: Told = {}
        self._source: dict[int, str] = {}
        """Of which owner the entries of a segment are; those that are not here are from here."""
        self._checks: dict[str, tuple[list[int], Told]] = {}
        self._compared = False
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
        self._carry_out(Plan(local, asked, orphans, {}))

    def _carry_out(self, plan: Plan) -> None:
        if plan.orphans:
            self._fail(plan.orphans)
            return
        self._take_local(plan.local)
        for peer, group in plan.asked.items():
            self._asked_of[peer] = True
            self._begin(Part(self, peer, group))
        for peer, group in plan.checked.items():
            self._begin(Part(self, peer, group, DIGESTS))
        self._check()

    def _begin(self, part: Part) -> None:
        self._parts[id(part)] = part
        part.ask()

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
                self._told[segment] = self.reads.told(self.table, segment, self.what == LEN)
                if self.what != LEN:
                    self._add(self.reads.local(self.table, segment, self.what))

    def _add(self, writes: list[Write]) -> None:
        for write in writes:
            known = self._found.get(write.key)
            if known is None:
                self._found[write.key] = write
            elif lacks(known.version, write.version):  # without values there is nothing to join
                joined = newest(known, write) if self.what == VALUES else write
                self._found[write.key] = joined or write

    # --- parts -----------------------------------------------------------------------------------

    def through(self, part: Part) -> None:
        """A part is complete."""
        del self._parts[id(part)]
        if part.needed:
            self._told.update(part.told)
            self._source.update(dict.fromkeys(part.segments, part.peer))
        elif not self._compared:
            absent = frozenset(part.lacking)
            checked = [segment for segment in part.segments if segment not in absent]
            self._checks[part.peer] = checked, part.told
        self._add(part.writes)
        self._check()

    def partly(self, part: Part) -> None:
        """An owner lacks some segments: its part is asked again without them."""
        del self._parts[id(part)]
        absent = frozenset(part.lacking)
        rest = [s for s in part.segments if s not in absent]
        if rest and len(rest) < len(part.segments):
            self._begin(Part(self, part.peer, rest))
        missing = [s for s in part.segments if s in absent or s == WHOLE]
        self._give_up_on(part.peer, missing)
        self._ask(missing)

    def failed(self, part: Part) -> None:
        """An owner does not answer: others take over."""
        del self._parts[id(part)]
        if part.needed:
            self._failed[part.peer] = True
            self._give_up_on(part.peer, part.segments)
            self._ask(part.segments)
        else:
            self._check()

    # --- owners that differ ----------------------------------------------------------------------

    def _differing(self) -> dict[str, list[int]]:
        """By owner the segments of which it must tell all that it knows."""
        found: dict[str, list[int]] = {}
        both: dict[int, bool] = {}
        nothing = 0, 0
        for peer, (segments, told) in self._checks.items():
            for segment in segments:
                mine, theirs = self._told.get(segment, nothing), told.get(segment, nothing)
                if mine[1] != theirs[1] and self._source.get(segment) != peer:
                    found.setdefault(peer, []).append(segment)
                    both[segment] = True
        for segment in both:
            self._told.pop(segment, None)  # its keys are counted one by one
            source = self._source.get(segment)
            if source is not None:
                found.setdefault(source, []).append(segment)
            else:
                what = KEYS if self.what == LEN else self.what
                self._add(self.reads.local(self.table, segment, what, deleted=True))
        return found

    def _check(self) -> None:
        if self._parts or self._over:
            return
        if not self._compared:
            self._compared = True
            what = KEYS if self.what == LEN else self.what
            for peer, segments in self._differing().items():
                self._begin(Part(self, peer, segments, what, deleted=True))
            if self._parts:
                return
        self._close()
        self._overlay()
        self.reads.causality.wait(self.seen, self._caught_up)

    def _caught_up(self, ok: bool) -> None:
        if not ok:
            self._answer(unavailable(sorted(self._asked_of), self.table, []))
        elif self._counting:
            apart = len(self._shown())
            counted = sum(count for count, _ in self._told.values())
            self._answer(counted + apart if self.what == LEN else apart)
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
            self._add(self.reads.local(table, segment, self.what, deleted=True))

    # --- ends ------------------------------------------------------------------------------------

    def _timeout(self) -> None:
        needed = [part for part in self._parts.values() if part.needed]
        self._failed.update({part.peer: True for part in needed})
        if needed:
            self._fail([s for part in needed for s in part.segments])
            return
        for part in list(self._parts.values()):
            part.give_up()
        self._parts.clear()
        self._compared = True
        self._check()

    def _fail(self, segments: Iterable[int]) -> None:
        listed = list(segments)
        nodes = dict(self._failed)
        for segment in listed:
            place = 0 if segment == WHOLE else segment
            owners = self.context.owners(self.table, place)
            silent = [n for n in owners if n not in self.context.linked and n != self.context.me]
            nodes.update(dict.fromkeys(silent, True))
        if not self._over:
            self._close()
            self._answer(unavailable(nodes, self.table, listed))

    def _close(self) -> None:
        self._over = True
        if self._timer is not None:
            self._timer.cancel()
        for part in list(self._parts.values()):
            part.give_up()
        self._parts.clear()
