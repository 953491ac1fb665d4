"""One node: state in memory, durable tables behind it in SQLite, commits in groups.

A commit is applied in memory at once and gets a ticket. Whoever waits first for a ticket becomes
the leader: it lets the other ready tasks run, then writes all commits that have come together in
one SQLite transaction with one fsync. On a quick disk that happens on the event loop, on others in
a thread, so that the loop goes on while the disk works. When a write fails, its commits and those
that came after it in the queue fail, and memory goes back to what is stored.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from .. import limits
from ..errors import SomaError
from ..memory.codec import check_key
from ..memory.properties import SlotRules
from ..memory.table import Entry, Key, Table
from ..transaction import Transaction
from .base import DURABLE, Conflict

if TYPE_CHECKING:
    import trio

    from ..cluster.versiontable import VersionTable
    from .database import Changes, DatabaseFactory, Row, Storage

Undo = list[tuple[Table, Key, Entry | None, Entry | None]]
"""Table, key, the entry before, the entry after."""


def wall_clock() -> int:
    """Milliseconds since the epoch."""
    return time.time_ns() // 1_000_000


@dataclass(slots=True)
class _Commit:
    ticket: int
    changes: Changes
    undo: Undo


@dataclass(slots=True)
class _Queue:
    """Commits that are not durable yet: those being written, then those that wait."""

    writing: list[_Commit] = field(default_factory=list)
    waiting: list[_Commit] = field(default_factory=list)


class StandaloneEngine:
    """The engine of a single node. Without a data directory everything is in memory only."""

    def __init__(
        self,
        data_dir: str | Path | None = None,
        *,
        key_file: str | Path | None = None,
        clock: Callable[[], int] = wall_clock,
        database_factory: DatabaseFactory | None = None,
    ) -> None:
        self.clock = clock
        self.tracks = False
        self._database_factory = database_factory
        self.data_dir = None if data_dir is None else Path(data_dir)
        self._key_file = None if key_file is None else Path(key_file)
        self._database: Storage | None = None
        self._tables: dict[str, Table] = {}
        self._revision = 1
        self._queue = _Queue()
        self._last_ticket = DURABLE
        self._settled = DURABLE
        self._failed: deque[tuple[int, int, SomaError]] = deque(maxlen=limits.FAILED_RANGES)
        self._flushing = False
        self._parked: trio.lowlevel.ParkingLot | None = None
        self._commit_seconds = 0.0
        self._groups = 0

    @property
    def database_path(self) -> Path | None:
        """The SQLite file, once a durable table has made it necessary."""
        return None if self._database is None else self._database.path

    # --- for backups -----------------------------------------------------------------------------

    @property
    def tables(self) -> tuple[Table, ...]:
        """All tables that there are."""
        return tuple(self._tables.values())

    @property
    def last_ticket(self) -> int:
        """That of the last commit."""
        return self._last_ticket

    @property
    def revision(self) -> int:
        """Counts commits: with consensus those of the log, else those of this process."""
        return self._revision

    def row(self, table: Table, key: Key, entry: Entry) -> Row:
        """An entry as it is stored, sealed if its slot is encrypted. Raises SomaError."""
        assert self._database is not None, "only what is durable has a stored form"
        return self._database.row(table, key, entry)

    def proof(self) -> bytes | None:
        """What shows whether a key is that of the encrypted slots; None without any."""
        return None if self._database is None else self._database.proof()

    def versions_of(self, table: Table) -> VersionTable | None:
        """The versions of a table that nodes replicate, loaded."""
        return None

    # --- tables ----------------------------------------------------------------------------------

    def table(self, name: str, rules: SlotRules, log: bool = False) -> Table:
        """The table of that name; without a data directory it is never durable."""
        found = self._tables.get(name)
        if found is None:
            if self.data_dir is None and rules.persistent:
                rules = _in_memory(rules)
            found = self._tables[name] = Table(name, rules, log)
        return found

    def sharded(self, table: Table) -> bool:
        """Never: all keys are here."""
        return False

    def sums(self, table: Table) -> bool:
        """Never: nobody else adds."""
        return False

    async def fetch(self, transaction: Transaction, table: Table, key: Key) -> None:
        """Nothing is elsewhere."""

    async def fetch_all(self, transaction: Transaction, table: Table, values: bool) -> None:
        """Nothing is elsewhere."""

    async def fetch_count(self, transaction: Transaction, table: Table) -> None:
        """Nothing is elsewhere."""

    def id_after(self, table: Table, last: int) -> int:
        """1, 2, 3 …"""
        return last + 1

    def record_key(self, table: Table) -> Key:
        """The key of the next record of a log: 1, 2, 3 …"""
        table.ready()
        if table.textual:
            return self._key_after(table)
        key = table.next_key
        table.next_key = key + 1
        return key

    def _key_after(self, table: Table) -> Key:
        """A node of a cluster has used this data directory: go on as it does."""
        from ..cluster.versions import later_record_key

        table.next_key = later_record_key(str(table.next_key), self.clock())
        return table.next_key

    def open(self) -> None:
        """Opens the data directory if a table is durable. Raises SomaError when it cannot."""
        durable = [table for table in self._tables.values() if table.durable]
        if self.data_dir is None or not durable:
            return
        if self._database is None:
            self._database = self._open_database(self.data_dir)
        try:
            self._database.prepare(durable)
        except SomaError:
            self._database.close()
            self._database = None
            raise
        for table in durable:
            if table.log and not table.textual:
                table.textual = not self._database.numbered(table)
            self._load_later(table)

    def _open_database(self, folder: Path) -> Storage:
        if self._database_factory is not None:
            return self._database_factory(folder, self._key_file)
        from .database import Database

        return Database(folder, self._key_file)

    def _load_later(self, table: Table) -> None:
        database = self._database
        assert database is not None
        table.load_later(lambda: database.load(table))

    # --- commits ---------------------------------------------------------------------------------

    def commit(self, transaction: Transaction) -> int:
        """Applies in memory; the ticket says what the answer has to wait for."""
        if not transaction.valid():
            raise Conflict
        ticket = transaction.wait_for
        if transaction.writes:
            changes = self._changes(transaction)
            undo = self._apply(transaction)
            if changes:
                ticket = self._enqueue(changes, undo)
        return ticket if ticket > self._settled or self._failed else DURABLE

    def _changes(self, transaction: Transaction) -> Changes:
        changes: Changes = {}
        database = self._database
        if database is None:
            return changes
        for table, pending in transaction.writes.items():
            if not table.rules.persistent:
                continue
            name = table.name
            for key in table.dead:
                changes[name, key] = None
            for key, entry in pending.data.items():
                if not table.log:
                    check_key(key)
                changes[name, key] = None if entry is None else database.row(table, key, entry)
            table.dead = []
        return changes

    def _apply(self, transaction: Transaction) -> Undo:
        self._revision += 1
        undo: Undo = []
        for table, pending in transaction.writes.items():
            for key, entry in pending.data.items():
                if entry is None:
                    undo.append((table, key, table.drop(key), None))
                else:
                    entry.revision = self._revision
                    undo.append((table, key, table.put(key, entry), entry))
        return undo

    def _enqueue(self, changes: Changes, undo: Undo) -> int:
        self._last_ticket += 1
        for table, _, _, _ in undo:
            if table.durable:
                table.ticket = self._last_ticket
        self._queue.waiting.append(_Commit(self._last_ticket, changes, undo))
        return self._last_ticket

    def sweep(self) -> None:
        """Forgets entries whose time is over, in memory and with the next write in storage."""
        changes: Changes = {}
        for table in self._tables.values():
            if table.rules.ttl is not None:
                table.ready()
                table.expire(self.clock())
                changes.update({(table.name, key): None for key in table.dead})
                table.dead = []
        if changes and self._database is not None:
            self._enqueue(changes, [])

    def confirm(self, transaction: Transaction) -> int:
        """What a failed transaction has read is true once it is durable."""
        return transaction.wait_for

    # --- durability ------------------------------------------------------------------------------

    def check(self, ticket: int) -> None:
        """Raises the SomaError with which a commit failed."""
        for low, high, error in self._failed:
            if low <= ticket <= high:
                raise SomaError(str(error), error.kind) from error

    def flush(self) -> None:
        """Writes all waiting commits now. Failures are for `check`."""
        if self._flushing:
            raise RuntimeError("App.call and App.close must not run beside App.invoke")
        while self._queue.waiting:
            batch = self._take_batch()
            self._settle(batch, self._write(batch))

    def pause_after(self, conflicts: int) -> float:
        """Nobody else is there to wait for."""
        return 0.0

    def when_decided(self, ticket: int, tell: Callable[[], None]) -> bool:
        """Nobody else decides on commits of this node."""
        return False

    async def wait_durable(self, ticket: int) -> None:
        """Returns when the ticket is durable; the first who waits does the work for all."""
        if ticket > self._settled:
            await self._settling(ticket)
        if self._failed:
            self.check(ticket)

    async def _settling(self, ticket: int) -> None:
        import trio

        if self._parked is None:
            self._parked = trio.lowlevel.ParkingLot()
        while ticket > self._settled:
            if self._flushing:
                await self._parked.park()
            else:
                await self._lead(self._parked)

    async def _lead(self, parked: trio.lowlevel.ParkingLot) -> None:
        import trio

        self._flushing = True
        try:
            waiting = 0
            for _ in range(limits.JOIN_TURNS):  # others may join the group, as long as they come
                if len(self._queue.waiting) == waiting:
                    break
                waiting = len(self._queue.waiting)
                await trio.lowlevel.cancel_shielded_checkpoint()
            batch = self._take_batch()
            self._settle(batch, await self._write_group(batch))
        finally:
            self._flushing = False
            parked.unpark_all()

    async def _write_group(self, batch: list[_Commit]) -> SomaError | None:
        """Writes some commits, on the loop or in a thread; the simulator takes its own time."""
        import trio

        if self._quick():
            return self._write(batch)
        with trio.CancelScope(shield=True):
            failure = await trio.to_thread.run_sync(self._write, batch)
        return failure

    def _quick(self) -> bool:
        """Whether the disk is quick enough to write on the event loop.

        Times measured in a thread include its wait for the interpreter, so now and then a commit
        on the loop finds out whether it is quick again.
        """
        allowed = limits.INLINE_COMMIT_SECONDS
        self._groups += 1
        if self._groups % limits.INLINE_PROBE == 0:
            allowed *= 10
        return self._commit_seconds < allowed

    def _take_batch(self) -> list[_Commit]:
        queue = self._queue
        queue.writing = queue.waiting[: limits.BATCH_TRANSACTIONS]
        queue.waiting = queue.waiting[limits.BATCH_TRANSACTIONS :]
        return queue.writing

    def _write(self, batch: list[_Commit]) -> SomaError | None:
        assert self._database is not None
        changes = batch[0].changes
        if len(batch) > 1:
            changes = {}
            for commit in batch:
                changes.update(commit.changes)
        begin = time.perf_counter()
        try:
            self._database.write(changes)
        except SomaError as error:
            return error
        self._commit_seconds += (time.perf_counter() - begin - self._commit_seconds) / 4
        return None

    def _settle(self, batch: list[_Commit], failure: SomaError | None) -> None:
        self._queue.writing = []
        if failure is None:
            self._settled = batch[-1].ticket
            return
        lost = batch + self._queue.waiting
        self._queue.waiting = []
        for commit in reversed(lost):
            _undo(commit.undo)
        self._failed.append((lost[0].ticket, lost[-1].ticket, failure))
        self._settled = lost[-1].ticket

    def close(self) -> None:
        """Writes what waits and gives up the data directory."""
        if self._database is not None:
            self.flush()
            self._database.close()
            self._database = None


def _in_memory(rules: SlotRules) -> SlotRules:
    from dataclasses import replace

    return replace(rules, persistent=False)


def _undo(undo: Undo) -> None:
    """Puts back what a commit that was lost had replaced, unless others have replaced it since."""
    for table, key, before, after in reversed(undo):
        table.ticket = DURABLE
        if table.entries.get(key) is not after:
            continue
        if before is None:
            table.drop(key)
        else:
            table.put(key, before)
