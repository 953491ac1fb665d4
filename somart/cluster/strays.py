"""What a node that was out of the ring still has of what others hold now (decision 012, 29).

It may be all that is left: those who held a segment may have been taken out or wiped one after the
other. So an owner is asked, as for the segments that the node holds again itself: what the owner
does not have and nobody can have deleted counts, and is handed over.
"""

from __future__ import annotations

from collections.abc import Callable

from .antientropy import Comparison, Confirmed
from .aside import Aside
from .context import Context
from .messages import VectorWire, Write


class Strays:
    """The segments that lie aside and belong to others, with the owners who do not have them."""

    def __init__(
        self,
        context: Context,
        aside: Aside,
        begin: Callable[[str], Comparison | None],
        take: Callable[[list[Write], VectorWire], bool],
        collected: Callable[[str, int], int],
    ) -> None:
        self._context = context
        self._aside = aside
        self._begin = begin
        self._take = take
        self._collected = collected
        self._open: dict[str, dict[int, set[str]]] = {}

    def begin(self) -> None:
        """This node has all that it is to hold: what lies aside in its own segments is out of date,
        the rest is asked for."""
        context, aside = self._context, self._aside
        self._open = {}
        for table in context.replica.tables:
            sharded = context.replica.copies(table) is not None
            for segment in sorted(aside.segments(table)):
                if sharded and not context.owns(table, segment):
                    self._open.setdefault(table, {})[segment] = set()
                else:
                    aside.discard(table, segment)
        note = aside.told()
        if note:
            context.note(note)

    def step(self) -> None:
        """Asks whoever can be asked now. To be repeated."""
        for table, segments in list(self._open.items()):
            asked: dict[str, list[int]] = {}
            for segment, without in list(segments.items()):
                owners = self._owners(table, segment)
                if owners <= without:
                    self._conclude(table, segment, self._collected(table, segment))
                    continue
                peers = sorted(peer for peer in owners - without if peer in self._context.linked)
                if peers:
                    asked.setdefault(peers[0], []).append(segment)
            for peer, wanted in asked.items():
                self._ask(peer, table, wanted)

    def _owners(self, table: str, segment: int) -> set[str]:
        context = self._context
        owners = {*context.owners(table, segment), *context.ready_owners(table, segment)}
        return owners - {context.me}

    def _ask(self, peer: str, table: str, segments: list[int]) -> None:
        comparison = self._begin(peer)
        if comparison is None:
            return

        def through(name: str, page: Confirmed, lacking: list[int]) -> None:
            absent = frozenset(lacking)
            open_ones = self._open.get(name, {})
            for segment in page:
                if segment in absent and segment in open_ones:
                    open_ones[segment].add(peer)
                else:
                    open_ones.pop(segment, None)
                    self._aside.discard(name, segment)

        comparison.on_segments = through
        comparison.compare_segments(table, segments)

    def _conclude(self, table: str, segment: int, collected: int) -> None:
        """No owner has a segment: what is here is all that is left."""
        del self._open[table][segment]
        writes = list(self._aside.surviving(table, segment, collected))
        if writes:
            self._take(writes, self._aside.seen)
        self._aside.discard(table, segment)
