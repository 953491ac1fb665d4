"""Numbers for `next_id` that no two nodes of a cluster ever give out (decision 012, point 9).

The *frontier* of a counter are the ids that nobody has got yet, from the smallest one. The founder
of the cluster keeps it, and hands out *blocks* from it, durably before anyone uses them: a crash
skips ids and never repeats one. Each node also has a far *region* of its own, which it was given
when it joined by a member that had one; it takes from there only while the keeper of the frontier
cannot be reached. Nobody ever has to be asked in the middle of a handler: blocks come beforehand.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from ..errors import UNAVAILABLE, SomaError
from .clocks import Clock
from .config import ClusterConfig
from .messages import IdBlock, IdRequest, Message
from .outputs import Output, Send
from .replica import SystemRows

TABLE = "ids"
"""The system table with all of this."""
REGION_FIRST = 1 << 40
"""Frontiers end here, regions begin."""
LAST_ID = (1 << 53) - 1
"""The largest id: JSON readers that know only floating point can still tell it from the next."""
REGION = 1 << 40
"""How many ids a region has, while there are plenty."""
MOST_BLOCKS = 64
"""A block for a node that uses them up quickly is up to so many times as large."""
QUICK_MS = 2_000
SLOW_MS = 60_000
"""When a block lasted less than QUICK_MS the next one is twice as large, above SLOW_MS half."""
OUTSTANDING = 256
"""Requests whose answers are still taken."""

Span = tuple[int, int]
"""The first and the last of some ids."""


class Ledger(Protocol):
    """Where the state is kept: the engine."""

    def record(self, rows: SystemRows) -> int: ...

    def on_durable(self, ticket: int, told: Callable[[bool], None]) -> None: ...


@dataclass(slots=True)
class Counter:
    """One `next_id` on this node: blocks in the order in which they are used."""

    blocks: list[Span] = field(default_factory=list)
    value: int = 0
    """The last id that a commit of this node has used."""
    reserve: int = 0
    """The next id of this node's region; 0: its first."""
    frontier: int = 0
    """The next id of the frontier; 0: this node does not keep it."""
    want: int = 0
    given: int = 0
    """When the last block came, by the monotonic clock."""

    def left(self) -> int:
        """How many ids are at hand."""
        total = 0
        for first, last in self.blocks:
            used = self.value - first + 1 if first <= self.value <= last else 0
            total += last - first + 1 - used
        return total


@dataclass(slots=True)
class _Question:
    counter: str
    """Empty: for a region."""
    peer: str
    due: int


class Ids:
    """All counters of a node. Not thread safe; plain decisions."""

    def __init__(self, config: ClusterConfig, clock: Clock, ledger: Ledger) -> None:
        self._config = config
        self._clock = clock
        self._ledger = ledger
        self._counters: dict[str, Counter] = {}
        self._region: Span | None = None
        self._founder = False
        self._unsaved = False
        self._keeper = ""
        self._peers: list[str] = []
        self._questions: dict[int, _Question] = {}
        self._number = 0
        self._outputs: list[Output] = []
        self.wake: Callable[[], None] = lambda: None
        """Called when there is something to send though nobody has just asked."""

    # --- opening ---------------------------------------------------------------------------------

    def restore(
        self, rows: Mapping[str, str], used: Mapping[str, int | None], boot: int, alone: bool
    ) -> None:
        """Takes up what was stored. `used` has each counter's last id, None when the node has
        forgotten it (memory that is not durable); `alone`: the directory was used without a
        cluster since, so that blocks may have been used beyond their ends."""
        self._number = boot << 24
        self._founder = "founder" in rows
        self._keeper = rows.get("keeper", "")
        self._region = _span(rows["region"]) if "region" in rows else None
        for name, value in used.items():
            counter = self._counters[name] = Counter(want=self._config.id_block)
            counter.value = value or 0
            counter.frontier = int(rows.get(f"frontier/{name}", 0))
            counter.reserve = int(rows.get(f"reserve/{name}", 0))
            if value is not None and not alone:
                counter.blocks = [_pair(span) for span in json.loads(rows.get(_blocks(name), "[]"))]
            if alone:
                self._skip(counter)

    def _skip(self, counter: Counter) -> None:
        if counter.frontier and counter.value < REGION_FIRST:
            counter.frontier = max(counter.frontier, counter.value + 1)
        if self._region is not None and self._region[0] <= counter.value <= self._region[1]:
            counter.reserve = max(counter.reserve, counter.value + 1)

    def found(self) -> None:
        """This node is the first of a cluster: it keeps all frontiers, and all regions."""
        if self._founder or self._region is not None:
            return
        self._founder = True
        self._region = (REGION_FIRST, LAST_ID)
        rows: dict[tuple[str, str], str | None] = {
            (TABLE, "founder"): "1",
            (TABLE, "region"): json.dumps(self._region),
        }
        for name, counter in self._counters.items():
            counter.frontier = counter.value + 1
            rows[TABLE, f"frontier/{name}"] = str(counter.frontier)
        self._record(rows)

    def resign(self) -> None:
        """This node goes over to another cluster: what it had to give is worth nothing there."""
        self._founder = False
        self._region = None
        self._keeper = ""
        rows: dict[tuple[str, str], str | None] = {
            (TABLE, name): None for name in ("founder", "region", "keeper")
        }
        for name, counter in self._counters.items():
            counter.blocks.clear()
            counter.frontier = counter.reserve = 0
            rows[TABLE, f"frontier/{name}"] = rows[TABLE, f"reserve/{name}"] = None
            rows[TABLE, _blocks(name)] = None
        self._record(rows)

    # --- handlers --------------------------------------------------------------------------------

    def after(self, name: str, last: int) -> int:
        """The id that follows one, on this node; changes nothing that a failing handler would have
        to undo. Raises SomaError when the node has none yet."""
        counter = self._counters[name]
        if self._unsaved:
            self._record({})
        found = _following(counter.blocks, last, counter.value)
        if found is None:
            found = self._extend(name, counter)
        return found

    def used(self, name: str, value: int) -> None:
        """A commit has used ids up to this one."""
        counter = self._counters[name]
        counter.value = value
        for index, (first, last) in enumerate(counter.blocks):
            if first <= value <= last:
                del counter.blocks[:index]
                break
        self._look_ahead(name, counter)

    def _extend(self, name: str, counter: Counter) -> int:
        """A block at once: of the frontier where it is kept, else of the own region."""
        size = counter.want if counter.frontier else self._config.id_block
        if counter.frontier:
            first, end = counter.frontier, REGION_FIRST - 1
        elif self._region is not None:
            if not self._asking(name):
                self._ask(name)  # for what comes afterwards: ids shall stay small
            first, end = counter.reserve or self._region[0], self._region[1]
        else:
            raise SomaError(
                "next_id: this node is still joining its cluster and has no ids; try again",
                UNAVAILABLE,
            )
        last = min(first + size - 1, end)
        if last < first:
            raise SomaError("next_id: all ids have been used")
        rows: dict[tuple[str, str], str | None] = {}
        if counter.frontier:
            counter.frontier = last + 1
            rows[TABLE, f"frontier/{name}"] = str(counter.frontier)
        else:
            counter.reserve = last + 1
            rows[TABLE, f"reserve/{name}"] = str(counter.reserve)
        self._take(name, counter, (first, last), rows)
        return first

    def _take(
        self, name: str, counter: Counter, block: Span, rows: dict[tuple[str, str], str | None]
    ) -> None:
        """A block is this node's: stored before any commit that uses it, or lost with it."""
        now = self._clock.monotonic()
        lasted = now - counter.given
        most = self._config.id_block * MOST_BLOCKS
        if counter.given and lasted < QUICK_MS:
            counter.want = min(counter.want * 2, most)
        elif lasted > SLOW_MS:
            counter.want = max(counter.want // 2, self._config.id_block)
        counter.given = now
        counter.blocks.append(block)
        rows[TABLE, _blocks(name)] = json.dumps(counter.blocks)
        self._record(rows)

    def _record(self, rows: SystemRows) -> None:
        """Stores something; if that fails everything is stored with what is stored next, at the
        latest before the next id is used. It stays in memory: a handler under way may already be
        beyond it. Blocks are never stored without the end up to which they were taken."""
        if self._unsaved:
            self._unsaved = False
            rows = {**self._everything(), **rows}

        def told(ok: bool) -> None:
            if not ok:
                self._unsaved = True

        self._ledger.on_durable(self._ledger.record(rows), told)

    def _everything(self) -> dict[tuple[str, str], str | None]:
        rows: dict[tuple[str, str], str | None] = {
            (TABLE, "founder"): "1" if self._founder else None,
            (TABLE, "region"): None if self._region is None else json.dumps(self._region),
        }
        for name, counter in self._counters.items():
            rows[TABLE, f"frontier/{name}"] = str(counter.frontier) if counter.frontier else None
            rows[TABLE, f"reserve/{name}"] = str(counter.reserve) if counter.reserve else None
            rows[TABLE, _blocks(name)] = json.dumps(counter.blocks)
        return rows

    # --- asking ----------------------------------------------------------------------------------

    def peers(self, linked: Iterable[str]) -> None:
        """The members that there are links with."""
        self._peers = sorted(linked)
        for question in list(self._questions.values()):
            if question.due and question.peer not in self._peers:
                question.due = 0
                self._ask(question.counter, after=question.peer)
        self.tick()

    def tick(self) -> None:
        """Asks for what is missing, and asks others when nobody has answered."""
        if not self._peers or not self._counters:
            return
        now = self._clock.monotonic()
        for question in list(self._questions.values()):
            if 0 < question.due <= now:
                question.due = 0
                self._ask(question.counter, after=question.peer)
        if self._region is None and not self._asking(""):
            self._ask("")
        for name, counter in self._counters.items():
            self._look_ahead(name, counter)

    def _look_ahead(self, name: str, counter: Counter) -> None:
        if counter.frontier == 0 and counter.left() * 2 < counter.want and not self._asking(name):
            self._ask(name)

    def _asking(self, name: str) -> bool:
        return any(q.counter == name and q.due for q in self._questions.values())

    def _ask(self, name: str, after: str = "") -> None:
        """Asks the keeper if it is known, else one member after another."""
        if not self._peers:
            return
        peer = self._keeper
        if peer not in self._peers or (name and peer == after) or not name:
            peer = next((peer for peer in self._peers if peer > after), self._peers[0])
        self._number += 1
        due = self._clock.monotonic() + self._config.read_timeout_ms
        self._questions[self._number] = _Question(name, peer, max(due, 1))
        while len(self._questions) > OUTSTANDING:
            del self._questions[next(iter(self._questions))]
        want, above = 0, 0
        if name:
            counter = self._counters[name]
            want, above = counter.want, counter.value if counter.value < REGION_FIRST else 0
        message = IdRequest(self._number, name, not name, want, above)
        self._outputs.append(Send(peer, message))

    def take(self) -> list[Output]:
        """What is to be sent."""
        outputs, self._outputs = self._outputs, []
        return outputs

    def hand_over(self, live: Iterable[str]) -> None:
        """This node leaves for good: the first of the live members that there is a link with keeps
        the frontiers from now on. If the message is lost they are nobody's, and regions remain."""
        heir = next((peer for peer in sorted(live) if peer in self._peers), None)
        kept = {name: c.frontier for name, c in self._counters.items() if c.frontier}
        if heir is None or not kept:
            return
        for name in kept:
            self._counters[name].frontier = 0
        self._founder = False
        rows: dict[tuple[str, str], str | None] = {
            (TABLE, f"frontier/{name}"): None for name in kept
        }
        rows[TABLE, "founder"] = None

        def told(ok: bool) -> None:
            if ok:
                for name, first in kept.items():
                    legacy = IdBlock(0, name, first, REGION_FIRST - 1)
                    self._outputs.append(Send(heir, legacy))
                self.wake()

        self._ledger.on_durable(self._ledger.record(rows), told)

    def _inherit(self, message: IdBlock) -> None:
        counter = self._counters.get(message.counter)
        if counter is not None and not counter.frontier and message.last == REGION_FIRST - 1:
            counter.frontier = message.first
            self._founder = True
            rows = {
                (TABLE, f"frontier/{message.counter}"): str(message.first),
                (TABLE, "founder"): "1",
            }
            self._record(rows)

    # --- messages --------------------------------------------------------------------------------

    def receive(self, peer: str, message: Message) -> None:
        """A request or an answer of another member."""
        if isinstance(message, IdRequest):
            if message.region:
                self._give_region(peer, message)
            else:
                self._give_block(peer, message)
        elif isinstance(message, IdBlock):
            self._receive_block(peer, message)

    def _give_block(self, peer: str, message: IdRequest) -> None:
        counter = self._counters.get(message.counter)
        if counter is None or not counter.frontier:
            self._answer(peer, message, (0, 0))
            return
        size = min(message.count or self._config.id_block, self._config.id_block * MOST_BLOCKS)
        first = max(counter.frontier, message.above + 1)
        last = min(first + size - 1, REGION_FIRST - 1)
        if last < first:
            self._answer(peer, message, (0, 0))
            return
        counter.frontier = last + 1
        rows = {(TABLE, f"frontier/{message.counter}"): str(counter.frontier)}
        self._answer_when_stored(peer, message, (first, last), rows)

    def _give_region(self, peer: str, message: IdRequest) -> None:
        if self._region is None:
            self._answer(peer, message, (0, 0))
            return
        first, last = self._region
        floor = max([first, *(counter.reserve for counter in self._counters.values())])
        room = last - floor + 1
        share = REGION if room > 2 * REGION else room // 2
        if share < self._config.id_block:
            self._answer(peer, message, (0, 0))
            return
        self._region = (first, last - share)
        rows = {(TABLE, "region"): json.dumps(self._region)}
        self._answer_when_stored(peer, message, (last - share + 1, last), rows)

    def _answer_when_stored(
        self, peer: str, message: IdRequest, span: Span, rows: SystemRows
    ) -> None:
        def told(ok: bool) -> None:
            if ok:  # else these ids are nobody's
                self._answer(peer, message, span)
                self.wake()

        self._ledger.on_durable(self._ledger.record(rows), told)

    def _answer(self, peer: str, message: IdRequest, span: Span) -> None:
        keeper = "" if self._founder else self._keeper
        block = IdBlock(message.request, message.counter, *span, keeper, self._founder)
        self._outputs.append(Send(peer, block))

    def _receive_block(self, peer: str, message: IdBlock) -> None:
        if message.request == 0:
            self._inherit(message)
            return
        question = self._questions.pop(message.request, None)
        if question is None or question.counter != message.counter or question.peer != peer:
            return  # a repetition: its ids have been taken
        keeper = peer if message.keeper_here else message.keeper
        if keeper and keeper != self._keeper:
            self._keeper = keeper
            self._ledger.record({(TABLE, "keeper"): keeper})
        span = (message.first, message.last)
        if message.last == 0:
            if question.due:  # none to give: after a while another is asked
                retry = self._clock.monotonic() + self._config.resend_ms
                self._questions[-message.request] = _Question(question.counter, peer, retry)
        elif not question.counter:
            self._take_region(span)
        elif question.counter in self._counters:
            self._take(question.counter, self._counters[question.counter], span, {})

    def _take_region(self, span: Span) -> None:
        if self._region is None:
            self._region = span
            self._record({(TABLE, "region"): json.dumps(span)})

    # --- for those who look ----------------------------------------------------------------------

    @property
    def counters(self) -> tuple[str, ...]:
        """The names of the counters."""
        return tuple(self._counters)

    def highest(self, name: str) -> int | None:
        """The highest id below the regions that any node may have used; None where another node
        knows it: it is below the next block that this one gets."""
        frontier = self._counters[name].frontier
        return frontier - 1 if frontier else None

    def blocks_end(self, name: str) -> int:
        """The last id below the regions that this node may use."""
        counter = self._counters[name]
        ends = [counter.value, *(last for _, last in counter.blocks)]
        return max((end for end in ends if end < REGION_FIRST), default=0)

    def fetch_block(self, name: str) -> None:
        """Asks for another block, whatever is left."""
        self._ask(name)

    @property
    def supplied(self) -> bool:
        """Whether `next_id` works in every handler now."""
        return not self._counters or self._region is not None


def _following(blocks: list[Span], last: int, used: int) -> int | None:
    """What comes after `last`; when its block has been given up, the first block that no commit has
    begun (`used`) nor, since it comes later, the asking transaction."""
    place = _place(blocks, last)
    if place is None:
        begun = _place(blocks, used)
        place = -1 if begun is None else begun
    elif last < blocks[place][1]:
        return last + 1
    return blocks[place + 1][0] if place + 1 < len(blocks) else None


def _place(blocks: list[Span], number: int) -> int | None:
    places = (index for index, (first, end) in enumerate(blocks) if first <= number <= end)
    return next(places, None)


def _span(text: str) -> Span:
    return _pair(json.loads(text))


def _pair(found: list[int]) -> Span:
    first, last = found
    return first, last


def _blocks(name: str) -> str:
    return f"blocks/{name}"
