"""Segments that change hands: what this node is to hold and does not have yet, and what it holds
though it is not to (decision 012, 3).

A newcomer fetches its segments from members that have them. A holder of a segment that is no longer
its own, or of a key that it wrote itself for others to hold, shows it to all present owners, and
drops it when they have confirmed that they have as much.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import islice

from .antientropy import Comparison, Confirmed
from .context import Context
from .hashing import segment_of
from .messages import Batch, Write
from .replica import from_wire
from .rows import Rows
from .versions import Version

Begin = Callable[[str, bool, bool], Comparison | None]
"""A comparison with a peer (push, pull), or None when there is one under way."""

ByOwner = dict[str, int]
"""Owners, with the digest of what they have confirmed."""

DROPPED_AT_ONCE = 2_000
"""Keys that are dropped in one go, about: nobody is served and nothing else stored meanwhile."""
BREATH_MS = 20


class Fetching:
    """What is still to come from others before this node can speak for its segments.

    `whole` are the tables that lie on all members, to be had from any that is ready; `parts` are
    segments of sharded tables. Under causal all is fetched from `everyone`: only what all together
    have makes a vector, and `parts` have to come from one who holds them. `on_complete` is called
    when nothing is missing any more.
    """

    def __init__(self, context: Context, begin: Begin) -> None:
        self._context = context
        self._begin = begin
        self.whole = False
        self.parts: dict[str, dict[int, list[str]]] = {}
        """Per table the segments, with the peers that do not have them either."""
        self.everyone: dict[str, bool] | None = None
        """The members of which this node has already fetched; None: not under way."""
        self.on_complete: Callable[[], None] = lambda: None
        self.on_begin: Callable[[], None] = lambda: None
        """Causal: from now on the state runs ahead of the vector."""
        self._owned: dict[str, frozenset[int]] = {}
        self._busy: dict[str, bool] = {}
        self._under_way = False

    @property
    def complete(self) -> bool:
        return not self.whole and not self.parts and self.everyone is None

    def serves(self, table: str, segment: int) -> bool:
        """Whether this node has all of a segment that is its own."""
        if self.everyone is not None:
            return False
        return self.holds(table, segment)

    def holds(self, table: str, segment: int) -> bool:
        """Whether all of a segment is here and belongs here, served yet or not."""
        if self._context.replica.copies(table) is None:
            return not self.whole
        known = segment in self._owned.get(table, ()) and segment not in self.parts.get(table, ())
        return known and self._context.owns(table, segment)

    def served(self, table: str) -> frozenset[int]:
        """The segments of a sharded table that this node has."""
        if self.everyone is not None:
            return frozenset()
        owned = self._owned.get(table, frozenset())
        parts = self.parts.get(table)
        return owned - parts.keys() if parts else owned

    def whole_table(self, table: str) -> bool:
        """Whether this node has all of a table."""
        if self.everyone is not None:
            return False
        if self._context.replica.copies(table) is None:
            return not self.whole
        return table not in self.parts

    # --- what is missing -------------------------------------------------------------------------

    def sharded(self) -> list[tuple[str, int]]:
        """The sharded tables, and how many copies they have."""
        replica = self._context.replica
        return [(t, copies) for t in replica.tables if (copies := replica.copies(t)) is not None]

    def everything(self) -> None:
        """This node has nothing that counts: all its segments are to be fetched."""
        self.whole = any(
            self._context.replica.copies(t) is None for t in self._context.replica.tables
        )
        if self._context.causal:
            self._everything_but({})
            return
        self._owned = {}
        self.parts = {}
        self._under_way = True
        self.ring_changed()

    def _everything_but(self, held: dict[str, frozenset[int]]) -> None:
        """Causal: anew from everyone, with segments that are here already."""
        self.whole = False
        self.everyone = {}
        self._under_way = True
        self.assume_all()
        self.parts = {}
        for table, owned in self._owned.items():
            missing = sorted(owned - held.get(table, frozenset()))
            if missing:
                self.parts[table] = {segment: [] for segment in missing}
        self.on_begin()

    def assume_all(self) -> None:
        """What lies here is all that there is: the node was not away for long, or founds."""
        for table, copies in self.sharded():
            self._owned[table] = self._context.segments_of(self._context.me, copies)

    def resume(self) -> None:
        """The node starts with its data: it has what the ring gives it. What it stands in for while
        others join may have become its own in its absence, and is fetched."""
        self.assume_all()
        held: dict[str, frozenset[int]] = {}
        for table, copies in self.sharded():
            settled = self._context.ring.segments_of(self._context.me, copies)
            held[table] = self._owned[table] & settled
        if held == self._owned:
            return
        if self._context.causal:
            self._everything_but(held)
            return
        for table, owned in self._owned.items():
            if owned != held[table]:
                self.parts[table] = {segment: [] for segment in sorted(owned - held[table])}
                self._under_way = True

    def ring_changed(self) -> None:
        """Other segments may be its own now."""
        if self._context.causal:
            self._ring_changed_causally()
            return
        for table, copies in self.sharded():
            owned = self._context.segments_of(self._context.me, copies)
            before = self._owned.get(table, frozenset())
            if owned == before:
                continue
            self._owned[table] = owned
            parts = self.parts.setdefault(table, {})
            for segment in sorted(owned - before):
                parts.setdefault(segment, [])
                self._under_way = True
            for segment in [s for s in parts if s not in owned]:
                del parts[segment]
            if not parts:
                del self.parts[table]

    def _ring_changed_causally(self) -> None:
        held: dict[str, frozenset[int]] = {}
        more = False
        for table, copies in self.sharded():
            owned = self._context.segments_of(self._context.me, copies)
            before, parts = self._owned.get(table, frozenset()), self.parts.get(table, {})
            held[table] = (owned & before) - parts.keys()
            more = more or not owned <= before
            self._owned[table] = owned
            for segment in [segment for segment in parts if segment not in owned]:
                del parts[segment]
        if more:
            self._everything_but(held)

    # --- fetching --------------------------------------------------------------------------------

    def step(self) -> None:
        """Asks whoever can be asked now. To be repeated until complete."""
        if not self._under_way:
            return
        if self.everyone is not None:
            self._fetch_everyone(self.everyone)
            return
        if self.whole:
            self._fetch_whole()
        for table in list(self.parts):
            self._fetch_parts(table)
        self._check()

    def _check(self) -> None:
        for table in [table for table, parts in self.parts.items() if not parts]:
            del self.parts[table]
        if self.complete and self._under_way:
            self._under_way = False
            self.on_complete()

    def _fetch_everyone(self, fetched: dict[str, bool]) -> None:
        """Causal: from all members that can be reached, one of them ready."""
        context = self._context
        peers = [m for m in context.others() if m in context.linked and m in context.present]
        todo = [peer for peer in peers if peer not in fetched]
        if not todo and any(peer in context.ready_ring.ids for peer in fetched):
            for table in list(self.parts):
                self._sources(table)  # takes out what nobody can have
            if not any(self.parts.values()):
                self.everyone = None
                self._check()
        for peer in todo:
            self._fetch_all_of(peer, fetched)

    def _fetch_all_of(self, peer: str, fetched: dict[str, bool]) -> None:
        comparison = self._begin(peer, False, True)
        if comparison is None:
            return

        def end(ok: bool) -> None:
            if ok and self.everyone is fetched:
                fetched[peer] = True
                self.step()

        def through(name: str, page: Confirmed, lacking: list[int]) -> None:
            if self.everyone is fetched:
                self._came(peer, name, page, lacking)

        comparison.on_segments = through
        comparison.on_end = end
        comparison.parts = [(table, sorted(owned)) for table, owned in self._owned.items()]
        comparison.compare([t for t in self._context.replica.tables if self._is_whole(t)])

    def _is_whole(self, table: str) -> bool:
        return self._context.replica.copies(table) is None

    def _fetch_whole(self) -> None:
        context = self._context
        ready = [m for m in context.ready_ring.ids if m in context.linked and m != context.me]
        if not ready or self._busy.get(""):
            return
        comparison = self._begin(context.rng.choice(ready), True, True)
        if comparison is None:
            return
        self._busy[""] = True
        comparison.needs_serving = True

        def end(ok: bool) -> None:
            self._busy[""] = False
            if ok:
                self.whole = False
                self._check()

        comparison.on_end = end
        replica = context.replica
        comparison.compare([t for t in replica.tables if replica.copies(t) is None])

    def _fetch_parts(self, table: str) -> None:
        if not self._context.linked and self._context.others():
            return
        for peer, segments in self._sources(table).items():
            self._fetch_from(peer, table, segments)

    def _sources(self, table: str) -> dict[str, list[int]]:
        """Whom to ask for which segments; those that nobody else can have are here."""
        context = self._context
        chosen: dict[str, list[int]] = {}
        known: dict[tuple[tuple[str, ...], ...], str | None] = {}
        copies = context.replica.copies(table) or 0
        before, after = context.ready_ring.table(copies), context.ring.table(copies)
        for segment, without in list(self.parts[table].items()):
            place = before[segment], after[segment], tuple(without)
            if place not in known:  # a few for thousands of segments
                known[place] = self._source(*place)
            source = known[place]
            if source == "":
                del self.parts[table][segment]  # nobody has it: nothing was ever there, or is left
            elif source is not None:
                chosen.setdefault(source, []).append(segment)
        return chosen

    def _source(
        self, ready: tuple[str, ...], owners: tuple[str, ...], without: tuple[str, ...]
    ) -> str | None:
        """Whom to ask for a segment; empty: nobody can have it; None: not now."""
        context = self._context
        members = dict.fromkeys((*ready, *owners))
        members.pop(context.me, None)
        open_ones = [m for m in members if m not in without]
        if not open_ones:  # a newcomer that knows nobody yet has to wait
            return "" if members or context.me in context.ready_ring.ids else None
        return next((m for m in open_ones if m in context.linked), None)

    def _fetch_from(self, peer: str, table: str, segments: list[int]) -> None:
        comparison = self._begin(peer, True, True)
        if comparison is None:
            return

        def through(name: str, page: Confirmed, lacking: list[int]) -> None:
            self._came(peer, name, page, lacking)

        comparison.on_segments = through
        comparison.on_end = lambda ok: self._check()
        comparison.compare_segments(table, segments)

    def _came(self, peer: str, table: str, page: Confirmed, lacking: list[int]) -> None:
        """All that a peer has of these segments is here; of some it does not have all."""
        parts = self.parts.get(table, {})
        absent = frozenset(lacking)
        for segment in page:
            if segment not in absent:
                parts.pop(segment, None)
            elif segment in parts:
                parts[segment].append(peer)


class Handover:
    """What lies here and belongs to others."""

    def __init__(self, context: Context, store: Rows, begin: Begin) -> None:
        self._context = context
        self._store = store
        self._begin = begin
        self.foreign: dict[tuple[str, int], ByOwner] = {}
        self._due = False
        self._released: dict[str, dict[str, Version]] = {}

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
                    self._later()

    def _forget_released(self) -> int:
        """Drops some of them, and gives how many: those that have not been written again, and have
        not become this node's own in the meantime."""
        room = DROPPED_AT_ONCE
        for table, keys in list(self._released.items()):
            taken = {key: keys.pop(key) for key in list(islice(keys, room))}
            room -= len(taken)
            if not keys:
                del self._released[table]
            gone = [key for key, held in taken.items() if self._is_done(table, key, held)]
            self._forget(table, gone)
            for segment in {segment_of(key): True for key in gone}:
                if not self._context.replica.keys_of(table, segment):
                    self.foreign.pop((table, segment), None)
        return DROPPED_AT_ONCE - room

    def _is_done(self, table: str, key: str, acknowledged: Version) -> bool:
        context = self._context
        if context.owns(table, segment_of(key)):
            return False
        return context.replica.version(table, key) == acknowledged

    def _forget(self, table: str, keys: list[str]) -> None:
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
            self._forget(table, keys)
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
