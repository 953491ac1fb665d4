"""A disk that outlives its node, and a database on it that looks like the real one.

What was written is there after a crash; what was being written is there as a whole or not at all
(one commit is one SQLite transaction in WAL mode: a torn tail is dropped when the file is opened).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from random import Random
from typing import Any

from ..engines.database import Changes, Row, storage_error
from ..memory.codec import decode, encode
from ..memory.table import Entry, Key, Table

_PATH = Path("soma.db")


class Disk:
    """Rows by table and key. `full` makes writes fail; `slow` multiplies their time."""

    def __init__(self, rng: Random) -> None:
        self.tables: dict[str, dict[Key, Row]] = {}
        self.full = False
        self.slow = 1
        self.writes = 0
        self.opens = 0
        self._rng = rng
        self._writing: Changes | None = None
        self._owner: SimulatedDatabase | None = None

    def open(self) -> SimulatedDatabase:
        """A database on this disk; the one opened before can no longer write."""
        self.opens += 1
        self._owner = SimulatedDatabase(self)
        return self._owner

    def latency(self) -> int:
        """How many ms the next commit takes: mostly one to three, at times far more."""
        base = 1 + int(self._rng.expovariate(1.0))
        if self._rng.random() < 0.01:
            base += self._rng.randint(10, 100)
        return base * self.slow

    def begin(self, changes: Changes) -> None:
        """A commit starts; until `SimulatedDatabase.write` it is neither stored nor lost."""
        self._writing = changes

    def crash(self) -> None:
        """The node dies: a commit under way is kept or lost."""
        self._owner = None
        if self._writing is not None and not self.full and self._rng.random() < 0.5:
            self._store(self._writing)
        self._writing = None

    def wipe(self) -> None:
        """An empty disk."""
        self.crash()
        self.tables = {}

    def write(self, owner: SimulatedDatabase, changes: Changes) -> None:
        """Stores all of it or, raising SomaError, nothing."""
        if owner is not self._owner:
            raise storage_error(f"cannot write '{_PATH}': the node is dead")
        self._writing = None
        if self.full:
            raise storage_error(f"cannot write '{_PATH}': database or disk is full")
        self._store(changes)

    def _store(self, changes: Changes) -> None:
        self.writes += 1
        for (name, key), row in changes.items():
            table = self.tables.setdefault(name, {})
            if row is None:
                table.pop(key, None)
            else:
                table[key] = row


class SimulatedDatabase:
    """The methods of `engines.database.Database`, on a `Disk`. [encrypted] rows are kept plain."""

    def __init__(self, disk: Disk) -> None:
        self.path = _PATH
        self.disk = disk
        self.opens = disk.opens

    def prepare(self, tables: Iterable[Table]) -> None:
        """Creates what is missing."""
        for table in tables:
            self.disk.tables.setdefault(table.name, {})

    def load(self, table: Table) -> Iterator[tuple[Key, Entry]]:
        """All entries of a table, in order of first insertion."""
        for key, value, tag, written, expires in self.rows(table):
            yield key, Entry(decode(tag, value), written, expires)

    def rows(self, table: Table) -> list[tuple[Any, ...]]:
        """The rows of a table as they are stored."""
        return [row for row in self.disk.tables.get(table.name, {}).values() if row is not None]

    def numbered(self, table: Table) -> bool:
        """Whether the stored keys of a table are integers."""
        return not any(isinstance(key, str) for key in self.disk.tables.get(table.name, {}))

    def rewrite(self, table: Table, rows: Iterable[Row]) -> None:
        """Stores a table anew."""
        self.disk.tables[table.name] = {row[0]: row for row in rows if row is not None}

    def row(self, table: Table, key: Key, entry: Entry) -> Row:
        """The row of an entry. Raises SomaError for what has no stored form."""
        tag, stored = encode(entry.value)
        return (key, stored, tag, entry.written, entry.expires)

    def write(self, changes: Changes) -> None:
        """Stores all of it, or nothing. Raises SomaError when it could not be stored."""
        self.disk.write(self, changes)

    def proof(self) -> bytes | None:
        """Nothing is encrypted here."""
        return None

    def close(self) -> None:
        """Gives the disk up."""
