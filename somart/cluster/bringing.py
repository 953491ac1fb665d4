"""What a data directory brings along when its node joins a cluster (issue 4.9).

Looked at while the directory is closed, so that a node that is refused leaves it as it was.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import apsw

from .placement import placements_of, strong_tables_of

if TYPE_CHECKING:
    from ..spec import ProgramSpec

DATABASE = "soma.db"
_SYSTEM = ("#cluster.", "#raft.")
_MEMBERS = "#cluster.members"


class Brought:
    """The contents of a closed data directory. Raises OSError when they cannot be read."""

    def __init__(self, spec: ProgramSpec, folder: Path) -> None:
        self._file = folder / DATABASE
        self.member = False
        """It belongs to a cluster of more than this node: there is nothing to ask."""
        self.entries: dict[str, int] = {}
        """Per shared table the number of its entries, strong ones included."""
        self.strong = False
        """Some of them are of strong memory, which cannot be merged."""
        if self._file.exists():
            self._look(spec)

    @property
    def total(self) -> int:
        return sum(self.entries.values())

    def __str__(self) -> str:
        listed = ", ".join(f"{name}: {count}" for name, count in sorted(self.entries.items()))
        return f"{self.total} entries ({listed})"

    def _look(self, spec: ProgramSpec) -> None:
        strong = strong_tables_of(spec)
        connection = self._open()
        try:
            tables = _tables(connection)
            self.member = _others(connection, tables) > 0
            for name in sorted({*placements_of(spec), *strong} & tables.keys()):
                count = _count(connection, tables[name])
                if count:
                    self.entries[name] = count
                    self.strong |= name in strong
        except (apsw.BusyError, apsw.LockedError):
            return  # another process has it, as the engine is about to say
        except apsw.Error as error:
            raise OSError(f"cannot read '{self._file}': {error}") from error
        finally:
            connection.close()

    def forget_cluster(self) -> None:
        """Makes the directory one without a cluster, with the same data: a founder that has met
        nobody becomes a newcomer, with ids and histories of its own."""
        if not self._file.exists():
            return
        connection = self._open()
        try:
            with connection:
                for name, table in _tables(connection).items():
                    if name.startswith(_SYSTEM):
                        connection.execute(f'DELETE FROM "{table}"')
        except apsw.Error as error:
            raise OSError(f"cannot write '{self._file}': {error}") from error
        finally:
            connection.close()

    def _open(self) -> apsw.Connection:
        try:
            return apsw.Connection(str(self._file))
        except apsw.Error as error:
            raise OSError(f"cannot open '{self._file}': {error}") from error


def _tables(connection: apsw.Connection) -> dict[str, str]:
    found = connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'soma_tables'")
    if next(found, None) is None:
        return {}
    rows = connection.execute("SELECT name, tbl FROM soma_tables")
    return {str(name): str(table) for name, table in rows}


def _count(connection: apsw.Connection, table: str) -> int:
    (row,) = connection.execute(f'SELECT count(*) FROM "{table}"')
    return int(str(row[0]))


def _others(connection: apsw.Connection, tables: dict[str, str]) -> int:
    """How many other members the directory knows."""
    if _MEMBERS not in tables:
        return 0
    rows = list(connection.execute(f'SELECT key, value FROM "{tables[_MEMBERS]}"'))
    return sum(1 for key, value in rows if key != "#me" and json.loads(str(value)))
