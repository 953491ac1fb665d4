"""The consistent hash ring: which members hold which of the 4,096 segments (decision 012).

Each member has 128 points on the ring (paper 4.3). A segment belongs to the members whose points
come first clockwise from where the segment starts; so all its keys have the same owners, and a
member that comes or goes moves about its share of the segments and no others.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable
from functools import lru_cache

from .hashing import SEGMENT_SHIFT, SEGMENTS, fnv1a, mixed

_Table = tuple[tuple[str, ...], ...]


@lru_cache(maxsize=1_024)
def _points(member: str, virtual_nodes: int) -> tuple[tuple[int, str], ...]:
    """The member's points: hashes of `{id}:{0..127}`, whose common part is hashed once."""
    prefix = fnv1a(f"{member}:".encode("utf-8", "surrogatepass"))
    return tuple((mixed(fnv1a(b"%d" % n, prefix)), member) for n in range(virtual_nodes))


class Ring:
    """Owners of segments for one set of members; never changes, so nodes may share one.

    Everyone who knows the same ids computes the same ring. Tables of owners are made at first use.
    """

    def __init__(self, ids: Iterable[str], virtual_nodes: int = 128) -> None:
        self.ids: tuple[str, ...] = tuple(sorted(set(ids)))
        self.virtual_nodes = virtual_nodes
        self._tables: dict[int, _Table] = {}
        self._held: dict[tuple[str, int], frozenset[int]] = {}

    @staticmethod
    def of(ids: tuple[str, ...], virtual_nodes: int = 128) -> Ring:
        """The ring of these ids (sorted), made once in this process: simulated nodes share it."""
        return _shared(ids, virtual_nodes)

    def owners(self, segment: int, copies: int) -> tuple[str, ...]:
        """The members that hold a segment, first owner first: `copies` of them, or all if fewer."""
        return self._table(copies)[segment]

    def table(self, copies: int) -> tuple[tuple[str, ...], ...]:
        """The owners of all segments."""
        return self._table(copies)

    def segments_of(self, member: str, copies: int) -> frozenset[int]:
        """All segments of which the member is one of the `copies` owners; none for a stranger."""
        held = self._held.get((member, copies))
        if held is None:
            table = self._table(copies)
            held = frozenset(n for n, owners in enumerate(table) if member in owners)
            self._held[member, copies] = held
        return held

    def shares(self, copies: int = 1) -> dict[str, float]:
        """Per member, the part of all segments that it holds: its part of the keys."""
        counts = dict.fromkeys(self.ids, 0)
        for owners in self._table(copies):
            for member in owners:
                counts[member] += 1
        return {member: count / SEGMENTS for member, count in counts.items()}

    def moved(self, other: Ring, copies: int) -> frozenset[int]:
        """The segments that have an owner in `other` that they do not have here: data to move."""
        if self.ids == other.ids:
            return frozenset()
        pairs = zip(self._table(copies), other._table(copies), strict=True)
        return frozenset(n for n, (old, new) in enumerate(pairs) if not set(new) <= set(old))

    def _table(self, copies: int) -> _Table:
        copies = max(0, min(copies, len(self.ids)))
        table = self._tables.get(copies)
        if table is None:
            table = self._tables[copies] = self._made(copies)
        return table

    def _made(self, copies: int) -> _Table:
        """Owners of all segments: those that start between the same two points share theirs."""
        points = sorted(
            point for member in self.ids for point in _points(member, self.virtual_nodes)
        )
        places = [place for place, _ in points]
        members = [member for _, member in points]
        table: list[tuple[str, ...]] = []
        known = -1
        owners: tuple[str, ...] = ()
        for segment in range(SEGMENTS):
            start = bisect_left(places, segment << SEGMENT_SHIFT, max(known, 0))
            if start != known:
                known, owners = start, _clockwise(members, start, copies)
            table.append(owners)
        return tuple(table)


def _clockwise(members: list[str], start: int, copies: int) -> tuple[str, ...]:
    found: list[str] = []
    size = len(members)
    step = 0
    while len(found) < copies:
        member = members[(start + step) % size]
        if member not in found:
            found.append(member)
        step += 1
    return tuple(found)


@lru_cache(maxsize=256)
def _shared(ids: tuple[str, ...], virtual_nodes: int) -> Ring:
    return Ring(ids, virtual_nodes)
