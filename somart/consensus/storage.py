"""Where consensus keeps what must survive: rows beside the program's own, in the same database.

`#raft.log` has an entry per index, `#raft.changes` the changes of the window of revisions, and
`#raft.meta` the term, the vote, the last snapshot, and the state up to the index it was applied to.
"""

from __future__ import annotations

from typing import Any, Protocol

import msgspec
from msgspec import Struct

from ..memory.properties import SlotRules
from ..memory.table import Table
from .core import HardState, Output
from .log import Log
from .messages import Configuration, Entry
from .state import Change, State

LOG = "#raft.log"
CHANGES = "#raft.changes"
META = "#raft.meta"

Changes = dict[tuple[str, Any], Any]
"""By table name and key: the row to store, or None to delete it; as `Database.write` takes it."""


class Rows(Protocol):
    """What is needed of `engines.database.Database`."""

    def prepare(self, tables: list[Table]) -> None: ...

    def rows(self, table: Table) -> list[tuple[Any, ...]]: ...


class Snapshot(Struct, frozen=True, array_like=True):
    """Up to where the log was forgotten."""

    index: int
    term: int
    configuration: Configuration


class Loaded(Struct):
    """What a restart finds."""

    state: HardState
    log: Log
    applied: int
    fresh: bool


_meta = SlotRules(persistent=True)
_change = msgspec.msgpack.Decoder(Change)
_snapshot = msgspec.msgpack.Decoder(Snapshot)
_hard = msgspec.msgpack.Decoder(tuple[int, str])
_applied = msgspec.msgpack.Decoder(tuple[int, bytes])


def system_tables() -> list[Table]:
    """The tables of consensus, for `Database.prepare`."""
    return [Table(LOG, _meta, log=True), Table(CHANGES, _meta, log=True), Table(META, _meta)]


def load(rows: Rows, state: State) -> Loaded:
    """Reads what was stored, the replicated state but its tables included.

    Raises msgspec.DecodeError when it is damaged, SomaError when it cannot be read.
    """
    log_table, changes_table, meta_table = system_tables()
    meta = {key: value for key, value, *_ in rows.rows(meta_table)}
    entries = [
        Entry(key, int(tag.split("/")[0]), tag.split("/")[1], value)
        for key, value, tag, *_ in sorted(rows.rows(log_table))
    ]
    snapshot = Snapshot(0, 0, Configuration())
    if "snapshot" in meta:
        snapshot = _snapshot.decode(meta["snapshot"])
    applied = 0
    if "applied" in meta:
        applied, saved = _applied.decode(meta["applied"])
        changes = [_change.decode(value) for _, value, *_ in sorted(rows.rows(changes_table))]
        state.restore(saved, changes)
    hard = HardState(*_hard.decode(meta["hard"])) if "hard" in meta else HardState()
    log = Log(snapshot.index, snapshot.term, snapshot.configuration, entries)
    return Loaded(hard, log, applied, fresh=not meta and not entries)


def write_output(changes: Changes, output: Output, last: int) -> None:
    """Adds what an output wants stored; `last`: the last index that is stored now."""
    if output.state is not None:
        hard = msgspec.msgpack.encode((output.state.term, output.state.vote))
        changes[META, "hard"] = ("hard", hard, "raw", 0, 0)
    if output.truncate is not None:
        for index in range(output.truncate, last + 1):
            changes[LOG, index] = None
    for entry in output.entries:
        changes[LOG, entry.index] = (entry.index, entry.data, f"{entry.term}/{entry.kind}", 0, 0)


def write_applied(changes: Changes, state: State, index: int) -> None:
    """Adds up to where the log is applied; the rows of the tables are the caller's."""
    saved = msgspec.msgpack.encode((index, state.save()))
    changes[META, "applied"] = ("applied", saved, "raw", 0, 0)


def write_change(changes: Changes, change: Change, oldest: int) -> None:
    """Adds one revision's changes, and forgets the one that leaves the window."""
    encoded = msgspec.msgpack.encode(change)
    changes[CHANGES, change.revision] = (change.revision, encoded, "raw", 0, 0)
    if oldest > 0:
        changes[CHANGES, oldest] = None


def write_snapshot(changes: Changes, log: Log, before: int) -> None:
    """Adds that the log begins after its snapshot now; `before`: where it began until now."""
    snapshot = Snapshot(log.snapshot_index, log.snapshot_term, log.snapshot_configuration)
    changes[META, "snapshot"] = ("snapshot", msgspec.msgpack.encode(snapshot), "raw", 0, 0)
    for index in range(before + 1, log.snapshot_index + 1):
        changes[LOG, index] = None
