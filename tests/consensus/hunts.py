"""Examinations that fail when consensus has a defect; `HUNTS` by name. Each ends by itself."""

from __future__ import annotations

from pathlib import Path
from random import Random
from typing import Any

import msgspec
from fault_plan import CONFIG, LEASES, RAFT, examine
from power_loss import lose_power
from raft_scenarios import retrace
from service_cluster import DiskRows, MemoryTables
from state_reference import compare

from somart.consensus import state as state_module
from somart.consensus.core import HardState, Output, Raft, bootstrap
from somart.consensus.log import Log
from somart.consensus.messages import (
    Append,
    AppendReply,
    Configuration,
    Entry,
    Forward,
    Heartbeat,
    NotLeader,
    ReadReply,
    SnapshotChunk,
    VoteReply,
    VoteRequest,
)
from somart.consensus.proposal import Proposal, TransactionId, pack
from somart.consensus.service import Failure, Service, ServiceConfig
from somart.consensus.state import Outcome, State
from somart.consensus.storage import load, write_output

SCENARIOS = sorted((Path(__file__).parent / "scenarios").glob("*.txt"))
NAMES = ("a", "b", "c")


def scenarios() -> None:
    """Every scenario goes as it is written."""
    for path in SCENARIOS:
        text = path.read_text()
        assert retrace(text) == text, path.stem


def histories() -> None:
    """Clients under random faults."""
    for seed in range(30):
        examine(seed, 80)


def leases() -> None:
    for seed in range(30):
        examine(seed, 60, LEASES)


def power_is_lost() -> None:
    """On real databases; each run ends with a judgement."""
    for seed in range(3):
        lose_power(5, seed)


def state() -> None:
    """The replicated state decides like its reference."""
    window, state_module.WINDOW = state_module.WINDOW, 5
    try:
        for seed in range(12):
            compare(seed)
    finally:
        state_module.WINDOW = window


def quorums() -> None:
    """Majorities against their definition, for all small groups."""
    rng = Random(1)
    for _ in range(400):
        nodes = "abcdefg"
        voters = tuple(rng.sample(nodes, rng.randint(1, 5)))
        outgoing = tuple(rng.sample(nodes, rng.choice((0, 1, 3, 4))))
        configuration = Configuration(voters, outgoing, tuple(n for n in nodes if n not in voters))
        match = {node: rng.randrange(5) for node in nodes}
        groups = [group for group in (voters, outgoing) if group]

        def quorum(who: set[str], groups: list[tuple[str, ...]] = groups) -> bool:
            return all(2 * len(who & set(group)) > len(group) for group in groups)

        who = set(rng.sample(nodes, rng.randrange(8)))
        assert configuration.majority(who) == quorum(who)
        indexes = [i for i in range(6) if quorum({n for n in nodes if match[n] >= i})]
        assert configuration.agreed(match) == max(indexes)


# --- one service by itself -----------------------------------------------------------------------


def member(
    name: str = "a",
    *,
    session: int = 1,
    entries: tuple[Entry, ...] = (),
    term: int = 0,
    config: ServiceConfig = CONFIG,
) -> Service:
    """A service whose driver is the examination."""
    log = Log(entries=(*bootstrap(NAMES).entries, *entries))
    raft = Raft(name, RAFT, Random(0), 0, state=HardState(term), log=log)
    tables = MemoryTables()
    return Service(raft, State(tables), tables, session, config)


def turn(service: Service, now: int = 0) -> list[Any]:
    """What it sends until it has nothing to do; writes are stored at once."""
    sends: list[Any] = []
    while True:
        this = service.poll(now)
        sends += this.sends
        if this.write is None:
            return sends
        service.written(now)


def command(node: str, session: int, number: int, key: str = "k") -> Proposal:
    """Adds a row."""
    given = TransactionId(node, session, number)
    return Proposal(given, 1, 0, (), (), (), (("t", key, ("1", "int", 0, 0)),))


def propose(service: Service, answers: list[Outcome | Failure], now: int = 0) -> None:
    def make(given: TransactionId, oldest: int) -> Proposal:
        return Proposal(given, oldest, 0, (), (), (), (("t", "k", ("1", "int", 0, 0)),))

    service.propose(make, answers.append, now)


def follow(service: Service, leader: str = "b", term: int = 1, now: int = 0) -> None:
    service.receive(Heartbeat(term, leader, 0, 0), now)
    turn(service, now)


def lead(service: Service) -> None:
    """Wins term 1 with the vote of b, and commits its first entry."""
    service.tick(service.wakeup())
    turn(service, service.now)
    service.receive(VoteReply(1, "b", True, True), service.now)
    turn(service, service.now)
    service.receive(VoteReply(1, "b", True, False), service.now)
    turn(service, service.now)
    service.receive(AppendReply(1, "b", True, 2, 0, 0, 0), service.now)
    turn(service, service.now)
    assert service.leads


def data(index: int, term: int, *commands: Proposal) -> Entry:
    return Entry(index, term, "data", msgspec.msgpack.encode([pack((one,)) for one in commands]))


def nothing_before_it_is_stored() -> None:
    """Votes and answers to appends leave after the disk has them (§3.8)."""
    service = member()
    service.receive(VoteRequest(1, "b", 9, 9, False), 0)
    first = service.poll(0)
    assert first.write is not None
    assert not first.sends
    service.written(0)
    assert [type(m) for _, m in turn(service)] == [VoteReply]
    service.receive(Append(1, "b", 1, 0, 0, 0, (Entry(2, 1, "noop"),)), 0)
    second = service.poll(0)
    assert second.write is not None
    assert not second.sends
    service.written(0)
    assert [type(m) for _, m in turn(service)] == [AppendReply]


def the_disk_keeps_promises() -> None:
    """Term and vote come back, and of replaced entries nothing does."""
    disk, changes = DiskRows(), {}
    old = [Entry(index, 1, "noop") for index in range(1, 8)]
    write_output(changes, Output(state=HardState(3, "b"), entries=old), 0)
    disk.write(changes)
    changes = {}
    write_output(changes, Output(truncate=4, entries=[Entry(4, 3, "noop")]), 7)
    disk.write(changes)
    loaded = load(disk, State(MemoryTables()))
    assert loaded.state == HardState(3, "b")
    assert [entry.term for entry in loaded.log.entries] == [1, 1, 1, 3]


def what_was_refused_is_nowhere() -> None:
    """An attempt is refused or it may be in a log, never both; each counts by itself."""
    service = member()
    follow(service)
    answers: list[Outcome | Failure] = []
    propose(service, answers)
    [(_, first)] = turn(service)
    service.tick(250)
    [(_, second)] = [s for s in turn(service, 250) if isinstance(s[1], Forward)]
    assert second.number > first.number
    service.receive(NotLeader("b", 1, first.number, (1,)), 250)
    service.receive(NotLeader("b", 1, first.number, (1,)), 250)
    service.raft.leader = ""  # so that there is no third attempt
    for now in range(250, 2_000, 50):
        service.tick(now)
    [answer] = answers
    assert isinstance(answer, Failure)
    assert not answer.definite

    leader = member()
    forward = Forward("b", 1, 1, (pack((command("b", 1, 1),)),))
    leader.receive(forward, 0)
    assert [type(m) for _, m in turn(leader)] == [NotLeader]
    lead(leader)
    leader.receive(forward, leader.now)
    turn(leader, leader.now)
    assert all(entry.kind != "data" for entry in leader.raft.log.entries)


def definite_means_that_it_was_nowhere() -> None:
    """All attempts refused, or none made: definite. One without an answer: not."""
    for refused in (True, False):
        service = member()
        follow(service)
        answers: list[Outcome | Failure] = []
        propose(service, answers)
        [(_, forward)] = turn(service)
        if refused:
            service.receive(NotLeader("b", 1, forward.number, (1,)), 10)
        service.raft.leader = ""
        for now in range(10, 2_000, 50):
            service.tick(now)
        [answer] = answers
        assert isinstance(answer, Failure)
        assert answer.definite is refused


def an_earlier_life_is_another_one() -> None:
    """Refusals, outcomes and read indexes of an earlier session are not for this one."""
    service = member(session=2)
    follow(service)
    answers: list[Outcome | Failure] = []
    ready: list[Failure | None] = []
    propose(service, answers)
    service.read(ready.append, 0)
    sends = [message for _, message in turn(service)]
    [forward] = [message for message in sends if isinstance(message, Forward)]
    service.receive(NotLeader("b", 1, forward.number, (1,)), 0)
    for number in range(1, 9):
        service.receive(ReadReply(1, "b", number, 1), 0)
    entries = (data(2, 1, command("a", 1, 1)),)
    service.receive(Append(1, "b", 1, 0, 2, 0, entries), 0)
    turn(service)
    assert service.state.revision == 1
    assert not answers
    assert not ready
    service.raft.leader = ""
    for now in range(10, 2_000, 50):
        service.tick(now)
    assert isinstance(answers[0], Failure)
    assert not answers[0].definite


def reads_wait() -> None:
    """For an index, and until it is applied."""
    service = member()
    follow(service)
    ready: list[Failure | None] = []
    service.read(ready.append, 0)
    [(_, request)] = turn(service)
    assert not ready
    service.receive(ReadReply(1, "b", request.number, 2), 0)
    turn(service)
    assert not ready
    service.receive(Append(1, "b", 1, 0, 2, 0, (Entry(2, 1, "noop"),)), 0)
    turn(service)
    assert ready == [None]


def reads_give_up() -> None:
    """Also those that come while the disk takes nothing, when nobody polls."""
    service = member()
    follow(service)
    service.receive(Append(1, "b", 1, 0, 0, 0, (Entry(2, 1, "noop"),)), 0)
    assert service.poll(0).write is not None
    ready: list[Failure | None] = []
    service.read(ready.append, 0)
    while not ready and service.wakeup() < 2_000:
        service.tick(service.wakeup())
    [failure] = ready
    assert failure is not None
    assert failure.definite


def chunk_upto(index: int, term: int, sender: str = "c") -> SnapshotChunk:
    """A snapshot of the state after one command."""
    tables = MemoryTables()
    there = State(tables)
    there.apply(command("c", 1, 1))
    whole = (there.save(), tuple(there.changes), list(tables.dump()))
    blob = msgspec.msgpack.encode(whole)
    return SnapshotChunk(term, sender, index, term - 1, Configuration(NAMES), 0, blob, True, 0)


def commits_what_agrees() -> None:
    """An append vouches for its own entries, not for those that follow them here."""
    old = (Entry(2, 1, "noop"), Entry(3, 2, "noop"), Entry(4, 2, "noop"))
    service = member(entries=old, term=3)
    service.receive(Append(3, "b", 2, 1, 5, 0, (Entry(3, 2, "noop"),)), 0)
    turn(service)
    assert service.raft.commit == 3


def what_was_replaced_does_not_count() -> None:
    """An entry is applied when it is stored, not when the one in whose place it came is."""
    service = member()
    service.receive(Append(1, "b", 1, 0, 1, 0, (Entry(2, 1, "noop"),)), 0)
    assert service.poll(0).write is not None
    service.receive(Append(2, "c", 1, 0, 2, 0, (data(2, 2, command("c", 1, 1)),)), 0)
    service.written(0)
    assert service.poll(0).write is not None
    assert service.state.revision == 0
    service.written(0)
    turn(service)
    assert service.state.revision == 1


def a_snapshot_beside_entries() -> None:
    """Entries of an old leader that wait for the disk are not stored after the snapshot."""
    service = member()
    entries = tuple(Entry(index, 1, "noop") for index in range(2, 9))
    service.receive(Append(1, "b", 1, 0, 1, 0, entries), 0)
    service.receive(chunk_upto(5, 3), 0)
    disk = DiskRows()
    while (this := service.poll(0)).write is not None:
        disk.write(this.write)
        service.written(0)
    loaded = load(disk, State(MemoryTables()))
    assert (loaded.log.snapshot_index, loaded.log.last, loaded.applied) == (5, 5, 5)
    assert service.state.revision == 1


def a_snapshot_that_is_late() -> None:
    """What this member has acknowledged beyond it stays."""
    service = member()
    entries = tuple(Entry(index, 2, "noop") for index in range(2, 9))
    service.receive(Append(3, "c", 1, 0, 1, 0, entries), 0)
    turn(service)
    service.receive(chunk_upto(5, 3), 0)
    turn(service)
    assert service.raft.log.last == 8
    assert service.state.revision == 0


def own_log_counts_when_stored() -> None:
    """With one answer of three, the leader's own entry must be on disk (§10.2.1)."""
    service = member()
    lead(service)
    answers: list[Outcome | Failure] = []
    propose(service, answers, service.now)
    assert service.poll(service.now).write is not None
    index = service.raft.log.last
    service.receive(AppendReply(1, "b", True, index, 0, 0, 0), service.now)
    assert service.raft.commit < index
    service.written(service.now)
    turn(service, service.now)
    assert len(answers) == 1


HUNTS = {
    hunt.__name__.replace("_", " "): hunt
    for hunt in (
        scenarios,
        state,
        quorums,
        nothing_before_it_is_stored,
        the_disk_keeps_promises,
        what_was_refused_is_nowhere,
        definite_means_that_it_was_nowhere,
        an_earlier_life_is_another_one,
        reads_wait,
        reads_give_up,
        commits_what_agrees,
        what_was_replaced_does_not_count,
        a_snapshot_beside_entries,
        a_snapshot_that_is_late,
        own_log_counts_when_stored,
        power_is_lost,
        histories,
        leases,
    )
}
