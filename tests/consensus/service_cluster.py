"""Services on a made-up network and disk, with handlers that are plain functions."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable
from random import Random
from typing import Any

import msgspec

from somart.consensus.core import Output, Raft, RaftConfig, Role, bootstrap
from somart.consensus.messages import Entry, ServiceMessage, VoteReply, VoteRequest
from somart.consensus.proposal import Key, Proposal, Row, TransactionId
from somart.consensus.service import (
    Failure,
    Service,
    ServiceConfig,
)
from somart.consensus.state import Outcome, State
from somart.consensus.storage import Changes, load, write_output
from somart.memory.table import Table

CODEC = msgspec.msgpack.Decoder(ServiceMessage)
MOST_EVENTS = 300_000
_encoder = msgspec.msgpack.Encoder()
Rows = dict[str, dict[Key, Any]]


class MemoryTables:
    """Tables of plain rows."""

    def __init__(self) -> None:
        self.rows: Rows = {}
        self._changed: Changes = {}

    def has(self, table: str, key: Key) -> bool:
        return key in self.rows.get(table, {})

    def next_key(self, table: str) -> Key:
        return len(self.rows.get(table, {})) + 1

    def write(self, table: str, key: Key, row: Row | None, revision: int) -> None:
        rows = self.rows.setdefault(table, {})
        self._changed[table, key] = None if row is None else (key, *row)
        if row is None:
            rows.pop(key, None)
        else:
            rows[key] = row

    def take_rows(self) -> Changes:
        changed, self._changed = self._changed, {}
        return changed

    def dump(self) -> Iterable[tuple[str, Key, Row]]:
        return [(t, key, row) for t, rows in self.rows.items() for key, row in rows.items()]

    def replace(self, rows: Iterable[tuple[str, Key, Row]], revision: int) -> None:
        for table, known in list(self.rows.items()):
            for key in list(known):
                self.write(table, key, None, revision)
        for table, key, row in rows:
            self.write(table, key, row, revision)


class DiskRows:
    """What survives a crash."""

    def __init__(self) -> None:
        self.tables: Rows = {}
        self.opens = 0

    def open(self, rng: Random) -> int:
        """The number of this life."""
        self.opens += 1
        return self.opens

    def crash(self, unfinished: Changes | None, rng: Random) -> None:
        """What was being written is there or not, as a whole."""
        if unfinished is not None and rng.random() < 0.5:
            self.write(unfinished)

    def prepare(self, tables: list[Any]) -> None:
        return

    def rows(self, table: Table) -> list[Any]:
        return list(self.tables.get(table.name, {}).values())

    def write(self, changes: Changes) -> None:
        for (table, key), row in changes.items():
            rows = self.tables.setdefault(table, {})
            if row is None:
                rows.pop(key, None)
            else:
                rows[key] = row


class Node:
    def __init__(self, name: str, world: World) -> None:
        self.name, self.world = name, world
        self.disk = world.make_disk(name)
        self.sessions = 0
        self.voters: tuple[str, ...] = ()
        self.up = False
        self.paused_until = 0
        self.unfinished: Changes | None = None
        self.on_crash: list[Callable[[], None]] = []

    def start(self) -> None:
        world = self.world
        self.sessions += 1
        self.unfinished = None
        self.tables = MemoryTables()
        session = self.disk.open(world.rng)
        state = State(self.tables)
        loaded = load(self.disk, state)
        for table, rows in self.disk.tables.items():
            if not table.startswith("#"):
                for key, row in rows.items():
                    self.tables.write(table, key, row[1:], 0)
        self.tables.take_rows()
        log = bootstrap(self.voters) if loaded.fresh and self.voters else loaded.log
        raft = Raft(
            self.name,
            world.raft,
            Random(f"{world.seed}{self.name}{self.sessions}"),
            world.now,
            state=loaded.state,
            log=log,
            applied=loaded.applied,
        )
        if loaded.fresh:
            changes: Changes = {}
            write_output(changes, Output(entries=list(log.entries)), 0)
            self.disk.write(changes)
        self.service = Service(raft, state, self.tables, session, world.config)
        self.up = True
        self.checked = raft.applied

    def drive(self) -> None:
        """Carries out turns; a write takes some time."""
        turn = self.service.poll(self.world.now)
        for to, message in turn.sends:
            self.world.send(self.name, to, message)
        self.world.check(self)
        if turn.write is None:
            return
        life, write = self.sessions, turn.write
        self.unfinished = write

        def stored() -> None:
            if self.up and life == self.sessions:
                self.unfinished = None
                self.disk.write(write)
                self.service.written(self.world.now)
                self.drive()

        self.world.later(self.world.rng.randint(0, self.world.disk_ms), stored)


class World:
    """Time in milliseconds. `loss` and `doubled` are shares of all messages."""

    def __init__(
        self,
        names: tuple[str, ...],
        seed: int,
        config: ServiceConfig | None = None,
        raft: RaftConfig | None = None,
        make_disk: Callable[[str], Any] = lambda name: DiskRows(),
    ) -> None:
        self.seed, self.rng, self.now = seed, Random(seed), 0
        self.raft = raft or RaftConfig(election_ms=300, heartbeat_ms=50)
        self.config = config or ServiceConfig(log_entries=40, kept_entries=10, chunk_bytes=100)
        self.make_disk = make_disk
        self.queue: list[tuple[int, int, Callable[[], None]]] = []
        self.sequence = 0
        self.cut: set[tuple[str, str]] = set()
        self.loss = 0.0
        self.doubled = 0.0
        self.delay_ms = 8
        self.disk_ms = 4
        self.committed: dict[int, Entry] = {}
        self.votes: dict[tuple[int, str], str] = {}
        """Who has voted for whom, by term and voter."""
        self.leaders: dict[int, str] = {}
        self.nodes = {name: Node(name, self) for name in names}
        for node in self.nodes.values():
            node.voters = names
            node.start()

    def later(self, milliseconds: int, action: Callable[[], None]) -> None:
        self.sequence += 1
        assert self.sequence < MOST_EVENTS, "more and more messages"
        heapq.heappush(self.queue, (self.now + milliseconds, self.sequence, action))

    def send(self, sender: str, to: str, message: ServiceMessage) -> None:
        self._mind_votes(sender, to, message)
        if (sender, to) in self.cut or to not in self.nodes:
            return
        raw, node = _encoder.encode(message), self.nodes[to]
        life = node.sessions

        def arrive() -> None:
            if not node.up:
                return
            if self.now < node.paused_until:
                self.later(node.paused_until - self.now, arrive)
                return
            node.service.receive(CODEC.decode(raw), self.now)
            node.drive()

        def again() -> None:
            if node.sessions == life:  # no link repeats what was sent to an earlier process
                arrive()

        if self.loss == 0.0 or self.rng.random() >= self.loss:
            self.later(self.rng.randint(1, self.delay_ms), arrive)
        if self.doubled and self.rng.random() < self.doubled:
            self.later(self.rng.randint(1, 20 * self.delay_ms), again)

    # --- faults ----------------------------------------------------------------------------------

    def crash(self, name: str) -> None:
        """Loses what was not stored; a write under way may have come through or not."""
        node = self.nodes[name]
        if not node.up:
            return
        node.up = False
        node.disk.crash(node.unfinished, self.rng)
        told, node.on_crash = node.on_crash, []
        for action in told:
            action()

    def restart_all(self) -> None:
        for node in self.nodes.values():
            if not node.up:
                node.start()

    def add(self, name: str) -> None:
        """A member that knows nothing, and is in no configuration yet."""
        self.nodes[name] = Node(name, self)
        self.nodes[name].start()

    def isolate(self, *names: str) -> None:
        others = [name for name in self.nodes if name not in names]
        self.cut |= {pair for a in names for b in others for pair in ((a, b), (b, a))}

    def heal(self) -> None:
        """No more faults."""
        self.cut.clear()
        self.loss = self.doubled = 0.0
        self.restart_all()

    # --- running ---------------------------------------------------------------------------------

    def run(self, milliseconds: int) -> None:
        end = self.now + milliseconds
        nodes = list(self.nodes.values())
        while self.now < end:
            times = [max(node.service.wakeup(), node.paused_until) for node in nodes if node.up]
            if self.queue:
                times.append(self.queue[0][0])
            self.now = min(max(min(times, default=end), self.now + 1), end)
            while self.queue and self.queue[0][0] <= self.now:
                heapq.heappop(self.queue)[2]()
            for node in nodes:
                if node.up and max(node.service.wakeup(), node.paused_until) <= self.now:
                    node.service.tick(self.now)
                    node.drive()

    def until(self, condition: Callable[[], bool], milliseconds: int = 20_000) -> None:
        end = self.now + milliseconds
        while not condition():
            assert self.now < end, "it did not happen in time"
            self.run(20)

    def leader(self) -> Node | None:
        found = [n for n in self.nodes.values() if n.up and n.service.raft.role is Role.LEADER]
        return max(found, key=lambda n: n.service.raft.term, default=None)

    # --- what must always hold -------------------------------------------------------------------

    def _mind_votes(self, sender: str, to: str, message: ServiceMessage) -> None:
        """A node votes once in a term, however often it restarts."""
        if isinstance(message, VoteRequest) and not message.pre:
            candidate = sender
        elif isinstance(message, VoteReply) and not message.pre and message.granted:
            candidate = to
        else:
            return
        known = self.votes.setdefault((message.term, sender), candidate)
        assert known == candidate, f"{sender} votes twice in term {message.term}"

    def check(self, node: Node) -> None:
        raft = node.service.raft
        if raft.role is Role.LEADER:
            known = self.leaders.setdefault(raft.term, node.name)
            assert known == node.name, f"two leaders in term {raft.term}"
        base = raft.log.snapshot_index + 1
        for index in range(max(node.checked + 1, base), raft.applied + 1):
            entry = raft.log.entries[index - base]
            seen = self.committed.setdefault(index, entry)
            assert seen == entry, f"two committed entries at {index}"
        assert raft.applied >= node.checked, "applied goes back"
        node.checked = raft.applied

    def transact(
        self,
        name: str,
        reads: Iterable[tuple[str, Key]],
        body: Callable[[dict[Key, int]], dict[Key, int]],
        done: Callable[[Outcome | Failure], None],
    ) -> None:
        """Runs `body` on the integers that a node has for some keys of a table, and proposes."""
        node = self.nodes[name]
        keys = tuple(reads)
        rows = node.tables.rows
        seen = {key: int(rows.get(t, {}).get(key, ("0",))[0]) for t, key in keys}
        writes = tuple((keys[0][0], k, (str(v), "int", 0, 0)) for k, v in body(seen).items())
        at = node.service.state.revision

        def make(given: TransactionId, oldest: int) -> Proposal:
            return Proposal(given, oldest, at, keys, (), (), writes)

        node.service.propose(make, done, self.now)
        node.drive()
