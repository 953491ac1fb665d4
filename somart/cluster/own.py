"""What this node has added to keys that it no longer holds.

A node that gives a key away forgets its version, and with it how much it has added itself. Its next
addition must go on from there: an owner may not have heard of the former one yet, and of two
additions with the same number one would be taken for a repetition.
"""

from __future__ import annotations

from collections.abc import Mapping

from .versions import State, Version, joined_additions, packed, unpacked

TABLE = "own"
"""The system table: a row per key, by table and key."""


class OwnAdditions:
    """By table and key the stamp and this node's additions under it."""

    def __init__(self, rows: Mapping[str, str] | None = None) -> None:
        self._known: dict[tuple[str, str], Version] = {}
        for place, text in (rows or {}).items():
            table, _, key = place.partition("\n")
            self._known[table, key] = unpacked(text)

    def forgotten(
        self, table: str, key: str, version: Version | None, node: str
    ) -> tuple[str, str | None] | None:
        """A version goes; gives the row to store or to delete for it, if any."""
        mine = None if version is None or not version.added else version.added.get(node)
        if version is not None and mine is not None:
            kept = self._known[table, key] = Version(version.stamp, {node: mine})
            return f"{table}\n{key}", packed(kept)
        if version is not None and self._known.pop((table, key), None) is not None:
            return f"{table}\n{key}", None
        return None

    def joined(self, table: str, key: str, state: State) -> State:
        """The state of a key with what this node has added to it before."""
        mine = self._known.get((table, key))
        if mine is None or mine.stamp != state.version.stamp or state.value.__class__ is not int:
            return state
        version = Version(mine.stamp, joined_additions(state.version.added, mine.added))
        return State(version, state.value + version.total - state.version.total)
