"""A handler's transaction: buffered writes, a journal for savepoints, what it has read.

One invocation from outside is one transaction; the handlers that it calls take part in it. Reads
see the transaction's own writes; the engine applies them together when the handler has returned.
"""

from __future__ import annotations

from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

from .events import Event
from .memory.table import Entry, Key, Table, hidden

if TYPE_CHECKING:
    from .app import App

CURRENT: ContextVar[Transaction] = ContextVar("somart_transaction")

_MISSING: Any = object()
_STALE = -1

Mark = tuple[int, int]


def current_app() -> App:
    """The app whose handler is running. Raises LookupError outside a handler."""
    return CURRENT.get().app


class Pending:
    """The writes of a transaction to one table; None stands for a deleted key.

    `delta` is by how much they change the number of visible keys, as long as the table's keys
    are those of `shape`.
    """

    __slots__ = ("data", "delta", "shape")

    def __init__(self, shape: int) -> None:
        self.data: dict[Key, Entry | None] = {}
        self.delta = 0
        self.shape = shape


class Far:
    """What other nodes have answered to a transaction, so that it reads the same again: single
    keys, with their states (`cluster.versions.State`), and whole tables."""

    __slots__ = ("counts", "full", "keys", "states", "tables")

    def __init__(self) -> None:
        self.keys: dict[tuple[Table, Key], Entry | None] = {}
        self.states: dict[tuple[Table, Key], Any] = {}
        self.tables: dict[Table, Table] = {}
        self.full: set[Table] = set()
        """Those of which the values are known, not only the keys."""
        self.counts: dict[Table, int] = {}

    def knows(self, table: Table, key: Key) -> bool:
        """Whether `entry` has an answer."""
        return (table, key) in self.keys or (table in self.full and not hidden(key))

    def entry(self, table: Table, key: Key) -> Entry | None:
        """What was answered about a key that is known."""
        if (table, key) in self.keys:
            return self.keys[table, key]
        return self.tables[table].entries.get(key)


class Transaction:
    """Buffered changes of one invocation.

    `tracking` is set for handlers that others may interleave with: what they read is noted, and
    validated at the commit. `wait_for` is the commit that must be durable before the answer may
    be given, because something that it wrote has been read. `caller` is the call on whose turn
    this one runs, see `calls.py`. `far` is what other nodes have told it, None if nothing; `near`
    is set while only what this node holds may be looked at, because nothing may wait. `agreed`:
    other nodes get its events with the log.
    """

    __slots__ = (
        "agreed",
        "app",
        "caller",
        "epoch",
        "events",
        "far",
        "journal",
        "journaling",
        "key_reads",
        "marked",
        "near",
        "shape_reads",
        "token",
        "tracking",
        "value_reads",
        "wait_for",
        "writes",
    )

    def __init__(self, app: App, tracking: bool = False, caller: Transaction | None = None) -> None:
        self.app = app
        self.tracking = tracking
        self.caller = caller
        self.token: str | None = None
        self.writes: dict[Table, Pending] = {}
        self.journal: list[tuple[Pending, Key, Any]] = []
        self.journaling = False
        self.marked = False
        self.epoch = 0
        self.events: list[Event] = []
        self.wait_for = 0
        self.far: Far | None = None
        self.near = False
        self.agreed = False
        self.key_reads: dict[tuple[Table, Key], int] = {}
        self.shape_reads: dict[Table, int] = {}
        self.value_reads: dict[Table, int] = {}

    # --- savepoints ------------------------------------------------------------------------------

    # The journal keeps what a key was at the last mark, once; without a mark there is none, so
    # that a handler that writes a million times does not remember a million values.

    def savepoint(self) -> Mark:
        """A mark to roll back to, until the end of the transaction."""
        self.marked = True
        return self.guard()

    def guard(self) -> Mark:
        """A mark to roll back to until `release`."""
        self.journaling = True
        self.epoch += 1
        return len(self.journal), len(self.events)

    def release(self) -> None:
        """Gives up the mark of `guard`."""
        if not self.marked:
            self.journaling = False
            self.journal.clear()

    def rollback(self, mark: Mark) -> None:
        """Undoes writes and emitted events since the mark, in time linear in their number."""
        journal = self.journal
        while len(journal) > mark[0]:
            pending, key, before = journal.pop()
            if before is _MISSING:
                del pending.data[key]
            else:
                pending.data[key] = before
            pending.shape = _STALE
        self.epoch += 1
        del self.events[mark[1] :]

    # --- single keys -----------------------------------------------------------------------------

    def read(self, table: Table, key: Key) -> Entry | None:
        """The entry of a key as this transaction sees it."""
        pending = self.writes.get(table)
        if pending is not None:
            own: Entry | None = pending.data.get(key, _MISSING)
            if own is not _MISSING:
                return own
        if self.far is not None and self.far.knows(table, key):
            return self.far.entry(table, key)
        table.ready()
        if table.ticket > self.wait_for:
            self.wait_for = table.ticket
        entry = table.entries.get(key)
        if self.tracking:
            self.key_reads.setdefault((table, key), 0 if entry is None else entry.revision)
        return entry

    def write(self, table: Table, key: Key, entry: Entry | None) -> None:
        """Buffers a value, or with None a deletion."""
        pending = self.writes.get(table)
        if pending is None:
            table.ready()
            pending = self.writes[table] = Pending(self._seen(table).shape)
        data = pending.data
        before = data.get(key, _MISSING)
        if self.journaling and not (
            before.__class__ is Entry and before.revision == -self.epoch  # noted already
        ):
            self.journal.append((pending, key, before))
        if entry is not None:
            entry.revision = -self.epoch
        seen = table if self.far is None else self._seen(table)
        if pending.shape == seen.shape and not hidden(key):
            was = key in seen.entries if before is _MISSING else before is not None
            pending.delta += (entry is not None) - was
        data[key] = entry

    # --- whole tables ----------------------------------------------------------------------------

    def count(self, table: Table) -> int:
        """The number of visible keys."""
        seen = self._read_shape(table)
        pending = self.writes.get(table)
        if pending is None:
            if self.far is not None and table in self.far.counts and seen is table:
                return table.visible() if self.near else self.far.counts[table]
            return seen.visible()
        if pending.shape != seen.shape:
            self._recount(seen, pending)
        return seen.visible() + pending.delta

    def keys(self, table: Table) -> list[Key]:
        """The visible keys, ascending; a new list."""
        seen = self._read_shape(table)
        pending = self.writes.get(table)
        base = seen.keys()
        if pending is None or not pending.data:
            return list(base)
        data, entries = pending.data, seen.entries
        found = [key for key in base if data.get(key, _MISSING) is not None]
        known = len(found)
        found += [
            key
            for key, entry in data.items()
            if entry is not None and key not in entries and not hidden(key)
        ]
        if len(found) > known:
            found.sort()
        return found

    def entries(self, table: Table) -> list[tuple[Key, Entry]]:
        """Visible keys with their entries, ascending by key."""
        keys = self.keys(table)
        if self.tracking:
            self.value_reads.setdefault(table, table.version)
        pending = self.writes.get(table)
        base = self._seen(table).entries
        if pending is None:
            return [(key, base[key]) for key in keys]
        data = pending.data
        return [(key, data.get(key) or base[key]) for key in keys]

    def _seen(self, table: Table) -> Table:
        """The table, or what other nodes have said of all of it."""
        return table if self.far is None or self.near else self.far.tables.get(table, table)

    def _read_shape(self, table: Table) -> Table:
        table.ready()
        if table.ticket > self.wait_for:
            self.wait_for = table.ticket
        if self.tracking:
            self.shape_reads.setdefault(table, table.shape)
        return self._seen(table)

    @staticmethod
    def _recount(table: Table, pending: Pending) -> None:
        pending.delta = sum(
            (entry is not None) - (key in table.entries)
            for key, entry in pending.data.items()
            if not hidden(key)
        )
        pending.shape = table.shape

    # --- validation ------------------------------------------------------------------------------

    def valid(self) -> bool:
        """Whether all that was read is still so."""
        if not self.tracking:
            return True
        for (table, key), revision in self.key_reads.items():
            if table.revision(key) != revision:
                return False
        if any(table.shape != shape for table, shape in self.shape_reads.items()):
            return False
        return all(table.version == version for table, version in self.value_reads.items())
