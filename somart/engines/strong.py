"""The tables of strong cells: changed by entries of the log only, alike on every replica."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from ..consensus.proposal import Key, Row
from ..consensus.storage import Changes
from ..memory.codec import decode, encode
from ..memory.table import Entry, Table

if TYPE_CHECKING:
    from .database import Row as StoredRow

StoredForm = Callable[[Table, Key, Entry, Row], "StoredRow"]
"""The database's row of an entry, sealed if its slot is encrypted."""


class StrongTables:
    """Tables by name. `stored` says how a row looks in the database; None: nothing is stored.

    `unknown` makes a table that this build of the program does not have (by its name, and whether
    it is a log): a newer one on another node writes it, and this node must have its rows when it
    is upgraded, or sends them to others. None: they are passed over.
    """

    def __init__(self, stored: StoredForm | None = None) -> None:
        self.tables: dict[str, Table] = {}
        self.stored = stored
        self.unknown: Callable[[str, bool], Table | None] = _passed_over
        self._rows: Changes = {}

    def __contains__(self, table: Table) -> bool:
        return self.tables.get(table.name) is table

    def add(self, table: Table) -> None:
        table.agreed = True
        self.tables[table.name] = table

    # --- what the replicated state needs ---------------------------------------------------------

    def has(self, table: str, key: Key) -> bool:
        """Whether the key is there, expired or not: clocks have no say in what replicas decide."""
        found = self.tables.get(table)
        if found is None:
            return False
        found.ready()
        return key in found.entries

    def next_key(self, table: str) -> Key:
        """The number of the next record of a log."""
        found = self.tables.get(table) or self.unknown(table, True)
        if found is None:
            return 1
        found.ready()
        number: int = found.next_key
        return number

    def write(self, table: str, key: Key, row: Row | None, revision: int) -> None:
        """Puts a row, or with None takes the key away."""
        found = self.tables.get(table) or self.unknown(table, isinstance(key, int))
        if found is None:
            return
        found.ready()
        if row is None:
            found.drop(key)
            if self.stored is not None:
                self._rows[table, key] = None
            return
        text, kind, written, expires = row
        entry = Entry(decode(kind, text), written, expires, revision)
        found.put(key, entry)
        if found.log and isinstance(key, int):
            found.next_key = max(found.next_key, key + 1)
        if self.stored is not None:
            self._rows[table, key] = self.stored(found, key, entry, row)

    # --- what the service needs ------------------------------------------------------------------

    def take_rows(self) -> Changes:
        rows, self._rows = self._rows, {}
        return rows

    def dump(self) -> Iterable[tuple[str, Key, Row]]:
        """All rows of all tables, in the order of their tables and keys."""
        for name in sorted(self.tables):
            table = self.tables[name]
            table.ready()
            for key, entry in table.entries.items():
                yield name, key, row_of(entry)

    def replace(self, rows: Iterable[tuple[str, Key, Row]], revision: int) -> None:
        """Puts these in place of everything: a snapshot of the leader's."""
        kept: dict[str, dict[Key, Row]] = {}
        for name, key, row in rows:
            kept.setdefault(name, {})[key] = row
        for name, table in self.tables.items():
            table.ready()
            wanted = kept.get(name, {})
            for key in [key for key in table.entries if key not in wanted]:
                self.write(name, key, None, revision)
        for name, wanted in kept.items():
            for key, row in wanted.items():
                self.write(name, key, row, revision)


def _passed_over(_name: str, _log: bool) -> None:
    return None


def row_of(entry: Entry) -> Row:
    """An entry as proposals carry it. Raises SomaError for what has no stored form."""
    kind, text = encode(entry.value)
    return text, kind, entry.written, entry.expires
