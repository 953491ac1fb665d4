"""Defects to seed in consensus: each replaces a piece of one function's source."""

from __future__ import annotations

import inspect
import sys
import textwrap
from dataclasses import dataclass
from types import FunctionType, ModuleType
from typing import Any

import pytest

from somart.consensus import core, leading, log, messages, progress, service, state, storage
from somart.engines import database


@dataclass(frozen=True)
class Mutant:
    """`old` stands once in the source of `name`, a function or `Class.method` of a module.
    `hunts` are the examinations that ought to find it, the quickest first."""

    module: ModuleType
    name: str
    old: str
    new: str
    hunts: tuple[str, ...]

    def apply(self, patch: pytest.MonkeyPatch) -> None:
        """Puts the changed function in place of the original."""
        *path, last = self.name.split(".")
        owner: Any = getattr(self.module, path[0]) if path else self.module
        function = inspect.unwrap(getattr(owner, last))
        source = textwrap.dedent(inspect.getsource(function))
        assert source.count(self.old) == 1, f"{self.name} has changed: seed the defect anew"
        changed = source.replace(self.old, self.new)
        found: dict[str, Any] = {}
        code = compile(f"from __future__ import annotations\n{changed}", self.name, "exec")
        exec(code, function.__globals__, found)  # the test's own source
        mutated = found[last]
        assert isinstance(mutated, FunctionType)
        patch.setattr(owner, last, mutated)
        if owner is self.module:  # others have imported it by name
            for other in list(sys.modules.values()):
                if vars(other).get(last) is function:
                    patch.setattr(other, last, mutated)


H, S, L, G, Q = "histories", "state", "leases", "scenarios", "quorums"
SYNC, DISK = "nothing before it is stored", "the disk keeps promises"
REFUSED, DEFINITE = "what was refused is nowhere", "definite means that it was nowhere"
LIFE, READS = "an earlier life is another one", "reads wait"
HUNG = "reads give up"
BESIDE, LATE = "a snapshot beside entries", "a snapshot that is late"
AGREES = "commits what agrees"
REPLACED = "what was replaced does not count"
OWN = "own log counts when stored"
POWER = "power is lost"

MUTANTS: dict[str, Mutant] = {
    # --- votes (§3.4, §3.6.1) ---
    "votes twice in a term": Mutant(
        core,
        "Raft._vote",
        'free = self.vote in ("", request.sender) and not self.leader',
        "free = True",
        (H,),
    ),
    "votes for a log that is behind": Mutant(
        core,
        "Raft._vote",
        "granted = free and fresh",
        "granted = free",
        (G,),
    ),
    "compares only the lengths of logs": Mutant(
        core,
        "Raft._vote",
        "(request.last_term, request.last_index) >= last",
        "request.last_index >= self.log.last",
        (G,),
    ),
    "forgets its vote in a restart": Mutant(
        storage,
        "load",
        'HardState(*_hard.decode(meta["hard"]))',
        'HardState(_hard.decode(meta["hard"])[0])',
        (DISK,),
    ),
    "forgets its term in a restart": Mutant(
        storage,
        "load",
        'HardState(*_hard.decode(meta["hard"]))',
        "HardState()",
        (DISK,),
    ),
    "takes any answer for a vote": Mutant(
        core,
        "Raft._voted",
        "self._count(reply.sender, reply.granted)",
        "self._count(reply.sender, True)",
        (G,),
    ),
    "keeps its vote of the last term": Mutant(
        core,
        "Raft.become_follower",
        'self.term, self.vote = term, ""',
        "self.term = term",
        (G,),
    ),
    # --- the log (§3.5, §3.6.2, §10.2.1) ---
    "commits entries of old terms by counting": Mutant(
        leading,
        "advance",
        "if index <= raft.commit or raft.log.term(index) != raft.term:",
        "if index <= raft.commit:",
        (G,),
    ),
    "sends before it has stored": Mutant(
        service,
        "Service._carry_out",
        "self._stage = output\n",
        "self._stage = output; self._sends += output.messages\n",
        (SYNC,),
    ),
    "skips the sync of a new term": Mutant(
        service,
        "Service._carry_out",
        "stored = output.state is not None or output.truncate is not None or output.entries",
        "stored = output.truncate is not None or output.entries",
        (SYNC,),
    ),
    "skips the sync of entries": Mutant(
        service,
        "Service._carry_out",
        "output.truncate is not None or output.entries",
        "output.truncate is not None",
        (POWER,),
    ),
    "skips the sync of a commit": Mutant(
        database,
        "Database._take_over",
        "synchronous=FULL",
        "synchronous=NORMAL",
        (POWER,),
    ),
    "never syncs": Mutant(
        database,
        "Database._take_over",
        "synchronous=FULL",
        "synchronous=OFF",
        (POWER,),
    ),
    "counts its own log before it is stored": Mutant(
        leading,
        "append",
        "raft.keep((entry,))",
        "raft.keep((entry,)); raft.progress[raft.node].agreed(entry.index)",
        (OWN,),
    ),
    "applies what is not committed": Mutant(
        core,
        "Raft.take",
        "min(self.commit, self.stable)",
        "self.stable",
        (G,),
    ),
    "does not compare the entry before": Mutant(
        core,
        "Raft._append",
        "self.log.term(message.previous) != message.previous_term",
        "self.log.term(message.previous) is None",
        (G,),
    ),
    "keeps entries in conflict": Mutant(
        core,
        "Raft._store",
        "if known == entry.term:",
        "if known is not None:",
        (H,),
    ),
    "learns of commits beyond what agrees": Mutant(
        core,
        "Raft._agree",
        "min(message.commit, match)",
        "min(message.commit, self.log.last)",
        (AGREES,),
    ),
    "heartbeats commit what the member may not have": Mutant(
        leading,
        "_heartbeat",
        "min(progress.match, raft.commit)",
        "raft.commit",
        (H,),
    ),
    "counts what is stored although it was replaced": Mutant(
        core,
        "Raft.persisted",
        "if self.log.term(index) == term and index > self.stable:",
        "if index > self.stable:",
        (REPLACED,),
    ),
    "leaves replaced entries on disk": Mutant(
        storage,
        "write_output",
        "range(output.truncate, last + 1)",
        "()",
        (DISK,),
    ),
    "hints that lead nowhere": Mutant(
        leading,
        "_rejected",
        "min(index, reply.match - 1) if index >= reply.match else index",
        "index",
        (G,),
    ),
    "hints ignored": Mutant(
        leading,
        "_rejected",
        "progress.next = max(index, progress.match) + 1",
        "progress.next = reply.match + 1",
        (G,),
    ),
    "a full window that is lost stays full": Mutant(
        progress,
        "Progress.nudged",
        "self.inflight.popleft()",
        "pass",
        (G,),
    ),
    "a lost probe is never repeated": Mutant(
        progress,
        "Progress.nudged",
        "self.waiting = False",
        "pass",
        (G,),
    ),
    # --- membership (§4) ---
    "one majority suffices in joint consensus": Mutant(
        messages,
        "Configuration.majority",
        "(self.voters, self.outgoing)",
        "(self.voters,)",
        (Q,),
    ),
    "one majority commits in joint consensus": Mutant(
        messages,
        "Configuration.agreed",
        "(self.voters, self.outgoing)",
        "(self.voters,)",
        (Q,),
    ),
    "learners count": Mutant(
        messages,
        "Configuration.agreed",
        "for group in (self.voters, self.outgoing):",
        "for group in (self.voters + self.learners, self.outgoing):",
        (Q,),
    ),
    "half is a majority": Mutant(
        messages,
        "Configuration.majority",
        "> len(group) // 2",
        ">= len(group) // 2",
        (Q,),
    ),
    "a replaced change of membership stays in force": Mutant(
        log,
        "Log.truncate",
        "self._configurations.pop()",
        "break",
        (G,),
    ),
    "a change is lost with the compacted log": Mutant(
        log,
        "Log.compact",
        "self.snapshot_configuration = self.configuration(index)",
        "pass",
        (G,),
    ),
    "two changes at once": Mutant(
        core,
        "Raft.change",
        "busy = current.joint or self.log.configured_at > self.commit",
        "busy = False",
        (G,),
    ),
    "leaves joint consensus too early": Mutant(
        leading,
        "advance",
        "if raft.log.configured_at <= raft.commit:",
        "if True:",
        (G,),
    ),
    "never leaves joint consensus": Mutant(
        leading,
        "_configured",
        "if configuration.joint:",
        "if False:",
        (G,),
    ),
    "a cut off member disturbs": Mutant(
        core,
        "Raft._newer",
        "if not message.transfer and self._has_leader():",
        "if False:",
        (G,),
    ),
    "a leader without a quorum stays": Mutant(
        leading,
        "tick",
        "if not raft.configuration.majority(alive | {raft.node}):",
        "if False:",
        (G,),
    ),
    # --- snapshots (§5) ---
    "a snapshot claims more than it has": Mutant(
        service,
        "Service._take_snapshot",
        "index = raft.applied",
        "index = raft.log.last",
        (H,),
    ),
    "a snapshot without the sessions": Mutant(
        state,
        "State.restore",
        "self.sessions, self.counters, self.ticks = saved.sessions,",
        "self.sessions, self.counters, self.ticks = {},",
        (S,),
    ),
    "a snapshot without the window of changes": Mutant(
        service,
        "Service._take_snapshot",
        "tuple(self.state.changes)",
        "()",
        (H,),
    ),
    "a snapshot over what was acknowledged": Mutant(
        core,
        "Raft.lacks",
        " and self.log.term(chunk.index) != chunk.index_term",
        "",
        (LATE,),
    ),
    "entries beside a snapshot are stored": Mutant(
        service,
        "Service._receive_chunk",
        "output.truncate, output.entries = None, []",
        "pass",
        (BESIDE,),
    ),
    "pieces of a snapshot in any order": Mutant(
        core,
        "Raft._snapshot",
        "chunk.index != index or chunk.offset != offset",
        "False",
        (G,),
    ),
    "compacts what it has not applied": Mutant(
        service,
        "Service._compact",
        "self.raft.compact(self.raft.applied - kept)",
        "log.compact(log.last)",
        (H,),
    ),
    # --- reads (§6.4) ---
    "reads without an index": Mutant(
        service,
        "Service.read",
        "self._joining.ready.append(ready)",
        "ready(None)",
        (READS,),
    ),
    "reads without asking a quorum": Mutant(
        leading,
        "_begin_read",
        "raft.configuration.majority({raft.node}) or _leased(raft)",
        "True",
        (H,),
    ),
    "reads before a commit of its term": Mutant(
        leading,
        "read",
        "elif raft.log.term(raft.commit) != raft.term:",
        "elif False:",
        (G,),
    ),
    "reads that wait for the disk": Mutant(
        service,
        "Service.tick",
        "if joining is not None and now >= joining.deadline:",
        "if False:",
        (HUNG,),
    ),
    "reads before they are applied": Mutant(
        service,
        "Service._serve_reads",
        "if reading.index and reading.index <= applied:",
        "if reading.index:",
        (READS,),
    ),
    "answers to an earlier life": Mutant(
        service,
        "Service.__init__",
        "self._read_number = session << 32",
        "self._read_number = 0",
        (LIFE,),
    ),
    "a round that was begun before counts": Mutant(
        leading,
        "_begin_read",
        "newest.number > raft.round",
        "True",
        (G,),
    ),
    "a lease that never ends": Mutant(
        leading,
        "_leased",
        "raft.now < started + raft.config.election_ms - drift",
        "True",
        (G,),
    ),
    "votes at once after a restart under leases": Mutant(
        core,
        "Raft._has_leader",
        "self.now < self.promised",
        "False",
        (G,),
    ),
    "a lease survives a transfer": Mutant(
        leading,
        "hand_over",
        "raft.leases = False",
        "pass",
        (G,),
    ),
    # --- transactions ---
    "no validation": Mutant(
        state,
        "State._conflict",
        "moved(proposal.keys, self.keys, at)",
        "None",
        (S,),
    ),
    "validation is off by one": Mutant(
        state,
        "State._conflict",
        "moved(proposal.keys, self.keys, at)",
        "moved(proposal.keys, self.keys, at + 1)",
        (S,),
    ),
    "phantoms": Mutant(
        state,
        "State._conflict",
        "moved(proposal.shapes, self.shapes, at)",
        "None",
        (S,),
    ),
    "the window is off by one": Mutant(
        state,
        "State._conflict",
        "at < self.revision - WINDOW",
        "at < self.revision - WINDOW - 1",
        (S,),
    ),
    "changes are forgotten too early": Mutant(
        state,
        "State._note",
        "while self.changes[0].revision <= revision - WINDOW:",
        "while self.changes[0].revision < revision - WINDOW // 2:",
        (S,),
    ),
    "doublets are carried out": Mutant(
        state,
        "State.apply",
        "if number < session.oldest or number in session.done:",
        "if False:",
        (S,),
    ),
    "old doublets are carried out": Mutant(
        state,
        "State.apply",
        "if number < session.oldest or number in session.done:",
        "if number in session.done:",
        (S,),
    ),
    "a tick twice": Mutant(
        state,
        "State._conflict",
        "due <= last_due",
        "due < last_due",
        (S,),
    ),
    "a tick after another one": Mutant(
        state,
        "State._conflict",
        "or since not in (-1, last_due)",
        "",
        (S,),
    ),
    "a tick of a deposed leader": Mutant(
        state,
        "State._conflict",
        "or term < last_term",
        "",
        (S,),
    ),
    "ids twice": Mutant(
        state,
        "State._reserve",
        "self.counters[command.counter] = last",
        "pass",
        (S,),
    ),
    "says definite of what was proposed": Mutant(
        service,
        "_gave_up",
        "if not entry.open:",
        "if True:",
        (DEFINITE,),
    ),
    "a refusal counts for all attempts": Mutant(
        service,
        "Service._refused",
        "entry.open.discard(attempt)",
        "entry.open.clear()",
        (REFUSED,),
    ),
    "what was refused is proposed after all": Mutant(
        service,
        "Service._forwarded",
        "if this <= self._heard.get(message.sender, (0, 0)):",
        "if False:",
        (REFUSED,),
    ),
    "a refusal of an earlier life": Mutant(
        service,
        "Service.receive",
        "if message.session == self.session else ()",
        "",
        (LIFE,),
    ),
    "an earlier life's outcome": Mutant(
        service,
        "Service._is_own",
        "and given.session == self.session",
        "",
        (LIFE,),
    ),
    "rows are not stored with what was applied": Mutant(
        service,
        "Service._carry_out",
        "changes.update(self.tables.take_rows())",
        "pass",
        (H,),
    ),
    "says more is applied than is": Mutant(
        service,
        "Service._carry_out",
        "write_applied(changes, self.state, self.raft.applied)",
        "write_applied(changes, self.state, self.raft.log.last)",
        (H,),
    ),
    "the window of changes is not stored": Mutant(
        service,
        "Service._carry_out",
        "for change in self._changed:",
        "for change in ():",
        (H,),
    ),
    "keeps no promise to answer": Mutant(
        service,
        "Service._settle",
        "entry.done(outcome)",
        "pass",
        (OWN,),
    ),
}
