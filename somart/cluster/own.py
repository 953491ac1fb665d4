"""What this node has added to keys that it no longer holds.

A node that gives a key away forgets its version, and with it how much it has added itself. Its next
addition must go on from there: an owner may not have heard of the former one yet, and of two
additions with the same number one would be taken for a repetition.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .versions import ABSENT, NEVER, State, Version, merge, packed, unpacked

TABLE = "own"
"""The system table: a row per key, by table and key."""


class OwnAdditions:
    """By table and key this node's additions under a stamp, and the value with these alone."""

    def __init__(self, rows: Mapping[str, str] | None = None) -> None:
        self._known: dict[tuple[str, str], State] = {}
        for place, text in (rows or {}).items():
            table, _, key = place.partition("\n")
            value, _, version = text.partition(" = ")
            self._known[table, key] = State(unpacked(version), int(value))

    def forgotten(
        self, table: str, key: str, version: Version | None, node: str, value: Any
    ) -> tuple[str, str | None] | None:
        """A version goes, and a value; gives the row to store or to delete for it, if any."""
        mine = None if version is None or not version.added else version.added.get(node)
        if version is not None and mine is not None and value.__class__ is int:
            kept = Version(version.stamp, {node: mine})
            alone = value - version.total + kept.total
            self._known[table, key] = State(kept, alone)
            return f"{table}\n{key}", f"{alone} = {packed(kept)}"
        if version is not None and self._known.pop((table, key), None) is not None:
            return f"{table}\n{key}", None
        return None

    def joined(self, table: str, key: str, state: State) -> State:
        """The state of a key with what this node has added to it before: where nothing is known of
        it, for it has not come back yet, that alone."""
        mine = self._known.get((table, key))
        if mine is None:
            return state
        if state.value is ABSENT and state.version == NEVER.version:
            return mine
        same = mine.version.stamp == state.version.stamp and state.value.__class__ is int
        return merge(state, mine) if same else state
