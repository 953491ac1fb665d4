"""The engine of a node of a cluster: what a standalone one does, and a version with every write.

A commit that writes replicated memory gets a stamp; entries, versions and the core's own rows (the
journal of batches, what has been seen) are stored together or not at all. The core hears of it by
`on_batch` when it is applied and by `on_durable` when it is stored: nothing leaves the node before.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from heapq import heappop, heappush
from itertools import count
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, NamedTuple

from ..cluster.clocks import Clock, SystemClock
from ..cluster.config import ClusterConfig
from ..cluster.ids import TABLE as ID_TABLE
from ..cluster.ids import Ids
from ..cluster.messages import Write
from ..cluster.own import TABLE as OWN_TABLE
from ..cluster.own import OwnAdditions
from ..cluster.placement import Placement, counters_of, placements_of
from ..cluster.replica import NODE, Change, Replica, SystemRows, state_of, to_wire, write_from
from ..cluster.versions import (
    ABSENT,
    NEVER,
    Version,
    increment,
    merge,
    packed,
    record_key,
    stamp_of_record,
    unpacked,
)
from ..cluster.versiontable import VersionTable
from ..errors import SomaError
from ..memory.codec import check_key
from ..memory.properties import SlotRules
from ..memory.table import Added, Entry, Key, Table
from ..merge import BEGINNING, Stamp
from ..spec import ProgramSpec
from ..transaction import Pending, Transaction
from .base import DURABLE, Conflict
from .remote import (
    Remote,
    Waiter,
    answered,
    far_of,
    knows_key,
    take_entries,
    take_key,
    trio_waiter,
)
from .stamped import GONE, Inventory, Kept, adopt, check_of, give_text_keys, stamps_row
from .standalone import StandaloneEngine, Undo, _Commit

if TYPE_CHECKING:
    from .database import Changes, DatabaseFactory, Row

STAMPS = "#stamps"
"""Follows the name of a table in that of its versions' table."""
SYSTEM = "#cluster."
"""Begins the names of the cluster's own tables."""
_DURABLE_RULES = SlotRules(persistent=True)
OnBatch = Callable[[list[Write]], SystemRows]
Told = Callable[[bool], None]
"""True: stored; False: lost, with all commits after it."""
_VersionUndo = list[tuple[Table, VersionTable, str, Version | None, int]]
_SUM_MOST = (1 << 63) - 1
"""The largest sum of additions that a message can carry; beyond, an addition is a plain write."""
_DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"


class SystemTable(NamedTuple):
    """A table of the cluster's own, durable and never replicated. Rows are texts or bytes."""

    name: str
    engine: ClusterEngine

    def load(self) -> Iterator[tuple[str, str | bytes]]:
        """All rows that are stored, in order of first insertion."""
        return self.engine.stored_rows(self.name)


class ClusterEngine(StandaloneEngine):
    """The engine of one node. `node_id` names it in stamps, together with its data directory."""

    def __init__(
        self,
        spec: ProgramSpec,
        node_id: str,
        data_dir: str | Path | None = None,
        *,
        key_file: str | Path | None = None,
        clock: Clock | None = None,
        database_factory: DatabaseFactory | None = None,
        config: ClusterConfig | None = None,
        rng: Random | None = None,
        waiter: Callable[[], Waiter] = trio_waiter,
    ) -> None:
        clocks = SystemClock() if clock is None else clock
        super().__init__(
            data_dir, key_file=key_file, clock=clocks.wall, database_factory=database_factory
        )
        self.node_id = node_id
        self.placements: Mapping[str, Placement] = placements_of(spec)
        self._counters: dict[Table, bool] = {}
        self._counter_names = frozenset(counters_of(spec))
        self.replica = Replica(self.placements, clocks, self)
        self.ids = Ids(config or ClusterConfig(), clocks, self)
        """The core gives it messages, and says who founds a cluster."""
        self.on_batch: OnBatch | None = None
        self.remote: Remote | None = None
        self.waiter = waiter
        self.boot = 1
        """How often a node of a cluster has opened this data directory."""
        self._rng = rng
        self._own = OwnAdditions()
        self._versions: dict[Table, VersionTable] = {}
        self._undone: dict[int, _VersionUndo] = {}
        self._told: list[tuple[int, int, Told]] = []
        self._order = count()
        self._node = self.system_table(NODE)
        self.system_table(OWN_TABLE)

    @property
    def origin(self) -> str:
        """The node's id with a mark of its data directory, unlike that of a wiped one."""
        return self.replica.origin

    @property
    def next_ticket(self) -> int:
        """The ticket of the commit that `on_batch` is called in; DURABLE without a data directory.
        With one, `on_batch` must give at least one row, so that there is a commit."""
        return DURABLE if self._database is None else self._last_ticket + 1

    # --- tables ----------------------------------------------------------------------------------

    def table(self, name: str, rules: SlotRules, log: bool = False) -> Table:
        """The table of that name, with versions if it is replicated."""
        if name in self._tables:
            return self._tables[name]
        table = super().table(name, rules, log)
        table.rng = self._rng or table.rng
        placement = self.placements.get(name)
        if name in self._counter_names:
            self._counters[table] = True
        if placement is not None:
            table.textual = placement.stamped
            self._versions[table] = VersionTable(name)
            if table.durable:
                super().table(_stamps(name), _DURABLE_RULES)
        return table

    def replicated(self, name: str) -> tuple[Table, VersionTable] | None:
        """A replicated table of the program with its versions, loaded."""
        table = self._tables.get(name)
        versions = None if table is None else self._versions.get(table)
        if table is None or versions is None:
            return None
        table.ready()
        versions.ready()
        return table, versions

    def versions_of(self, table: Table) -> VersionTable | None:
        """The versions of a replicated table, loaded."""
        versions = self._versions.get(table)
        if versions is not None:
            versions.ready()
        return versions

    def sharded(self, table: Table) -> bool:
        """Whether the keys of a table may lie on other nodes only."""
        placement = self.placements.get(table.name)
        return placement is not None and placement.copies is not None

    def sums(self, table: Table) -> bool:
        """Whether additions of several nodes to an Int in a table are summed: in all replicated."""
        return table in self._versions

    def id_after(self, table: Table, last: int) -> int:
        """The id that follows one in a counter; those of cells with `scale` are the cluster's."""
        return self.ids.after(table.name, last) if table in self._counters else last + 1

    def record_key(self, table: Table) -> Key:
        """The key of the next record of a log."""
        if table in self._versions:
            return record_key(self.replica.tick())
        return super().record_key(table)

    def system_table(self, name: str) -> SystemTable:
        """A durable table of the cluster's own; any module may have one under a name of its own."""
        if _system(name) not in self._tables:
            table = self.table(_system(name), _DURABLE_RULES)
            if self._database is not None:
                self._database.prepare([table])
        return SystemTable(name, self)

    def stored_rows(self, name: str) -> Iterator[tuple[str, str | bytes]]:
        """All stored rows of a system table; none before `open`."""
        self.system_table(name)
        if self._database is not None:
            for key, entry in self._database.load(self._tables[_system(name)]):
                yield key, entry.value

    # --- what lies elsewhere ---------------------------------------------------------------------

    async def fetch(self, transaction: Transaction, table: Table, key: Key) -> None:
        """Makes the transaction see a key of a sharded table; asks other nodes if need be. Raises
        SomaError when no owner of the key answers."""
        remote, name = self.remote, table.name
        if remote is None or knows_key(transaction, table, key) or remote.settled(name, key):
            return
        write = await answered(partial(remote.get, name, key), self.waiter)
        if write is not None:
            self.replica.observe(Stamp(*write.version.stamp))
        transaction.wait_for = max(transaction.wait_for, table.ticket)  # it may be of this node
        take_key(transaction, table, key, write, self.clock())

    async def fetch_all(self, transaction: Transaction, table: Table, values: bool) -> None:
        """The same for all keys, or with `values` for all entries."""
        remote, far = self.remote, transaction.far
        if remote is None or remote.whole(table.name):
            return
        if far is not None and table in far.tables and (table in far.full or not values):
            return
        writes = await answered(partial(remote.entries, table.name, values), self.waiter)
        take_entries(transaction, table, writes, values, self.clock())

    async def fetch_count(self, transaction: Transaction, table: Table) -> None:
        """The same for the number of keys only."""
        remote, pending = self.remote, transaction.writes.get(table)
        if pending is not None and pending.data:  # which of them are new is to be known
            await self.fetch_all(transaction, table, False)
        elif remote is not None and not remote.whole(table.name):
            far = far_of(transaction)
            if table not in far.counts:
                far.counts[table] = await answered(partial(remote.count, table.name), self.waiter)

    # --- opening ---------------------------------------------------------------------------------

    def open(self) -> None:
        """Opens the data directory; one of a standalone node is made fit for a cluster, once."""
        super().open()
        if self._database is None:
            self.replica.origin = self._born()
            self._restore_ids({}, alone=False)
            return
        try:
            self._open_node()
        except SomaError:
            self._database.close()
            self._database = None
            raise

    def _open_node(self) -> None:
        database = self._database
        assert database is not None
        known = {key: str(value) for key, value in self._node.load()}
        ids = self.system_table(ID_TABLE)
        self._own = OwnAdditions({key: str(row) for key, row in self.stored_rows(OWN_TABLE)})
        self.replica.origin = known.get("origin") or self._born()
        self.replica.last = unpacked(known["clock"]).stamp if "clock" in known else BEGINNING
        self.replica.floor = unpacked(known["floor"]).stamp if "floor" in known else BEGINNING
        self.boot = int(known.get("boot", 0)) + 1
        kept = self._kept()
        for table, _, stamped in kept:
            if stamped:
                give_text_keys(database, table, self.origin)
        changes: Changes = {}
        alone = known.get("opens") != str(database.opens - 1)
        if alone:
            stamp_for = self._new_stamp if known else self._old_stamp
            changes = adopt(database, kept, stamp_for, self.clock())
        rows = {"origin": self.origin, "boot": str(self.boot), "opens": str(database.opens)}
        ticket = self._finish(changes, [], {(NODE, key): row for key, row in rows.items()}, [])
        self.flush()
        self.check(ticket)
        for table, versions in self._versions.items():
            if table.durable:
                self._load_versions_later(table, versions)
        self._restore_ids({key: str(value) for key, value in ids.load()}, alone)

    def _restore_ids(self, rows: Mapping[str, str], alone: bool) -> None:
        used: dict[str, int | None] = {}
        for table in self._counters:
            table.ready()
            entry = table.entries.get("next_id")
            forgotten = entry is None and not table.durable
            used[table.name] = None if forgotten else 0 if entry is None else int(entry.value)
        self.ids.restore(rows, used, self.boot, alone)

    def _kept(self) -> list[Kept]:
        return [
            Kept(table, self._tables[_stamps(table.name)], self.placements[table.name].stamped)
            for table in self._versions
            if table.durable
        ]

    def _born(self) -> str:
        """A mark of this data directory: when it became a node's."""
        time, mark = self.clock(), ""
        while time:
            time, digit = divmod(time, 36)
            mark = _DIGITS[digit] + mark
        return f"{self.node_id}~{mark}"

    def _old_stamp(self, written: int) -> Stamp:
        return Stamp(min(max(written, 1), self.clock()), 0, self.origin)

    def _new_stamp(self, _written: int) -> Stamp:
        return self.replica.tick()

    def _load_versions_later(self, table: Table, versions: VersionTable) -> None:
        stamps = self._tables[_stamps(table.name)]
        stamped = self.placements[table.name].stamped

        def load() -> Iterator[tuple[str, str, int, bool]]:
            assert self._database is not None
            known = set()
            for key, entry in self._database.load(stamps):
                known.add(key)
                yield key, entry.value, entry.expires, entry.written != GONE
            if stamped:
                table.ready()
                for key, entry in table.entries.items():
                    if key not in known:
                        version = packed(Version(stamp_of_record(key)))
                        yield key, version, entry.expires, True

        versions.load_later(load)

    # --- commits ---------------------------------------------------------------------------------

    def commit(self, transaction: Transaction) -> int:
        """Applies in memory and tells the core; the ticket says what the answer waits for."""
        ticket = self._commit(transaction)
        for table, pending in transaction.writes.items():
            if table not in self._counters:
                continue
            entry = pending.data.get("next_id")
            if entry is not None:
                self.ids.used(table.name, int(entry.value))
        return ticket

    def _commit(self, transaction: Transaction) -> int:
        if not any(table in self._versions for table in transaction.writes):
            return super().commit(transaction)
        if not transaction.valid() or (transaction.far is not None and self._lost(transaction)):
            raise Conflict
        plan = self._plan(transaction)
        changes = self._changes(transaction)
        writes = [self._wire(change, changes) for change in plan]
        expected = self.next_ticket
        rows = self.on_batch(writes) if self.on_batch is not None else {}
        undo = self._apply(transaction)
        ticket = self._finish(changes, plan, rows, undo)
        assert ticket in (expected, DURABLE), "on_batch must not make a commit of its own"
        ticket = max(ticket, transaction.wait_for)
        return ticket if ticket > self._settled or self._failed else DURABLE

    def _lost(self, transaction: Transaction) -> bool:
        """Whether the disk has refused a commit that the transaction may have seen."""
        seen = transaction.wait_for
        return any(low <= seen <= high for low, high, _ in self._failed)

    def _plan(self, transaction: Transaction) -> list[Change]:
        """What the transaction writes to replicated tables, with versions: one stamp for all."""
        found: list[tuple[Table, VersionTable, Pending, Key, Version | None]] = []
        latest = BEGINNING
        for table, pending in transaction.writes.items():
            versions = self._versions.get(table)
            if versions is not None:
                versions.ready()
                for key in pending.data:
                    check_key(key)
                    held = versions.get(key)
                    found.append((table, versions, pending, key, held))
                    if held is not None and held.stamp > latest:
                        latest = held.stamp
        plain = Version(self.replica.tick(latest))
        return [self._planned(*each, plain) for each in found]

    def _planned(
        self,
        table: Table,
        versions: VersionTable,
        pending: Pending,
        key: Key,
        held: Version | None,
        version: Version,
    ) -> Change:
        entry = pending.data[key]
        if isinstance(entry, Added):
            entry, version = self._sum(table, key, held, entry, version)
            pending.data[key] = entry
        elif table.textual and held is None and entry is not None:
            version = Version(stamp_of_record(key))
        return Change(table, versions, key, entry, version, 0 if entry is None else entry.expires)

    def _sum(
        self, table: Table, key: str, held: Version | None, added: Added, plain: Version
    ) -> tuple[Entry, Version]:
        """The key with what the transaction adds to it: what it has become meanwhile counts."""
        state = NEVER if held is None else state_of(held, table.entries.get(key))
        if added.base is not None:
            state = merge(state, added.base)
        state = self._own.joined(table.name, key, state)
        if state.value is not ABSENT and state.value.__class__ is not int:
            return Entry(added.value), plain
        name = self._adder(table)
        state = increment(state, name, added.amount, added.default)
        assert state.version.added is not None
        too_large = abs(state.version.added[name][1]) > _SUM_MOST
        return Entry(state.value), plain if too_large else state.version

    def _adder(self, table: Table) -> str:
        """Whose additions to a table are counted together: what is not stored begins anew with
        every start."""
        return self.origin if table.durable else f"{self.origin}!{self.boot}"

    @staticmethod
    def _wire(change: Change, changes: Changes) -> Write:
        table, _, key, entry, version, _ = change
        assert version is not None
        row = None if table.rules.encrypted else changes.get((table.name, key))
        if row is None:
            return write_from(table.name, key, version, entry)
        return Write(table.name, key, to_wire(version), row[2], row[1], row[3], row[4])

    def apply(self, changes: Sequence[Change], rows: SystemRows) -> int:
        """Changes memory at once and storage in one commit with the rows; gives its ticket. For
        writes of other nodes: no handler runs, no invariant, and nothing is sent on."""
        stored: Changes = {}
        for change in changes:
            self._stage(change, stored)
        self._revision += 1
        undo: Undo = []
        for table, _, key, entry, _, _ in changes:
            if entry is None:
                undo.append((table, key, table.drop(key), None))
            else:
                entry.revision = self._revision
                undo.append((table, key, table.put(key, entry), entry))
        return self._finish(stored, changes, rows, undo)

    def _stage(self, change: Change, stored: Changes) -> None:
        table, _, key, entry, _, _ = change
        if self._database is not None and table.durable:
            for dead in table.dead:
                stored.setdefault((table.name, dead), None)
            table.dead = []
            row: Row = None if entry is None else self._database.row(table, key, entry)
            stored[table.name, key] = row

    def record(self, rows: SystemRows) -> int:
        """Stores rows of system tables, in order with the commits; gives the ticket."""
        return self._finish({}, [], rows, [])

    def _finish(
        self, stored: Changes, changes: Sequence[Change], rows: SystemRows, undo: Undo
    ) -> int:
        """Takes over the versions, and queues all that is to be stored."""
        durable = self._database is not None
        undone: _VersionUndo = []
        for number, (table, versions, key, entry, version, expires) in enumerate(changes):
            before = versions.get(key)
            undone.append((table, versions, key, before, versions.expires(key)))
            if version is None:
                versions.drop(key)
                gone = undo[number][2]
                value = ABSENT if gone is None else gone.value
                own = self._own.forgotten(table.name, key, before, self._adder(table), value)
                if own is not None and table.durable:
                    stored[_system(OWN_TABLE), own[0]] = _system_row(*own)
            else:
                versions.put(key, version, expires, entry is not None)
            if durable and table.durable:
                place = (_stamps(table.name), key)
                if version is None or (table.textual and packs_itself(key, version, entry)):
                    stored[place] = None
                else:
                    check = check_of(stored[table.name, key])
                    stored[place] = stamps_row(key, version, check, expires)
        if not durable:
            return DURABLE
        for (name, key), value in rows.items():
            self.system_table(name)
            stored[_system(name), key] = _system_row(key, value)
        if not stored:
            return DURABLE
        stored[_system(NODE), "clock"] = _system_row("clock", packed(Version(self.replica.last)))
        ticket = self._enqueue(stored, undo)
        self._undone[ticket] = undone
        return ticket

    def sweep(self) -> None:
        """Forgets expired entries, and some time later their versions."""
        super().sweep()
        self.replica.expire()

    # --- durability ------------------------------------------------------------------------------

    def on_durable(self, ticket: int, told: Told) -> None:
        """Calls back when a ticket is stored or lost, at once if it is; in the order of tickets."""
        if ticket <= self._settled:
            told(not any(low <= ticket <= high for low, high, _ in self._failed))
        else:
            heappush(self._told, (ticket, next(self._order), told))

    def _settle(self, batch: list[_Commit], failure: SomaError | None) -> None:
        settled = batch if failure is None else batch + self._queue.waiting
        super()._settle(batch, failure)
        for commit in reversed(settled):
            undone = self._undone.pop(commit.ticket, [])
            if failure is not None:
                _undo_versions(undone)
        while self._told and self._told[0][0] <= self._settled:
            heappop(self._told)[2](failure is None)


def describe_local_data(engine: ClusterEngine) -> Inventory:
    """What an opened data directory holds of the memory that its program shares."""
    found = Inventory()
    for name in engine.replica.tables:
        table = engine.replicated(name)
        if table is not None and table[0].visible():
            found.entries[name] = table[0].visible()
    return found


def packs_itself(key: str, version: Version, entry: Entry | None) -> bool:
    """Whether the key of a log record says what its version is."""
    return entry is not None and version == Version(stamp_of_record(key))


def _undo_versions(undone: _VersionUndo) -> None:
    for table, versions, key, before, expires in reversed(undone):
        if before is None:
            versions.drop(key)
        else:
            versions.put(key, before, expires, key in table.entries)


def _stamps(name: str) -> str:
    return f"{name}{STAMPS}"


def _system(name: str) -> str:
    return f"{SYSTEM}{name}"


def _system_row(key: str, value: str | bytes | None) -> Row:
    return None if value is None else (key, value, "string", 0, 0)
