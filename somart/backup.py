"""Backups of a running node: its memory at one commit, and a data directory made of them again.

A file has a line of JSON for each thing: the header (program, revision, types of slots, tables), a
row of a table each, and a trailer with the number of rows and a SHA-256 over all lines before it,
so that a file that is cut or changed is known. Entries in memory are only ever replaced, never
changed: what is copied at one moment is the state of one revision, and is written out while the
node goes on. Strong tables are those of the applied index, eventual ones carry their versions;
what of a sharded slot lies on other nodes only, these are asked for.

What is restored founds a cluster of its own: a directory without a node's id or a log, which the
first node to open it takes as what it brings with it; others join, as many as there shall be.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
from base64 import b64decode, b64encode
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .cluster.identity import digests_of
from .cluster.ids import LAST_ID
from .cluster.ids import TABLE as ID_TABLE
from .cluster.replica import entry_of_write, from_wire
from .cluster.versions import Version, packed, unpacked
from .cluster.versiontable import VersionTable
from .engines.cluster import STAMPS, SYSTEM
from .engines.database import Changes, Database
from .engines.stamped import GONE, check_of, stamps_row
from .memory.properties import SlotRules
from .memory.table import Entry, Key, Table

if TYPE_CHECKING:
    from .cluster.messages import Write
    from .engines.standalone import StandaloneEngine
    from .spec import ProgramSpec

FORMAT = 1
CHUNK_BYTES = 32 * 1024
"""What is made and sent at once: some milliseconds, in which the node does nothing else."""

BATCH_ROWS = 5_000
"""Rows that are restored in one transaction."""

NEXT_ID = "next_id"
_COUNTER = ".#next_id"
_REGION = (1 << 51, (1 << 52) - 1)
"""The region of ids that a restored cluster divides among its nodes: none of its predecessor, which
took its own from both ends of what there is (`cluster/ids.py`)."""

assert _REGION[1] < LAST_ID
_DURABLE = SlotRules(persistent=True)


class BackupError(Exception):
    """The file is no complete backup, or cannot be restored there; the text is for the terminal."""


@dataclass(frozen=True, slots=True)
class Restored:
    """What was in a backup."""

    program: str
    node: str
    revision: int
    rows: int
    sealed: bool
    """Whether some of it can only be read with the key of that node."""


# --- writing -------------------------------------------------------------------------------------


@dataclass(slots=True)
class Part:
    """What is copied of one table."""

    table: Table
    entries: dict[Key, Entry]
    versions: dict[str, tuple[Version, int]]
    """Version and time of its end, by key; with the keys that were deleted."""

    def take(self, writes: Iterable[Write]) -> None:
        """Adds what other nodes hold, where it is newer. Raises SomaError for unreadable values."""
        for write in writes:
            version = from_wire(write.version)
            known = self.versions.get(write.key)
            if known is not None and known[0].stamp >= version.stamp:
                continue
            self.versions[write.key] = (version, write.expires)
            entry = entry_of_write(write)
            if entry is not None:
                self.entries[write.key] = entry
            else:
                self.entries.pop(write.key, None)


class Copy:
    """All durable memory of an open engine, as it is when this object is made."""

    def __init__(self, spec: ProgramSpec, engine: StandaloneEngine, node: str = "") -> None:
        self._engine = engine
        self.parts = [_copy_of(table, engine) for table in _tables_of(engine)]
        self.counters = [p.table.name for p in self.parts if p.table.name.endswith(_COUNTER)]
        self.ticket = engine.last_ticket
        """What must be durable before any of it may be told."""
        self.ids: dict[str, int] = {}
        """The highest id that any node may have used, where it is known to the caller."""
        self.revision = engine.revision
        self._header: dict[str, Any] = {
            "soma_backup": FORMAT,
            "program": spec.name,
            "version": spec.manifest.version,
            "node": node,
            "time": engine.clock(),
            "revision": self.revision,
            "slots": {
                f"{cell.soma_path}.{slot.name}": slot.type_text
                for cell in spec.all_cells
                for slot in cell.soma_slots.values()
            },
            "digests": digests_of(spec),
            "proof": _text(engine.proof()),
        }

    def chunks(self) -> Iterator[bytes]:
        """The file, in pieces of about CHUNK_BYTES. Raises SomaError for what cannot be stored."""
        digest = hashlib.sha256()
        rows, buffer = 0, bytearray()
        for line in self._lines():
            buffer += line
            rows += 1
            if len(buffer) >= CHUNK_BYTES:
                digest.update(buffer)
                yield bytes(buffer)
                buffer.clear()
        digest.update(buffer)
        yield bytes(buffer + _line({"rows": rows - 1, "sha256": digest.hexdigest()}))

    def _lines(self) -> Iterator[bytes]:
        tables = [
            [c.table.name, c.table.log, c.table.textual, bool(c.versions)] for c in self.parts
        ]
        yield _line({**self._header, "tables": tables, "ids": self.ids})
        for number, copy in enumerate(self.parts):
            for key, entry in copy.entries.items():
                row = self._engine.row(copy.table, key, entry)
                assert row is not None
                known = copy.versions.get(key)
                version = "" if known is None else packed(known[0])
                yield _line([number, key, _plain(row[1]), *row[2:], version])
            for key, (deleted, expires) in copy.versions.items():
                if key not in copy.entries:
                    yield _line([number, key, None, "", GONE, expires, packed(deleted)])


def _tables_of(engine: StandaloneEngine) -> list[Table]:
    """The durable tables of the program, with the runtime's own that go with them."""
    return [
        table
        for table in sorted(engine.tables, key=lambda table: table.name)
        if table.durable and not table.name.startswith(SYSTEM) and not table.name.endswith(STAMPS)
    ]


def _copy_of(table: Table, engine: StandaloneEngine) -> Part:
    table.ready()
    versions: VersionTable | None = engine.versions_of(table)
    found: dict[str, tuple[Version, int]] = {}
    if versions is not None:
        found = {key: (one, versions.expires(key)) for key, one in versions.items()}
    return Part(table, dict(table.entries), found)


def _line(what: Any) -> bytes:
    return json.dumps(what, separators=(",", ":")).encode() + b"\n"


def _plain(value: str | bytes) -> str | list[str]:
    """Sealed values are bytes: they stand in a list."""
    return value if isinstance(value, str) else [b64encode(value).decode()]


def _text(value: bytes | None) -> str | None:
    return None if value is None else b64encode(value).decode()


# --- reading -------------------------------------------------------------------------------------


class Reader:
    """The lines of a backup, checked as they come. Raises BackupError."""

    def __init__(self, lines: Iterable[bytes], name: str) -> None:
        self._lines = iter(lines)
        self._name = name
        self._digest = hashlib.sha256()
        self.header: Mapping[str, Any] = self._read_header()
        self.rows = 0

    def _read_header(self) -> Mapping[str, Any]:
        first = next(self._lines, b"")
        self._digest.update(first)
        try:
            found = json.loads(first)
        except ValueError:
            found = None
        if not isinstance(found, dict) or "soma_backup" not in found:
            raise BackupError(f"'{self._name}' is no backup of a Soma program")
        if found["soma_backup"] != FORMAT:
            raise BackupError(
                f"'{self._name}' has format {found['soma_backup']}, this version reads {FORMAT}"
            )
        return found

    def __iter__(self) -> Iterator[list[Any]]:
        """The rows; the last of them is only given when all was as it was written."""
        held: list[Any] | None = None
        for line in self._lines:
            try:
                found = json.loads(line)
            except ValueError:
                if not line.endswith(b"\n"):
                    break
                raise self._damaged() from None
            if isinstance(found, dict):
                self._finish(found)
                if held is not None:
                    yield held
                return
            self._digest.update(line)
            self.rows += 1
            if held is not None:
                yield held
            held = found
        raise BackupError(f"'{self._name}' is cut short: its last line is missing")

    def _finish(self, trailer: Mapping[str, Any]) -> None:
        if trailer != {"rows": self.rows, "sha256": self._digest.hexdigest()}:
            raise self._damaged()
        if next(self._lines, None) is not None:
            raise self._damaged()

    def _damaged(self) -> BackupError:
        return BackupError(f"'{self._name}' is damaged: its checksum is not that of its rows")


def verify(file: Path) -> Restored:
    """Reads a whole backup. Raises BackupError when it is not complete, OSError."""
    with file.open("rb") as lines:
        reader = Reader(lines, str(file))
        for _ in reader:
            continue
    header = reader.header
    sealed = header["proof"] is not None
    return Restored(header["program"], header["node"], header["revision"], reader.rows, sealed)


def restore(file: Path, data: Path) -> Restored:
    """Makes a fresh data directory of a backup, all of it or nothing.

    Raises BackupError when the file is not complete or the directory is in use, SomaError and
    OSError when it cannot be written.
    """
    if data.exists() and (not data.is_dir() or any(data.iterdir())):
        raise BackupError(f"'{data}' is not empty: choose a fresh folder with --data")
    found = verify(file)  # what its checksum does not cover is never interpreted
    data.parent.mkdir(parents=True, exist_ok=True)
    with file.open("rb") as lines:
        reader = Reader(lines, str(file))
        folder = Path(tempfile.mkdtemp(prefix=f".{data.name}-", dir=data.parent))
        try:
            _write(reader, folder)
            os.replace(folder, data)
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            raise
    return found


def _write(reader: Reader, folder: Path) -> None:
    database = Database(folder)
    try:
        writer = _Writer(reader.header, database)
        for row in reader:
            writer.take(row)
        writer.end()
    finally:
        database.close()


class _Writer:
    """Rows of a backup on their way into a database."""

    def __init__(self, header: Mapping[str, Any], database: Database) -> None:
        self._database = database
        self._changes: Changes = {}
        self._ids: Mapping[str, int] = header["ids"]
        self._names: list[str] = []
        tables = []
        for name, log, textual, versioned in header["tables"]:
            table = Table(name, _DURABLE, log)
            table.textual = textual
            tables.append(table)
            if versioned:
                tables.append(Table(f"{name}{STAMPS}", _DURABLE))
            self._names.append(name)
        tables.append(Table(f"{SYSTEM}{ID_TABLE}", _DURABLE))
        database.prepare(tables)
        if header["proof"] is not None:
            database.set_proof(b64decode(header["proof"]))

    def take(self, line: list[Any]) -> None:
        number, key, value, kind, written, expires, version = line
        name = self._names[number]
        row = None
        if value is not None:
            stored = value if isinstance(value, str) else b64decode(value[0])
            row = (key, stored, kind, written, expires)
            self._changes[name, key] = row
        if version:
            stamps = stamps_row(key, unpacked(version), check_of(row), expires)
            self._changes[f"{name}{STAMPS}", key] = stamps
        if len(self._changes) >= BATCH_ROWS:
            self._store()

    def end(self) -> None:
        """Ids go on where those of the cluster that was backed up ended, on all of its nodes."""
        ids = f"{SYSTEM}{ID_TABLE}"
        rows = {"founder": "1", "region": json.dumps(_REGION)} if self._ids else {}
        for name, highest in self._ids.items():
            rows[f"frontier/{name}"] = str(highest + 1)
            if highest:
                self._changes[name, NEXT_ID] = (NEXT_ID, str(highest), "int", 0, 0)
        for key, text in rows.items():
            self._changes[ids, key] = (key, text, "string", 0, 0)
        self._store()

    def _store(self) -> None:
        self._database.write(self._changes)
        self._changes = {}
