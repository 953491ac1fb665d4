"""Raft as a state machine: inputs in, one `Output` per turn out; no clock, no socket, no disk.

Ongaro, Consensus: Bridging Theory and Practice (2014); sections in brackets are its own.
What drives it persists `Output.state`, `truncate` and `entries` in one synced transaction, reports
it with `persisted`, and only then sends `messages`; `early` ones may go before. Outputs are carried
out in their order, each to its end.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from random import Random

from . import leading
from .entries import configuration_entry
from .log import Log
from .messages import (
    NO_ANSWER,
    Append,
    AppendReply,
    Configuration,
    Entry,
    Heartbeat,
    HeartbeatReply,
    RaftMessage,
    ReadReply,
    ReadRequest,
    SnapshotChunk,
    SnapshotReply,
    TimeoutNow,
    VoteReply,
    VoteRequest,
)
from .progress import Progress


class Role(Enum):
    FOLLOWER = "follower"
    PRECANDIDATE = "pre-candidate"
    CANDIDATE = "candidate"
    LEADER = "leader"


@dataclass(frozen=True, slots=True)
class RaftConfig:
    """Times in milliseconds. An election begins after one to two `election_ms` of silence, the
    next one after half of that: so that a split vote, too, ends within 2 s by default."""

    election_ms: int = 700
    heartbeat_ms: int = 105
    append_bytes: int = 256 * 1024
    window: int = 64
    lease_reads_assuming_clock_drift_below_ms: int | None = None
    """Reads without asking the others while a quorum has answered within the election timeout less
    this. Wrong as soon as clocks drift further: off unless given (§6.4.1)."""


@dataclass(frozen=True, slots=True)
class HardState:
    """What must survive a restart beside the log."""

    term: int = 0
    vote: str = ""


@dataclass(slots=True)
class Output:
    """What to do now, in the order of the fields."""

    early: list[tuple[str, RaftMessage]] = field(default_factory=list)
    state: HardState | None = None
    truncate: int | None = None
    """Forget stored entries from this index on, before storing `entries`."""
    entries: list[Entry] = field(default_factory=list)
    chunks: list[SnapshotChunk] = field(default_factory=list)
    """Pieces of a snapshot to store; after the last one install it and call `installed`."""
    messages: list[tuple[str, RaftMessage]] = field(default_factory=list)
    apply: list[Entry] = field(default_factory=list)
    reads: list[tuple[int, int]] = field(default_factory=list)
    """(number, index): safe once `index` is applied; index 0: refused, ask again."""
    snapshots: list[tuple[str, int, int, int]] = field(default_factory=list)
    """(to, snapshot index or 0 for the newest, offset, round): answer with `chunk`."""

    def __bool__(self) -> bool:
        return any(
            (
                self.early,
                self.state,
                self.truncate,
                self.entries,
                self.chunks,
                self.messages,
                self.apply,
                self.reads,
                self.snapshots,
            )
        )


@dataclass(slots=True)
class ReadRound:
    """Reads that one round of answers makes safe."""

    number: int
    index: int
    reads: list[tuple[str, int]] = field(default_factory=list)


class Raft:
    """One member. `now` in all calls: milliseconds of a clock that never goes back."""

    def __init__(
        self,
        node: str,
        config: RaftConfig,
        rng: Random,
        now: int,
        *,
        state: HardState = HardState(),
        log: Log | None = None,
        applied: int = 0,
    ) -> None:
        self.node = node
        self.config = config
        self.rng = rng
        self.now = now
        self.term, self.vote = state.term, state.vote
        self.log = log or Log()
        self.stable = self.log.last
        self.commit = max(applied, self.log.snapshot_index)
        self.applied = self.commit
        self.role = Role.FOLLOWER
        self.leader = ""
        self.progress: dict[str, Progress] = {}
        self.votes: dict[str, bool] = {}
        self.contact = now - 2 * config.election_ms
        # Under leases: somebody may rely on an answer that was given before the restart.
        leased = config.lease_reads_assuming_clock_drift_below_ms is not None and state.term > 0
        self.promised = now + config.election_ms if leased else now
        self.leases = True
        self.deadline = 0
        self.beat = 0
        self.quorum_check = 0
        self.transferee = ""
        self.transfer_deadline = 0
        self.round = 0
        self.round_started: dict[int, int] = {}
        self.rounds: list[ReadRound] = []
        self.early_reads: list[tuple[str, int]] = []
        self.eager: dict[str, int] | None = None
        """Until when a member is told at once of what is committed; None: all are, always."""
        self.out = Output()
        self._saved = state
        self._incoming: tuple[int, int] = (0, 0)
        self.reset_deadline()

    # --- what is asked of it ---------------------------------------------------------------------

    @property
    def configuration(self) -> Configuration:
        """In force: the latest one in the log, committed or not (§4.1)."""
        return self.log.configuration(self.log.last)

    def take(self) -> Output:
        """What to do since the last time."""
        if self.role is Role.LEADER:
            leading.tell_commit(self)
        if self.term != self._saved.term or self.vote != self._saved.vote:
            self._saved = self.out.state = HardState(self.term, self.vote)
            self.out.messages[:0] = self.out.early  # no word of a term that may be forgotten
            self.out.early = []
        upto = min(self.commit, self.stable)
        if upto > self.applied:
            self.out.apply = list(self.log.slice(self.applied + 1, upto, self.config.append_bytes))
            self.applied = self.out.apply[-1].index
        out, self.out = self.out, Output()
        return out

    def wakeup(self) -> int:
        """When `tick` has something to do."""
        if self.role is Role.LEADER:
            times = [self.beat, self.quorum_check]
            if self.transferee:
                times.append(self.transfer_deadline)
            return min(times)
        return self.deadline

    def tick(self, now: int) -> None:
        """Time has passed."""
        self.now = now
        if self.role is Role.LEADER:
            leading.tick(self)
        elif now >= self.deadline:
            self.reset_deadline()
            if self.configuration.votes(self.node):
                self.campaign(pre=True)
            else:
                self.leader = ""  # a learner that hears nothing knows of no leader

    def propose(self, data: bytes, now: int) -> int | None:
        """The index of a new entry; None when this is not the leader, or it is handing over."""
        self.now = now
        if self.role is not Role.LEADER or self.transferee:
            return None
        return leading.append(self, Entry(self.log.last + 1, self.term, "data", data))

    def change(self, voters: tuple[str, ...], learners: tuple[str, ...], now: int) -> int | None:
        """Begins a change of membership by joint consensus (§4.3); None when it can't: not the
        leader, or another change is not finished."""
        self.now = now
        current = self.configuration
        busy = current.joint or self.log.configured_at > self.commit
        if self.role is not Role.LEADER or self.transferee or busy or not voters:
            return None
        learners = tuple(node for node in learners if node not in voters)
        wanted = Configuration(voters, (), learners)
        if set(voters) != set(current.voters):
            wanted = Configuration(voters, current.voters, learners)
        return leading.configure(self, wanted)

    def read(self, number: int, now: int) -> None:
        """Asks for an index at which a read is linearizable (§6.4); see `Output.reads`."""
        self.now = now
        if self.role is Role.LEADER:
            leading.read(self, self.node, number)
        elif self.leader:
            self.send(self.leader, ReadRequest(self.term, self.node, number))
        else:
            self.out.reads.append((number, 0))

    def transfer(self, to: str, now: int) -> bool:
        """Hands leadership over when `to` has the whole log (§3.10)."""
        self.now = now
        if self.role is not Role.LEADER or to not in self.progress or to == self.node:
            return False
        if not self.configuration.votes(to):
            return False
        self.transferee, self.transfer_deadline = to, now + self.config.election_ms
        leading.hand_over(self)
        return True

    def persisted(self, index: int, term: int, now: int) -> None:
        """The log is durable up to an entry, which counts if it is still there."""
        self.now = now
        if self.log.term(index) == term and index > self.stable:
            self.stable = index
        if self.role is Role.LEADER:
            leading.persisted(self)

    def chunk(self, to: str, chunk: SnapshotChunk, now: int) -> None:
        """A piece of a snapshot that was asked for in `Output.snapshots`."""
        self.now = now
        if self.role is Role.LEADER:
            leading.send_chunk(self, to, chunk)

    def lacks(self, chunk: SnapshotChunk) -> bool:
        """Whether the snapshot has what this log has not. Else it must not replace anything: what
        follows in the log may have been acknowledged."""
        return chunk.index > self.commit and self.log.term(chunk.index) != chunk.index_term

    def installed(self, chunk: SnapshotChunk, now: int) -> None:
        """The snapshot that ended with this chunk is durable, with the state in it. Only if the
        log `lacks` it."""
        self.now = now
        assert self.lacks(chunk), "a snapshot never replaces what was acknowledged"
        self.log.reset(chunk.index, chunk.index_term, chunk.configuration)
        self.stable = self.commit = self.applied = chunk.index
        self.out.truncate, self.out.entries, self.out.apply = None, [], []
        reply = AppendReply(self.term, self.node, True, chunk.index, 0, 0, chunk.round)
        self.send(chunk.sender, reply)

    def compact(self, index: int) -> None:
        """A snapshot holds everything up to an applied index: the log may forget it."""
        if self.log.snapshot_index < index <= self.applied:
            self.log.compact(index)

    # --- messages --------------------------------------------------------------------------------

    def step(self, message: RaftMessage, now: int) -> None:
        """A message has come in."""
        self.now = now
        if message.term > self.term and not self._newer(message):
            return
        if message.term < self.term:
            self._older(message)
            return
        self._dispatch(message)

    def _dispatch(self, message: RaftMessage) -> None:
        match message:
            case VoteRequest():
                self._vote(message)
            case VoteReply():
                self._voted(message)
            case Append():
                self._follow(message)
                self._append(message)
            case Heartbeat():
                self._follow(message)
                self._learn_commit(min(message.commit, self.log.last))
                if message.round != NO_ANSWER:
                    reply = HeartbeatReply(self.term, self.node, message.round, self.log.last)
                    self.send(message.sender, reply)
            case SnapshotChunk():
                self._follow(message)
                self._snapshot(message)
            case ReadReply():
                self.out.reads.append((message.number, message.index))
            case TimeoutNow():
                if self.role is not Role.LEADER and self.configuration.votes(self.node):
                    self.campaign(pre=False, transfer=True)
            case _:
                if self.role is Role.LEADER:
                    leading.step(self, message)
                elif isinstance(message, ReadRequest):
                    self.send(message.sender, ReadReply(self.term, self.node, message.number, 0))

    def _newer(self, message: RaftMessage) -> bool:
        """Whether to go on with a message of a later term; the term is taken over if it is real."""
        if isinstance(message, VoteRequest):
            if not message.transfer and self._has_leader():
                return False  # a member that was cut off must not disturb (§4.2.3)
            if message.pre:
                return True
        if isinstance(message, VoteReply) and message.pre and message.granted:
            return True
        known = isinstance(message, Append | Heartbeat | SnapshotChunk)
        self.become_follower(message.term, message.sender if known else "")
        return True

    def _has_leader(self) -> bool:
        if self.role is Role.LEADER or self.now < self.promised:
            return True
        return bool(self.leader) and self.now - self.contact < self.config.election_ms

    def _older(self, message: RaftMessage) -> None:
        """Tells a leader of the past, or a candidate, which term it is."""
        if isinstance(message, VoteRequest):
            self.send(message.sender, VoteReply(self.term, self.node, False, message.pre))
        elif isinstance(message, Append | Heartbeat | SnapshotChunk):
            reply = AppendReply(self.term, self.node, False, 0, self.log.last, 0, 0)
            self.send(message.sender, reply)

    # --- elections (§3.4, §9.6) ------------------------------------------------------------------

    def campaign(self, pre: bool, transfer: bool = False) -> None:
        """Asks for votes; with `pre` only whether there would be any."""
        self.leader, self.votes = "", {}
        self.transferee = ""
        self.reset_deadline(self.config.election_ms // 2)  # a split vote is soon tried again
        term = self.term + 1
        if pre:
            self.role = Role.PRECANDIDATE
        else:
            self.role = Role.CANDIDATE
            self.term, self.vote = term, self.node
        request = VoteRequest(term, self.node, self.log.last, self.log.last_term, pre, transfer)
        for node in self.configuration.members():
            if node != self.node and self.configuration.votes(node):
                self.send(node, request)
        self._count(self.node, granted=True)

    def _vote(self, request: VoteRequest) -> None:
        last = (self.log.last_term, self.log.last)
        fresh = (request.last_term, request.last_index) >= last
        if request.pre:
            free = request.term > self.term
        else:
            free = self.vote in ("", request.sender) and not self.leader
        granted = free and fresh
        if granted and not request.pre:
            self.vote = request.sender
            self.reset_deadline()
        term = request.term if granted else self.term
        self.send(request.sender, VoteReply(term, self.node, granted, request.pre))

    def _voted(self, reply: VoteReply) -> None:
        wanted = Role.PRECANDIDATE if reply.pre else Role.CANDIDATE
        expected = self.term + 1 if reply.pre and reply.granted else self.term
        if self.role is wanted and reply.term == expected:
            self._count(reply.sender, reply.granted)

    def _count(self, node: str, granted: bool) -> None:
        self.votes.setdefault(node, granted)
        yes = {name for name, vote in self.votes.items() if vote}
        if self.configuration.majority(yes):
            if self.role is Role.PRECANDIDATE:
                self.campaign(pre=False)
            else:
                leading.begin(self)
            return
        rest = {n for n in self.configuration.members() if n not in self.votes}
        if not self.configuration.majority(yes | rest):
            self.become_follower(self.term, "")

    def become_follower(self, term: int, leader: str) -> None:
        """Steps down, or takes over a later term."""
        if term > self.term:
            self.term, self.vote = term, ""
        for waiting in self.rounds:
            self._refuse(waiting.reads)
        self._refuse(self.early_reads)
        self.rounds, self.early_reads = [], []
        self.role, self.leader, self.transferee = Role.FOLLOWER, leader, ""
        self.progress = {}
        self.reset_deadline()

    def _refuse(self, reads: list[tuple[str, int]]) -> None:
        for node, number in reads:
            self.answer_read(node, number, 0)

    # --- following (§3.5) ------------------------------------------------------------------------

    def _follow(self, message: Append | Heartbeat | SnapshotChunk) -> None:
        if self.role is not Role.FOLLOWER:
            self.become_follower(message.term, message.sender)
        self.leader, self.contact = message.sender, self.now
        self.reset_deadline()

    def _append(self, message: Append) -> None:
        if message.previous < self.commit:  # old: what is committed agrees
            if not message.entries or message.entries[-1].index <= self.commit:
                self._agree(message, self.commit)
                return
        elif self.log.term(message.previous) != message.previous_term:
            hint, term = self.log.conflict_before(message.previous, message.previous_term)
            reply = AppendReply(
                self.term, self.node, False, message.previous, hint, term, message.round
            )
            self.send(message.sender, reply)
            return
        self._store(message.entries)
        last = message.entries[-1].index if message.entries else message.previous
        self._agree(message, last)

    def _agree(self, message: Append, match: int) -> None:
        self._learn_commit(min(message.commit, match))
        reply = AppendReply(self.term, self.node, True, match, 0, 0, message.round)
        self.send(message.sender, reply)

    def _store(self, entries: tuple[Entry, ...]) -> None:
        """Adds what is new; a conflict ends the log before it (never below the commit index)."""
        for position, entry in enumerate(entries):
            if entry.index <= self.log.snapshot_index:
                continue
            known = self.log.term(entry.index)
            if known == entry.term:
                continue
            if known is not None:
                self._truncate(entry.index)
            self.keep(entries[position:])
            return

    def _truncate(self, index: int) -> None:
        assert index > self.commit, "a committed entry never changes"
        self.log.truncate(index)
        self.stable = min(self.stable, index - 1)
        self.out.entries = [entry for entry in self.out.entries if entry.index < index]
        before = self.out.truncate
        self.out.truncate = index if before is None else min(before, index)

    def keep(self, entries: tuple[Entry, ...]) -> None:
        """Adds entries to the log, and to what is to be stored."""
        self.log.append(entries)
        self.out.entries.extend(entries)

    def _learn_commit(self, index: int) -> None:
        self.commit = max(self.commit, index)

    def _snapshot(self, chunk: SnapshotChunk) -> None:
        if not self.lacks(chunk):
            self._learn_commit(chunk.index)
            reply = AppendReply(self.term, self.node, True, self.commit, 0, 0, chunk.round)
            self.send(chunk.sender, reply)
            return
        index, offset = self._incoming
        if chunk.offset == 0:
            index, offset = chunk.index, 0
        if chunk.index != index or chunk.offset != offset:
            wanted = offset if chunk.index == index else 0
            self.send(chunk.sender, self._snapshot_reply(chunk, wanted))
            return
        self._incoming = (index, offset + len(chunk.data))
        self.out.chunks.append(chunk)
        if not chunk.done:
            self.send(chunk.sender, self._snapshot_reply(chunk, self._incoming[1]))

    def _snapshot_reply(self, chunk: SnapshotChunk, offset: int) -> SnapshotReply:
        return SnapshotReply(self.term, self.node, chunk.index, offset, chunk.round)

    # --- shared ----------------------------------------------------------------------------------

    def send(self, to: str, message: RaftMessage) -> None:
        self.out.messages.append((to, message))

    def answer_read(self, node: str, number: int, index: int) -> None:
        if node == self.node:
            self.out.reads.append((number, index))
        else:
            self.send(node, ReadReply(self.term, self.node, number, index))

    def reset_deadline(self, span: int | None = None) -> None:
        span = max(1, self.config.election_ms if span is None else span)
        self.deadline = self.now + span + self.rng.randrange(span)


def bootstrap(voters: tuple[str, ...]) -> Log:
    """The log with which the first members of a cluster begin: all with the same one."""
    return Log(entries=(configuration_entry(1, 0, Configuration(voters)),))
