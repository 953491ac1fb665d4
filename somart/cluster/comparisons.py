"""The comparisons that a node has under way with others, and what it accepts of what they bring."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from .antientropy import Comparison
from .aside import Aside
from .causal import Causality
from .context import Context
from .messages import VectorWire, Write
from .rows import Rows


class Comparisons:
    """At most one with each peer. `on_merging` hears of entries before they are merged, `on_merged`
    afterwards, `on_lost` that what was fetched could not be stored."""

    def __init__(
        self,
        context: Context,
        store: Rows,
        causality: Causality,
        aside: Aside,
        number: Callable[[], int],
    ) -> None:
        self._context = context
        self._store = store
        self._causality = causality
        self._aside = aside
        self._number = number
        self.open: dict[str, Comparison] = {}
        self.on_merging: Callable[[list[Write]], None] = lambda writes: None
        self.on_merged: Callable[[list[Write]], None] = lambda writes: None
        self.on_lost: Callable[[], None] = lambda: None
        self.inherit: Callable[[str, list[tuple[int, int]]], None] = lambda *_: None
        """Hears of deletions that those have forgotten of whom this node fetches."""

    def begin(
        self, peer: str, push: bool, pull: bool, aside: Aside | None = None
    ) -> Comparison | None:
        """A comparison with a peer, unless there is one under way."""
        if peer in self.open or peer not in self._context.linked:
            return None
        comparison = Comparison(
            self._context, peer, self._number, push=push, pull=pull, aside=aside
        )
        comparison.vector = self._causality.vector
        comparison.accept = self._accept

        def close() -> None:
            del self.open[peer]

        comparison.on_close = close
        self.open[peer] = comparison
        return comparison

    def fetch(self, peer: str, push: bool, pull: bool) -> Comparison | None:
        """The same for what this node does not serve yet: it takes all that comes."""
        push = push and not self._context.causal
        comparison = self.begin(peer, push, pull, self._aside)
        if comparison is not None:
            comparison.accept = self.take
            comparison.inherit = self.inherit
        return comparison

    def ask_for_strays(self, peer: str) -> Comparison | None:
        """The same to find out what of that which lies aside is nowhere else."""
        comparison = self.begin(peer, False, False, self._aside)
        if comparison is not None:
            comparison.accept = self.take
            comparison.strays = True
        return comparison

    def _accept(self, writes: list[Write], seen: VectorWire) -> bool:
        """Merges entries that came outside of batches, unless they could show effects without
        causes."""
        return self._causality.covers(seen) and self._merge(writes) is not None

    def take(self, writes: list[Write], seen: VectorWire) -> bool:
        """Merges entries that nobody is shown before the vector has caught up with them."""
        self._causality.shows(seen)
        ticket = self._merge(writes)
        if ticket is not None:
            self._store.on_durable(ticket, self._stored)
        return ticket is not None

    def _stored(self, ok: bool) -> None:
        if not ok:  # memory has gone back to what is stored
            self.on_lost()

    def _merge(self, writes: list[Write]) -> int | None:
        """Gives the ticket; None when the entries are refused."""
        self.on_merging(writes)
        merged = self._context.replica.merge(self._context.news(writes))
        if merged.refused:
            self._context.note(f"cluster: {merged.refused}")
            return None
        self.on_merged(writes)
        return merged.ticket

    def pushed(
        self, writes: list[Write], seen: VectorWire, durable: Callable[[bool], None]
    ) -> None:
        """A peer shows entries: merged once all that it has seen is here, if that is soon."""
        self._causality.wait(seen, partial(self._merge_pushed, writes, durable))

    def _merge_pushed(
        self, writes: list[Write], durable: Callable[[bool], None], seen: bool
    ) -> None:
        ticket = self._merge(writes) if seen else None
        if ticket is not None:
            self._store.on_durable(ticket, durable)
