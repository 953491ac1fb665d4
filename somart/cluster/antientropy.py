"""Anti-entropy: two nodes find out where they differ, and exchange just that (decision 012, 7).

One side asks, step by step, and keeps what it needs for that in a `Comparison`; the other side
answers each message from what it holds, and remembers nothing. So any message may be lost or come
twice: a step is repeated, and merging is idempotent. Roots are compared first, then groups of
segments, segments, keys with versions; then entries go both ways, in pages.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable

from ..merge import joined
from .aside import Aside, outside
from .context import Context, Timer
from .digests import GROUP, Digests, differing, lacks, size_of
from .hashing import segment_of
from .messages import (
    Message,
    Settled,
    SyncDiffers,
    SyncDone,
    SyncEntries,
    SyncRequest,
    SyncSummary,
    VectorWire,
    VersionWire,
    Write,
)

TABLES, GROUPS, SEGMENTS, KEYS = range(4)
"""Levels of `SyncRequest`."""

TRIES = 4
"""How often a step is sent before the comparison is given up."""

KEYS_MOST = 2_048
"""Keys in one message."""

Confirmed = dict[int, int]
"""Segments, with the digest under which the other side is known to have all that is here."""


def page(context: Context, table: str, keys: list[str]) -> tuple[list[Write], int]:
    """As many writes of these keys as a message carries, and how many keys that settles."""
    writes: list[Write] = []
    size = 0
    for count, key in enumerate(keys):
        for write in context.replica.writes_of(table, [key]):
            size += size_of(write)
            if writes and size > context.config.page_bytes:
                return writes, count
            writes.append(write)
    return writes, len(keys)


class Comparison:
    """The asking side of one comparison with a peer.

    `push` and `pull` say which ways entries go. `accept` merges entries that came with the vector
    of the peer, or says that they must not be applied (causal). What lies `aside` counts as held,
    and is taken back where the peer has the same. `on_segments` hears of segments
    that are through, `on_end` whether all is.
    """

    def __init__(
        self,
        context: Context,
        peer: str,
        number: Callable[[], int],
        *,
        push: bool = True,
        pull: bool = True,
        aside: Aside | None = None,
    ) -> None:
        self._context = context
        self._aside = aside
        self._held = context.replica.digests if aside is None else aside.digests
        self._digests = Digests(context, self._held)
        self._number = number
        self.peer = peer
        self.push = push
        self.pull = pull
        self.strays = False
        """What lies aside and is not missing there may go."""
        self.needs_serving = False
        """Only what a peer has that has all of its own counts."""
        self.begun = context.clock.monotonic()
        self.first_has: VectorWire | None = None
        """What the peer had at its first answer."""
        self.ring = 0
        """The fingerprint of the members that the peer knows."""
        self.undecided = False
        """Whether the peer may yet turn out to have what it does not hold."""
        self.released: VectorWire = {}
        """Of batches beyond these the peer has dropped nothing so far."""
        self.received = 0
        self.sent = 0
        self.vector: Callable[[], VectorWire] = lambda: {}
        self.settled: Callable[[], Settled | None] = lambda: None
        """What this node has settled (`collecting.py`): told with the first question."""
        self.accept: Callable[[list[Write], VectorWire], bool] = self._merge
        self.on_segments: Callable[[str, Confirmed, list[int]], None] = lambda *_: None
        self.on_end: Callable[[bool], None] = lambda ok: None
        self.inherit: Callable[[str, list[tuple[int, int]]], None] = lambda *_: None
        """Hears of deletions that the peer has forgotten."""
        self.on_close: Callable[[], None] = lambda: None
        self.parts: list[tuple[str, list[int]]] = []
        """Segments of tables to compare after the tables, whoever owns them."""
        self._over = False
        self._tables: list[str] = []
        self._table = ""
        self._segments: list[int] = []
        self._page: Confirmed = {}
        self._lacking: list[int] = []
        self._to_send: list[str] = []
        self._wanted: list[str] = []
        self._carried = 0
        self._request = 0
        self._message: Message | None = None
        self._tries = 0
        self._timer: Timer | None = None

    # --- beginning and end -----------------------------------------------------------------------

    def compare(self, tables: Iterable[str]) -> None:
        """Compares all that both own of these tables."""
        roots = [(table, self._digests.root(self.peer, table)) for table in tables]
        self._ask(SyncRequest(self._next(), TABLES, roots, settled=self.settled()))

    def compare_segments(self, table: str, segments: Iterable[int]) -> None:
        """Compares these segments of one table, whoever owns them."""
        self._table = table
        self._segments = sorted(segments)
        self._next_page()

    def end(self, ok: bool) -> None:
        """It is over; nothing more is sent or heard."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._over:
            return
        self._over = True
        self._message = None
        self._request = 0
        self.on_close()
        self.on_end(ok)

    def _next(self) -> int:
        self._request = self._number()
        return self._request

    def _ask(self, message: Message) -> None:
        self._message = message
        self._tries = 0
        self._send()

    def _send(self) -> None:
        assert self._message is not None
        if self._timer is not None:
            self._timer.cancel()
        self._tries += 1
        if self._tries > TRIES or self.peer not in self._context.linked:
            self.end(False)
            return
        self._context.send(self.peer, self._message, self._lost)
        delay = self._context.config.resend_ms * 2**self._tries
        self._timer = self._context.later(delay, self._send)

    def _lost(self) -> None:
        """The disk has refused what the message tells of."""
        self.end(False)

    # --- answers ---------------------------------------------------------------------------------

    def answer(self, message: SyncDiffers | SyncSummary | SyncDone) -> None:
        """The peer's answer to the step that is under way; others are old, and ignored."""
        if message.request != self._request or self._message is None:
            return
        self.released = joined(self.released, message.released)
        if isinstance(message, SyncDiffers):
            if self.first_has is None:
                self.first_has = message.has
            self.ring = message.ring
            self._differ(message)
        elif isinstance(message, SyncSummary):
            self._summary(message)
        else:
            self._exchanged(message)

    def _differ(self, message: SyncDiffers) -> None:
        assert isinstance(self._message, SyncRequest)
        if (self.needs_serving and not message.serving) or not self._take_back_equal(message):
            self.end(False)
        elif self._message.level == TABLES:
            known = self._context.replica.placements
            self._tables = [table for table in message.tables if table in known]
            self._next_table()
        elif self._message.level == GROUPS:
            digests = self._digests.within(self.peer, self._table, message.numbers)
            self._ask(self._request_for(SEGMENTS, message.numbers, digests))
        else:
            self._segments = list(message.numbers)
            self._next_page()

    def _next_table(self) -> None:
        if not self._tables:
            if self.parts:
                self._table, self._segments = self.parts.pop()
                self._next_page()
            else:
                self.end(True)
            return
        self._table = self._tables.pop()
        digests = self._digests.groups(self.peer, self._table)
        self._ask(self._request_for(GROUPS, [], digests))

    def _request_for(self, level: int, within: list[int], digests: dict[int, int]) -> SyncRequest:
        listed = list(digests.items())
        return SyncRequest(self._next(), level, [], self._table, within, listed)

    def _next_page(self) -> None:
        held = self._held(self._table)
        if not self.pull:  # what has gone meanwhile need not be shown, and would be sent back whole
            self._segments = [s for s in self._segments if s in held]
        if not self._segments:
            self._next_table()
            return
        digests = {s: held.get(s, 0) for s in self._segments}
        stated = {s: digest for s, digest in digests.items() if digest}
        self._page = digests
        self._ask(self._request_for(KEYS, self._segments, stated))

    def _summary(self, message: SyncSummary) -> None:
        done = self._segments[: message.through]
        if not done:
            self.end(False)
            return
        if message.writes and not self._take(message.writes, message.seen):
            return
        self.inherit(message.table, message.collected)
        if not self._take_back(message):
            self.end(False)
            return
        self._segments = self._segments[message.through :]
        self._page = {s: self._page[s] for s in done}
        self._lacking = message.lacking
        undecided = frozenset(message.undecided)
        if undecided and self._aside is not None:  # who has something, too, need not wait
            undecided = undecided.difference(self._aside.segments(message.table))
        self.undecided = self.undecided or bool(undecided)
        self._page = {s: digest for s, digest in self._page.items() if s not in undecided}
        theirs = dict(message.keys)
        theirs.update((write.key, write.version) for write in message.writes)
        self._weigh(message.differing, theirs)
        self._exchange()

    def _take_back_equal(self, message: SyncDiffers) -> bool:
        """Takes back what lies aside in tables, groups or segments that are the same there."""
        aside, asked = self._aside, self._message
        if aside is None or not aside:
            return True
        assert isinstance(asked, SyncRequest)
        if asked.level == TABLES:
            equal = {table for table, _ in asked.tables}.difference(message.tables)
            found = [w for table in sorted(equal) for w in aside.equal(table, lambda _: True)]
        elif asked.level == GROUPS:
            found = list(aside.equal(asked.table, outside(message.numbers)))
        else:
            groups, numbers = frozenset(asked.within), frozenset(message.numbers)
            found = list(
                aside.equal(asked.table, lambda s: s // GROUP in groups and s not in numbers)
            )
        return self._accept_all(found, message.seen)

    def _take_back(self, message: SyncSummary) -> bool:
        """The same for segments, and for keys under the same version."""
        aside = self._aside
        if aside is None or not aside:
            return True
        theirs = dict(message.keys)
        equal = frozenset(self._segments[: message.through]).difference(message.differing)
        found = list(aside.equal(message.table, equal.__contains__))
        found += aside.matching(message.table, theirs)
        if not self.strays and not self._accept_all(found, message.seen):
            return False
        survivors: list[Write] = []
        if self._context.replica.copies(message.table) is not None:
            collected = dict(message.collected)
            for segment in frozenset(message.differing).difference(message.lacking):
                survivors += aside.surviving(message.table, segment, collected.get(segment, 0))
        return self._accept_all(survivors, joined(message.seen, aside.seen))

    def _accept_all(self, writes: list[Write], seen: VectorWire) -> bool:
        """In commits of bounded size."""
        pages = range(0, len(writes), KEYS_MOST)
        return all(self.accept(writes[first : first + KEYS_MOST], seen) for first in pages)

    def _weigh(self, segments: list[int], theirs: dict[str, VersionWire]) -> None:
        """Finds out which entries go which way."""
        replica = self._context.replica
        digests = replica.digests(self._table)
        mine: dict[str, VersionWire] = {}
        for segment in segments:
            if segment in self._page:
                self._page[segment] = digests.get(segment, 0)
                mine.update(replica.summary(self._table, segment))
        self._to_send = []
        if self.push:
            self._to_send = [key for key, v in mine.items() if lacks(theirs.get(key), v)]
        self._wanted = []
        if self.pull:
            self._wanted = [key for key, v in theirs.items() if lacks(mine.get(key), v)]

    def _exchange(self) -> None:
        if not self._to_send and not self._wanted:
            self.on_segments(self._table, self._page, self._lacking)
            if not self._over:
                self._next_page()
            return
        keys = self._to_send[:KEYS_MOST]
        writes, self._carried = page(self._context, self._table, keys)
        wanted = self._wanted[:KEYS_MOST]
        self.sent += len(writes)
        self._ask(SyncEntries(self._next(), writes, self._table, wanted, self.vector()))

    def _exchanged(self, message: SyncDone) -> None:
        assert isinstance(self._message, SyncEntries)
        if message.writes and not self._take(message.writes, message.seen):
            return
        self._to_send = self._to_send[self._carried :]
        came = {write.key for write in message.writes}
        asked = len(self._message.wanted)
        if came:
            self._wanted = [key for key in self._wanted if key not in came]
        else:
            forgotten = self._wanted[:asked]  # there, in the meantime
            self._lacking = sorted({*self._lacking, *map(segment_of, forgotten)})
            self._wanted = self._wanted[asked:]
        self._exchange()

    def _take(self, writes: list[Write], seen: VectorWire) -> bool:
        self.received += len(writes)
        if self.accept(writes, seen):
            return True
        self.end(False)
        return False

    def _merge(self, writes: list[Write], seen: VectorWire) -> bool:
        self._context.replica.merge(writes)
        return True


class Answers:
    """The answering side, for all peers."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._digests = Digests(context)
        self.vector: Callable[[], VectorWire] = lambda: {}
        self.has: Callable[[], VectorWire] = lambda: {}
        self.released: Callable[[], VectorWire] = lambda: {}
        self.aside: Callable[[str], Container[int]] = lambda table: ()
        self.settled: Callable[[], Settled | None] = lambda: None
        self.serving: Callable[[], bool] = lambda: True
        self.holds: Callable[[str, int], bool] = lambda table, segment: True
        self.collected: Callable[[str, int], int] = lambda table, segment: 0
        self.merge: Callable[[list[Write], VectorWire, Callable[[bool], None]], None] = self._merge

    def request(self, peer: str, message: SyncRequest) -> None:
        """Digests have come: says where they are others here."""
        if message.level == KEYS:
            self._context.send(peer, self._summary(message))
            return
        tables: list[str] = []
        numbers: list[int] = []
        known = self._context.replica.placements
        if message.level == TABLES:
            tables = [
                table
                for table, digest in message.tables
                if table in known and self._digests.root(peer, table) != digest
            ]
        elif message.table in known and message.level == GROUPS:
            mine = self._digests.groups(peer, message.table)
            numbers = differing(mine, dict(message.digests))
        elif message.table in known:
            mine = self._digests.within(peer, message.table, message.within)
            numbers = differing(mine, dict(message.digests))
        settled = self.settled() if message.settled is not None else None
        answer = SyncDiffers(
            message.request,
            tables,
            numbers,
            self.serving(),
            self.vector(),
            self.has(),
            settled,
            self.released(),
            self._context.fingerprint(),
        )
        self._context.send(peer, answer)

    def _summary(self, message: SyncRequest) -> SyncSummary:
        """Keys of the first segments, as many as a message carries, at least one segment."""
        replica, table = self._context.replica, message.table
        stated = dict(message.digests)
        differing: list[int] = []
        lacking: list[int] = []
        undecided: list[int] = []
        listed: list[tuple[str, VersionWire]] = []
        entries: list[Write] = []
        collected: list[tuple[int, int]] = []
        through = 0
        known = table in replica.placements
        digests = replica.digests(table) if known else {}
        room = self._context.config.page_bytes
        aside = self.aside(table)
        for segment in message.within if known else ():
            digest = digests.get(segment, 0)
            equal = digest == stated.get(segment, 0)
            keys = [] if equal else replica.summary(table, segment)
            full = room <= 0 or len(listed) + len(keys) > KEYS_MOST
            if keys and full and differing:
                break
            through += 1
            if not self.holds(table, segment):
                lacking.append(segment)
                if segment in aside:
                    undecided.append(segment)
            latest = self.collected(table, segment)
            if latest:
                collected.append((segment, latest))
            if equal:
                continue
            differing.append(segment)
            writes: list[Write] = []
            if segment not in stated:
                writes = replica.writes_of(table, [key for key, _ in keys])
            size = sum(map(size_of, writes)) if writes else 64 * len(keys)
            if writes and size <= max(room, 0):
                entries.extend(writes)
            else:
                listed.extend(keys)
                size = 64 * len(keys)
            room -= size
        seen = self.vector()
        return SyncSummary(
            message.request,
            table,
            through,
            differing,
            listed,
            entries,
            lacking,
            seen,
            collected,
            self.released(),
            undecided,
        )

    def entries(self, peer: str, message: SyncEntries) -> None:
        """Entries have come, and are asked for: answered when what came is durable."""

        def durable(ok: bool) -> None:
            if ok:
                writes, _ = page(self._context, message.table, message.wanted)
                done = SyncDone(message.request, writes, self.vector(), self.released())
                self._context.send(peer, done)
                self._context.wake()

        if message.writes:
            self.merge(message.writes, message.seen, durable)
        else:
            durable(True)

    def _merge(
        self, writes: list[Write], seen: VectorWire, durable: Callable[[bool], None]
    ) -> None:
        self._context.replica.merge(writes)
        durable(True)
