"""Services on a made-up network and disk, with handlers that are plain functions."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable
from random import Random
from typing import Any

import msgspec

from somart.consensus.core import Raft, RaftConfig, Role, bootstrap
from somart.consensus.messages import ServiceMessage
from somart.consensus.proposal import Key, Proposal, Row, TransactionId
from somart.consensus.service import (
    Failure,
    Service,
    ServiceConfig,
)
from somart.consensus.state import Outcome, State
from somart.consensus.storage import Changes, load
from somart.memory.table import Table

CODEC = msgspec.msgpack.Decoder(ServiceMessage)
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
        self.disk = DiskRows()
        self.sessions = 0
        self.voters: tuple[str, ...] = ()
        self.up = False

    def start(self) -> None:
        world = self.world
        self.sessions += 1
        self.tables = MemoryTables()
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
            from somart.consensus.core import Output
            from somart.consensus.storage import write_output

            changes: Changes = {}
            write_output(changes, Output(entries=list(log.entries)), 0)
            self.disk.write(changes)
        self.service = Service(raft, state, self.tables, self.sessions, world.config)
        self.up = True
        self.busy = False

    def drive(self) -> None:
        """Carries out turns; a write takes some time, unless the world is in no hurry."""
        while True:
            turn = self.service.poll(self.world.now)
            for to, message in turn.sends:
                self.world.send(self.name, to, message)
            if turn.write is None:
                return
            life, write = self.sessions, turn.write

            def stored(life: int = life, write: Changes = write) -> None:
                if self.up and life == self.sessions:
                    self.disk.write(write)
                    self.service.written(self.world.now)
                    self.drive()

            self.world.later(self.world.rng.randint(0, 4), stored)
            return


class World:
    def __init__(self, names: tuple[str, ...], seed: int, config: ServiceConfig | None = None):
        self.seed, self.rng, self.now = seed, Random(seed), 0
        self.raft = RaftConfig(election_ms=300, heartbeat_ms=50)
        self.config = config or ServiceConfig(log_entries=40, kept_entries=10, chunk_bytes=100)
        self.queue: list[tuple[int, int, Callable[[], None]]] = []
        self.sequence = 0
        self.cut: set[tuple[str, str]] = set()
        self.loss = 0.0
        self.nodes = {name: Node(name, self) for name in names}
        for node in self.nodes.values():
            node.voters = names
            node.start()

    def later(self, milliseconds: int, action: Callable[[], None]) -> None:
        self.sequence += 1
        heapq.heappush(self.queue, (self.now + milliseconds, self.sequence, action))

    def send(self, sender: str, to: str, message: ServiceMessage) -> None:
        if (sender, to) in self.cut or self.rng.random() < self.loss or to not in self.nodes:
            return
        raw, node = msgspec.msgpack.encode(message), self.nodes[to]

        def arrive() -> None:
            if node.up:
                node.service.receive(CODEC.decode(raw), self.now)
                node.drive()

        self.later(self.rng.randint(1, 8), arrive)

    def crash(self, name: str) -> None:
        self.nodes[name].up = False

    def isolate(self, *names: str) -> None:
        others = [name for name in self.nodes if name not in names]
        self.cut |= {pair for a in names for b in others for pair in ((a, b), (b, a))}

    def run(self, milliseconds: int) -> None:
        end = self.now + milliseconds
        while self.now < end:
            times = [node.service.wakeup() for node in self.nodes.values() if node.up]
            if self.queue:
                times.append(self.queue[0][0])
            self.now = min(max(min(times, default=end), self.now + 1), end)
            while self.queue and self.queue[0][0] <= self.now:
                heapq.heappop(self.queue)[2]()
            for node in self.nodes.values():
                if node.up and node.service.wakeup() <= self.now:
                    node.service.tick(self.now)
                    node.drive()

    def leader(self) -> Node | None:
        found = [n for n in self.nodes.values() if n.up and n.service.raft.role is Role.LEADER]
        return max(found, key=lambda n: n.service.raft.term, default=None)

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
