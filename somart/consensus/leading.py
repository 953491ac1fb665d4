"""What a leader does: replication (§3.5), commitment (§3.6.2), reads (§6.4), changes (§4.3)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .entries import configuration_entry
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
)
from .progress import Progress

if TYPE_CHECKING:
    from .core import Raft


def begin(raft: Raft) -> None:
    """The election is won."""
    from .core import Role

    raft.role, raft.leader = Role.LEADER, raft.node
    raft.votes, raft.leases = {}, True
    raft.rounds, raft.early_reads, raft.round_started = [], [], {}
    raft.progress = {}
    _follow_configuration(raft)
    raft.quorum_check = raft.now + raft.config.election_ms
    raft.beat = raft.now + raft.config.heartbeat_ms
    # An entry of the own term, so that those of earlier terms can be committed (§3.6.2, §6.4).
    append(raft, Entry(raft.log.last + 1, raft.term, "noop"))


def tick(raft: Raft) -> None:
    """Heartbeats, and whether a quorum still answers (§6.2)."""
    if raft.now >= raft.quorum_check:
        raft.quorum_check = raft.now + raft.config.election_ms
        alive = {node for node, progress in raft.progress.items() if progress.active}
        for node, progress in raft.progress.items():
            progress.active = node == raft.node
        if not raft.configuration.majority(alive | {raft.node}):
            raft.become_follower(raft.term, "")
            return
    if raft.transferee and raft.now >= raft.transfer_deadline:
        raft.transferee = ""
    if raft.now >= raft.beat:
        _heartbeat(raft)


def tell_commit(raft: Raft) -> None:
    """Lets members apply at once what is committed, when no entries are on their way to them:
    the answer to a client of theirs may wait for it. The others hear it with the next message."""
    eager = raft.eager
    for node, progress in raft.progress.items():
        if eager is not None and eager.get(node, 0) < raft.now:
            continue
        commit = min(progress.match, raft.commit)
        if progress.told < commit and node != raft.node and progress.state == "replicate":
            progress.told = commit
            raft.out.early.append((node, Heartbeat(raft.term, raft.node, commit, NO_ANSWER)))


def _heartbeat(raft: Raft) -> None:
    raft.beat = raft.now + raft.config.heartbeat_ms
    for node, progress in raft.progress.items():
        if node != raft.node:
            # Never more than it has: what follows there may be of another leader.
            progress.told = commit = min(progress.match, raft.commit)
            raft.send(node, Heartbeat(raft.term, raft.node, commit, raft.round))


# --- appending -----------------------------------------------------------------------------------


def append(raft: Raft, entry: Entry) -> int:
    """Adds an entry of the leader's own and sends it on."""
    raft.keep((entry,))
    broadcast(raft)
    return entry.index


def configure(raft: Raft, configuration: Configuration) -> int:
    """Adds a configuration, in force at once (§4.1)."""
    entry = configuration_entry(raft.log.last + 1, raft.term, configuration)
    raft.keep((entry,))
    _follow_configuration(raft)
    broadcast(raft)
    return entry.index


def _follow_configuration(raft: Raft) -> None:
    members = raft.configuration.members()
    for node in members:
        if node not in raft.progress:
            raft.progress[node] = Progress(next=raft.log.last + 1)
    for node in [node for node in raft.progress if node not in members]:
        if node != raft.node:
            del raft.progress[node]
    own = raft.progress.setdefault(raft.node, Progress(next=raft.log.last + 1))
    own.match = raft.stable


def broadcast(raft: Raft) -> None:
    for node in raft.progress:
        if node != raft.node:
            send_entries(raft, node)


def send_entries(raft: Raft, node: str, empty: bool = False) -> None:
    """Sends what a member lacks, as far as its window allows; `empty`: also when it is nothing."""
    progress = raft.progress[node]
    while not progress.paused(raft.config.window):
        previous = progress.next - 1
        term = raft.log.term(previous)
        if term is None or progress.state == "snapshot":
            _send_snapshot(raft, node, progress)
            return
        entries = raft.log.slice(progress.next, raft.log.last, raft.config.append_bytes)
        if not entries and not empty:
            return
        message = Append(raft.term, raft.node, previous, term, raft.commit, raft.round, entries)
        raft.out.early.append((node, message))
        if not entries:
            return
        if progress.state == "replicate":
            progress.told = max(progress.told, raft.commit)
        progress.sent(entries[-1].index)


def _send_snapshot(raft: Raft, node: str, progress: Progress) -> None:
    if progress.state != "snapshot":
        progress.send_snapshot(0)
    progress.waiting = True
    wanted = (node, progress.snapshot_index, progress.offset, raft.round)
    raft.out.snapshots.append(wanted)


def send_chunk(raft: Raft, to: str, chunk: SnapshotChunk) -> None:
    """The driver has read a piece of a snapshot."""
    progress = raft.progress.get(to)
    if progress is not None and progress.state == "snapshot":
        progress.snapshot_index, progress.offset = chunk.index, chunk.offset
        raft.send(to, chunk)


def persisted(raft: Raft) -> None:
    """The leader's own log counts as far as it is durable (§10.2.1)."""
    own = raft.progress[raft.node]
    if own.agreed(raft.stable):
        advance(raft)


# --- answers -------------------------------------------------------------------------------------


def step(raft: Raft, message: RaftMessage) -> None:
    if isinstance(message, ReadRequest):
        read(raft, message.sender, message.number)
        return
    progress = raft.progress.get(message.sender)
    if progress is None:
        return
    progress.active = True
    match message:
        case AppendReply():
            _appended(raft, message, progress)
        case HeartbeatReply():
            _answered(raft, progress, message.round)
            if progress.match < raft.log.last:
                progress.nudged(raft.config.window)
                send_entries(raft, message.sender, empty=True)
        case SnapshotReply():
            _answered(raft, progress, message.round)
            if progress.received(message.index, message.offset):
                send_entries(raft, message.sender)


def _appended(raft: Raft, reply: AppendReply, progress: Progress) -> None:
    _answered(raft, progress, reply.round)
    if not reply.success:
        _rejected(raft, reply, progress)
        return
    news = progress.agreed(reply.match)
    if progress.state == "probe" or (
        progress.state == "snapshot" and progress.match >= raft.log.snapshot_index
    ):
        progress.replicate()
    if news:
        advance(raft)
    from .core import Role

    if raft.role is not Role.LEADER:
        return
    if raft.transferee == reply.sender:
        hand_over(raft)
    if reply.sender in raft.progress:
        send_entries(raft, reply.sender)


def _rejected(raft: Raft, reply: AppendReply, progress: Progress) -> None:
    """Goes back to where the logs may agree, at once as far as the hint lets (§5.3)."""
    if progress.state == "snapshot" or reply.match < progress.match:
        return  # an old answer
    if progress.state == "probe" and reply.match != progress.next - 1:
        return
    index, _ = raft.log.conflict_before(reply.hint, reply.hint_term)
    index = min(index, reply.match - 1) if index >= reply.match else index
    progress.probe()
    progress.next = max(index, progress.match) + 1
    send_entries(raft, reply.sender, empty=True)


def advance(raft: Raft) -> None:
    """Commits what a quorum has, if it is of this term (§3.6.2)."""
    configuration = raft.configuration
    match = {node: progress.match for node, progress in raft.progress.items()}
    index = configuration.agreed(match)
    if index <= raft.commit or raft.log.term(index) != raft.term:
        return
    raft.commit = index
    for node, number in raft.early_reads:
        _begin_read(raft, node, number)
    raft.early_reads = []
    if raft.log.configured_at <= raft.commit:
        _configured(raft, configuration)


def _configured(raft: Raft, configuration: Configuration) -> None:
    """The latest configuration is committed: leave joint consensus, or the cluster (§4.2.2)."""
    if configuration.joint:
        configure(raft, Configuration(configuration.voters, (), configuration.learners))
    elif raft.node not in configuration.voters:
        broadcast(raft)
        _heartbeat(raft)
        raft.become_follower(raft.term, "")


def hand_over(raft: Raft) -> None:
    """Lets the chosen member begin an election once it has everything (§3.10)."""
    progress = raft.progress[raft.transferee]
    if progress.match == raft.log.last:
        raft.leases = False  # it may be elected in spite of them, however late this arrives
        raft.send(raft.transferee, TimeoutNow(raft.term, raft.node))
    else:
        send_entries(raft, raft.transferee)


# --- reads (§6.4) --------------------------------------------------------------------------------


def read(raft: Raft, node: str, number: int) -> None:
    """A read wants an index. Not before an entry of this term is committed."""
    if raft.transferee:
        raft.answer_read(node, number, 0)
    elif raft.log.term(raft.commit) != raft.term:
        raft.early_reads.append((node, number))
    else:
        _begin_read(raft, node, number)


def _begin_read(raft: Raft, node: str, number: int) -> None:
    if raft.configuration.majority({raft.node}) or _leased(raft):
        raft.answer_read(node, number, raft.commit)
        return
    newest = raft.rounds[-1] if raft.rounds else None
    if newest is not None and newest.number > raft.round:  # not begun yet: join it
        newest.reads.append((node, number))
        newest.index = raft.commit
        return
    from .core import ReadRound

    waiting = ReadRound(raft.round + 1, raft.commit, [(node, number)])
    raft.rounds.append(waiting)
    if len(raft.rounds) == 1:
        _begin_round(raft)


def _begin_round(raft: Raft) -> None:
    raft.round += 1
    raft.round_started[raft.round] = raft.now
    _heartbeat(raft)


def _answered(raft: Raft, progress: Progress, number: int) -> None:
    """A member has answered a message of that round: it knew no later leader then."""
    if number <= progress.round:
        return
    progress.round = number
    if not raft.rounds or raft.rounds[0].number > number:
        return
    done = raft.rounds[0].number
    who = {node for node, other in raft.progress.items() if other.round >= done}
    if not raft.configuration.majority(who | {raft.node}):
        return
    for waiting in [waiting for waiting in raft.rounds if waiting.number <= done]:
        for node, read_number in waiting.reads:
            raft.answer_read(node, read_number, waiting.index)
    raft.rounds = [waiting for waiting in raft.rounds if waiting.number > done]
    for old in [old for old in raft.round_started if old < done]:
        del raft.round_started[old]
    if raft.rounds:
        _begin_round(raft)


def _leased(raft: Raft) -> bool:
    """Whether a quorum has answered so lately that no other leader can exist (§6.4.1)."""
    drift = raft.config.lease_reads_assuming_clock_drift_below_ms
    if drift is None or not raft.round_started or not raft.leases:
        return False
    done = max((waiting.number - 1 for waiting in raft.rounds[:1]), default=raft.round)
    started = raft.round_started.get(done)
    return started is not None and raft.now < started + raft.config.election_ms - drift


__all__ = ["ReadReply", "append", "begin", "configure", "read", "step", "tick"]
