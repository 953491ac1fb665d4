"""Cores driven step by step by commands, one per line; what they do is the trace.

nodes a b c              the first members, all with the same first entry; `add d` one more
config window=2          the configuration of members that start from now on
tick a                   its time has come: an election, or a heartbeat if it leads
wait 500                 time passes, nobody ticks
deliver a b [kind]       what is under way from a to b, or only messages of a kind; `*`: any
drop a b [kind]          the same is lost; `repeat a b` sends what is under way twice
settle                   delivers everything until nothing is under way
cut a b / heal           nothing passes between them any more
propose a x / read a 1 / transfer a b / compact a 3
change a voters=a,b learners=c
disk a slow / disk a done    from now on writes wait; what waits is stored
restart a                what was not stored is lost
status [a]               role, term, vote, terms of the log, commit
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random

from somart.consensus.core import HardState, Output, Raft, RaftConfig, bootstrap
from somart.consensus.log import Log
from somart.consensus.messages import (
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

PIECE = 4  # bytes of a snapshot in one chunk


@dataclass
class Core:
    """A member with its disk: log, state and what a snapshot holds."""

    name: str
    hard: HardState = field(default_factory=HardState)
    entries: list[Entry] = field(default_factory=list)
    snapshot: tuple[int, int, Configuration] = (0, 0, Configuration())
    applied: int = 0
    values: list[str] = field(default_factory=list)
    slow: bool = False
    waiting: Output | None = None
    parts: bytes = b""
    raft: Raft = field(init=False)


class Scenario:
    """Carries out commands; `trace` is what has happened since it was last taken."""

    def __init__(self, config: RaftConfig | None = None) -> None:
        self.now = 0
        self.config = config or RaftConfig(election_ms=1_000, heartbeat_ms=100, window=3)
        self.cores: dict[str, Core] = {}
        self.wire: list[tuple[str, str, RaftMessage]] = []
        self.held: list[tuple[str, str, RaftMessage]] = []
        self.cuts: set[frozenset[str]] = set()
        self.trace: list[str] = []

    def run(self, line: str) -> list[str]:
        """The trace of one command."""
        self.trace = []
        name, *words = line.split()
        command: Callable[..., None] = getattr(self, f"do_{name}")
        command(*words)
        return self.trace

    # --- members ---------------------------------------------------------------------------------

    def do_nodes(self, *names: str) -> None:
        for name in names:
            self.cores[name] = Core(name, entries=list(bootstrap(names).entries))
            self._start(self.cores[name])

    def do_config(self, *words: str) -> None:
        options = {key: int(value) for key, value in (word.split("=") for word in words)}
        self.config = RaftConfig(**{"election_ms": 1_000, "heartbeat_ms": 100, **options})  # type: ignore[arg-type]

    def do_add(self, name: str) -> None:
        self.cores[name] = Core(name)
        self._start(self.cores[name])

    def do_restart(self, name: str) -> None:
        core = self.cores[name]
        core.waiting, core.slow = None, False
        self._start(core)
        self.do_status(name)

    def _start(self, core: Core) -> None:
        log = Log(*core.snapshot, core.entries)
        core.raft = Raft(
            core.name, self.config, Random(0), self.now,
            state=core.hard, log=log, applied=core.applied,
        )  # fmt: skip

    # --- time and messages -----------------------------------------------------------------------

    def do_tick(self, name: str) -> None:
        core = self.cores[name]
        self.now = max(self.now, core.raft.wakeup())
        core.raft.tick(self.now)
        self._drive(core)

    def do_wait(self, milliseconds: str) -> None:
        self.now += int(milliseconds)

    def do_settle(self) -> None:
        for _ in range(2_000):
            if not self.wire:
                return
            self._deliver(*self.wire.pop(0))
        self.trace.append("it never settles")
        self.wire.clear()

    def do_deliver(self, sender: str, to: str, kind: str = "*") -> None:
        for item in self._take(sender, to, kind):
            self._deliver(*item)

    def do_drop(self, sender: str, to: str, kind: str = "*") -> None:
        for item in self._take(sender, to, kind):
            self.trace.append(f"lost: {self._show(*item)}")

    def do_repeat(self, sender: str, to: str, kind: str = "*") -> None:
        found = self._take(sender, to, kind)
        self.wire += found * 2

    def _take(self, sender: str, to: str, kind: str) -> list[tuple[str, str, RaftMessage]]:
        found, rest = [], []
        for item in self.wire:
            fits = sender in ("*", item[0]) and to in ("*", item[1])
            fits = fits and kind in ("*", _kind(item[2]))
            (found if fits else rest).append(item)
        self.wire = rest
        return found

    def do_delay(self, sender: str, to: str, kind: str = "*") -> None:
        self.held += self._take(sender, to, kind)

    def do_release(self) -> None:
        self.wire, self.held = self.held + self.wire, []

    def do_cut(self, *names: str) -> None:
        self.cuts.add(frozenset(names))

    def do_isolate(self, name: str) -> None:
        self.cuts |= {frozenset((name, other)) for other in self.cores if other != name}

    def do_heal(self) -> None:
        self.cuts = set()

    def _deliver(self, sender: str, to: str, message: RaftMessage) -> None:
        core = self.cores[to]
        core.raft.step(message, self.now)
        self._drive(core)

    # --- requests --------------------------------------------------------------------------------

    def do_propose(self, name: str, *values: str) -> None:
        core = self.cores[name]
        for value in values:
            if core.raft.propose(value.encode(), self.now) is None:
                self.trace.append(f"{name} refuses {value}")
        self._drive(core)

    def do_read(self, name: str, number: str) -> None:
        self.cores[name].raft.read(int(number), self.now)
        self._drive(self.cores[name])

    def do_transfer(self, name: str, to: str) -> None:
        if not self.cores[name].raft.transfer(to, self.now):
            self.trace.append(f"{name} refuses")
        self._drive(self.cores[name])

    def do_change(self, name: str, *words: str) -> None:
        groups = {key: tuple(v.split(",")) for key, v in (word.split("=") for word in words)}
        raft = self.cores[name].raft
        if raft.change(groups.get("voters", ()), groups.get("learners", ()), self.now) is None:
            self.trace.append(f"{name} refuses")
        self._drive(self.cores[name])

    def do_compact(self, name: str, index: str) -> None:
        core = self.cores[name]
        core.raft.compact(int(index))
        log = core.raft.log
        core.snapshot = log.snapshot_index, log.snapshot_term, log.snapshot_configuration
        core.entries = [entry for entry in core.entries if entry.index > log.snapshot_index]
        self.do_status(name)

    def do_disk(self, name: str, how: str) -> None:
        core = self.cores[name]
        core.slow = how == "slow"
        if core.waiting is not None and not core.slow:
            output, core.waiting = core.waiting, None
            self._stored(core, output)
            self._drive(core)

    def do_status(self, *names: str) -> None:
        for name in names or self.cores:
            raft = self.cores[name].raft
            log = raft.log
            terms = " ".join(str(entry.term) for entry in log.entries)
            before = f"[…{log.snapshot_index}:{log.snapshot_term}] " if log.snapshot_index else ""
            vote = f", vote {raft.vote}" if raft.vote else ""
            has = "".join(self.cores[name].values)
            self.trace.append(
                f"{name}: {raft.role.value}, term {raft.term}{vote}, log {before}{terms}, "
                f"commit {raft.commit}, has {has or 'nothing'}"
            )

    # --- what a core wants -----------------------------------------------------------------------

    def _drive(self, core: Core) -> None:
        while core.waiting is None and (output := core.raft.take()):
            self._send(core, output.early)
            for entry in output.apply:
                core.applied = entry.index
                shown = entry.data.decode() if entry.kind == "data" else entry.kind
                if entry.kind == "data":
                    core.values.append(shown)
                self.trace.append(f"{core.name} applies {entry.index}: {shown}")
            for number, index in output.reads:
                shown = f"at {index}" if index else "refused"
                self.trace.append(f"{core.name} read {number} {shown}")
            for chunk in output.chunks:
                self._receive(core, chunk)
            for wanted in output.snapshots:
                self._piece(core, *wanted)
            if core.slow and (output.state or output.entries):
                core.waiting = output
            else:
                self._stored(core, output)

    def _stored(self, core: Core, output: Output) -> None:
        if output.state is not None:
            core.hard = output.state
            self.trace.append(f"{core.name} stores term {core.hard.term}, vote {core.hard.vote}")
        if output.truncate is not None:
            core.entries = [e for e in core.entries if e.index < output.truncate]
            self.trace.append(f"{core.name} forgets from {output.truncate}")
        if output.entries:
            core.entries += output.entries
            shown = ", ".join(f"{e.index}:{e.term}" for e in output.entries)
            self.trace.append(f"{core.name} stores {shown}")
            last = output.entries[-1]
            core.raft.persisted(last.index, last.term, self.now)
        self._send(core, output.messages)

    def _send(self, core: Core, messages: list[tuple[str, RaftMessage]]) -> None:
        for to, message in messages:
            shown = self._show(core.name, to, message)
            if frozenset((core.name, to)) in self.cuts or to not in self.cores:
                self.trace.append(f"cut: {shown}")
            else:
                self.trace.append(shown)
                self.wire.append((core.name, to, message))

    def _piece(self, core: Core, to: str, index: int, offset: int, number: int) -> None:
        at, term, configuration = core.snapshot
        offset = offset if index == at else 0
        whole = "".join(core.values[: _data_upto(core, at)]).encode()
        part = whole[offset : offset + PIECE]
        done = offset + PIECE >= len(whole)
        raft = core.raft
        chunk = SnapshotChunk(
            raft.term, core.name, at, term, configuration, offset, part, done, number
        )
        raft.chunk(to, chunk, self.now)

    def _receive(self, core: Core, chunk: SnapshotChunk) -> None:
        core.parts = chunk.data if chunk.offset == 0 else core.parts + chunk.data
        if chunk.done and core.raft.lacks(chunk):
            core.values, core.applied = list(core.parts.decode()), chunk.index
            core.snapshot = chunk.index, chunk.index_term, chunk.configuration
            core.entries = []
            core.raft.installed(chunk, self.now)
            self.trace.append(f"{core.name} installs a snapshot up to {chunk.index}")

    @staticmethod
    def _show(sender: str, to: str, message: RaftMessage) -> str:
        return f"{sender} → {to} {_describe(message)}"


def _data_upto(core: Core, index: int) -> int:
    """How many of the values a snapshot up to an index has: all but those that came later."""
    later = [e for e in core.raft.log.entries if index < e.index <= core.applied]
    return len(core.values) - sum(entry.kind == "data" for entry in later)


def _kind(message: RaftMessage) -> str:
    return _describe(message).split()[0]


def _describe(message: RaftMessage) -> str:
    term = f"term {message.term}"
    match message:
        case VoteRequest():
            name = "prevote" if message.pre else "vote"
            transfer = ", by transfer" if message.transfer else ""
            return f"{name} {term}, last {message.last_index}:{message.last_term}{transfer}"
        case VoteReply():
            name = "prevoted" if message.pre else "voted"
            return f"{name} {term}, {'yes' if message.granted else 'no'}"
        case Append():
            entries = " ".join(f"{e.index}:{e.term}" for e in message.entries) or "nothing"
            after = f"{message.previous}:{message.previous_term}"
            return f"append {term}, after {after}, {entries}, commit {message.commit}"
        case AppendReply():
            hint = f"no {message.match}, try {message.hint}:{message.hint_term}"
            return f"appended {term}, {f'up to {message.match}' if message.success else hint}"
        case Heartbeat():
            return f"heartbeat {term}, commit {message.commit}, round {message.round}"
        case HeartbeatReply():
            return f"alive {term}, round {message.round}"
        case SnapshotChunk():
            done = ", done" if message.done else ""
            return f"snapshot {term}, up to {message.index}, from byte {message.offset}{done}"
        case SnapshotReply():
            return f"received {term}, up to {message.index}, wants byte {message.offset}"
        case TimeoutNow():
            return f"timeout-now {term}"
        case ReadRequest():
            return f"read {term}, number {message.number}"
        case ReadReply():
            return f"read-index {term}, number {message.number}, index {message.index}"


def retrace(text: str) -> str:
    """A scenario file with its traces written anew. Lines of commands begin with `> `."""
    scenario = Scenario()
    lines: list[str] = []
    for line in text.splitlines():
        if line.startswith("> "):
            lines += [line, *("  " + event for event in scenario.run(line[2:]))]
        elif not line.startswith("  "):
            lines.append(line)
    return "\n".join(lines) + "\n"
