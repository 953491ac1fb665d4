"""The SQLite file of a data directory: tables by name, batches of changes, one owner at a time.

Schema, version 1: `soma_meta(key, value)`; `soma_tables(name, tbl)` gives each Soma table
(`Cell.slot`, `Parent.Child.slot#log`) an SQL table of its own, so that `A_b`.`c` and `A`.`b_c`,
or names that differ only in case, never meet; and those tables
`(key PRIMARY KEY, value, type, written, expires)`.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, Protocol, TypeVar

import apsw

from .. import limits
from ..errors import SomaError
from ..memory.codec import decode, encode
from ..memory.crypto import Cipher, check_key, load_key
from ..memory.table import Entry, Key, Table

T = TypeVar("T")
Row = tuple[Any, ...] | None
Changes = dict[tuple[str, Key], Row]
"""By table name and key: the row to store, or None to delete it."""

STORAGE = "StorageError"
_SEALED = "sealed"
_VERSION = "1"


def storage_error(message: str) -> SomaError:
    """Something is wrong with the data directory, not with the program."""
    return SomaError(f"storage error: {message}", STORAGE)


def _guarded(action: Callable[[], T], doing: str) -> T:
    try:
        return action()
    except OSError as error:
        raise storage_error(f"{doing}: {error.strerror or error}") from error
    except apsw.Error as error:
        raise storage_error(f"{doing}: {error}") from error


class Storage(Protocol):
    """What an engine needs of a database: `Database` has it, and the simulator's stand-in."""

    path: Path
    opens: int

    def prepare(self, tables: Iterable[Table]) -> None: ...

    def numbered(self, table: Table) -> bool: ...

    def rows(self, table: Table) -> list[tuple[Any, ...]]: ...

    def rewrite(self, table: Table, rows: Iterable[Row]) -> None: ...

    def load(self, table: Table) -> Iterator[tuple[Key, Entry]]: ...

    def row(self, table: Table, key: Key, entry: Entry) -> Row: ...

    def write(self, changes: Changes) -> None: ...

    def proof(self) -> bytes | None: ...

    def close(self) -> None: ...


DatabaseFactory = Callable[[Path, Path | None], Storage]
"""From a data directory and a key file."""


class Database:
    """An open data directory. Raises SomaError when another process has it."""

    def __init__(self, folder: Path, key_file: Path | None = None) -> None:
        self.path = folder / "soma.db"
        self._key_file = key_file or folder / "soma.key"
        self._own_key = key_file is None
        self._cipher: Cipher | None = None
        self._lock = threading.Lock()
        self.opens = 0
        """How often this file has been opened, this time counted."""
        self._sql: dict[str, str] = {}
        _guarded(lambda: folder.mkdir(parents=True, exist_ok=True), f"cannot create '{folder}'")
        self._connection = _guarded(
            lambda: apsw.Connection(str(self.path)), f"cannot open '{self.path}'"
        )
        try:
            self._take_over()
        except BaseException:
            self._connection.close()
            raise

    def _take_over(self) -> None:
        self._connection.set_busy_timeout(limits.LOCK_WAIT_MS)
        try:
            for pragma in ("locking_mode=EXCLUSIVE", "journal_mode=WAL", "synchronous=FULL"):
                self._connection.execute(f"PRAGMA {pragma}")
            with self._connection:
                self._create_catalogue()
        except (apsw.BusyError, apsw.LockedError) as error:
            raise storage_error(
                f"the data directory '{self.path.parent}' is in use by another process"
            ) from error
        except apsw.Error as error:
            raise storage_error(f"cannot use '{self.path}': {error}") from error

    def _create_catalogue(self) -> None:
        run = self._connection.execute
        run("CREATE TABLE IF NOT EXISTS soma_meta(key TEXT PRIMARY KEY, value NOT NULL)")
        run("CREATE TABLE IF NOT EXISTS soma_tables(name TEXT PRIMARY KEY, tbl TEXT NOT NULL)")
        run("INSERT OR IGNORE INTO soma_meta VALUES ('schema', ?)", (_VERSION,))
        # Also the write that takes the exclusive lock:
        run("INSERT OR REPLACE INTO soma_meta VALUES ('opened', strftime('%s', 'now'))")
        run("INSERT OR IGNORE INTO soma_meta VALUES ('opens', 0)")
        run("UPDATE soma_meta SET value = value + 1 WHERE key = 'opens'")
        self.opens = int(self._meta("opens"))
        found = self._meta("schema")
        if found != _VERSION:
            raise storage_error(f"'{self.path}' has schema {found}, this version reads {_VERSION}")
        self._sql.update(run("SELECT name, tbl FROM soma_tables"))

    def _meta(self, key: str) -> Any:
        row = self._connection.execute("SELECT value FROM soma_meta WHERE key = ?", (key,))
        return next((value for (value,) in row), None)

    # --- tables ----------------------------------------------------------------------------------

    def prepare(self, tables: Iterable[Table]) -> None:
        """Creates what is missing, in one transaction. Raises SomaError for a wrong key."""
        tables = list(tables)
        missing = [table for table in tables if table.name not in self._sql]

        def create() -> None:
            with self._connection:
                for table in missing:
                    self._create(table)

        with self._lock:
            if missing:
                _guarded(create, f"cannot write '{self.path}'")
            if any(table.rules.encrypted for table in tables):
                self._unlock(create=True)

    def _create(self, table: Table) -> None:
        stem = re.sub(r"[^A-Za-z0-9_]", "_", table.name)
        taken = {name.lower() for name in self._sql.values()}
        name, number = stem, 2
        while name.lower() in taken or name.lower().startswith(("soma_", "sqlite_")):
            name, number = f"t{number}_{stem}", number + 1
        self._connection.execute("INSERT INTO soma_tables VALUES (?, ?)", (table.name, name))
        self._create_sql(table, name)
        self._sql[table.name] = name

    def _create_sql(self, table: Table, name: str) -> None:
        key = "INTEGER" if table.log and not table.textual else "TEXT"
        self._connection.execute(
            f'CREATE TABLE "{name}"(key {key} PRIMARY KEY, value NOT NULL, type TEXT NOT NULL, '
            "written INTEGER NOT NULL, expires INTEGER NOT NULL)"
        )

    def numbered(self, table: Table) -> bool:
        """Whether the stored keys of a table are integers: a log of a standalone node."""
        columns = self._connection.execute(f'PRAGMA table_info("{self._sql[table.name]}")')
        return any(name == "key" and kind == "INTEGER" for _, name, kind, *_ in columns)

    def rewrite(self, table: Table, rows: Iterable[Row]) -> None:
        """Stores a table anew, with the kind of keys that it has now, or leaves it as it was."""
        name = self._sql[table.name]

        def replace() -> None:
            with self._connection:
                self._connection.execute(f'DROP TABLE "{name}"')
                self._create_sql(table, name)
                insert = f'INSERT INTO "{name}" VALUES (?, ?, ?, ?, ?)'
                self._connection.executemany(insert, (row for row in rows if row is not None))

        _guarded(replace, f"cannot write '{self.path}'")

    def load(self, table: Table) -> Iterator[tuple[Key, Entry]]:
        """All entries of a table, in order of first insertion."""
        for row in self.rows(table):
            assert row is not None
            key, value, tag, written, expires = row
            yield key, Entry(self._reveal(table.name, key, tag, value), written, expires)

    # --- rows ------------------------------------------------------------------------------------

    def rows(self, table: Table) -> list[tuple[Any, ...]]:
        """The rows of a prepared table as they are stored, in order of first insertion."""
        name = self._sql[table.name]
        sql = f'SELECT key, value, type, written, expires FROM "{name}" ORDER BY rowid'
        return _guarded(
            lambda: self._connection.execute(sql).fetchall(), f"cannot read '{self.path}'"
        )

    def row(self, table: Table, key: Key, entry: Entry) -> Row:
        """The row of an entry. Raises SomaError for what has no stored form."""
        tag, stored = encode(entry.value)
        value: str | bytes = stored
        if table.rules.encrypted:
            place = f"{table.name}\0{key}"
            value, tag = self._unlock(create=True).seal(f"{tag}\n{stored}", place), _SEALED
        return (key, value, tag, entry.written, entry.expires)

    def _reveal(self, name: str, key: Key, tag: str, value: Any) -> Any:
        if tag != _SEALED:
            return decode(tag, value)
        tag, _, stored = self._unlock(create=False).open(value, f"{name}\0{key}").partition("\n")
        return decode(tag, stored)

    def _unlock(self, create: bool) -> Cipher:
        if self._cipher is None:
            proof = self._meta("proof")
            key = load_key(self._key_file, create and self._own_key and proof is None)
            cipher = Cipher(key)
            if proof is None:
                sealed = cipher.seal("soma", "proof")
                self._connection.execute("INSERT INTO soma_meta VALUES ('proof', ?)", (sealed,))
            else:
                check_key(cipher, proof, self._key_file)
            self._cipher = cipher
        return self._cipher

    def proof(self) -> bytes | None:
        """A text that the key of the encrypted slots has sealed, None without such slots."""
        found: bytes | None = self._meta("proof")
        return found

    def set_proof(self, proof: bytes) -> None:
        """Rows that are sealed with that key are about to be restored."""
        insert = "INSERT OR REPLACE INTO soma_meta VALUES ('proof', ?)"
        _guarded(lambda: self._connection.execute(insert, (proof,)), f"cannot write '{self.path}'")

    def write(self, changes: Changes) -> None:
        """Stores all of it, durably, or nothing. Raises SomaError when it could not be stored."""
        puts: dict[str, list[Row]] = {}
        deletes: dict[str, list[Row]] = {}
        for (name, key), row in changes.items():
            if row is None:
                deletes.setdefault(name, []).append((key,))
            else:
                puts.setdefault(name, []).append(row)
        with self._lock:
            _guarded(lambda: self._store(puts, deletes), f"cannot write '{self.path}'")

    def _store(self, puts: dict[str, list[Any]], deletes: dict[str, list[Any]]) -> None:
        connection = self._connection
        connection.execute("BEGIN IMMEDIATE")
        try:
            for name, rows in deletes.items():
                connection.executemany(f'DELETE FROM "{self._sql[name]}" WHERE key = ?', rows)
            for name, rows in puts.items():
                connection.executemany(
                    f'INSERT INTO "{self._sql[name]}" VALUES (?, ?, ?, ?, ?) ON CONFLICT(key) '
                    "DO UPDATE SET value = excluded.value, type = excluded.type, "
                    "written = excluded.written, expires = excluded.expires",
                    rows,
                )
            connection.execute("COMMIT")
        except BaseException:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise

    def close(self) -> None:
        """Gives the directory up."""
        with self._lock:
            self._connection.close()
