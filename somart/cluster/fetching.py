"""Segments that this node is to hold and does not have yet (decision 012, 3 and 26).

A newcomer fetches its segments from members that have them.
"""

from __future__ import annotations

from collections.abc import Callable

from ..merge import Vector
from .antientropy import Comparison, Confirmed
from .context import Context
from .evidence import Account, Evidence, Segments

Begin = Callable[[str, bool, bool], Comparison | None]
"""A comparison with a peer (push, pull), or None when there is one under way."""


class Fetching:
    """What is still to come from others before this node can speak for its segments.

    `whole` are the tables that lie on all members, to be had from any that is ready; `parts` are
    segments of sharded tables. Under causal all is fetched from `everyone`: only what all together
    have makes a vector, and `parts` have to come from one who holds them. `on_complete` is called
    when nothing is missing any more, with what counts as seen thereby (causal).
    """

    def __init__(self, context: Context, begin: Begin) -> None:
        self._context = context
        self._begin = begin
        self.whole = False
        self.parts: dict[str, dict[int, list[str]]] = {}
        """Per table the segments, with the peers that do not have them either."""
        self.everyone: dict[str, int] | None = None
        """The members of which this node has already fetched, with the fingerprint of the members
        that they know; None: not under way."""
        self.on_complete: Callable[[Vector], None] = lambda seen: None
        self.on_begin: Callable[[Segments], None] = lambda lacking: None
        """Causal: from now on the state runs ahead of the vector, and lacks these segments."""
        self.me: Callable[[], Account] = lambda: Account({}, {})
        """Causal: what this node has seen."""
        self.shown: Callable[[], Vector] = lambda: {}
        """Causal: what the state may show."""
        self.on_nowhere: Callable[[str, int], None] = lambda table, segment: None
        """No other member can have a segment that was to come."""
        self.gone: Callable[[str], bool] = lambda origin: False
        """Whether an origin will never send anything again."""
        self._owned: dict[str, frozenset[int]] = {}
        self._held: dict[str, frozenset[int]] = {}
        """Causal: what is here, as far as the vector says."""
        self._evidence = Evidence(self.me(), {})
        self._pause = self._twice = False
        self._again: dict[str, int] = {}
        """When a member may be asked again whose answer was not the last word."""
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
        if self._context.causal:
            known = segment in self._held.get(table, ())
        else:
            parts = self.parts.get(table, ())
            known = segment in self._owned.get(table, ()) and segment not in parts
        return known and self._context.owns(table, segment)

    def served(self, table: str) -> frozenset[int]:
        """The segments of a sharded table that this node has."""
        if self.everyone is not None:
            return frozenset()
        if self._context.causal:
            return self._held.get(table, frozenset())
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
            self._gather({})
            return
        self._owned = {}
        self.parts = {}
        self._under_way = True
        self.ring_changed()

    def again(self) -> None:
        """Causal: others have what no batch will bring; what is here counts."""
        self._gather(self._held)

    def _gather(self, held: Segments, twice: bool = False) -> None:
        """Causal: fetches anew from everyone, with segments that are here already; `twice`: right
        after everyone had been asked."""
        self.whole = False
        self.everyone = {}
        self._under_way = True
        self._pause = False
        self._twice = twice
        self._again = {}
        self.assume_all()
        self._held = {t: owned & held.get(t, frozenset()) for t, owned in self._owned.items()}
        lacking = {table: owned - self._held[table] for table, owned in self._owned.items()}
        self.parts = {
            table: {segment: [] for segment in sorted(missing)}
            for table, missing in lacking.items()
            if missing
        }
        self._evidence = Evidence(self.me(), self._held)
        self.on_begin(lacking)

    def assume_all(self) -> None:
        """What lies here is all that there is: the node was not away for long, or founds."""
        for table, copies in self.sharded():
            self._owned[table] = self._context.segments_of(self._context.me, copies)
        self._held = dict(self._owned)

    def resume(self, lacking: Segments | None) -> None:
        """The node starts with its data: it has what the ring gives it, but for what was `lacking`
        when it was still fetching in its last life. What it stands in for while others join may
        have become its own in its absence, and is fetched."""
        self.assume_all()
        held: dict[str, frozenset[int]] = {}
        for table, copies in self.sharded():
            settled = self._context.ring.segments_of(self._context.me, copies)
            held[table] = self._owned[table] & settled
            if lacking is not None:
                held[table] -= lacking.get(table, frozenset())
        if self._context.causal:
            if held != self._owned or lacking is not None:
                self._gather(held)
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
        more = False
        for table, copies in self.sharded():
            owned = self._context.segments_of(self._context.me, copies)
            more = more or not owned <= self._owned.get(table, frozenset())
            self._owned[table] = owned
            held = self._held.get(table, frozenset())
            if not held <= owned:
                self._held[table] = held & owned
            parts = self.parts.get(table, {})
            for segment in [segment for segment in parts if segment not in owned]:
                del parts[segment]
        if more:
            self._gather(self._held)

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

    def _check(self, seen: Vector | None = None) -> None:
        for table in [table for table, parts in self.parts.items() if not parts]:
            del self.parts[table]
        if self.complete and self._under_way:
            self._under_way = False
            self.on_complete(seen or {})

    def _fetch_everyone(self, fetched: dict[str, int]) -> None:
        """Causal: from all members that can be reached, one of them ready. Those who know other
        members than this node are asked again: one that it has yet to hear of may have it all."""
        context = self._context
        peers = [m for m in context.others() if m in context.linked and m in context.present]
        mine = context.fingerprint()
        for peer in [peer for peer, ring in fetched.items() if ring != mine]:
            del fetched[peer]
        todo = [peer for peer in peers if peer not in fetched]
        if not todo and any(peer in context.ready_ring.ids for peer in fetched):
            for table in list(self.parts):
                self._sources(table)  # takes out what nobody can have
            if not any(self.parts.values()):
                self._conclude(fetched)
                return
        now = context.clock.monotonic()
        for peer in todo:
            if self._again.get(peer, 0) <= now:
                self._fetch_all_of(peer, fetched)

    def _conclude(self, fetched: dict[str, int]) -> None:
        """All has come that can be had now. What nobody seems to have may have gone meanwhile from
        one who had not been asked yet to one who had: everybody is asked twice. If that is less
        than this node counts as seen, it asks again later: those who hold the segments have not
        seen it yet, or are away."""
        everybody = all(peer in fetched for peer in self._context.others())
        seen = self._evidence.seen(self._owned, self.shown(), False, self.gone)
        if everybody and self._evidence.loses(seen or {}, self.shown(), self.gone):
            if not self._twice:
                self._gather(self._held, twice=True)
                self.step()
                return
            seen = self._evidence.seen(self._owned, self.shown(), True, self.gone)
        if seen is None:
            if not self._pause:
                self._pause = True
                self._context.later(self._context.config.sync_interval_ms, self._repeat)
            return
        self._held = dict(self._owned)
        self.everyone = None
        self._check(seen)

    def _repeat(self) -> None:
        if self._pause and self.everyone is not None:
            self._gather(self._held)

    def _fetch_all_of(self, peer: str, fetched: dict[str, int]) -> None:
        comparison = self._begin(peer, False, True)
        if comparison is None:
            return
        holds: dict[str, list[int]] = {}

        def end(ok: bool) -> None:
            if self.everyone is not fetched:
                return
            if comparison.first_has is not None:
                account = Account(comparison.first_has, comparison.released, ok)
                self._evidence.account(account, holds)
            context = self._context
            if ok and not comparison.undecided and comparison.ring == context.fingerprint():
                fetched[peer] = comparison.ring
                self.step()
            else:
                self._again[peer] = context.clock.monotonic() + context.config.resend_ms

        def through(name: str, page: Confirmed, lacking: list[int]) -> None:
            if self.everyone is fetched:
                absent = frozenset(lacking)
                holds.setdefault(name, []).extend(s for s in page if s not in absent)
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
            if source == "":  # nobody has it: nothing was ever there, or is left
                del self.parts[table][segment]
                self._evidence.nowhere(table, segment)
                self.on_nowhere(table, segment)
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
