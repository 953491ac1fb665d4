"""How far each origin's batches have got here: a vector, whose rows travel with the batches.

An origin is one life of a member's data directory, `{member}~{life}`: a member whose directory was
wiped numbers its batches, and counts its additions, anew under another name.
"""

from __future__ import annotations

from collections.abc import Mapping

from ..merge import covers
from .journal import Journal
from .replica import SystemRows
from .rows import Rows

RECEIVED = "received"
"""System table: per origin the number of its last batch that is here."""


def member_of(origin: str) -> str:
    """The member whose data directory it is."""
    return origin.rpartition("~")[0] or origin


def received(store: Rows) -> dict[str, int]:
    """The rows of `RECEIVED`."""
    return {origin: int(number) for origin, number in store.rows(RECEIVED).items()}


class Seen:
    """The vector of this node. Its own entry is the number of its last batch."""

    def __init__(self, store: Rows, journal: Journal) -> None:
        self._store = store
        self._journal = journal

    def get(self, origin: str, none: int = 0) -> int:
        """The last batch of an origin that has been applied here, and with it all before."""
        if origin == self._store.origin:
            return self._journal.last
        return int(self._store.row(RECEIVED, origin) or none)

    def vector(self) -> dict[str, int]:
        """All of it; what has begun to count as seen may not be durable yet."""
        found = received(self._store)
        found[self._store.origin] = self._journal.last
        return found

    def covers(self, other: Mapping[str, int]) -> bool:
        """Whether all that the other vector names is here."""
        return covers(self, other)

    def raised(self, to: Mapping[str, int]) -> SystemRows:
        """The rows that make this vector contain another one."""
        return {
            (RECEIVED, origin): str(number)
            for origin, number in sorted(to.items())
            if number > self.get(origin) and origin != self._store.origin
        }
