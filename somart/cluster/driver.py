"""Membership, replication and consensus of one node as one thing that the bus drives.

Sans-I/O like its parts; the simulator drives the same object. Members are known by their ids,
consensus by identities of data directories (`{id}~{life}`): one that was wiped is another voter.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import get_args

from ..consensus.autopilot import next_change
from ..consensus.core import HardState, Raft, RaftConfig
from ..consensus.log import Log
from ..consensus.messages import Configuration, Here, ServiceMessage
from ..consensus.service import Service, ServiceConfig
from ..consensus.state import State
from ..consensus.storage import Changes, Loaded, load, write_applied, write_snapshot
from ..engines.consensus import ConsensusEngine
from .agreement import Agreement
from .clocks import Clock
from .core import ClusterCore
from .handshake import Hello
from .members import REMOVED
from .messages import Message, Signal
from .origins import member_of
from .outputs import Note, Output, Send

AUTOPILOT_MS = 500

_CONSENSUS = get_args(ServiceMessage)


class Driver:
    """What `Bus` asks of a node (`bus.Driven`). `replicas`: how many vote; 0: no strong cells."""

    def __init__(
        self,
        core: ClusterCore,
        engine: ConsensusEngine,
        clock: Clock,
        rng: random.Random,
        *,
        replicas: int = 0,
        founder: bool = False,
        raft: RaftConfig | None = None,
        service: ServiceConfig | None = None,
    ) -> None:
        self.core = core
        self.engine = engine
        self.replicas = replicas
        self._clock = clock
        self._rng = rng
        self._founder = founder
        self._raft_config = raft or RaftConfig()
        self._service_config = service or ServiceConfig()
        self._identities: dict[str, str] = {}
        self._autopilot_at = 0
        self._outputs: list[Output] = []
        self._led = ""
        self.agreement: Agreement | None = None
        """How the node stands with the others that vote; None without strong cells."""
        self.on_signal: Callable[[Signal], None] = lambda signal: None
        """An event of another node has come, for the clients of this one."""
        self.on_lead: Callable[[str], None] = lambda leader: None
        """Another member leads the consensus now; empty: nobody that is known here."""

    # --- life ------------------------------------------------------------------------------------

    def start(self) -> None:
        """The engine is open."""
        self.core.start()
        if self.replicas:
            self._start_consensus()

    def _start_consensus(self) -> None:
        engine, now = self.engine, self._clock.monotonic()
        state = State(engine.strong)
        loaded = Loaded(HardState(), Log(), 0, fresh=True)
        if engine.database is not None:
            loaded = load(engine.database, state)
        if loaded.fresh and self._founder:
            # What the node brings from before counts as a snapshot, so that others get it, too.
            loaded.log, loaded.applied = Log(1, 0, Configuration((engine.origin,))), 1
            changes: Changes = {}
            write_snapshot(changes, loaded.log, 1)
            write_applied(changes, state, 1)
            engine.store_now(changes)
        raft = Raft(
            engine.origin,
            self._raft_config,
            self._rng,
            now,
            state=loaded.state,
            log=loaded.log,
            applied=loaded.applied,
        )
        config = self._service_config
        service = Service(raft, state, engine.strong, engine.boot, config)
        engine.service = service
        self.agreement = Agreement(service, self._hears, self.core.membership.reach)
        engine.refusal = self.agreement.refusal

    def leave(self, for_good: bool = False) -> None:
        """The node is about to stop: leadership goes to another one first, if it may."""
        service = self.engine.service
        if service is not None and service.leads:
            self._hand_over(service)
        self.core.leave(for_good)

    def _hand_over(self, service: Service) -> None:
        progress = service.raft.progress
        voters = [v for v in service.raft.configuration.voters if v != service.node]
        known = [v for v in voters if v in progress and progress[v].active]
        if known:
            best = max(known, key=lambda voter: progress[voter].match)
            service.raft.transfer(best, self._clock.monotonic())

    # --- what the bus tells ----------------------------------------------------------------------

    def admit(self, hello: Hello) -> str:
        """Why a node that has proved itself may not have a link; empty if it may."""
        return self.core.membership.admit(hello.id, hello.instance)

    def connected(self, hello: Hello, dialled: str) -> None:
        """There is a link with a node."""
        self.core.connected(hello.id, dialled)
        if self.engine.service is not None:
            self._outputs.append(Send(hello.id, Here(self.engine.origin)))

    def disconnected(self, peer: str) -> None:
        """The link with that node has gone."""
        self.core.disconnected(peer)

    def receive(self, peer: str, message: Message) -> None:
        """A message from a node. Nobody speaks for another one's identity."""
        if isinstance(message, Here):
            if member_of(message.sender) == peer:
                self._identities[peer] = message.sender
        elif isinstance(message, _CONSENSUS):
            service = self.engine.service
            if service is not None and member_of(message.sender) == peer:
                self.core.membership.heard(peer)
                service.receive(message, self._clock.monotonic())
        elif isinstance(message, Signal):
            self.on_signal(message)
        else:
            self.core.receive(peer, message)

    def tick(self) -> None:
        """The time of `next_wakeup` has come."""
        now = self._clock.monotonic()
        if self.core.next_wakeup() <= now:
            self.core.tick()
        service = self.engine.service
        if service is None:
            return
        if service.wakeup() <= now:
            service.tick(now)
        if now >= self._autopilot_at:
            self._autopilot_at = now + AUTOPILOT_MS
            self._steer(service, now)

    def next_wakeup(self) -> int:
        """When to tick."""
        at = self.core.next_wakeup()
        service = self.engine.service
        if service is None:
            return at
        if service.leads:
            at = min(at, self._autopilot_at)
        return min(at, service.wakeup(), self.engine.retry_at())

    def take(self) -> list[Output]:
        """What is to be done now."""
        if self.agreement is not None:
            self.agreement.look(self._clock.monotonic())
        self.engine.drive()
        outbox, self.engine.outbox = self.engine.outbox, []
        outputs = self.core.take()
        outputs += self._outputs
        self._outputs = []
        outputs += [Send(member_of(to), message) for to, message in outbox]
        self._watch_leader()
        return outputs

    def store(self) -> bool:
        """Stores what the log waits for, if that takes no time; True: `take` again."""
        return self.engine.store_at_once()

    def _hears(self, identity: str) -> bool:
        """Whether a voter, in the life that votes, has been heard of lately."""
        peer = member_of(identity)
        same = identity in (self.engine.origin, self._identities.get(peer))
        return same and self.core.membership.members.hears(peer)

    def _watch_leader(self) -> None:
        service = self.engine.service
        if service is not None and service.raft.leader != self._led:
            self._led = service.raft.leader
            leader = member_of(self._led) if self._led else ""
            term = service.raft.term
            shown = f"'{leader}' leads in term {term}" if leader else f"no leader in term {term}"
            self._outputs.append(Note(f"cluster: {shown}"))
            self.on_lead(leader)

    # --- the group -------------------------------------------------------------------------------

    def _steer(self, service: Service, now: int) -> None:
        """As the leader, lets the group follow the membership; a node that is not in the group yet
        says again that it is here."""
        if not service.leads:
            if self.engine.origin not in service.raft.configuration.members():
                here = Here(self.engine.origin)
                self._outputs += [Send(peer, here) for peer in self.core.context.linked]
            return
        raft, members = service.raft, self.core.membership.members
        present = {
            peer: identity
            for peer, identity in self._identities.items()
            if self.core.membership.is_linked(peer)
        }
        present[self.core.me] = self.engine.origin
        gone = {
            member_of(identity)
            for identity in raft.configuration.members()
            if member_of(identity) in members
            and members[member_of(identity)].state.status == REMOVED
        }

        def caught_up(identity: str) -> bool:
            progress = raft.progress.get(identity)
            return progress is not None and progress.match + 100 >= raft.log.last

        wanted = next_change(raft.configuration, present, gone, member_of, caught_up, self.replicas)
        if wanted is not None and raft.change(wanted.voters, wanted.learners, now) is not None:
            voters = ", ".join(sorted(map(member_of, wanted.voters)))
            self._outputs.append(Note(f"cluster: voters shall be {voters}"))
            self.engine.wake()
