"""Batches on their way: to each peer one stream, acknowledged when durable (decision 012, 6).

The sender keeps a window of batches in flight and goes on from where the receiver says. Each batch
names the one that was sent before it, so the receiver notices what is missing, and a batch that
arrives twice or early does no harm.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from .context import Context, Timer
from .journal import Journal
from .messages import Batch, Everywhere, Received, Stream
from .rows import Rows


class Outgoing:
    """The stream to one peer. `pending` are the batches that it has not acknowledged, of which the
    first `flying` have been sent."""

    __slots__ = (
        "acked",
        "acked_at",
        "flying",
        "heard",
        "lost",
        "open",
        "peer",
        "pending",
        "rewound",
        "timer",
    )

    def __init__(self, peer: str) -> None:
        self.peer = peer
        self.pending: deque[int] = deque()
        self.flying = 0
        self.acked = 0
        self.acked_at = 0
        self.heard = False
        self.open = False
        self.lost = False
        self.rewound = -1
        self.timer: Timer | None = None


class Outbox:
    """Sends the journal to everyone who is to have it."""

    def __init__(self, context: Context, journal: Journal, store: Rows) -> None:
        self._context = context
        self._journal = journal
        self._store = store
        self.streams: dict[str, Outgoing] = {}
        self._waiting: dict[int, set[str]] = {}
        self._ready: dict[str, bool] = {}
        self._shifted = 0
        self._telling = False
        self._told = 0
        self.on_acknowledged: Callable[[Batch], None] = lambda batch: None
        """A batch is durable on all who are to have it, each of its keys on all owners of it."""
        self.on_gap: Callable[[str], None] = lambda peer: None
        """A peer lacks batches that the journal no longer has."""

    # --- what is to be sent ----------------------------------------------------------------------

    def ring_changed(self) -> None:
        """Members have come or gone, so the batches in the journal may be for others."""
        others = self._context.others()
        self._shifted = self._journal.last  # may have been sent with the keys of former owners
        for peer in [peer for peer in self.streams if peer not in others]:
            self._cancel(self.streams.pop(peer))
        for peer in others:
            if peer not in self.streams:
                self.streams[peer] = Outgoing(peer)
                if peer in self._context.linked:
                    self.connected(peer)
        self._waiting = {}
        for stream in self.streams.values():
            stream.pending.clear()
        for number in self._journal.between(0):
            self._add(number)
        for stream in self.streams.values():
            stream.flying = 0
            self._ready[stream.peer] = True

    def stored(self, number: int) -> None:
        """A batch of our own is durable: it may leave."""
        self._journal.stored(number)
        if number in self._journal.batches:
            self._add(number)

    def _add(self, number: int) -> None:
        batch = self._journal.batches[number]
        waiting = set()
        for peer in self._targets(batch):
            stream = self.streams.get(peer)
            if stream is not None and number > stream.acked:
                stream.pending.append(number)
                waiting.add(peer)
                self._ready[peer] = True
        if waiting:
            self._waiting[number] = waiting
        else:
            self._done(number)

    def _targets(self, batch: Batch) -> list[str]:
        if self._context.causal:
            return self._context.others()
        return self._context.targets(batch.writes)

    def _done(self, number: int) -> None:
        batch = self._journal.batches.get(number)
        if batch is None:  # the journal was full: not all have it
            return
        self._journal.drop(number)
        if number > self._shifted:
            self.on_acknowledged(batch)

    def lag(self, peer: str) -> int:
        """How long the oldest batch has been waiting that a peer has not acknowledged, in ms."""
        stream = self.streams.get(peer)
        number = next(iter(stream.pending), None) if stream is not None else None
        batch = None if number is None else self._journal.batches.get(number)
        if batch is None or not batch.writes:
            return 0
        return max(0, self._context.clock.wall() - batch.writes[0].version.stamp[0])

    def _tell_later(self) -> None:
        """Causal: others keep what is not theirs until all have it."""
        if not self._telling and self._context.causal and self._context.sharded:
            self._telling = True
            self._context.later(self._context.config.resend_ms, self._tell)

    def _tell(self) -> None:
        self._telling = False
        number = min((stream.acked for stream in self.streams.values()), default=0)
        if number > self._told:
            self._told = number
            message = Everywhere(self._store.origin, number, self._context.fingerprint())
            for peer in self._context.others():
                self._context.send(peer, message)

    # --- links -----------------------------------------------------------------------------------

    def connected(self, peer: str) -> None:
        """Offers the stream; the peer says from where it wants it."""
        stream = self.streams.get(peer)
        if stream is None:
            return
        stream.open = False
        stream.flying = 0
        stream.rewound = -1
        self._offer(stream)

    def disconnected(self, peer: str) -> None:
        stream = self.streams.get(peer)
        if stream is not None:
            stream.open = False
            self._cancel(stream)

    def _offer(self, stream: Outgoing) -> None:
        journal = self._journal
        first = journal.first if self._context.causal else journal.lost + 1
        offer = Stream(self._store.origin, first, journal.durable)
        self._context.send(stream.peer, offer)
        self._arm(stream)

    def _cancel(self, stream: Outgoing) -> None:
        if stream.timer is not None:
            stream.timer.cancel()
            stream.timer = None

    def _arm(self, stream: Outgoing) -> None:
        if stream.timer is None and stream.peer in self._context.linked:
            acked = stream.acked

            def check() -> None:
                stream.timer = None
                if not stream.open:
                    self._offer(stream)
                elif stream.flying:
                    if stream.acked == acked:  # nothing new for so long: the oldest may be lost
                        self._send(stream, 0)
                    self._arm(stream)

            stream.timer = self._context.later(self._context.config.resend_ms, check)

    # --- sending ---------------------------------------------------------------------------------

    def flush(self) -> None:
        """Fills the windows of the streams that have something new to send."""
        if self._ready:
            for peer in list(self._ready):
                stream = self.streams.get(peer)
                if stream is not None and stream.open:
                    self._fill(stream)
            self._ready.clear()

    def _fill(self, stream: Outgoing) -> None:
        pending = stream.pending
        while pending and pending[0] not in self._journal.batches:  # the journal was full
            pending.popleft()
            stream.flying = max(0, stream.flying - 1)
            stream.lost = True
        if stream.lost:
            stream.lost = False
            self.on_gap(stream.peer)
            if self._context.causal:
                self.connected(stream.peer)
                return
        window = min(self._context.config.window, len(pending))
        while stream.flying < window:
            self._send(stream, stream.flying)
            stream.flying += 1
        if stream.flying:
            self._arm(stream)

    def _send(self, stream: Outgoing, position: int) -> None:
        number = stream.pending[position]
        batch = self._journal.batches[number]
        origin, depends, writes = batch.origin, batch.depends, batch.writes
        if self._context.causal:
            ring = self._context.fingerprint()
            self._context.send(
                stream.peer, Batch(origin, number, number - 1, depends, writes, ring)
            )
            return
        before = stream.pending[position - 1] if position else stream.acked
        writes = self._context.relevant(stream.peer, writes)
        if writes is not batch.writes or before != batch.before:
            batch = Batch(origin, number, before, depends, writes)
        self._context.send(stream.peer, batch)

    # --- acknowledgements ------------------------------------------------------------------------

    def received(self, peer: str, message: Received) -> None:
        """The peer has all batches up to a number, or asks to go on from there."""
        stream = self.streams.get(peer)
        if stream is None or message.origin != self._store.origin:
            return
        stream.heard = True
        if message.again and not stream.open:
            self._begin(stream, message.number)
        elif message.number > stream.acked:
            self._acknowledge(stream, message.number)
        if message.again and stream.open and stream.flying and stream.rewound != message.number:
            stream.rewound = message.number  # once: each batch in flight brings the same complaint
            stream.flying = 0
        self._ready[peer] = True

    def _begin(self, stream: Outgoing, number: int) -> None:
        journal = self._journal
        first = journal.first if self._context.causal else journal.lost + 1
        if number + 1 < first:
            self.on_gap(stream.peer)
            if self._context.causal:
                return  # it catches up by other means, and then asks again
        self._cancel(stream)
        stream.open = True
        stream.acked = number
        stream.flying = 0
        for later in stream.pending:
            self._forget(later, stream.peer, number)
        stream.pending.clear()
        for later in journal.between(number):
            batch = journal.batches[later]
            if stream.peer in self._targets(batch):
                stream.pending.append(later)
                self._waiting.setdefault(later, set()).add(stream.peer)

    def _acknowledge(self, stream: Outgoing, number: int) -> None:
        stream.acked = number
        stream.rewound = -1
        self._tell_later()
        pending = stream.pending
        while pending and pending[0] <= number:
            done = pending.popleft()
            stream.flying = max(0, stream.flying - 1)
            self._forget(done, stream.peer, number)

    def _forget(self, number: int, peer: str, acked: int) -> None:
        waiting = self._waiting.get(number)
        if number <= acked and waiting is not None:
            waiting.discard(peer)
            if not waiting:
                del self._waiting[number]
                self._done(number)
