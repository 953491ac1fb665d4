"""The version of a key, and how two replicas of it become one: pure functions on `merge.py`.

A key's *version* is the stamp of its last write and, for convergent integers, per node how often
and how much was added since. A *state* is a version with what the key shows. Merging states is
commutative, associative and idempotent (a join, Shapiro and others 2011): the later stamp wins;
under the same stamp the additions of every node count, once. So concurrent additions are all kept,
and a later write replaces the value together with the additions to it.

These functions know no clock, no storage and no table.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from sys import intern
from typing import Any, Final, NamedTuple

from ..merge import BEGINNING, Stamp, latest, tick

Additions = Mapping[str, tuple[int, int]]
"""Per node: how many additions it has made, and their sum. More additions of a node know all of its
earlier ones, so the larger count wins."""

ABSENT: Final = object()
"""What a key shows that was deleted, or never written."""


class Version(NamedTuple):
    """The last write of a key and the additions since; None when there are none."""

    stamp: Stamp
    added: Additions | None = None

    @property
    def total(self) -> int:
        """The sum of the additions of all nodes."""
        return sum(amount for _, amount in self.added.values()) if self.added else 0


class State(NamedTuple):
    """A key as one replica has it; `value` is ABSENT or the value with the additions in it."""

    version: Version
    value: Any = ABSENT

    @property
    def stamp(self) -> Stamp:
        """That of the last write."""
        return self.version.stamp


NEVER = State(Version(BEGINNING))
"""A key that nobody has written."""


def merge(mine: State, other: State) -> State:
    """The state of a replica that had one and learns of the other."""
    if mine.version.stamp != other.version.stamp:
        return latest(mine, other)
    if not mine.version.added and not other.version.added:
        return other if mine.value is ABSENT else mine
    version = Version(mine.version.stamp, joined_additions(mine.version.added, other.version.added))
    return State(version, _joined_base(_base(mine), _base(other)) + version.total)


def joined_additions(mine: Additions | None, other: Additions | None) -> Additions | None:
    """What has been added when both are known."""
    if not mine or not other or mine == other:
        return mine or other
    joined = dict(mine)
    for node, amount in other.items():
        known = joined.get(node)
        if known is None or amount[0] > known[0]:
            joined[node] = amount
    return joined


def _base(state: State) -> Any:
    """The value without the additions. Only Ints are ever added to."""
    return state.value - state.version.total if state.version.added else state.value


def _joined_base(mine: Any, other: Any) -> int:
    """Two bases under one stamp differ only when both handlers took the key for absent: one counts
    from where it began, or both do, from what `??` gave them; then the larger one."""
    if mine is ABSENT or other is ABSENT:
        return int(other if mine is ABSENT else mine)
    return int(max(mine, other))


def increment(state: State, node: str, amount: int, default: int = 0) -> State:
    """The state after `node` has added `amount`. An absent key counts from `default`, under the
    stamp that it has: that of its deletion, or the beginning."""
    known = state.version.added or {}
    count, total = known.get(node, (0, 0))
    added = {**known, node: (count + 1, total + amount)}
    base = default if state.value is ABSENT else state.value
    return State(Version(state.version.stamp, added), base + amount)


# --- a text for storage and digests ------------------------------------------------------------


def packed(version: Version) -> str:
    """A version as text; equal versions have equal texts."""
    physical, logical, node = version.stamp
    text = f"{physical} {logical} {node}"
    if version.added:
        listed = sorted((name, *amount) for name, amount in version.added.items())
        text += "\n" + json.dumps(listed, separators=(",", ":"))
    return text


def unpacked(text: str) -> Version:
    """The version behind a text of `packed`. Raises ValueError for any other text."""
    head, _, rest = text.partition("\n")
    physical, logical, node = head.split(" ", 2)
    stamp = Stamp(int(physical), int(logical), intern(node))
    if not rest:
        return Version(stamp)
    return Version(stamp, {name: (count, total) for name, count, total in json.loads(rest)})


# --- the keys of log records ---------------------------------------------------------------------

_LOGICAL_MOST = 0xFFFFFF
_STAMP_CHARS = 18


def record_key(stamp: Stamp) -> str:
    """The key of a log record: keys order as their stamps do. The counter must fit in 24 bits."""
    assert stamp.logical <= _LOGICAL_MOST
    return f"{stamp.physical:012x}{stamp.logical:06x}{stamp.node}"


def stamp_of_record(key: str) -> Stamp:
    """The stamp in the key of a log record. Raises ValueError for any other text."""
    return Stamp(int(key[:12], 16), int(key[12:18], 16), key[18:])


def later_record_key(last: str, now: int) -> str:
    """A key after `last` for a node that has left its cluster; `last` may be no record's key when
    there are none."""
    if len(last) < _STAMP_CHARS:
        return record_key(Stamp(now, 0, ""))
    return record_key(carried(tick(stamp_of_record(last), now, "")))


def carried(stamp: Stamp) -> Stamp:
    """A stamp whose counter fits in a record's key, not earlier: a full counter moves the clock."""
    if stamp.logical <= _LOGICAL_MOST:
        return stamp
    return Stamp(stamp.physical + 1, 0, stamp.node)
