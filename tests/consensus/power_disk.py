"""Disks in memory whose power can go: what was not synced is then there in part, in any order.

A file system for SQLite. A cut keeps of each file what was synced, and of each later write all, a
piece or nothing. A file that was never synced may be gone with its name.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import Any

import apsw

from somart.consensus.storage import Changes
from somart.engines.database import Database
from somart.errors import SomaError
from somart.memory.properties import SlotRules
from somart.memory.table import Table

Tables = dict[str, dict[Any, Any]]
LOGS = ("#raft.log", "#raft.changes")
MOST_ACTIONS = 12
"""A commit of a few pages takes about so many: power goes between any two of them, or after."""


class PowerGone(OSError):
    """The machine has stopped."""


def put(target: bytearray, offset: int, data: bytes) -> None:
    """A write: a gap before it reads as zeros."""
    if offset > len(target):
        target.extend(bytes(offset - len(target)))
    target[offset : offset + len(data)] = data


@dataclass(slots=True)
class File:
    """`now` is what programs see; `kept` what is surely there after a cut, None: not even a name.
    `pending` are writes since; an offset alone cuts the file there."""

    now: bytearray = field(default_factory=bytearray)
    kept: bytearray | None = None
    pending: list[tuple[int, bytes | None]] = field(default_factory=list)

    def write(self, offset: int, data: bytes | None) -> None:
        self._carry_out(self.now, offset, data)
        self.pending.append((offset, data))

    @staticmethod
    def _carry_out(target: bytearray, offset: int, data: bytes | None) -> None:
        if data is None:
            del target[offset:]
        else:
            put(target, offset, data)

    def sync(self) -> None:
        if self.kept is None:
            self.kept = bytearray()
        for offset, data in self.pending:
            self._carry_out(self.kept, offset, data)
        self.pending = []

    def after_cut(self, rng: Random) -> File | None:
        """What is found when power is back."""
        if self.kept is None and rng.random() < 0.5:
            return None
        left, share = bytearray(self.kept or b""), rng.choice((0.0, 0.5, 0.9, 1.0))
        for offset, data in self.pending:
            if rng.random() >= share:
                continue
            if data and share < 1.0 and rng.random() < 0.3:  # torn
                begin = rng.randrange(len(data))
                offset, data = offset + begin, data[begin : rng.randint(begin, len(data))]
            self._carry_out(left, offset, data)
        return File(bytearray(left), left)


class PowerDisk(apsw.VFS):
    """The files of all nodes, each node's in a folder of its own. SQLite uses it by default."""

    def __init__(self) -> None:
        self.files: dict[str, File] = {}
        self.dark = False
        """Power is off: what a program of before still does is without effect."""
        self.actions: int | None = None
        """Power goes after so many writes and syncs."""
        super().__init__("power", apsw.vfs_names()[0], makedefault=True)

    def act(self) -> None:
        """Something is about to change on a disk."""
        if self.actions is not None and not self.dark:
            self.actions -= 1
            if self.actions < 0:
                raise PowerGone

    def cut(self, folder: str, rng: Random) -> None:
        """Power is gone, and comes back."""
        for name in sorted(self.files):
            if name.startswith(folder):
                left = self.files[name].after_cut(rng)
                if left is None:
                    del self.files[name]
                else:
                    self.files[name] = left

    # --- what SQLite asks for --------------------------------------------------------------------

    def xOpen(self, name: Any, flags: list[int]) -> Any:
        path = name.filename() if isinstance(name, apsw.URIFilename) else str(name)
        if self.dark:
            return Handle(self, File())
        self.act()
        if path not in self.files:
            if not flags[0] & apsw.SQLITE_OPEN_CREATE:
                raise apsw.CantOpenError
            self.files[path] = File()
        flags[1] = flags[0]
        return Handle(self, self.files[path])

    def xDelete(self, name: str, syncdir: bool) -> None:
        gone = self.actions is not None and self.actions < 0  # SQLite knows, and tidies up
        if not self.dark and not gone:
            self.act()
            self.files.pop(name, None)

    def xAccess(self, name: str, flags: int) -> bool:
        return name in self.files

    def xFullPathname(self, name: Any) -> str:
        return os.path.abspath(str(name))


class Handle:
    """An open file; one connection at a time, so that locks are of no account."""

    def __init__(self, disk: PowerDisk, file: File) -> None:
        self._disk, self._file = disk, file

    def xRead(self, amount: int, offset: int) -> bytes:
        return bytes(self._file.now[offset : offset + amount])

    def xWrite(self, data: bytes, offset: int) -> None:
        self._disk.act()
        self._file.write(offset, bytes(data))

    def xTruncate(self, size: int) -> None:
        self._disk.act()
        self._file.write(size, None)

    def xSync(self, flags: int) -> None:
        self._disk.act()
        self._file.sync()

    def xFileSize(self) -> int:
        return len(self._file.now)

    def xLock(self, level: int) -> None:
        return

    def xUnlock(self, level: int) -> None:
        return

    def xCheckReservedLock(self) -> bool:
        return False

    def xFileControl(self, op: int, pointer: int) -> bool:
        return False

    def xSectorSize(self) -> int:
        return 4096

    def xDeviceCharacteristics(self) -> int:
        return apsw.SQLITE_IOCAP_POWERSAFE_OVERWRITE

    def xClose(self) -> None:
        return


class PowerRows:
    """What `DiskRows` is, by a real database on such a disk; and a note of what was promised."""

    def __init__(self, disk: PowerDisk, folder: Path) -> None:
        self._disk, self._folder = disk, folder
        self._database: Database | None = None
        self._promised: Tables = {}
        self._unfinished: Changes = {}
        """What was being written when power went, and may be there."""
        self.opens = 0
        self.cut = self.kept = 0
        """Commits that a cut has interrupted, and those of them that were there all the same."""

    @property
    def database(self) -> Database:
        assert self._database is not None
        return self._database

    def open(self, rng: Random) -> int:
        """Opens what the last cut has left; gives how often that was done. At times power goes
        again meanwhile."""
        while self._database is None:
            self._disk.actions = rng.randrange(2 * MOST_ACTIONS) if rng.random() < 0.3 else None
            try:
                with _once():
                    self._database = Database(self._folder)
            except (SomaError, OSError, apsw.Error):
                assert self._disk.actions is not None, "a cut has left what cannot be opened"
                self._disk.cut(str(self._folder), rng)
            self._disk.actions = None
        self.database._connection.wal_autocheckpoint(rng.choice((10, 60, 1_000)))
        assert self.database.opens > self.opens, "a session of its own for each life"
        self.opens = self.database.opens
        self._check()
        return self.opens

    def prepare(self, tables: list[Table]) -> None:
        self.database.prepare(tables)

    def _table(self, name: str) -> Table:
        """Some table that is stored by that name."""
        table = Table(name, SlotRules(persistent=True), log=name in LOGS)
        self.prepare([table])
        return table

    def rows(self, table: Table) -> list[tuple[Any, ...]]:
        self.prepare([table])
        return self.database.rows(table)

    @property
    def tables(self) -> Tables:
        found = self.database._connection.execute("SELECT name FROM soma_tables").fetchall()
        return {name: {row[0]: row for row in self.rows(self._table(name))} for (name,) in found}

    def write(self, changes: Changes) -> None:
        for table in dict.fromkeys(table for table, _ in changes):
            self._table(table)
        self.database.write(changes)
        carry_out(self._promised, changes)

    def crash(self, unfinished: Changes | None, rng: Random) -> None:
        """Power goes: in the middle of what is being written, if there is something."""
        self._unfinished = {}
        if unfinished is not None and rng.random() < 0.9:
            self._disk.actions = rng.randrange(MOST_ACTIONS)
            try:
                with _once():
                    self.write(unfinished)
            except (SomaError, OSError, apsw.Error):
                self._unfinished = unfinished
                self.cut += 1
            self._disk.actions = None
        self._disk.cut(str(self._folder), rng)
        self._disk.dark = True
        self.database.close()
        self._disk.dark = False
        self._database = None

    def _check(self) -> None:
        """What was promised is there; what was being written is, as a whole, or is not."""
        found, promised = _full(self.tables), _full(self._promised)
        if found != promised:
            carry_out(self._promised, self._unfinished)
            promised = _full(self._promised)
            self.kept += 1
        names = [n for n in found.keys() | promised.keys() if found.get(n) != promised.get(n)]
        assert not names, f"forgotten or torn: {sorted(names)}"


@contextmanager
def _once() -> Iterator[None]:
    """One error is enough: power stays away while SQLite tidies up, which apsw would tell."""
    usual = sys.unraisablehook
    sys.unraisablehook = lambda told: None if told.exc_type is PowerGone else usual(told)
    try:
        yield
    finally:
        sys.unraisablehook = usual


def _full(tables: Tables) -> Tables:
    return {name: rows for name, rows in tables.items() if rows}


def carry_out(tables: Tables, changes: Changes) -> None:
    for (table, key), row in changes.items():
        rows = tables.setdefault(table, {})
        if row is None:
            rows.pop(key, None)
        else:
            rows[key] = row


@contextmanager
def power_disks() -> Iterator[Callable[[str], PowerRows]]:
    """All databases that are opened meanwhile are on such disks; gives what makes one."""
    disk = PowerDisk()
    try:
        with TemporaryDirectory() as folder:
            yield lambda name: PowerRows(disk, Path(folder) / name)
    finally:
        disk.unregister()
