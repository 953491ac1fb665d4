"""From a standalone data directory to one of a cluster, and back again without harm.

A cluster's directory has a version beside every row and texts as keys of log records. What was
written without a cluster gets versions when a node of one opens the directory: the first time old
ones, so that it does not win over what the cluster has; later, when the directory was used
standalone in between, new ones for what differs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple
from zlib import crc32

from ..cluster.versions import Version, carried, packed, record_key
from ..memory.table import Entry, Key, Table
from ..merge import BEGINNING, Stamp

if TYPE_CHECKING:
    from .database import Changes, Row, Storage

GONE = -1
"""In the place of a row's checksum: the key has no entry."""
_ASIDE = "set-aside"


class Kept(NamedTuple):
    """A durable replicated table and the table of its versions."""

    table: Table
    stamps: Table
    stamped: bool


@dataclass(slots=True)
class Inventory:
    """Entries per replicated table that a node has brought with it."""

    entries: dict[str, int] = field(default_factory=dict)

    @property
    def total(self) -> int:
        return sum(self.entries.values())

    def __str__(self) -> str:
        listed = ", ".join(f"{name}: {number}" for name, number in sorted(self.entries.items()))
        return f"{self.total} entries ({listed})" if listed else "no entries"


def check_of(row: Row) -> int:
    """A checksum of a stored value: by it one finds what was changed behind the cluster's back."""
    if row is None:
        return GONE
    value: str | bytes = row[1]
    return crc32(value if isinstance(value, bytes) else value.encode())


def stamps_row(key: str, version: Version, check: int, expires: int) -> tuple[Any, ...]:
    """The row of a version. Its times are not times of writing: the first is the checksum."""
    return (key, packed(version), "string", check, expires)


def adopt(
    database: Storage, tables: Iterable[Kept], stamp_for: Callable[[int], Stamp], now: int
) -> Changes:
    """The versions to be stored for rows that have none or were changed without one.

    `stamp_for` takes the time of the row's last write, 0 if that is not known.
    """
    changes: Changes = {}
    for table, stamps, stamped in tables:
        known = dict(database.load(stamps))
        present: set[Key] = set()
        for row in database.rows(table):
            key, check = row[0], check_of(row)
            present.add(key)
            found = known.get(key)
            if found is None and stamped:
                continue  # its key is its version
            if found is None or found.written != check:
                version = Version(stamp_for(row[3]))
                changes[stamps.name, key] = stamps_row(key, version, check, row[4])
        for key, found in known.items():
            if key not in present and found.written != GONE and not 0 < found.expires <= now:
                version = Version(stamp_for(0))
                changes[stamps.name, key] = stamps_row(key, version, GONE, 0)
    return changes


def give_text_keys(database: Storage, table: Table, origin: str) -> None:
    """Renames, once, the records of a log that a standalone node has numbered, in order."""
    if database.numbered(table):
        entries = sorted(database.load(table))
        names = record_keys([entry for _, entry in entries], origin)
        rows = [
            database.row(table, name, entry)
            for name, (_, entry) in zip(names, entries, strict=True)
        ]
        database.rewrite(table, rows)


def record_keys(entries: Iterable[Entry], origin: str) -> list[str]:
    """Ascending keys for records in the order that they have, with the times that are known."""
    keys: list[str] = []
    last = BEGINNING
    for entry in entries:
        physical = max(last.physical, entry.written, 1)
        logical = last.logical + 1 if physical == last.physical else 0
        last = carried(Stamp(physical, logical, origin))
        keys.append(record_key(last))
    assert all(one < other for one, other in pairwise(keys))
    return keys


def set_aside(folder: Path) -> Path | None:
    """Moves the database of a closed data directory into a folder beside it, so that the node
    starts empty; nothing is deleted. Gives that folder, None when there was nothing.

    Raises OSError when it cannot be moved.
    """
    found = [path for path in sorted(folder.glob("soma.db*")) if path.is_file()]
    if not found:
        return None
    number = 1
    while (target := folder / f"{_ASIDE}-{number}").exists():
        number += 1
    target.mkdir()
    for path in found:
        path.rename(target / path.name)
    return target
