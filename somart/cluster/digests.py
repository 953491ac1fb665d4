"""Digests over what two nodes both hold, and comparison of versions as they travel."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from .context import Context
from .messages import VersionWire, Write

GROUP = 64
"""Segments in a group: 64 groups of 64."""


def lacks(mine: VersionWire | None, other: VersionWire) -> bool:
    """Whether the other version knows something that mine does not: a later write, or additions."""
    if mine is None or other.stamp > mine.stamp:
        return True
    if other.stamp < mine.stamp or not other.added:
        return False
    known = mine.added or {}
    return any(count > known.get(node, (0, 0))[0] for node, (count, _) in other.added.items())


def size_of(write: Write) -> int:
    """About how many bytes a write takes in a message."""
    return 64 + len(write.key) + len(write.value) + 48 * len(write.version.added or ())


class Digests:
    """What this node holds of the segments that it shares with a peer."""

    def __init__(
        self, context: Context, held: Callable[[str], Mapping[int, int]] | None = None
    ) -> None:
        self._context = context
        self._held = held or context.replica.digests

    def segments(self, peer: str, table: str) -> dict[int, int]:
        """Digests of the segments that both own, without those that are 0."""
        digests = self._held(table)
        shared = self._context.shared_segments(peer, table)
        if shared is None:
            return {segment: digest for segment, digest in digests.items() if digest}
        return {s: digest for s, digest in digests.items() if digest and s in shared}

    def root(self, peer: str, table: str) -> int:
        """One digest for all of them."""
        return _joined(self.segments(peer, table).values())

    def groups(self, peer: str, table: str) -> dict[int, int]:
        """Digests of groups of segments, without those that are 0."""
        found: dict[int, int] = {}
        for segment, digest in self.segments(peer, table).items():
            found[segment // GROUP] = found.get(segment // GROUP, 0) ^ digest
        return {group: digest for group, digest in sorted(found.items()) if digest}

    def within(self, peer: str, table: str, groups: Iterable[int]) -> dict[int, int]:
        """Digests of the segments in some groups, without those that are 0."""
        wanted = frozenset(groups)
        found = self.segments(peer, table)
        return {s: digest for s, digest in sorted(found.items()) if s // GROUP in wanted}


def _joined(digests: Iterable[int]) -> int:
    root = 0
    for digest in digests:
        root ^= digest
    return root


def differing(mine: dict[int, int], theirs: dict[int, int]) -> list[int]:
    """The numbers whose digests are not the same on both sides."""
    return sorted(n for n in {**mine, **theirs} if mine.get(n, 0) != theirs.get(n, 0))
