"""The replicated state: what entries do to the tables, decided alike on every replica.

Pure: the tables are handed in, nothing here waits or looks at a clock.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Protocol

import msgspec
from msgspec import Struct

from ..merge import moved
from .proposal import APPENDED, Command, IdRange, Key, Proposal, Row, TransactionId

WINDOW = 10_000
"""Revisions whose changes are remembered: a transaction that began before them runs again."""

FORGOTTEN = 100 * WINDOW
"""A session of which nothing was heard for so many revisions is over: its node has restarted."""

REPEATED = "repeated"
DEPOSED = "deposed"


class Tables(Protocol):
    """The tables of strong cells, by name."""

    def has(self, table: str, key: Key) -> bool:
        """Whether the key is there."""

    def next_key(self, table: str) -> Key:
        """The number of the next record of a log."""

    def write(self, table: str, key: Key, row: Row | None, revision: int) -> None:
        """Puts a row, or with None takes the key away."""


class Change(Struct, frozen=True, array_like=True):
    """What one revision changed: keys, and tables whose set of keys changed."""

    revision: int
    keys: tuple[tuple[str, Key], ...]
    shapes: tuple[str, ...]


class Session(Struct, array_like=True):
    """The numbers of a session that have come: all below `oldest`, and those in `done`, with the
    revision at which they were applied, 0 for those that were refused."""

    oldest: int
    done: dict[int, int]
    used: int
    """The revision at which it was last heard of."""


class Saved(Struct, array_like=True):
    """All of it but the tables and the changes of the window."""

    revision: int
    sessions: dict[str, Session]
    counters: dict[str, int]
    ticks: dict[str, tuple[int, int]]


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(Saved)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a command: applied at a revision, or refused, and why."""

    id: TransactionId
    revision: int
    refused: str = ""
    ids: tuple[int, int] = (0, 0)


@dataclass(slots=True)
class State:
    """Applies commands in the order of the log."""

    tables: Tables
    revision: int = 0
    changes: deque[Change] = field(default_factory=deque)
    keys: dict[tuple[str, Key], int] = field(default_factory=dict)
    shapes: dict[str, int] = field(default_factory=dict)
    touched: dict[str, int] = field(default_factory=dict)
    sessions: dict[str, Session] = field(default_factory=dict)
    counters: dict[str, int] = field(default_factory=dict)
    ticks: dict[str, tuple[int, int]] = field(default_factory=dict)

    def apply(self, command: Command) -> Outcome:
        """Carries out a command, unless it was before, or what it read has changed."""
        session = self._session(command.id, command.oldest)
        number = command.id.number
        if number < session.oldest or number in session.done:
            return Outcome(command.id, self.revision, REPEATED)
        session.used = self.revision
        session.done[number] = 0
        if isinstance(command, IdRange):
            return self._reserve(command)
        why = self._conflict(command)
        if why:
            return Outcome(command.id, self.revision, why)
        self._carry_out(command)
        session.done[number] = self.revision
        return Outcome(command.id, self.revision)

    def known(self, given: TransactionId) -> int | None:
        """The revision at which a proposal was applied, 0 if it was refused, None if unknown."""
        session = self.sessions.get(_name(given))
        return None if session is None else session.done.get(given.number)

    def _session(self, given: TransactionId, oldest: int) -> Session:
        name = _name(given)
        session = self.sessions.get(name)
        if session is None:
            session = self.sessions[name] = Session(oldest, {}, self.revision)
        elif oldest > session.oldest:
            done = session.done
            if oldest - session.oldest <= len(done):
                for number in range(session.oldest, oldest):
                    done.pop(number, None)
            else:
                session.done = {n: at for n, at in done.items() if n >= oldest}
            session.oldest = oldest
        return session

    def _conflict(self, proposal: Proposal) -> str:
        at = proposal.at
        if at < self.revision - WINDOW:
            return "conflict: read too long ago"
        if proposal.due is not None:
            schedule, due, term, since = proposal.due
            last_due, last_term = self.ticks.get(schedule, (0, 0))
            if due <= last_due or term < last_term or since not in (-1, last_due):
                return DEPOSED
        if (key := moved(proposal.keys, self.keys, at)) is not None:
            return f"conflict: {key[0]}[{key[1]}]"
        if (table := moved(proposal.shapes, self.shapes, at)) is not None:
            return f"conflict: keys of {table}"
        if (table := moved(proposal.tables, self.touched, at)) is not None:
            return f"conflict: {table}"
        return ""

    def _carry_out(self, proposal: Proposal) -> None:
        self.revision += 1
        revision = self.revision
        if proposal.due is not None:
            schedule, due, term, _ = proposal.due
            self.ticks[schedule] = (due, term)
        shapes: dict[str, None] = {}
        keys: list[tuple[str, Key]] = []
        for table, key, row in proposal.writes:
            if key == APPENDED:
                key = self.tables.next_key(table)
            keys.append((table, key))
            if (row is not None) != self.tables.has(table, key):
                shapes[table] = None
            self.tables.write(table, key, row, revision)
        self._note(Change(revision, tuple(keys), tuple(shapes)))

    def _note(self, change: Change) -> None:
        revision = change.revision
        self.changes.append(change)
        for key in change.keys:
            self.keys[key] = revision
            self.touched[key[0]] = revision
        for table in change.shapes:
            self.shapes[table] = revision
        if revision % WINDOW == 0:
            kept = {n: s for n, s in self.sessions.items() if s.used > revision - FORGOTTEN}
            self.sessions = kept
        while self.changes[0].revision <= revision - WINDOW:
            for key in self.changes.popleft().keys:
                if self.keys.get(key, 0) <= revision - WINDOW:
                    self.keys.pop(key, None)

    def _reserve(self, command: IdRange) -> Outcome:
        first = self.counters.get(command.counter, 0) + 1
        last = first + command.count - 1
        self.counters[command.counter] = last
        return Outcome(command.id, self.revision, ids=(first, last))

    # --- restarts and snapshots ------------------------------------------------------------------

    def save(self) -> bytes:
        """Everything but the tables and `changes`."""
        return _encoder.encode(Saved(self.revision, self.sessions, self.counters, self.ticks))

    def restore(self, data: bytes, changes: Iterable[Change]) -> None:
        """Takes over what `save` gave, with the changes. Raises msgspec.DecodeError."""
        saved = _decoder.decode(data)
        self.changes.clear()
        self.keys, self.shapes, self.touched = {}, {}, {}
        self.revision = saved.revision
        self.sessions, self.counters, self.ticks = saved.sessions, saved.counters, saved.ticks
        for change in changes:
            self._note(change)


def _name(given: TransactionId) -> str:
    return f"{given.node}/{given.session}"
