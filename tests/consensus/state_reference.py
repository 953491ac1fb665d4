"""The replicated state against a reference that remembers everything."""

from __future__ import annotations

from collections import deque
from random import Random

from service_cluster import MemoryTables

from somart.consensus import state as module
from somart.consensus.proposal import Command, IdRange, Key, Proposal, Row, TransactionId
from somart.consensus.state import State
from somart.timers import Tick

NAMES: tuple[Key, ...] = ("k", "l", "m")
TABLES = ("t", "u")


class Reference:
    """No windows: every change of every key, and every id, for ever."""

    def __init__(self, window: int) -> None:
        self.window = window
        self.revision = 0
        self.rows: dict[tuple[str, Key], Row] = {}
        self.changed: dict[tuple[str, Key], int] = {}
        self.shaped: dict[str, int] = {}
        self.met: set[TransactionId] = set()
        self.oldest: dict[tuple[str, int], int] = {}
        self.ids: dict[str, int] = {}
        self.due: dict[str, tuple[int, int]] = {}

    def apply(self, command: Command) -> tuple[bool, int, tuple[int, int]]:
        """Whether it was carried out, the revision after it, and ids."""
        given = command.id
        session = given.node, given.session
        oldest = self.oldest[session] = max(self.oldest.get(session, 0), command.oldest)
        if given in self.met or given.number < oldest:
            return False, self.revision, (0, 0)
        self.met.add(given)
        if isinstance(command, IdRange):
            first = self.ids.get(command.counter, 0) + 1
            self.ids[command.counter] = first + command.count - 1
            return True, self.revision, (first, first + command.count - 1)
        if not self._valid(command):
            return False, self.revision, (0, 0)
        self.revision += 1
        if command.due is not None:
            self.due[command.due.schedule] = command.due.due, command.due.term
        for table, key, row in command.writes:
            self.changed[table, key] = self.revision
            if (row is not None) != ((table, key) in self.rows):
                self.shaped[table] = self.revision
            self.rows.pop((table, key), None)
            if row is not None:
                self.rows[table, key] = row
        return True, self.revision, (0, 0)

    def _valid(self, command: Proposal) -> bool:
        at = command.at
        if command.due is not None:
            name, due, term, since = command.due
            last_due, last_term = self.due.get(name, (0, 0))
            if due <= last_due or term < last_term or since not in (-1, last_due):
                return False
        return (
            at >= self.revision - self.window
            and all(self.changed.get(key, 0) <= at for key in command.keys)
            and all(self.shaped.get(table, 0) <= at for table in command.shapes)
            and all(
                changed <= at for (t, _), changed in self.changed.items() if t in command.tables
            )
        )


def compare(seed: int, commands: int = 120) -> None:
    """Random commands, repeated ones, restarts and snapshots: both decide alike."""
    rng = Random(seed)
    tables = MemoryTables()
    state, reference = State(tables), Reference(module.WINDOW)
    numbers = {("n", 1): 0, ("n", 2): 0, ("o", 1): 0}
    past: list[Command] = []
    for _ in range(commands):
        command = _command(rng, numbers, state.revision)
        if past and rng.random() < 0.25:
            command = rng.choice(past)
        past.append(command)
        met = command.id in reference.met
        outcome = state.apply(command)
        applied, revision, ids = reference.apply(command)
        shown = f"seed {seed}: {command}: {outcome}"
        assert (not outcome.refused) == applied, shown
        assert (outcome.revision, outcome.ids) == (revision, ids), shown
        assert (outcome.refused == module.REPEATED) == (met or _late(command, reference)), shown
        _same_rows(tables, reference)
        if rng.random() < 0.1:
            state = _restarted(state, tables)


def _late(command: Command, reference: Reference) -> bool:
    return command.id.number < reference.oldest[command.id.node, command.id.session]


def _same_rows(tables: MemoryTables, reference: Reference) -> None:
    rows = {(t, key): row for t, rows in tables.rows.items() for key, row in rows.items()}
    assert rows == reference.rows


def _restarted(state: State, tables: MemoryTables) -> State:
    again = State(tables)
    again.restore(state.save(), deque(state.changes))
    assert again.keys == state.keys
    return again


def _command(rng: Random, numbers: dict[tuple[str, int], int], revision: int) -> Command:
    node, session = rng.choice(list(numbers))
    numbers[node, session] += 1
    number = numbers[node, session]
    given, oldest = TransactionId(node, session, number), max(1, number - rng.randrange(4))
    if rng.random() < 0.15:
        return IdRange(given, oldest, rng.choice("ij"), rng.randrange(1, 4))
    at = max(0, revision - rng.choice((0, 0, 1, 2, module.WINDOW - 1, module.WINDOW, 9)))
    pairs = [(table, key) for table in TABLES for key in NAMES]
    keys = tuple(rng.sample(pairs, rng.randrange(3)))
    shapes = tuple(rng.sample(TABLES, rng.random() < 0.2))
    whole = tuple(rng.sample(TABLES, rng.random() < 0.1))
    writes = tuple(
        (table, key, None if rng.random() < 0.3 else (str(number), "int", 0, 0))
        for table, key in rng.sample(pairs, rng.randrange(1, 3))
    )
    due = None
    if rng.random() < 0.2:
        near = 1 + revision // 8
        last = rng.choice((-1, -1, -1, 0, near))
        due = Tick("s", near + rng.randrange(3), near // 2 + rng.randrange(2), last)
    return Proposal(given, oldest, at, keys, shapes, whole, writes, due)
