"""A cluster of Raft cores on a made-up network and disk; checks what must always hold."""

from __future__ import annotations

import heapq
from dataclasses import dataclass, field
from random import Random

import msgspec

from somart.consensus.core import HardState, Output, Raft, RaftConfig, Role, bootstrap
from somart.consensus.log import Log
from somart.consensus.messages import Configuration, Entry, RaftMessage, SnapshotChunk

CODEC = msgspec.msgpack.Decoder(RaftMessage)
CHUNK = 40  # bytes per chunk of a snapshot


@dataclass
class Disk:
    """What survives a crash."""

    state: HardState = field(default_factory=HardState)
    entries: list[Entry] = field(default_factory=list)
    snapshot: tuple[int, int, Configuration] = (0, 0, Configuration())
    applied: list[bytes] = field(default_factory=list)
    applied_index: int = 0

    def store(self, output: Output) -> None:
        if output.state is not None:
            self.state = output.state
        if output.truncate is not None:
            self.entries = [entry for entry in self.entries if entry.index < output.truncate]
        self.entries.extend(output.entries)


class Member:
    def __init__(self, name: str, disk: Disk, config: RaftConfig, rng: Random, now: int) -> None:
        self.name, self.disk, self.config, self.rng = name, disk, config, rng
        self.up = True
        self.parts = b""
        self.reads: dict[int, int] = {}
        self.start(now)

    def start(self, now: int) -> None:
        index, term, configuration = self.disk.snapshot
        log = Log(index, term, configuration, self.disk.entries)
        self.raft = Raft(
            self.name,
            self.config,
            self.rng,
            now,
            state=self.disk.state,
            log=log,
            applied=self.disk.applied_index,
        )
        self.up = True
        self.parts = b""


class Cluster:
    """Time in milliseconds; `loss` is the share of messages that never arrive."""

    def __init__(self, names: tuple[str, ...], seed: int, **options: int) -> None:
        self.rng = Random(seed)
        self.config = RaftConfig(**options)  # type: ignore[arg-type]
        self.now = 0
        self.loss = 0.0
        self.delay = (1, 10)
        self.cut: set[tuple[str, str]] = set()
        self.queue: list[tuple[int, int, str, bytes]] = []
        self.sequence = 0
        self.leaders: dict[int, str] = {}
        self.committed: dict[int, Entry] = {}
        self.members: dict[str, Member] = {}
        first = bootstrap(names)
        for name in names:
            disk = Disk(entries=list(first.entries))
            self.members[name] = Member(name, disk, self.config, self.rng, 0)

    def add(self, name: str) -> Member:
        """A member that knows nothing; it campaigns for nobody until it is in a configuration."""
        member = self.members[name] = Member(name, Disk(), self.config, self.rng, self.now)
        return member

    # --- faults ----------------------------------------------------------------------------------

    def crash(self, name: str) -> None:
        self.members[name].up = False

    def restart(self, name: str) -> None:
        self.members[name].start(self.now)

    def isolate(self, *names: str) -> None:
        """These on one side, the others on the other."""
        others = [name for name in self.members if name not in names]
        self.cut |= {pair for a in names for b in others for pair in ((a, b), (b, a))}

    def heal(self) -> None:
        self.cut = set()

    # --- running ---------------------------------------------------------------------------------

    def run(self, milliseconds: int) -> None:
        end = self.now + milliseconds
        while self.now < end:
            times = [m.raft.wakeup() for m in self.members.values() if m.up]
            if self.queue:
                times.append(self.queue[0][0])
            self.now = min(max(min(times, default=end), self.now), end)
            while self.queue and self.queue[0][0] <= self.now:
                self._deliver()
            for member in self.members.values():
                if member.up and member.raft.wakeup() <= self.now:
                    member.raft.tick(self.now)
                    self.drive(member)
            if times and min(times) > end:
                self.now = end

    def until(self, condition: object, milliseconds: int = 20_000) -> None:
        assert callable(condition)
        end = self.now + milliseconds
        while not condition():
            assert self.now < end, "it did not happen in time"
            self.run(5)

    def _deliver(self) -> None:
        _, _, to, raw = heapq.heappop(self.queue)
        member = self.members.get(to)
        if member is None or not member.up:
            return
        member.raft.step(CODEC.decode(raw), self.now)
        self.drive(member)

    def send(self, sender: str, to: str, message: RaftMessage) -> None:
        if (sender, to) in self.cut or self.rng.random() < self.loss:
            return
        self.sequence += 1
        raw = msgspec.msgpack.encode(message)
        when = self.now + self.rng.randint(*self.delay)
        heapq.heappush(self.queue, (when, self.sequence, to, raw))

    def drive(self, member: Member) -> None:
        """Carries out what a core asks for, until it asks for nothing."""
        while output := member.raft.take():
            for to, message in output.early:
                self.send(member.name, to, message)
            member.disk.store(output)
            if output.entries:
                last = output.entries[-1]
                member.raft.persisted(last.index, last.term, self.now)
            for chunk in output.chunks:
                self._receive_chunk(member, chunk)
            for to, message in output.messages:
                self.send(member.name, to, message)
            for entry in output.apply:
                self._apply(member, entry)
            for number, index in output.reads:
                member.reads[number] = index
            for to, index, offset, round_number in output.snapshots:
                self._send_chunk(member, to, index, offset, round_number)
        self._check(member)

    def _apply(self, member: Member, entry: Entry) -> None:
        known = self.committed.setdefault(entry.index, entry)
        assert known == entry, f"two committed entries at {entry.index}"
        assert entry.index == member.disk.applied_index + 1, "applied out of order"
        member.disk.applied_index = entry.index
        if entry.kind == "data":
            member.disk.applied.append(entry.data)

    def _send_chunk(self, member: Member, to: str, index: int, offset: int, number: int) -> None:
        disk = member.disk
        here, term, configuration = disk.snapshot
        if index != here:
            offset = 0
        data = [self.committed[i].data for i in range(1, here + 1) if self.committed_data(i)]
        whole = msgspec.msgpack.encode(data)
        part = whole[offset : offset + CHUNK]
        chunk = SnapshotChunk(
            member.raft.term,
            member.name,
            here,
            term,
            configuration,
            offset,
            part,
            offset + CHUNK >= len(whole),
            number,
        )
        member.raft.chunk(to, chunk, self.now)

    def committed_data(self, index: int) -> bool:
        return index in self.committed and self.committed[index].kind == "data"

    def _receive_chunk(self, member: Member, chunk: SnapshotChunk) -> None:
        if chunk.offset == 0:
            member.parts = b""
        member.parts += chunk.data
        if chunk.done:
            disk = member.disk
            disk.applied = msgspec.msgpack.decode(member.parts, type=list[bytes])
            disk.applied_index = chunk.index
            disk.snapshot = (chunk.index, chunk.index_term, chunk.configuration)
            disk.entries = []
            member.raft.installed(chunk, self.now)

    def compact(self, name: str) -> None:
        """Takes a snapshot of all that is applied."""
        member = self.members[name]
        member.raft.compact(member.disk.applied_index)
        log = member.raft.log
        member.disk.snapshot = (log.snapshot_index, log.snapshot_term, log.snapshot_configuration)
        kept = [entry for entry in member.disk.entries if entry.index > log.snapshot_index]
        member.disk.entries = kept

    # --- what must hold --------------------------------------------------------------------------

    def _check(self, member: Member) -> None:
        raft = member.raft
        if raft.role is Role.LEADER:
            known = self.leaders.setdefault(raft.term, member.name)
            assert known == member.name, f"two leaders in term {raft.term}"

    def leader(self) -> Member | None:
        """The leader of the latest term, if it is up and a majority follows it."""
        leaders = [m for m in self.members.values() if m.up and m.raft.role is Role.LEADER]
        best = max(leaders, key=lambda m: m.raft.term, default=None)
        return best

    def elected(self) -> Member:
        """Waits for a leader."""
        self.until(lambda: self.leader() is not None)
        found = self.leader()
        assert found is not None
        return found

    def propose(self, data: bytes) -> int | None:
        """By way of the present leader, if there is one."""
        member = self.leader()
        if member is None:
            return None
        index = member.raft.propose(data, self.now)
        self.drive(member)
        return index
