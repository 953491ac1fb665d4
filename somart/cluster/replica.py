"""What a node holds of replicated memory: which tables, at which versions, and how writes of others
are merged into them.

The replica decides; the engine applies, with `Store.apply`: entries and versions change together in
memory at once, and are stored in one commit. Nothing here waits.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from sys import intern
from typing import NamedTuple, Protocol

from ..memory.codec import decode, encode
from ..memory.table import Entry, Table
from ..merge import BEGINNING, Stamp, tick
from .clocks import Clock
from .messages import VersionWire, Write
from .placement import Placement
from .versions import ABSENT, NEVER, State, Version, carried, merge, packed
from .versiontable import VersionTable

DRIFT_MS = 3_600_000
"""Stamps further ahead of this node's clock are refused: one wrong clock must not decide for years
which write is the later one."""
EXPIRED_MS = 60_000
"""How long the version of an expired entry is kept: longer than clocks of nodes differ."""
COLLECTED = 1_000
"""Deleted keys that one call forgets."""

NODE = "node"
"""The system table with what a node has to remember of itself."""

SystemRows = Mapping[tuple[str, str], str | bytes | None]
"""By system table and key: what to store, None to delete it."""


Deletion = tuple[str, str, Stamp]
"""Table, key, when it was deleted."""


class Change(NamedTuple):
    """One key as it shall be. `version` None: every trace of it goes."""

    table: Table
    versions: VersionTable
    key: str
    entry: Entry | None
    version: Version | None
    expires: int


class Store(Protocol):
    """The engine, as the replica sees it."""

    def replicated(self, name: str) -> tuple[Table, VersionTable] | None:
        """A replicated table of the program with its versions, loaded."""

    def apply(self, changes: Sequence[Change], rows: SystemRows) -> int:
        """Changes memory at once and storage in one commit with the rows; gives its ticket."""


@dataclass(slots=True)
class MergeResult:
    """What became of the writes of another node."""

    ticket: int = 0
    """The commit to wait for before anything is acknowledged; 0: nothing to wait for."""
    applied: int = 0
    """Writes that changed something here."""
    conflicts: int = 0
    """Keys that had another value, which has been replaced."""
    stale: list[tuple[str, str]] | None = None
    """Table and key where this node knows more than the sender, so that it may be told."""
    unknown: int = 0
    """Writes to tables that this program does not have."""
    refused: str = ""
    """Why nothing at all was merged: a sentence for the log. The sender must keep what it has."""


class Replica:
    """The replicated memory of one node. Not thread safe."""

    def __init__(
        self, placements: Mapping[str, Placement], clock: Clock, store: Store, origin: str = ""
    ) -> None:
        self.placements = placements
        self.clock = clock
        self.origin = origin
        """Whose stamps and additions this node's are: its data directory, so that a wiped node is
        another. Set before the first write."""
        self.last = BEGINNING
        self.floor = BEGINNING
        """Deletions before it have been forgotten, or are about to be: they are no news."""
        self._store = store

    # --- what there is ---------------------------------------------------------------------------

    @property
    def tables(self) -> list[str]:
        """The names of all replicated tables of the program, ascending."""
        return sorted(self.placements)

    def copies(self, table: str) -> int | None:
        """On how many nodes each key lies; None: on all members."""
        return self.placements[table].copies

    def consistency(self, table: str) -> str:
        """`eventual` or `causal`, of the cell that the table belongs to."""
        return self.placements[table].consistency

    def digests(self, table: str) -> Mapping[int, int]:
        """Per segment a digest of its keys and versions; a segment without any is not there."""
        return self._versions(table).digests

    def present(self, table: str) -> Mapping[int, int]:
        """The same over the keys that are not deleted."""
        return self._versions(table).present

    def segments(self, table: str) -> list[int]:
        """The segments of which this node holds any key, ascending."""
        return self._versions(table).segments()

    def keys_of(self, table: str, segment: int) -> list[str]:
        """The keys of a segment, deleted ones too, ascending."""
        return self._versions(table).keys_of(segment)

    def summary(self, table: str, segment: int) -> list[tuple[str, VersionWire]]:
        """The same with their versions."""
        items = self._versions(table).items_of(segment)
        return [(key, to_wire(version)) for key, version in items]

    def version(self, table: str, key: str) -> Version | None:
        """What this node knows of a key."""
        return self._versions(table).get(key)

    def knows(self, table: str, key: str, version: VersionWire) -> bool:
        """Whether merging that version could not change anything here."""
        held = self._versions(table).get(key)
        return held is not None and covers(held, from_wire(version))

    def write_of(self, table: str, key: str) -> Write | None:
        """A key as it is here; None when nothing is known of it."""
        found = self._tables(table)
        return None if found is None else _write_of(*found, key)

    def writes_of(self, table: str, keys: Iterable[str]) -> list[Write]:
        """The same for several keys, without those that are not known."""
        found = self._tables(table)
        if found is None:
            return []
        return [write for key in keys if (write := _write_of(*found, key)) is not None]

    def count(self, table: str, segment: int) -> int:
        """How many keys of a segment have an entry, reserved ones not counted."""
        return sum(1 for _ in self.visible(table, segment))

    def visible(self, table: str, segment: int) -> Iterator[str]:
        """The keys of a segment that `keys` of a slot shows, ascending."""
        found = self._tables(table)
        if found is not None:
            entries = found[0].entries
            keys = found[1].keys_of(segment)
            yield from (key for key in keys if key in entries and key[:2] != "__")

    def shows(self, table: str, key: str) -> bool:
        """Whether a key has an entry."""
        found = self._tables(table)
        return found is not None and key in found[0].entries

    def _tables(self, name: str) -> tuple[Table, VersionTable] | None:
        return self._store.replicated(name)

    def _versions(self, name: str) -> VersionTable:
        found = self._store.replicated(name)
        return VersionTable(name) if found is None else found[1]

    # --- stamps ----------------------------------------------------------------------------------

    def tick(self, after: Stamp = BEGINNING) -> Stamp:
        """A stamp for a write of this node, later than `after` and all that it has seen."""
        self.last = carried(tick(max(self.last, after), self.clock.wall(), self.origin))
        return self.last

    def observe(self, stamp: Stamp) -> bool:
        """Stamps from now on are later. False, and no effect, for one too far in the future."""
        if stamp.physical - self.clock.wall() > DRIFT_MS:
            return False
        if stamp > self.last:
            self.last = stamp
        return True

    # --- merging ---------------------------------------------------------------------------------

    def merge(self, writes: Sequence[Write], rows: SystemRows | None = None) -> MergeResult:
        """Takes over what is news; `rows` travel in the same commit. Merging again does nothing.

        No handler and no invariant runs. Transactions under way that have read a key which changes
        will run again.
        """
        latest = max((write.version.stamp for write in writes), default=BEGINNING)
        if not self.observe(Stamp(*latest)):
            ahead = (latest[0] - self.clock.wall()) // 1000
            return MergeResult(
                refused=f"writes of '{latest[2]}' are {ahead} s ahead of this node's clock: "
                "not taken, until one of the clocks is set right"
            )
        result = MergeResult(stale=[])
        changes: dict[tuple[str, str], Change] = {}
        for write in writes:
            found = self._tables(write.table)
            if found is None:
                result.unknown += 1
            else:
                self._merge(write, *found, changes, result)
        result.applied = len(changes)
        if changes or rows:
            result.ticket = self._store.apply(list(changes.values()), rows or {})
        return result

    def _merge(
        self,
        write: Write,
        table: Table,
        versions: VersionTable,
        changes: dict[tuple[str, str], Change],
        result: MergeResult,
    ) -> None:
        place = (write.table, write.key)
        pending = changes.get(place)
        held = versions.get(write.key) if pending is None else pending.version
        theirs = from_wire(write.version)
        if held is None and 0 < write.expires < self.clock.wall() - EXPIRED_MS:
            return  # it has been forgotten here, as it will be there
        if self._over(write, held, theirs):
            return
        if held is not None and covers(held, theirs):
            if held != theirs and result.stale is not None:
                result.stale.append(place)
            return
        entry = table.entries.get(write.key) if pending is None else pending.entry
        mine = NEVER if held is None else state_of(held, entry)
        merged = merge(mine, _state_of_write(write, theirs))
        if merged.version != theirs and result.stale is not None:
            result.stale.append(place)
        if entry is not None and merged.version.stamp != mine.version.stamp and held is not None:
            result.conflicts += merged.value is ABSENT or merged.value != entry.value
        after = None
        if merged.value is not ABSENT:
            after = Entry(merged.value, write.written, write.expires)
        changes[place] = Change(table, versions, write.key, after, merged.version, write.expires)

    def _over(self, write: Write, held: Version | None, theirs: Version) -> bool:
        """Whether a write is a deletion that all members know of. This one may have forgotten it
        before the other, and have added to the key since: that must not be deleted again."""
        return (
            write.kind is None
            and not write.expires
            and theirs.stamp < self.floor
            and (held is None or held.stamp == BEGINNING)
        )

    # --- forgetting ------------------------------------------------------------------------------

    def forget(self, table: str, keys: Iterable[str], rows: SystemRows | None = None) -> int:
        """Keys that other nodes hold: no trace of them stays. Gives the ticket."""
        found = self._tables(table)
        if found is None:
            return 0
        held, versions = found
        gone = [
            Change(held, versions, key, None, None, 0)
            for key in keys
            if versions.get(key) is not None
        ]
        return self._store.apply(gone, rows or {}) if gone or rows else 0

    def collect(
        self, before: Stamp, note: Callable[[list[Deletion]], SystemRows] = lambda gone: {}
    ) -> int:
        """Forgets keys that were deleted before a stamp, when all members know of it. At most
        COLLECTED at once; gives how many. What `note` makes of them is stored with it."""
        gone: list[Change] = []
        deletions: list[Deletion] = []
        for name in self.tables:
            found = self._tables(name)
            if found is not None:
                taken = found[1].take_deleted(before, COLLECTED - len(gone))
                for key in taken:
                    version = found[1].get(key)
                    if key not in found[0].entries and version is not None:
                        gone.append(Change(*found, key, None, None, 0))
                        deletions.append((name, key, version.stamp))
        rows = dict(note(deletions))
        if before > self.floor:
            self.floor = before
            rows[NODE, "floor"] = packed(Version(before))
        if gone or rows:
            self._store.apply(gone, rows)
        return len(gone)

    def expire(self) -> int:
        """Forgets versions whose entries expired a while ago, on every node at about the same time
        and without a message. Gives how many."""
        before = self.clock.wall() - EXPIRED_MS
        gone: list[Change] = []
        for name in self.tables:
            found = self._tables(name)
            if found is not None and found[0].rules.ttl is not None:
                keys = list(found[1].take_expired(before))
                gone += [Change(*found, key, None, None, 0) for key in keys]
        if gone:
            self._store.apply(gone, {})
        return len(gone)


# --- versions and entries on the wire ------------------------------------------------------------


def to_wire(version: Version) -> VersionWire:
    """A version as it travels."""
    return VersionWire((*version.stamp,), dict(version.added) if version.added else None)


def from_wire(wire: VersionWire) -> Version:
    """A version that has arrived."""
    physical, logical, node = wire.stamp
    return Version(Stamp(physical, logical, intern(node)), wire.added or None)


def covers(mine: Version, other: Version) -> bool:
    """Whether who has `mine` learns nothing from `other`."""
    if mine.stamp != other.stamp:
        return mine.stamp > other.stamp
    known = mine.added or {}
    return all(
        known.get(node, (0, 0))[0] >= count for node, (count, _) in (other.added or {}).items()
    )


def state_of(version: Version, entry: Entry | None) -> State:
    """What `versions.merge` joins."""
    return State(version, ABSENT if entry is None else entry.value)


def entry_of_write(write: Write) -> Entry | None:
    """The entry that a write puts there. Raises SomaError for a value that cannot be read."""
    if write.kind is None:
        return None
    return Entry(decode(write.kind, write.value), write.written, write.expires)


def _state_of_write(write: Write, version: Version) -> State:
    value = ABSENT if write.kind is None else decode(write.kind, write.value)
    return State(version, value)


def write_from(
    table: str, key: str, version: Version, entry: Entry | None, expires: int = 0
) -> Write:
    """An entry as it travels. Raises SomaError for a value that cannot be kept."""
    if entry is None:
        return Write(table, key, to_wire(version), None, "", 0, expires)
    kind, text = encode(entry.value)
    return Write(table, key, to_wire(version), kind, text, entry.written, entry.expires)


def _write_of(table: Table, versions: VersionTable, key: str) -> Write | None:
    version = versions.get(key)
    if version is None:
        return None
    entry = table.entries.get(key)
    return write_from(table.name, key, version, entry, versions.expires(key))
