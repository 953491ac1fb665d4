"""What must hold of a cluster: each check looks at all nodes and at what clients were told, and
gives sentences about what is wrong."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Protocol

from ..cluster.replica import Replica, covers
from ..cluster.ring import Ring
from ..cluster.versions import ABSENT, State, Version, merge
from ..cluster.versiontable import VersionTable
from ..memory.table import Table
from .history import ERROR, OK, Operation, Written

MOST = 5
"""Sentences of one check; the rest is counted."""

Place = tuple[str, str]
"""Table and key."""


class Replicated(Protocol):
    """What the checks see of a process."""

    id: str

    @property
    def replica(self) -> Replica: ...

    @property
    def ring(self) -> Ring:
        """As the process sees it."""

    def replicated(self, name: str) -> tuple[Table, VersionTable] | None: ...


def some_of(sentences: Sequence[str]) -> list[str]:
    """The first few, and how many more there are."""
    more = len(sentences) - MOST
    return list(sentences) if more <= 0 else [*sentences[:MOST], f"… and {more} more like these"]


# --- what was written ----------------------------------------------------------------------------


class Ledger:
    """What replicas must hold: the join of all acknowledged writes; and may: of all that reached a
    commit without an error."""

    def __init__(self, operations: Iterable[Operation]) -> None:
        self.promised: dict[Place, State] = {}
        self.possible: dict[Place, State] = {}
        self.by: dict[Place, list[Operation]] = {}
        self.backwards: list[str] = []
        """Writes that were given no version, or one not later than what they replaced."""
        for operation in operations:
            if operation.status != ERROR:
                for written in operation.writes:
                    if _goes_on(written):
                        self._add(operation, written)
                    else:
                        self.backwards.append(
                            f"stamp went back: c{operation.number} wrote {written.table}"
                            f"[{written.key}] at {written.version} over {written.before}"
                        )

    def _add(self, operation: Operation, written: Written) -> None:
        place = (written.table, written.key)
        state = State(written.version, written.value)
        _join(self.possible, place, state)
        if operation.status == OK:
            _join(self.promised, place, state)
            self.by.setdefault(place, []).append(operation)

    def culprits(self, place: Place, held: Version | None) -> str:
        """The calls whose writes are not covered by what is held."""
        lost = [
            f"c{operation.number}"
            for operation in self.by.get(place, ())
            for written in operation.writes
            if (written.table, written.key) == place
            and (held is None or not covers(held, written.version))
        ]
        return " ".join(dict.fromkeys(lost))


def _goes_on(written: Written) -> bool:
    return written.version is not None and (
        written.before is None or covers(written.version, written.before)
    )


def _join(states: dict[Place, State], place: Place, state: State) -> None:
    known = states.get(place)
    states[place] = state if known is None else merge(known, state)


def held_state(process: Replicated, place: Place) -> State | None:
    """A key as a process has it, None when it knows nothing of it."""
    found = process.replicated(place[0])
    version = None if found is None else found[1].get(place[1])
    if found is None or version is None:
        return None
    entry = found[0].entries.get(place[1])
    return State(version, ABSENT if entry is None else entry.value)


def lost_writes(
    processes: Sequence[Replicated], ledger: Ledger, outlived: bool = False
) -> list[str]:
    """Acknowledged writes that an owner of their key does not have. `outlived`: somebody was out of
    the ring, whose own writes may outlive a deletion (decision 012, 29)."""
    wrong = []
    for place, promised in ledger.promised.items():
        for process in owners(processes, place):
            held = held_state(process, place)
            if held is None and ledger.possible[place].value is ABSENT:
                continue  # deleted everywhere, if by a call without an answer, and forgotten
            if outlived and promised.value is ABSENT:
                continue
            if held is None or not covers(held.version, promised.version):
                calls = ledger.culprits(place, None if held is None else held.version)
                wrong.append(
                    f"lost write: {process.id} lacks {place[0]}[{place[1]}] as written by {calls}"
                )
    return some_of(wrong)


def strange_values(processes: Sequence[Replicated], ledger: Ledger) -> list[str]:
    """Keys with a version that no commit gave them, or with another value than it gave them."""
    wrong = list(ledger.backwards)
    for place, possible in ledger.possible.items():
        for process in owners(processes, place):
            held = held_state(process, place)
            if held is None:
                continue
            shown = f"{process.id} has {place[0]}[{place[1]}]"
            if not covers(possible.version, held.version):
                wrong.append(f"unknown write: {shown} at {held.version}, which nobody wrote")
            elif held.version == possible.version and held.value != possible.value:
                wrong.append(f"wrong value: {shown} = {held.value!r}, not {possible.value!r}")
    return some_of(wrong)


# --- where it is ---------------------------------------------------------------------------------


def owners(processes: Sequence[Replicated], place: Place) -> list[Replicated]:
    """The processes that are to hold a key, of those that live."""
    from ..cluster.hashing import segment_of

    if not processes:
        return []
    copies = processes[0].replica.copies(place[0])
    if copies is None:
        return list(processes)
    ids = processes[0].ring.owners(segment_of(place[1]), copies)
    return [process for process in processes if process.id in ids]


def unequal_replicas(processes: Sequence[Replicated]) -> list[str]:
    """Tables that owners do not agree on, and keys that lie where they do not belong."""
    rings = {process.ring.ids for process in processes}
    if len(rings) > 1:
        return [f"rings differ: {sorted(rings)}"]
    if not processes:
        return []
    wrong = []
    for table in processes[0].replica.tables:
        copies = processes[0].replica.copies(table)
        if copies is None:
            wrong += _unequal(table, processes)
        else:
            wrong += _misplaced(table, copies, processes)
    return some_of(wrong)


def _unequal(table: str, processes: Sequence[Replicated]) -> list[str]:
    first, wrong = processes[0], []
    mine = _contents(first, table)
    for other in processes[1:]:
        theirs = _contents(other, table)
        wrong += [
            f"replicas differ: {table}[{key}] is {mine.get(key)} on {first.id}, "
            f"{theirs.get(key)} on {other.id}"
            for key in sorted({*mine, *theirs})
            if mine.get(key) != theirs.get(key)
        ]
    return wrong


def _contents(process: Replicated, table: str) -> Mapping[str, State]:
    found = process.replicated(table)
    if found is None:
        return {}
    entries, versions = found[0].entries, found[1]
    contents: dict[str, State] = {}
    for segment in versions.segments():
        for key, version in versions.items_of(segment):
            entry = entries.get(key)
            if entry is not None:  # tombstones go at their own time on each node
                contents[key] = State(version, entry.value)
    for key, entry in entries.items():
        if key not in contents:
            contents[key] = State(Version(entry.value), "without a version")
    return contents


def _misplaced(table: str, copies: int, processes: Sequence[Replicated]) -> list[str]:
    wrong = []
    held = {process.id: process.replica.digests(table) for process in processes}
    ring = processes[0].ring
    for segment in sorted({segment for digests in held.values() for segment in digests}):
        ids = ring.owners(segment, copies)
        owning = [process for process in processes if process.id in ids]
        if len({held[process.id].get(segment, 0) for process in owning}) > 1 and any(
            _live(process, table, segment) != _live(owning[0], table, segment) for process in owning
        ):
            wrong.append(f"replicas differ: owners {ids} of segment {segment} of {table}")
        wrong += [
            f"misplaced: {id} holds segment {segment} of {table}, which belongs to {ids}"
            for id, found in held.items()
            if id not in ids and found.get(segment)
        ]
    return wrong


def _live(process: Replicated, table: str, segment: int) -> dict[str, Version]:
    """The keys of a segment that are not deleted: tombstones go at their own time on each node."""
    found = process.replicated(table)
    if found is None:
        return {}
    items = found[1].items_of(segment)
    return {key: version for key, version in items if key in found[0].entries}


def safe_without(victim: Replicated, others: Sequence[Replicated]) -> bool:
    """Whether each key that a process holds lies on another one too, as late or later."""
    for table in victim.replica.tables:
        found = victim.replicated(table)
        if found is None:
            continue
        for segment in found[1].segments():
            for key, version in found[1].items_of(segment):
                if not any(_has(other, table, key, version) for other in others):
                    return False
    return True


def _has(process: Replicated, table: str, key: str, version: Version) -> bool:
    found = process.replicated(table)
    held = None if found is None else found[1].get(key)
    return held is not None and covers(held, version)


# --- identifiers ---------------------------------------------------------------------------------


def repeated_ids(operations: Iterable[Operation]) -> list[str]:
    """Results of `next_id` that two acknowledged calls were given."""
    given: dict[tuple[str, int], Operation] = {}
    wrong = []
    for operation in operations:
        if operation.status != OK:
            continue
        for counter, number in dict.fromkeys(operation.ids):
            other = given.setdefault((counter, number), operation)
            if other is not operation:
                calls = (
                    f"c{other.number} on {other.node} and c{operation.number} on {operation.node}"
                )
                wrong.append(f"repeated id: next_id of {counter} gave {number} to {calls}")
    return some_of(wrong)
