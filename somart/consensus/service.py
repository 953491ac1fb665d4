"""Raft, its rows and the replicated state together: proposals in, outcomes out, still without I/O.

A driver calls `poll`, sends what it says, stores `Turn.write` durably in one transaction, calls
`written`, and so on until there is nothing to do. While a write is under way, proposals gather:
they share the next entry, and its sync.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Protocol

import msgspec
from msgspec import Struct

from .core import Output, Raft, Role
from .messages import (
    Configuration,
    Entry,
    Forward,
    NotLeader,
    ReadRequest,
    ServiceMessage,
    SnapshotChunk,
)
from .proposal import Command, Emitted, Key, Proposal, Row, TransactionId, pack, unpack
from .state import WINDOW, Change, Outcome, State, Tables
from .storage import (
    CHANGES,
    LOG,
    Changes,
    write_applied,
    write_change,
    write_output,
    write_snapshot,
)


class ReplicatedTables(Tables, Protocol):
    """The tables of strong cells, as the service needs them."""

    def take_rows(self) -> Changes:
        """The rows that `write` has changed since the last time, for the database."""

    def dump(self) -> Iterable[tuple[str, Key, Row]]:
        """All rows of all tables."""

    def replace(self, rows: Iterable[tuple[str, Key, Row]], revision: int) -> None:
        """Puts these in place of everything."""


class Failure(Exception):
    """A proposal or a read has failed. `definite`: it has surely changed nothing."""

    def __init__(self, text: str, definite: bool) -> None:
        super().__init__(text)
        self.definite = definite


EAGER_MS = 1_000
"""For so long after a member has asked for something it is told at once of what is committed."""


@dataclass(frozen=True, slots=True)
class ServiceConfig:
    """Times in milliseconds, sizes in bytes or entries."""

    give_up_ms: int = 4_500
    """A client is to have its answer within 5 s."""
    resend_ms: int = 500
    sweep_ms: int = 50
    flush_ms: int = 200
    flush_changes: int = 256
    """Rows are stored when so many revisions have changed some, or after `flush_ms`: what changes
    often is not stored each time, for it is in the log."""
    entry_bytes: int = 256 * 1024
    chunk_bytes: int = 256 * 1024
    log_entries: int = 6_000
    """A longer log is cut to `kept_entries`: little at a time, for the loop stands meanwhile."""
    log_bytes: int = 64 * 1024 * 1024
    kept_entries: int = 5_000
    in_flight: int = 4_096


Done = Callable[[Outcome | Failure], None]
Ready = Callable[[Failure | None], None]


@dataclass(slots=True)
class _Pending:
    """A command of this node on its way through the log."""

    raw: bytes
    done: Done
    deadline: int
    resend: int
    open: set[int] = field(default_factory=set)
    """Attempts that were not refused: by each of them it may have come into a log."""


@dataclass(slots=True)
class _Reading:
    """Reads that wait for one index."""

    ready: list[Ready]
    deadline: int
    resend: int
    index: int = 0


@dataclass(slots=True)
class Turn:
    """What the driver has to do: send, and store durably if `write` is not None."""

    sends: list[tuple[str, ServiceMessage]] = field(default_factory=list)
    write: Changes | None = None


class _Snapshot(Struct, array_like=True):
    state: bytes
    changes: tuple[Change, ...]
    rows: list[tuple[str, Key, Row]]


_snapshot_decoder = msgspec.msgpack.Decoder(_Snapshot)


class Service:
    """One member of the group. `session` is larger with each start of the node.

    What is called back (`done`, `ready`) is called amid a turn: it must not call `poll`.
    """

    def __init__(
        self,
        raft: Raft,
        state: State,
        tables: ReplicatedTables,
        session: int,
        config: ServiceConfig = ServiceConfig(),
        *,
        stored: int | None = None,
    ) -> None:
        self.raft = raft
        self._asked = ""
        """The leader that has what is in flight."""
        self._eager: dict[str, int] = {}
        raft.eager = self._eager
        self.node = raft.node
        self.state = state
        self.tables = tables
        self.on_events: Callable[[tuple[Emitted, ...], bool], None] = _unheard
        """Called with what an applied transaction has emitted, and whether it is of this node:
        once, and not again for entries that were in the log when the node started, nor for those
        whose `done` is about to be called: who waits there tells of them."""
        self._heard_before = (raft.log.last_term, raft.log.last)
        self.session = session
        self.config = config
        self.number = 0
        self.pending: dict[int, _Pending] = {}
        self._reads: dict[int, _Reading] = {}
        self._joining: _Reading | None = None
        # Answers to reads of an earlier life must not be taken for answers to those of this one.
        self._read_number = session << 32
        self._queue: list[tuple[int, bytes]] = []
        self._attempt = 0
        self._forwards: dict[str, tuple[int, list[bytes]]] = {}
        self._heard: dict[str, tuple[int, int]] = {}
        """By sender, session and number of its last `Forward`."""
        self._sends: list[tuple[str, ServiceMessage]] = []
        self._extra: Changes = {}
        self._changed: list[Change] = []
        self._sweep_at = 0
        self._stage: Output | None = None
        self._last_stored = raft.log.last if stored is None else stored
        self._dirty = False
        self._flush_at = 0
        self._incoming: list[bytes] = []
        self._blob: tuple[int, int, Configuration, bytes] | None = None
        self.now = raft.now

    # --- what is asked of it ---------------------------------------------------------------------

    @property
    def leads(self) -> bool:
        return self.raft.role is Role.LEADER

    @property
    def leads_here(self) -> bool:
        """Whether it leads and has applied all that its predecessors have committed."""
        raft = self.raft
        return self.leads and raft.log.term(raft.applied) == raft.term

    @property
    def revision(self) -> int:
        """That of the newest transaction that is applied here."""
        return self.state.revision

    def propose(self, make: Callable[[TransactionId, int], Command], done: Done, now: int) -> None:
        """Proposes the command that `make` gives for an id and the oldest number in flight.

        `done` gets the outcome, or a Failure. Raises Failure when too much is in flight.
        """
        self.now = now
        if len(self.pending) >= self.config.in_flight:
            raise Failure("too many transactions in flight", definite=True)
        self.number += 1
        oldest = next(iter(self.pending), self.number)
        command = make(TransactionId(self.node, self.session, self.number), oldest)
        raw = pack((command,))
        entry = _Pending(raw, done, now + self.config.give_up_ms, now)
        self.pending[self.number] = entry
        self._hand_over(entry)

    def read(self, ready: Ready, now: int) -> None:
        """Calls `ready` when all that was acknowledged before now is applied here (§6.4)."""
        self.now = now
        if self._joining is None:
            config = self.config
            self._joining = _Reading([], now + config.give_up_ms, now + config.resend_ms)
        self._joining.ready.append(ready)

    def receive(self, message: ServiceMessage, now: int) -> None:
        """A message of another member."""
        self.now = now
        if isinstance(message, Forward | ReadRequest):
            self._eager[message.sender] = now + EAGER_MS
        if isinstance(message, Forward):
            self._forwarded(message)
        elif isinstance(message, NotLeader):
            for number in message.numbers if message.session == self.session else ():
                self._refused(number, message.attempt)
        else:
            self.raft.step(message, now)

    def wakeup(self) -> int:
        """When `tick` has something to do."""
        at = self.raft.wakeup()
        if self.pending or self._reads or self._joining is not None:
            at = min(at, self._sweep_at)
        return min(at, self._flush_at) if self._dirty else at

    def tick(self, now: int) -> None:
        """Time has passed: send again, or give up."""
        self.now = now
        self.raft.tick(now)
        if now < self._sweep_at:
            return
        self._sweep_at = now + self.config.sweep_ms
        for number, entry in list(self.pending.items()):
            if now >= entry.deadline:
                del self.pending[number]
                entry.done(_gave_up(entry))
            elif now >= entry.resend:
                self._hand_over(entry)
        joining = self._joining
        if joining is not None and now >= joining.deadline:  # no poll: the disk takes nothing
            self._joining = None
            self._answer(joining, Failure("no quorum", definite=True))
        for number, reading in list(self._reads.items()):
            if now >= reading.deadline:
                del self._reads[number]
                self._answer(reading, Failure("no quorum", definite=True))
            elif now >= reading.resend and not reading.index:
                del self._reads[number]
                self._ask(reading)

    # --- proposing -------------------------------------------------------------------------------

    def _hand_over(self, entry: _Pending) -> None:
        """Gives a command to the leader, if there is one."""
        entry.resend = self.now + self.config.resend_ms
        leader = self.raft.leader
        if not leader:
            entry.resend = self.now + self.raft.config.heartbeat_ms
            return
        if not self.leads and leader in self._forwards:
            attempt, commands = self._forwards[leader]
            commands.append(entry.raw)
        else:
            self._attempt = attempt = self._attempt + 1
            if self.leads:
                self._queue.append((attempt, entry.raw))
            else:
                self._forwards[leader] = attempt, [entry.raw]
        entry.open.add(attempt)

    def _forwarded(self, message: Forward) -> None:
        """Each attempt counts once: what was refused is never proposed after all."""
        this = message.session, message.number
        if this <= self._heard.get(message.sender, (0, 0)):
            return
        self._heard[message.sender] = this
        if self.leads:
            self._queue.extend((message.number, raw) for raw in message.commands)
            return
        numbers = [command.id.number for raw in message.commands for command in unpack(raw)]
        refusal = NotLeader(self.node, message.session, message.number, tuple(numbers))
        self._sends.append((message.sender, refusal))

    def _refused(self, number: int, attempt: int) -> None:
        entry = self.pending.get(number)
        if entry is not None:
            entry.open.discard(attempt)
            entry.resend = min(entry.resend, self.now + self.raft.config.heartbeat_ms)

    def _propose_queue(self) -> None:
        """All that has gathered, in as few entries as their size allows."""
        queue, self._queue = self._queue, []
        batch: list[tuple[int, bytes]] = []
        size = 0
        for attempt, raw in queue:
            if batch and size + len(raw) > self.config.entry_bytes:
                self._propose_batch(batch)
                batch, size = [], 0
            batch.append((attempt, raw))
            size += len(raw)
        if batch:
            self._propose_batch(batch)

    def _propose_batch(self, batch: list[tuple[int, bytes]]) -> None:
        data = msgspec.msgpack.encode([raw for _, raw in batch])
        if self.raft.propose(data, self.now) is not None:
            return
        for attempt, raw in batch:
            for command in unpack(raw):
                self._not_proposed(command.id, attempt)

    def _not_proposed(self, given: TransactionId, attempt: int) -> None:
        if given.node != self.node:
            refusal = NotLeader(self.node, given.session, attempt, (given.number,))
            self._sends.append((given.node, refusal))
        elif given.session == self.session:
            self._refused(given.number, attempt)

    # --- turns -----------------------------------------------------------------------------------

    def poll(self, now: int) -> Turn:
        """What there is to do now. `write` is None while another one is under way."""
        self.now = now
        if self.raft.leader != self._asked:
            self._asked = self.raft.leader
            self._ask_anew()
        if self._stage is not None:
            return Turn(self._take_sends())
        if self._queue:
            self._propose_queue()
        if self._joining is not None:
            joining, self._joining = self._joining, None
            self._ask(joining)
        write: Changes | None = None
        while write is None:
            output = self.raft.take()
            if not output and not self._extra and not self._flush_due():
                break
            write = self._carry_out(output)
        return Turn(self._take_sends(), write)

    def _ask_anew(self) -> None:
        """Another one leads: what the one before has not answered goes there, without waiting for
        the time of `resend_ms`. Commands that it knows already are applied once."""
        if not self._asked:
            return
        for entry in self.pending.values():
            self._hand_over(entry)
        for number, reading in list(self._reads.items()):
            if not reading.index:
                del self._reads[number]
                self._ask(reading)

    def _take_sends(self) -> list[tuple[str, ServiceMessage]]:
        for leader, (attempt, commands) in self._forwards.items():
            forward = Forward(self.node, self.session, attempt, tuple(commands))
            self._sends.append((leader, forward))
        self._forwards = {}
        sends, self._sends = self._sends, []
        return sends

    def written(self, now: int) -> None:
        """The last `Turn.write` is durable."""
        self.now = now
        output, self._stage = self._stage, None
        if output is None:
            return
        if output.entries:
            last = output.entries[-1]
            self._last_stored = last.index
            self.raft.persisted(last.index, last.term, now)
        self._sends += output.messages

    def _carry_out(self, output: Output) -> Changes | None:
        self._sends += output.early
        for entry in output.apply:
            self._apply(entry)
        for number, index in output.reads:
            self._read_index(number, index)
        self._serve_reads()
        for chunk in output.chunks:
            self._receive_chunk(chunk, output)
        for wanted in output.snapshots:
            self._send_chunk(*wanted)
        stored = output.state is not None or output.truncate is not None or output.entries
        if not stored and not self._extra and not self._flush_due():
            self._sends += output.messages
            return None
        self._stage = output
        changes, self._extra = self._extra, {}
        write_output(changes, output, self._last_stored)
        if output.truncate is not None:
            self._last_stored = output.truncate - 1
        if self._flush_due() or len(self._changed) >= self.config.flush_changes:
            changes.update(self.tables.take_rows())
            for change in self._changed:
                write_change(changes, change, change.revision - WINDOW)
            self._changed = []
            write_applied(changes, self.state, self.raft.applied)
            self._dirty = False
            self._compact(changes)
        return changes

    def _flush_due(self) -> bool:
        return self._dirty and self.now >= self._flush_at

    def _compact(self, changes: Changes) -> None:
        """Forgets a long log up to what `changes` says is applied."""
        log = self.raft.log
        large = log.size > self.config.log_bytes
        if large or len(log.entries) > self.config.log_entries:
            before = log.snapshot_index
            kept = self.config.kept_entries // (100 if large else 1)
            self.raft.compact(self.raft.applied - kept)
            write_snapshot(changes, log, before)

    # --- applying --------------------------------------------------------------------------------

    def _apply(self, entry: Entry) -> None:
        if not self._dirty:
            self._dirty, self._flush_at = True, self.now + self.config.flush_ms
        if entry.kind != "data":
            return
        for raw in msgspec.msgpack.decode(entry.data, type=list[bytes]):
            for command in unpack(raw):
                before = self.state.revision
                outcome = self.state.apply(command)
                if self.state.revision > before:
                    self._changed.append(self.state.changes[-1])
                    if isinstance(command, Proposal) and command.events:
                        self._tell(entry, command)
                self._settle(outcome)

    def _tell(self, entry: Entry, proposal: Proposal) -> None:
        own = self._is_own(proposal.id)
        awaited = own and proposal.id.number in self.pending
        if not awaited and (entry.term, entry.index) > self._heard_before:
            self.on_events(proposal.events, own)

    def _is_own(self, given: TransactionId) -> bool:
        return given.node == self.node and given.session == self.session

    def _settle(self, outcome: Outcome) -> None:
        if self._is_own(outcome.id):
            entry = self.pending.pop(outcome.id.number, None)
            if entry is not None:
                entry.done(outcome)

    # --- reads -----------------------------------------------------------------------------------

    def _ask(self, reading: _Reading) -> None:
        reading.resend = self.now + self.config.resend_ms
        self._read_number += 1
        self._reads[self._read_number] = reading
        self.raft.read(self._read_number, self.now)

    def _read_index(self, number: int, index: int) -> None:
        reading = self._reads.get(number)
        if reading is None:
            return
        if index:
            reading.index = index
        else:  # no leader, or a new one: ask again soon
            reading.resend = self.now + self.config.sweep_ms

    def _serve_reads(self) -> None:
        applied = self.raft.applied
        for number, reading in list(self._reads.items()):
            if reading.index and reading.index <= applied:
                del self._reads[number]
                self._answer(reading, None)

    @staticmethod
    def _answer(reading: _Reading, failure: Failure | None) -> None:
        for ready in reading.ready:
            ready(failure)

    # --- snapshots -------------------------------------------------------------------------------

    def _send_chunk(self, to: str, index: int, offset: int, round_number: int) -> None:
        blob = self._blob
        # Any snapshot does that the log goes on from. Members that load at once share one.
        if blob is None or index not in (0, blob[0]) or blob[0] < self.raft.log.snapshot_index:
            blob, offset = self._take_snapshot(), 0
        at, term, configuration, data = blob
        piece = data[offset : offset + self.config.chunk_bytes]
        done = offset + len(piece) >= len(data)
        raft = self.raft
        chunk = SnapshotChunk(
            raft.term, raft.node, at, term, configuration, offset, piece, done, round_number
        )
        raft.chunk(to, chunk, self.now)

    def _take_snapshot(self) -> tuple[int, int, Configuration, bytes]:
        raft = self.raft
        index = raft.applied
        term = raft.log.term(index)
        assert term is not None
        whole = _Snapshot(self.state.save(), tuple(self.state.changes), list(self.tables.dump()))
        data = msgspec.msgpack.encode(whole)
        self._blob = (index, term, raft.log.configuration(index), data)
        return self._blob

    def _receive_chunk(self, chunk: SnapshotChunk, output: Output) -> None:
        if chunk.offset == 0:
            self._incoming = []
        self._incoming.append(chunk.data)
        if not chunk.done:
            return
        data, self._incoming = b"".join(self._incoming), []
        if not self.raft.lacks(chunk):
            return  # the log has come that far by itself meanwhile
        whole = _snapshot_decoder.decode(data)
        output.truncate, output.entries = None, []  # what it would store is replaced
        old, before = self.state.changes, self.raft.log
        forgotten: Changes = {(CHANGES, change.revision): None for change in old}
        forgotten.update({(LOG, i): None for i in range(before.first, self._last_stored + 1)})
        self.state.restore(whole.state, whole.changes)
        self.tables.replace(whole.rows, self.state.revision)
        self.raft.installed(chunk, self.now)
        self._extra.update(forgotten)
        write_snapshot(self._extra, self.raft.log, self.raft.log.snapshot_index)
        self._last_stored = self.raft.log.last
        self._changed = list(whole.changes)
        self._dirty, self._flush_at = True, self.now
        for number, entry in list(self.pending.items()):
            given = TransactionId(self.node, self.session, number)
            known = self.state.known(given)
            if known is not None:
                del self.pending[number]
                refused = "" if known else "conflict"
                entry.done(Outcome(given, known, refused))


def _unheard(_events: tuple[Emitted, ...], _own: bool) -> None:
    return


def _gave_up(entry: _Pending) -> Failure:
    if not entry.open:
        return Failure("no quorum: the write was not proposed", definite=True)
    return Failure("no answer from a quorum: the write may have happened", definite=False)
