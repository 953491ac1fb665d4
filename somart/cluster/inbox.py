"""Batches that have come: applied in their order, under causal after what they depend on.

What is early waits, at most a window per origin; what was there before is acknowledged again. An
acknowledgement leaves when the batch, and with it the origin's entry of the vector, is durable.
"""

from __future__ import annotations

from collections.abc import Callable

from ..merge import deliverable
from .context import Context
from .messages import Batch, Received, Stream
from .origins import RECEIVED, Seen, member_of, received
from .rows import Rows


class Inbox:
    """The receiving ends of all streams."""

    def __init__(self, context: Context, store: Rows, seen: Seen) -> None:
        self._context = context
        self._store = store
        self._seen = seen
        self._early: dict[str, dict[int, Batch]] = {}
        self._durable: dict[str, int] = received(store)
        self._acknowledge: dict[str, bool] = {}
        self._refused = ""
        self.current: dict[str, str] = {}
        """The origin of each member, as far as it has said: earlier ones are gone for good."""
        self.offered: dict[str, int] = {}
        """The last batch of each origin, as far as it has said."""
        self.on_applied: Callable[[Batch], None] = lambda batch: None
        self.on_behind: Callable[[], None] = lambda: None
        """A peer can no longer give all that is missing here (causal)."""

    # --- links -----------------------------------------------------------------------------------

    def offer(self, peer: str, message: Stream) -> None:
        """A peer says which batches it has: it learns which are still wanted."""
        if member_of(message.origin) != peer:
            return
        self.current[peer] = message.origin
        self.offered[message.origin] = max(message.last, self.offered.get(message.origin, 0))
        have = self._seen.get(message.origin)
        if self._context.causal and have + 1 < message.first:
            self.on_behind()
        self.ask(message.origin)

    def ask(self, origin: str) -> None:
        """Says up to where an origin's batches are here, for it to go on from there."""
        have = self._durable.get(origin, 0)
        self._context.send(member_of(origin), Received(origin, have, True))

    def gone(self, origin: str) -> bool:
        """Whether nobody will ever send batches of that origin again."""
        member = member_of(origin)
        if member == self._context.me:
            return origin != self._store.origin
        if member not in self._context.ring.ids:
            return True
        return self.current.get(member, origin) != origin

    # --- batches ---------------------------------------------------------------------------------

    def batch(self, peer: str, batch: Batch) -> None:
        """One has come, from its origin."""
        origin, number = batch.origin, batch.number
        if member_of(origin) != peer or origin == self._store.origin:
            return
        self.offered[origin] = max(number, self.offered.get(origin, 0))
        if number <= self._seen.get(origin):
            self._acknowledge[origin] = True
            return
        early = self._early.setdefault(origin, {})
        if number in early or len(early) < 2 * self._context.config.window:
            early[number] = batch
        self._deliver(origin)
        if number in early and batch.before > max(
            self._seen.get(origin), *early.keys() - {number}, 0
        ):
            self.ask(origin)

    def _deliver(self, origin: str) -> None:
        """Applies what has become applicable, of that origin and of those who waited for it."""
        origins = [origin]
        while origins:
            if self._deliver_from(origins.pop()) and self._context.causal:
                origins = [name for name, early in self._early.items() if early]

    def deliver_all(self) -> None:
        """The vector has grown by other means than batches."""
        for origin in list(self._early):
            self._deliver(origin)

    def _deliver_from(self, origin: str) -> bool:
        early = self._early.get(origin)
        delivered = False
        while early:
            number = min(early)
            have = self._seen.get(origin)
            if number <= have:
                del early[number]
                continue
            batch = early[number]
            if not self._applicable(batch, have):
                break
            if not self._apply(batch):
                break
            del early[number]
            delivered = True
        return delivered

    def _applicable(self, batch: Batch, have: int) -> bool:
        if not self._context.causal:
            return batch.before <= have
        needs = {**batch.depends, batch.origin: batch.number}
        have_of_needs = {origin: self._seen.get(origin) for origin in needs}
        return deliverable(have_of_needs, batch.origin, needs)

    def _apply(self, batch: Batch) -> bool:
        origin, number = batch.origin, batch.number
        rows = {(RECEIVED, origin): str(number)}
        merged = self._context.replica.merge(self._context.news(batch.writes), rows)
        if merged.refused:
            self._refuse(merged.refused)
            return False
        self._store.applied(rows)

        def durable(ok: bool) -> None:
            if ok:
                self._durable[origin] = max(number, self._durable.get(origin, 0))
                self._acknowledge[origin] = True
                self._context.wake()

        self._store.on_durable(merged.ticket, durable)
        self.on_applied(batch)
        return True

    def _refuse(self, reason: str) -> None:
        if reason.split(" are ")[0] != self._refused.split(" are ")[0]:  # not for each one
            self._context.note(f"cluster: {reason}")
        self._refused = reason

    def waiting(self) -> dict[str, Batch]:
        """Per origin the batch that others hold up."""
        return {origin: early[min(early)] for origin, early in self._early.items() if early}

    def reset(self) -> None:
        """Nothing has been received, after all."""
        self._early.clear()
        self._durable.clear()

    def raised(self) -> None:
        """The vector has grown by other means, durably."""
        for origin, number in received(self._store).items():
            self._durable[origin] = max(number, self._durable.get(origin, 0))

    def flush(self) -> None:
        """Sends the acknowledgements that are due, one per origin."""
        if self._acknowledge:
            for origin in self._acknowledge:
                message = Received(origin, self._durable.get(origin, 0))
                self._context.send(member_of(origin), message)
            self._acknowledge.clear()
