"""The engine of a node whose program has strong cells: their transactions go through the log.

What touches no strong memory is committed as in any cluster. What does gets a negative ticket: the
answer waits until the proposal is applied here, or (nothing written) until a read index is. Slots
that never leave the node change together with the strong ones, when the proposal is applied.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, Protocol

from .. import limits
from ..cluster.clocks import Clock, SystemClock
from ..cluster.placement import strong_tables_of
from ..consensus.messages import ServiceMessage
from ..consensus.proposal import APPENDED, Emitted, Key, Proposal, Row, TransactionId
from ..consensus.service import Done, Failure, Ready, Service
from ..consensus.state import DEPOSED, Outcome
from ..consensus.storage import system_tables
from ..errors import DEPOSED as TOO_LATE
from ..errors import NO_QUORUM, UNKNOWN, SomaError
from ..memory.properties import SlotRules
from ..memory.table import Entry, Table
from ..spec import ProgramSpec
from ..timers import TICK
from ..transaction import Transaction
from ..values.jsontext import to_json
from .base import DURABLE, Busy, Conflict
from .cluster import ClusterEngine
from .remote import Waiter, trio_waiter
from .standalone import Undo
from .strong import StrongTables, row_of

if TYPE_CHECKING:
    from .database import Changes, DatabaseFactory, Storage
    from .database import Row as StoredRow

KEPT = "kept"
"""The system table with the names of all strong tables that a build of the program had here."""

NEW_RECORDS = 1 << 62
"""Keys of log records from here on are a transaction's own, until the proposal is applied."""

RETRY_STORE_MS = 1_000
FEW = 2
"""Proposals of a leader that are stored without waiting for others to join."""

FAR = 1 << 60
SWEPT = 1_000
"""Expired entries that one proposal deletes."""


class Fence(NamedTuple):
    """What is known here of who runs schedules: which due times were served and in which term, and
    whether this node leads, in which term."""

    ticks: Mapping[str, tuple[int, int]]
    leads: bool
    term: int


class Order(Protocol):
    """Who decides on the order of transactions and reads: the log, or what takes its place."""

    @property
    def revision(self) -> int:
        """That of the newest transaction that is applied here."""

    def propose(self, make: Callable[[TransactionId, int], Proposal], done: Done, now: int) -> None:
        """Proposes what `make` gives; `done` gets what became of it. Raises Failure."""

    def read(self, ready: Ready, now: int) -> None:
        """Calls `ready` when all that was acknowledged before now is applied here."""


@dataclass(slots=True)
class _Operation:
    """What a negative ticket stands for."""

    event: Waiter
    follow: int = DURABLE
    """A commit of this node's own that must be durable, too."""
    again: bool = False
    """Something has changed: run the handler again."""
    blocker: _Operation | None = None
    """Another operation of this node that was in the way."""
    error: SomaError | None = None
    done: bool = False
    abandoned: bool = False
    tell: list[Callable[[], None]] = field(default_factory=list)
    local: Transaction | None = None
    keys: list[tuple[Table, Key]] = field(default_factory=list)

    @property
    def over(self) -> bool:
        """Whether there is nothing to wait for any more."""
        return self.done if self.blocker is None else self.blocker.done


class ConsensusEngine(ClusterEngine):
    """A cluster's engine with strong tables. `start` gives it the group that it is a member of."""

    logs_events = True
    """Whether all nodes learn from the order of transactions what these have emitted."""

    def __init__(
        self,
        spec: ProgramSpec,
        node_id: str,
        data_dir: str | Path | None = None,
        *,
        key_file: str | Path | None = None,
        clock: Clock | None = None,
        database_factory: DatabaseFactory | None = None,
        waiter: Callable[[], Waiter] = trio_waiter,
    ) -> None:
        clocks = SystemClock() if clock is None else clock
        self.strong = StrongTables()
        self.strong.unknown = self._unknown
        self.strong_names = strong_tables_of(spec)
        super().__init__(
            spec,
            node_id,
            data_dir,
            key_file=key_file,
            clock=clocks,
            database_factory=database_factory,
            waiter=waiter,
        )
        self.clocks = clocks
        self.service: Service | None = None
        self.refusal: Callable[[], str] = _no_reason
        """Why this node takes no writes to strong memory now; empty if it does."""
        self.outbox: list[tuple[str, ServiceMessage]] = []
        self.wake: Callable[[], None] = _nobody
        """Called when `drive` has something to do."""
        self.tracks = True
        self.queued: Callable[[], None] = _nobody
        """Called when there is something to store, for whoever sees to it that it is."""
        self._operations: dict[int, _Operation] = {}
        self._last_operation = 0
        self._provisional = 0
        self._jitter = random.Random(node_id)
        self._busy: dict[tuple[Table, Key], int] = {}
        self._busy_tables: dict[Table, dict[int, None]] = {}
        """The proposals in flight that write a table, in the order of their making."""
        self._unstored: Changes | None = None
        self._store_again_at = 0

    @property
    def order(self) -> Order | None:
        """Who decides here; None: nobody yet."""
        return self.service

    def fence(self) -> Fence | None:
        """For the timers of strong cells."""
        service = self.service
        if service is None:
            return None
        return Fence(service.state.ticks, service.leads_here, service.raft.term)

    # --- tables ----------------------------------------------------------------------------------

    def table(self, name: str, rules: SlotRules, log: bool = False) -> Table:
        """The table of that name; strong ones are durable, whatever their slot says: a member that
        forgets is none."""
        known = name in self._tables
        if not known and name in self.strong_names and self.data_dir is not None:
            rules = replace(rules, persistent=True)
        table = super().table(name, rules, log)
        if not known and name in self.strong_names:
            self.strong.add(table)
        return table

    def record_key(self, table: Table) -> Key:
        """The key of a new record: in strong logs a provisional one."""
        if table not in self.strong:
            key: Key = super().record_key(table)
            return key
        table.ready()
        self._provisional += 1
        return NEW_RECORDS + self._provisional

    def open(self) -> None:
        """Opens the data directory, with the tables of consensus in it."""
        super().open()
        if self._database is not None:
            self._database.prepare(system_tables())
            self.strong.stored = self._stored_form
            self._keep_all({name: str(kind) for name, kind in self.stored_rows(KEPT)})

    def _keep_all(self, known: dict[str, str]) -> None:
        """Takes up the tables that other builds had here, and leaves word of this one's."""
        own = {name: table.log for name, table in self.strong.tables.items() if table.durable}
        fresh = [name for name in sorted(own) if name not in known]
        if fresh:
            self.record({(KEPT, name): _kind(own[name]) for name in fresh})
        for name, kind in known.items():
            if name not in self.strong_names:
                self._keep(name, kind == _kind(log=True))

    def _unknown(self, name: str, log: bool) -> Table | None:
        """A table of a newer build, which another node runs already."""
        if self.service is None:
            return None
        self.record({(KEPT, name): _kind(log)})
        return self._keep(name, log)

    def _keep(self, name: str, log: bool) -> Table:
        rules = SlotRules(persistent=self.data_dir is not None)
        table = super().table(name, rules, log)
        self.strong.add(table)
        if self._database is not None:
            self._database.prepare([table])
            self._load_later(table)
        return table

    def store_now(self, changes: Changes) -> None:
        """Stores rows before anything else happens. Raises SomaError when it cannot."""
        if self._database is not None:
            ticket = self._enqueue(changes, [])
            self.flush()
            self.check(ticket)

    @property
    def database(self) -> Storage | None:
        """The open database, if there is a data directory."""
        return self._database

    def _stored_form(self, table: Table, key: Key, entry: Entry, row: Row) -> StoredRow:
        if table.rules.encrypted:
            assert self._database is not None
            return self._database.row(table, key, entry)
        return (key, row[0], row[1], row[2], row[3])

    # --- commits ---------------------------------------------------------------------------------

    def _enqueue(self, changes: Changes, undo: Undo) -> int:
        ticket = super()._enqueue(changes, undo)
        self.queued()
        return ticket

    @property
    def revision(self) -> int:
        """That of the log's state."""
        return super().revision if self.service is None else self.service.state.revision

    def commit(self, transaction: Transaction) -> int:
        """Proposes what touches strong memory; the ticket is negative then."""
        strong = self.strong
        if not self.strong_names and TICK.get() is None:
            return super().commit(transaction)
        wrote = TICK.get() is not None or any(table in strong for table in transaction.writes)
        if not wrote and not self._read_strong(transaction):
            return super().commit(transaction)
        if not transaction.valid():
            raise Conflict
        blocker = self._blocker(transaction)
        if blocker:
            return self._after(blocker)
        return self._propose(transaction) if wrote else self._confirm_and_commit(transaction)

    def confirm(self, transaction: Transaction) -> int:
        """The ticket of a run that failed: what it had read must be true."""
        if not self._read_strong(transaction):
            return transaction.wait_for
        return self._confirm(transaction)

    def _read_strong(self, transaction: Transaction) -> bool:
        strong = self.strong
        return (
            any(table in strong for table, _ in transaction.key_reads)
            or any(table in strong for table in transaction.shape_reads)
            or any(table in strong for table in transaction.value_reads)
        )

    def _blocker(self, transaction: Transaction) -> int:
        """A proposal in flight of this node that writes what the transaction reads or writes."""
        busy = self._busy
        if not busy:
            return 0
        for key in transaction.key_reads:
            if key in busy:
                return busy[key]
        for table in (*transaction.shape_reads, *transaction.value_reads):
            if numbers := self._busy_tables.get(table):
                return next(reversed(numbers))
        for table, pending in transaction.writes.items():
            for key in pending.data:
                if (table, key) in busy:
                    return busy[table, key]
        return 0

    def _operation(self, follow: int) -> tuple[int, _Operation]:
        self._last_operation += 1
        operation = _Operation(self.waiter(), follow)
        self._operations[self._last_operation] = operation
        return self._last_operation, operation

    def _after(self, blocker: int) -> int:
        """A ticket of something that runs again when the blocker is done."""
        number, operation = self._operation(DURABLE)
        before = self._operations[blocker]
        operation.event, operation.tell = before.event, before.tell
        operation.blocker, operation.done = before, True
        return -number

    def _confirm_and_commit(self, transaction: Transaction) -> int:
        """Reads of strong memory, writes (if any) of other memory: these wait for the reads."""
        ticket = self._confirm(transaction)
        if transaction.writes:
            self._hold(-ticket, transaction)
        return ticket

    def _confirm(self, transaction: Transaction) -> int:
        number, operation = self._operation(transaction.wait_for)

        def ready(failure: Failure | None) -> None:
            if failure is not None:
                operation.error = _error_of(failure)
            elif not transaction.valid():
                operation.again = True
            self._finished(number)

        order = self.order
        if order is None:
            ready(Failure("this node is not a member of a cluster yet", definite=True))
        else:
            order.read(ready, self.clocks.monotonic())
            self.wake()
        return -number

    # --- proposals -------------------------------------------------------------------------------

    def _propose(self, transaction: Transaction) -> int:
        number, operation = self._operation(transaction.wait_for)
        order, why = self.order, self.stalled() or self.refusal()
        if order is None or why:
            text = f"no quorum: {why}" if why else "this node is not a member of a cluster yet"
            operation.error = SomaError(text, NO_QUORUM)
            self._finished(number)
            return -number
        make = self._proposal(transaction, order.revision)
        self._hold(number, transaction)

        def done(answer: Outcome | Failure) -> None:
            if isinstance(answer, Failure):
                operation.error = _error_of(answer)
            elif answer.refused == DEPOSED:
                operation.error = SomaError("this tick was served by another node", TOO_LATE)
            elif answer.refused:
                operation.again = True
            self._finished(number)

        try:
            order.propose(make, done, self.clocks.monotonic())
        except Failure as failure:
            done(failure)
        self.wake()
        return -number

    def _proposal(
        self, transaction: Transaction, at: int
    ) -> Callable[[TransactionId, int], Proposal]:
        strong = self.strong
        keys = tuple((t.name, key) for t, key in transaction.key_reads if t in strong)
        shapes = tuple(t.name for t in transaction.shape_reads if t in strong)
        tables = tuple(t.name for t in transaction.value_reads if t in strong)
        writes: list[tuple[str, Key, Row | None]] = []
        for table, pending in transaction.writes.items():
            if table in strong:
                for key, entry in sorted(pending.data.items()):
                    row = None if entry is None else row_of(entry)
                    fresh = table.log and key >= NEW_RECORDS
                    if not fresh:
                        writes.append((table.name, key, row))
                    elif row is not None:
                        writes.append((table.name, APPENDED, row))

        due, events = TICK.get(), self._emitted(transaction)

        def make(given: TransactionId, oldest: int) -> Proposal:
            return Proposal(given, oldest, at, keys, shapes, tables, tuple(writes), due, events)

        return make

    def _emitted(self, transaction: Transaction) -> tuple[Emitted, ...]:
        """What the transaction has emitted goes with it, and is told by each node that applies it;
        on this one by whoever waits for the transaction, as long as somebody does."""
        if not self.logs_events or not transaction.events:
            return ()
        transaction.agreed = True
        return tuple((e.name, to_json(list(e.args)), e.published) for e in transaction.events)

    def _hold(self, number: int, transaction: Transaction) -> None:
        """Keeps others off what the transaction writes, until the log has decided."""
        operation = self._operations[number]
        for table, pending in transaction.writes.items():
            for key in pending.data:
                self._busy[table, key] = number
                operation.keys.append((table, key))
            self._busy_tables.setdefault(table, {})[number] = None
            if table not in self.strong:
                if operation.local is None:
                    operation.local = Transaction(transaction.app)
                operation.local.writes[table] = pending

    def _finished(self, number: int) -> None:
        """The log has decided: writes of other memory follow, others may go on."""
        operation = self._operations[number]
        for table, key in operation.keys:
            if self._busy.get((table, key)) == number:
                del self._busy[table, key]
            self._busy_tables[table].pop(number, None)
        local = operation.local
        if local is not None and operation.error is None and not operation.again:
            try:
                operation.follow = max(operation.follow, super().commit(local))
            except SomaError as error:
                operation.error = error
        operation.done = True
        operation.event.set()
        told, operation.tell = operation.tell, []
        for tell in told:
            tell()
        if operation.abandoned:
            del self._operations[number]

    def sweep(self) -> None:
        """Forgets expired entries; of strong tables the leader proposes it, for all replicas."""
        super().sweep()
        service = self.service
        if service is None or not service.leads:
            return
        for table in self.strong.tables.values():
            if table.rules.ttl is not None:
                table.ready()
                late = table.overdue(self.clock())[:SWEPT]
                if late:
                    self._propose_deletion(service, table.name, late)
        self.wake()

    def _propose_deletion(self, service: Service, table: str, late: list[Key]) -> None:
        keys = tuple((table, key) for key in late)
        writes = tuple((table, key, None) for key in late)
        at = service.state.revision

        def make(given: TransactionId, oldest: int) -> Proposal:
            return Proposal(given, oldest, at, keys, (), (), writes)

        try:
            service.propose(make, _forget_outcome, self.clocks.monotonic())
        except Failure:
            return  # much is in flight: the next sweep will do

    # --- waiting ---------------------------------------------------------------------------------

    def pause_after(self, conflicts: int) -> float:
        """None at first, then up to a bound that doubles: nodes that want the same take turns."""
        if conflicts < 2:
            return 0.0
        most = min(limits.CONFLICT_PAUSE_SECONDS, 0.001 * 2.0**conflicts)
        return self._jitter.uniform(0.0, most)

    def when_decided(self, ticket: int, tell: Callable[[], None]) -> bool:
        """Has `tell` called, amid a turn of the service, when the log has decided on a ticket."""
        if ticket >= 0:
            return False
        operation = self._operations[-ticket]
        if operation.over:
            return False
        operation.tell.append(tell)
        return True

    async def wait_durable(self, ticket: int) -> None:
        """Returns when the ticket is durable. Raises Conflict when the handler must run again."""
        if ticket >= 0:
            await super().wait_durable(ticket)
            return
        operation = self._operations[-ticket]
        try:
            if not operation.over:
                await operation.event.wait()
        finally:
            if operation.done:
                del self._operations[-ticket]
            else:
                operation.abandoned = True  # the caller is gone, the proposal goes on
        if operation.error is not None:
            raise operation.error
        if operation.blocker is not None:
            raise _after(operation.blocker)
        if operation.again:
            raise Conflict
        if operation.follow > DURABLE:
            await super().wait_durable(operation.follow)

    # --- driving ---------------------------------------------------------------------------------

    def drive(self) -> None:
        """Carries out what the group wants: messages to `outbox`, rows to the next commit."""
        service = self.service
        if service is None:
            return
        now = self.clocks.monotonic()
        if self._unstored is not None:
            if now < self._store_again_at:
                return
            self._store(self._unstored)
            return
        turn = service.poll(now)
        self.outbox += turn.sends
        if turn.write is not None:
            self._store(turn.write)

    def stalled(self) -> str:
        """Why nothing of the log can be stored here now; empty if it can."""
        waits = self._unstored is not None and self._store_again_at != FAR
        return "the disk of this node takes nothing" if waits else ""

    def store_at_once(self) -> bool:
        """Stores what `drive` has queued without a turn of the event loop, if the disk is quick and
        nobody is at it: to be called when the messages are out. A leader with much in flight waits
        for that turn: more proposals share the sync. True: `drive` may have more to do.
        """
        service = self.service
        if self._unstored is None or self._flushing or service is None:
            return False
        if (service.leads and len(service.pending) > FEW) or not self._quick():
            return False
        self.flush()
        return self._unstored is None

    def retry_at(self) -> int:
        """When to call `drive` because a write has failed."""
        return self._store_again_at if self._unstored is not None else FAR

    def _store(self, changes: Changes) -> None:
        self._unstored = changes
        if self._database is None:
            self._stored(stored=True)
            return
        ticket = self._enqueue(changes, [])
        self._store_again_at = FAR
        self.on_durable(ticket, self._stored)

    def _stored(self, stored: bool) -> None:
        """A full disk is tried again until it is not: nothing was promised, nothing is lost."""
        service = self.service
        if service is None:
            return
        now = self.clocks.monotonic()
        if not stored:
            self._store_again_at = now + RETRY_STORE_MS
            return
        self._unstored = None
        service.written(now)
        self.wake()


def _kind(log: bool) -> str:
    return "log" if log else "map"


def _nobody() -> None:
    return


def _no_reason() -> str:
    return ""


def _forget_outcome(_outcome: Outcome | Failure) -> None:
    return


def _after(blocker: _Operation) -> Exception:
    """What becomes of a transaction that has waited for another one to end: if that one has waited
    in vain for a quorum, it is not the time to wait once more."""
    if blocker.error is not None and blocker.error.kind in (NO_QUORUM, UNKNOWN):
        return SomaError("no quorum: nothing was tried", NO_QUORUM)
    return Busy()


def _error_of(failure: Failure) -> SomaError:
    if failure.definite:
        return SomaError(str(failure), NO_QUORUM)
    return SomaError(str(failure), UNKNOWN)
