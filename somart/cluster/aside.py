"""What a node held when it was taken out of the ring, to be taken back where others still have it.

Since then entries may have been deleted, and the deletions forgotten: none of them counts, and none
is shown to anybody. But what a member that serves has under the very same version needs not travel
again. Comparisons that fetch state digests of both, what lies here and what lies aside; where these
are the same over there, the entries come from here. So a node that was away for long costs what has
changed meanwhile. The rest is dropped when all has been fetched, or with the process.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping

from .digests import GROUP
from .messages import VectorWire, VersionWire, Write
from .replica import Replica, from_wire
from .versiontable import VersionTable


class Aside:
    """Entries by table and key, with digests like those of the replica."""

    def __init__(self, replica: Replica) -> None:
        self._replica = replica
        self._versions: dict[str, VersionTable] = {}
        self._writes: dict[tuple[str, str], Write] = {}
        self.taken = 0
        """How many have been taken back."""
        self.dropped = 0
        self.seen: VectorWire = {}
        """Causal: what the entries may show."""

    def __len__(self) -> int:
        return len(self._writes)

    def fill(self, stays: Callable[[Write], bool]) -> int:
        """Puts all aside that the replica has, but for what stays; gives how much that is."""
        replica, kept = self._replica, 0
        for table in replica.tables:
            for segment in replica.segments(table):
                writes = replica.writes_of(table, replica.keys_of(table, segment))
                gone = [write for write in writes if not stays(write)]
                kept += len(writes) - len(gone)
                self.put(gone)
                replica.forget(table, [write.key for write in gone])
        return kept

    def put(self, writes: Iterable[Write]) -> None:
        """These are no longer in the replica."""
        for write in writes:
            versions = self._versions.get(write.table)
            if versions is None:
                versions = self._versions[write.table] = VersionTable(write.table)
            versions.put(write.key, from_wire(write.version))
            self._writes[write.table, write.key] = write

    def has(self, table: str, key: str) -> bool:
        """Whether an entry lies aside."""
        return (table, key) in self._writes

    def segments(self, table: str) -> frozenset[int]:
        """The segments with entries of a table."""
        versions = self._versions.get(table)
        return frozenset(versions.segments()) if versions is not None else frozenset()

    def discard(self, table: str, segment: int) -> None:
        """What is left of a segment is out of date, or may have been deleted."""
        versions = self._versions.get(table)
        for key in versions.keys_of(segment) if versions is not None else ():
            self.dropped += 1
            self._pop(self._versions[table], table, key)

    def told(self) -> str:
        """What there is to tell of what has been taken back and dropped, once."""
        if not self.taken and not self.dropped:
            return ""
        told = f"cluster: {self.taken} entries were up to date, {self.dropped} were not"
        self.taken = self.dropped = 0
        return told

    def digests(self, table: str) -> Mapping[int, int]:
        """Per segment a digest of what lies here or aside; what has come since counts alone."""
        mine = self._replica.digests(table)
        versions = self._versions.get(table)
        if versions is None:
            return mine
        for segment in versions.segments():
            if segment in mine:
                self._prune(versions, table, segment)
        found = dict(mine)
        for segment, digest in versions.digests.items():
            found[segment] = found.get(segment, 0) ^ digest
        return found

    def _prune(self, versions: VersionTable, table: str, segment: int) -> None:
        for key in versions.keys_of(segment):
            if self._replica.version(table, key) is not None:
                self._pop(versions, table, key)

    # --- taking back -----------------------------------------------------------------------------

    def equal(self, table: str, holds: Callable[[int], bool]) -> Iterator[Write]:
        """Takes the entries of the segments that have turned out to be the same elsewhere."""
        versions = self._versions.get(table)
        for segment in versions.segments() if versions is not None else ():
            if holds(segment):
                for key in versions.keys_of(segment) if versions is not None else ():
                    yield self._take(table, key)

    def matching(self, table: str, theirs: Mapping[str, VersionWire]) -> Iterator[Write]:
        """Takes the entries that are known elsewhere under the same version."""
        for key, version in theirs.items():
            write = self._writes.get((table, key))
            if write is not None and write.version == version:
                yield self._take(table, key)

    def surviving(self, table: str, segment: int, collected: int) -> Iterator[Write]:
        """Takes the entries of a segment that an owner lacks and that nobody can have deleted: they
        are later than any deletion that has been forgotten there."""
        versions = self._versions.get(table)
        for key in versions.keys_of(segment) if versions is not None else ():
            if not collected or self._writes[table, key].version.stamp[0] > collected:
                yield self._take(table, key)

    def _take(self, table: str, key: str) -> Write:
        self.taken += 1
        return self._pop(self._versions[table], table, key)

    def _pop(self, versions: VersionTable, table: str, key: str) -> Write:
        versions.drop(key)
        return self._writes.pop((table, key))


def outside(groups: Iterable[int]) -> Callable[[int], bool]:
    """The segments that are in none of these groups."""
    differing = frozenset(groups)
    return lambda segment: segment // GROUP not in differing
