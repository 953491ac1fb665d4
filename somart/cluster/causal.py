"""Causal memory: what a batch depends on, whom a vector keeps waiting, and catching up.

A node's state may contain no effect without its causes. Batches see to it by waiting for what they
depend on (`merge.deliverable`); entries that come otherwise, by anti-entropy or hand-over, are
taken when all that their sender had seen is here. While a node fetches what batches cannot bring
any more its state runs ahead of its vector; it serves no reads until the vector has caught up.
"""

from __future__ import annotations

from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable, Iterable

import msgspec

from ..errors import SomaError
from ..merge import Vector, joined
from .context import Context, Timer
from .evidence import Segments
from .inbox import Inbox
from .journal import STATE
from .messages import VectorWire
from .origins import Seen
from .rows import Rows

_text = msgspec.json.Encoder().encode
_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(VectorWire).decode
BEHIND = "behind"
"""Row of STATE: the state runs ahead of the vector (`_Behind`)."""
WAITING_MOST = 4_096
"""Requests that wait for the vector at once; more are refused."""


class _Behind(msgspec.Struct, frozen=True):
    """What the state may show, and the segments by table that were still to come: bits, in hex."""

    target: VectorWire
    lacking: dict[str, str]


_behind = msgspec.json.Decoder(_Behind).decode


def _bits(segments: Iterable[int]) -> int:
    return sum(1 << segment for segment in segments)


def _segments(bits: int) -> frozenset[int]:
    return frozenset(n for n in range(bits.bit_length()) if bits >> n & 1)


class _Wait:
    __slots__ = ("done", "timer", "vector")

    def __init__(self, vector: Vector, done: Callable[[bool], None]) -> None:
        self.vector = vector
        self.done = done
        self.timer: Timer | None = None


class Causality:
    """The vector of this node, as others and clients see it. Under eventual it is empty."""

    def __init__(self, context: Context, store: Rows, seen: Seen, inbox: Inbox) -> None:
        self._context = context
        self._store = store
        self._seen = seen
        self._inbox = inbox
        self._waits: list[_Wait] = []
        self._stated: dict[str, int] = {}
        self.target: dict[str, int] = {}
        """What the state may show though the vector does not have it yet."""
        self._lacking: Segments = {}
        self._short: dict[str, int] = {}
        self._stuck: dict[str, int] = {}
        self.on_advance: Callable[[], None] = lambda: None

    # --- this node's vector ----------------------------------------------------------------------

    def vector(self) -> VectorWire:
        """All that this node's state may show."""
        if not self._context.causal:
            return {}
        vector = self._seen.vector()
        return joined(vector, self.target) if self.target else vector

    def caught_up(self) -> bool:
        """Whether the state shows nothing that the vector does not have."""
        if self.target and self._seen.covers(self.target):
            self.target = {}
        return not self.target

    def depends(self) -> VectorWire:
        """What the next batch depends on, without what the one before it did: batches of one
        origin are delivered in their order."""
        if not self._context.causal:
            return {}
        vector = self.vector()
        vector.pop(self._store.origin, None)
        news = {o: number for o, number in vector.items() if self._stated.get(o) != number}
        self._stated = vector
        return news

    def restate(self) -> None:
        """Batches have been lost: the next one says again all that it depends on."""
        self._stated = {}

    def token(self) -> str:
        """What a client carries from node to node, to read what it has written. Empty under
        eventual."""
        if not self._context.causal:
            return ""
        return urlsafe_b64encode(_encode(self.vector())).decode().rstrip("=")

    @staticmethod
    def read_token(token: str) -> VectorWire:
        """The vector in a token. Raises SomaError for any other text."""
        try:
            return _decode(urlsafe_b64decode(token + "=" * (-len(token) % 4)))
        except (ValueError, msgspec.MsgspecError) as error:
            raise SomaError("cluster: not a token of this cluster", "ClusterError") from error

    def has(self) -> VectorWire:
        """All that this node's state contains for sure."""
        return self._seen.vector() if self._context.causal else {}

    # --- waiting ---------------------------------------------------------------------------------

    def wait(self, vector: Vector, done: Callable[[bool], None], most_ms: int = 0) -> None:
        """Calls back when all of a vector is here and may be shown: at once, or later. False when
        that takes longer than `most_ms` (0: the timeout of reads)."""
        if not vector or (self.caught_up() and self._seen.covers(vector)):
            done(True)
            return
        if len(self._waits) >= WAITING_MOST:
            done(False)
            return
        waiting = _Wait(vector, done)
        self._waits.append(waiting)
        delay = most_ms or self._context.config.read_timeout_ms
        waiting.timer = self._context.later(delay, lambda: self._give_up(waiting))

    def _give_up(self, waiting: _Wait) -> None:
        self._waits.remove(waiting)
        waiting.done(False)

    def advanced(self) -> None:
        """The vector has grown."""
        if not self._context.causal:
            return
        if self._waits and self.caught_up():
            ready = [wait for wait in self._waits if self._seen.covers(wait.vector)]
            if ready:
                self._waits = [wait for wait in self._waits if wait not in ready]
            for wait in ready:
                if wait.timer is not None:
                    wait.timer.cancel()
                wait.done(True)
        self.on_advance()

    # --- catching up -----------------------------------------------------------------------------

    def begin(self, lacking: Segments) -> None:
        """Fetching begins; a crash on the way must not let the node serve what it has by then."""
        self._lacking = lacking
        self._remember()

    def _remember(self) -> None:
        listed = {table: format(_bits(segments), "x") for table, segments in self._lacking.items()}
        self._store.record({(STATE, BEHIND): _text(_Behind(self.target, listed)).decode()})

    def resume(self) -> Segments | None:
        """What was lacking when the last life of this node ended while it was catching up; None:
        it was not. What the state may show is known again."""
        row = self._store.row(STATE, BEHIND)
        if row is None:
            return None
        behind = _behind(row)
        self.target = behind.target
        return {table: _segments(int(bits, 16)) for table, bits in behind.lacking.items()}

    def finish(self) -> None:
        """The vector has caught up with the state."""
        if self._store.row(STATE, BEHIND) is not None and self.caught_up():
            self._store.record({(STATE, BEHIND): None})

    def covers(self, seen: Vector) -> bool:
        """Whether all that is here, for sure."""
        return self._seen.covers(seen)

    def shows(self, seen: VectorWire) -> None:
        """Entries of a sender that had seen that much are about to be in the state, even if the
        rest of what it has never comes."""
        target = joined(self.target, seen)
        if self._context.causal and target != self.target:
            self.target = target
            self._remember()

    def claim(self, seen: Vector) -> int:
        """That much counts as seen here: it has been fetched. Gives the ticket, 0 if nothing
        changed."""
        rows = self._seen.raised(seen)
        ticket = self._store.record(rows) if rows else 0
        self._lacking = {}
        self._inbox.raised()
        self._inbox.deliver_all()
        self.advanced()
        return ticket

    def short(self) -> bool:
        """Whether the vector has stood still, short of what the state shows, since the last time:
        what is missing does not come by itself."""
        missing = {} if self.caught_up() else self._seen.vector()
        still = bool(missing) and missing == self._short
        self._short = missing
        return still

    def stuck(self, theirs: VectorWire) -> bool:
        """Whether a peer has seen what nobody sends to this node (causal): batches that others wait
        for, or of origins that are gone."""
        if not self._context.causal:
            return False
        waiting = {origin: batch.number for origin, batch in self._inbox.waiting().items()}
        still = bool(waiting) and waiting == self._stuck
        self._stuck = waiting
        gone = self._inbox.gone
        lost = any(gone(o) and number > self._seen.get(o) for o, number in theirs.items())
        return lost or still
