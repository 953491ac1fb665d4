"""How a process becomes a node of a cluster: its id, its data, its parts put together."""

from __future__ import annotations

import os
import random
import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import trio

from ..consensus.core import RaftConfig
from ..engines.consensus import ConsensusEngine
from ..engines.stamped import set_aside
from ..errors import SomaError
from .announcing import Announcer
from .bringing import Brought
from .clocks import Clock, SystemClock
from .config import ClusterConfig
from .core import ClusterCore
from .departing import Departure, staying
from .driver import Driver
from .feed import Feed
from .handshake import Hello
from .identity import digests_of
from .leadership import Leadership
from .members import JOINING, REMOVED, Change, Superseded, first_record
from .membership import Membership
from .messages import Command, Done
from .origins import member_of
from .records import stored_members, stored_record
from .status import group_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..engines.etcd.engine import EtcdEngine
    from ..events import EventHub
    from ..options import ServeOptions
    from ..spec import ProgramSpec
    from .bus import Bus

LEAVING_SECONDS = 0.1
"""For the farewell to leave, and a leader's last heartbeats."""

READY_POLL_SECONDS = 0.02

DRAIN_SECONDS = 10.0
"""For a node that leaves for good: until the others have what lies here."""

ID_FILE = "node.id"
_CHOICES = "--merge takes them into the cluster, --discard-local sets them aside"
_DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"


class BootError(Exception):
    """The node cannot become one of a cluster; the text is for the terminal."""


@dataclass(frozen=True, slots=True)
class Addresses:
    """Where others find the bus and the HTTP server of this node."""

    bus: str
    http: str


def in_cluster(spec: ProgramSpec, options: ServeOptions) -> bool:
    """Whether the node is one of a cluster: asked to join, declared to have replicas, or one
    already by its data (spec 3 §6 [do])."""
    replicas = max((c.soma_scale.replicas for c in spec.all_cells if c.soma_scale), default=1)
    wanted = bool(options.cluster.join) or replicas > 1 or options.etcd is not None
    return wanted or (options.data / ID_FILE).exists()


def voters_of(spec: ProgramSpec) -> int:
    """How many members vote: the most replicas that a strong cell declares, 0 without one."""
    strong = (c.soma_scale for c in spec.all_cells if c.soma_scale is not None)
    return max((s.replicas for s in strong if s.consistency == "strong"), default=0)


def raft_config(config: ClusterConfig) -> RaftConfig:
    """The times of consensus: heartbeats are to elections as in `RaftConfig`."""
    usual = RaftConfig()
    heartbeat_ms = max(1, usual.heartbeat_ms * config.election_ms // usual.election_ms)
    return RaftConfig(election_ms=config.election_ms, heartbeat_ms=heartbeat_ms)


def node_id(data: Path, given: str | None, clock: Clock) -> str:
    """The id of the node, kept in its data directory. Raises BootError when another one is given.

    Made-up ids order by the time of their making, so that the founder leads.
    """
    file = data / ID_FILE
    try:
        known = file.read_text(encoding="utf-8").strip()
    except FileNotFoundError:
        known = ""
    except (OSError, UnicodeDecodeError) as error:
        raise BootError(f"cannot read '{file}': {error}") from error
    if known and given is not None and given != known:
        raise BootError(
            f"the data in '{data}' are those of node '{known}', not of '{given}': "
            "leave --node-id out, or choose another folder with --data"
        )
    if known:
        return known
    name = given or f"n{_base36(clock.wall())}-{secrets.token_hex(2)}"
    try:
        data.mkdir(parents=True, exist_ok=True)
        _write_for_good(file, name + "\n")
    except OSError as error:
        raise BootError(f"cannot write '{file}': {error.strerror}") from error
    return name


def _write_for_good(file: Path, text: str) -> None:
    """Writes a file that a power failure leaves in place: data that outlived their node's id would
    come back under another one."""
    with file.open("w", encoding="utf-8") as out:
        out.write(text)
        out.flush()
        os.fsync(out.fileno())
    folder = os.open(file.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _base36(number: int) -> str:
    text = ""
    while number:
        number, digit = divmod(number, 36)
        text = _DIGITS[digit] + text
    return text


class ClusterNode:
    """The parts of one node. `engine` goes to the App; `attach` follows once that has opened it."""

    def __init__(
        self, spec: ProgramSpec, options: ServeOptions, log: Callable[[str], None]
    ) -> None:
        self._spec = spec
        self._options = options
        self._log = log
        self.clock = SystemClock()
        self.rng = random.Random(secrets.randbits(64))
        if options.cluster.join:
            self._judge_local_data()
        self.id = node_id(options.data, options.node_id, self.clock)
        self._etcd = self._etcd_engine(spec)
        self.engine = self._etcd or ConsensusEngine(spec, self.id, options.data, clock=self.clock)
        self.driver: Driver | None = None
        self.core: ClusterCore | None = None
        self.on_superseded: Callable[[], None] = lambda: None
        """Another process has this node's id now: this one has to stop."""
        self.on_stop: Callable[[], None] = lambda: None
        """This node has been told to leave for good, and has to stop."""
        self._for_good = False
        self._bus: Bus | None = None
        self._announcer = Announcer(self.id, self._view, self._log)
        self._kicked = trio.Event()
        self._queued = trio.Event()
        self._running = trio.CancelScope()

    def _etcd_engine(self, spec: ProgramSpec) -> EtcdEngine | None:
        """The engine for `[cluster] engine = "etcd"`. Raises BootError when it cannot be used."""
        options = self._options
        if options.etcd is None:
            return None
        from ..engines.etcd.engine import EtcdEngine

        try:
            return EtcdEngine(
                spec, self.id, options.data, etcd=options.etcd, note=self._log, clock=self.clock
            )
        except OSError as error:
            raise BootError(f"[cluster] in soma.toml: TLS files of etcd: {error}") from error

    def _judge_local_data(self) -> None:
        """Data that a joining node brings are merged or set aside only by order (issue 4.9).

        Raises BootError, and leaves them as they are, when there is none.
        """
        folder, order = self._options.data, self._options.cluster.local_data
        brought = Brought(self._spec, folder)
        if brought.member:
            return
        if order == "discard":
            kept = set_aside(folder)
            if kept is not None:
                self._log(f"cluster: the data of this node are set aside in '{kept}'")
            return
        if brought.total and order == "ask":
            raise BootError(f"this node brings data of its own, {brought}: {_CHOICES}")
        if brought.strong:
            raise BootError(
                f"this node brings data of its own, {brought}, and strong memory cannot be "
                "merged: --discard-local sets them aside"
            )
        if brought.total:
            self._log(f"cluster: this node merges data of its own, {brought}")
        brought.forget_cluster()

    def attach(self, addresses: Addresses) -> Driver:
        """Puts membership, replication and consensus together. Raises BootError, SomaError."""
        engine, cluster = self.engine, self._options.cluster
        record = stored_record(engine)
        founder = record is None and not cluster.join
        if record is None:
            record = first_record(self.id, addresses.bus, addresses.http, founder)
        else:
            from msgspec.structs import replace

            record = replace(record, address=addresses.bus, http=addresses.http)
        membership = Membership(
            record,
            cluster.config,
            self.clock,
            self.rng,
            seeds=cluster.join,
            known=stored_members(engine),
        )
        core = ClusterCore(cluster.config, self.clock, self.rng, engine, membership)
        core.on_change = self._changed
        driver = Driver(
            core,
            engine,
            self.clock,
            self.rng,
            replicas=0 if self._etcd else voters_of(self._spec),
            founder=founder,
            raft=raft_config(cluster.config),
        )
        self.core, self.driver = core, driver
        if self._etcd is not None:
            self._etcd.session.about = {"bus": addresses.bus, "http": addresses.http}
            self._etcd.session.on_change = self._announcer.stand
        announcer = self._announcer
        driver.on_lead = lambda _leader: announcer.stand()
        driver.start()
        return driver

    def _view(self) -> tuple[int, str] | None:
        """How many live members there are, and who leads; None while this node is not one."""
        if self.core is None or self.core.membership.leaving:
            return None
        membership, service = self.core.membership, self.engine.service
        if self._etcd is not None:
            return self._etcd.view()
        if membership.me.ring == JOINING and len(membership.live()) == 1:
            return None
        if service is None:
            return len(membership.live()), membership.lowest_live()
        leader = service.raft.leader
        return len(membership.live()), member_of(leader) if leader else ""

    def _changed(self, change: Change) -> None:
        self._announcer.changed(change)
        if isinstance(change, Superseded):
            self.on_superseded()

    def run_with(self, bus: Bus) -> None:
        """Lets the bus carry what the parts have to say."""
        assert self.core is not None
        self._bus = bus
        self.engine.wake = self.core.context.wake = self._kick
        self.engine.queued = self._store
        self._store()  # what has been written while the parts were put together
        self._kick()

    def _kick(self) -> None:
        self._kicked.set()

    def _store(self) -> None:
        self._queued.set()

    async def run(self) -> None:
        """Carries on what nobody waits for, until `leave`."""
        self._announcer.begin()
        with self._running:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._pump)
                nursery.start_soon(self._flush)
                if self._etcd is not None:
                    nursery.start_soon(self._etcd.run)

    async def _pump(self) -> None:
        """One turn later, so that what has been proposed meanwhile shares an entry."""
        while True:
            await self._kicked.wait()
            self._kicked = trio.Event()
            if self._bus is not None:
                self._bus.pump()

    async def _flush(self) -> None:
        """Stores also what no client waits for: batches of others, the log, acknowledgements."""
        while True:
            await self._queued.wait()
            self._queued = trio.Event()
            try:
                await self.engine.wait_durable(self.engine.last_ticket)
            except SomaError as error:
                self._log(f"cluster: {error}")
                await trio.sleep(1)

    async def leave(self) -> None:
        """Says good-bye, and gives others the time to hear it."""
        if self.driver is not None and self._bus is not None:
            for_good = self._for_good and await self._drained()
            self.driver.leave(for_good)
            self._bus.pump()
            await trio.sleep(LEAVING_SECONDS)
            self._bus.pump()
        self._running.cancel()

    def hello(self, addresses: Addresses) -> Hello:
        """How the node introduces itself on the bus."""
        assert self.core is not None
        me = self.core.membership.me
        return Hello(
            "node",
            self.id,
            me.boot,
            addresses.bus,
            addresses.http,
            digests=digests_of(self._spec),
        )

    def feed(self, hub: EventHub) -> None:
        """Lets the clients of all nodes see the events of each."""
        assert self.core is not None
        assert self.driver is not None
        feed = Feed(self.core, hub, self.engine.origin, self.engine.boot)
        self.driver.on_signal = feed.receive
        if self.engine.service is not None:
            self.engine.service.on_events = feed.applied

    def gate(self) -> Leadership:
        """Who runs the timers. To be asked once the parts are put together."""
        assert self.core is not None
        return Leadership(self.core, self.engine, self.clock)

    def concealed(self, table: str) -> bool:
        """Whether `bus tail` must not show the values of a table."""
        found = self.engine.replicated(table)
        return found is not None and found[0].rules.encrypted

    # --- what operators order --------------------------------------------------------------------

    def command(self, wanted: Command) -> Done:
        """Carries out what `somac cluster` asks for."""
        assert self.core is not None
        if wanted.name == "remove":
            problem = self.core.membership.remove(wanted.member)
            return Done(problem or f"'{wanted.member}' is out of the ring", bool(problem))
        if wanted.name == "leave":
            problem = staying(self.core)
            if not problem:
                self._for_good = True
                self.on_stop()
            return Done(problem or f"'{self.id}' leaves for good", bool(problem))
        return Done(f"this node knows no command '{wanted.name}'", True)

    async def _drained(self) -> bool:
        """Whether the others have all that lies here; waits for it."""
        assert self.core is not None
        departure = Departure(self.core)
        with trio.move_on_after(DRAIN_SECONDS):
            while True:
                waiting = departure.waiting_for()
                if not waiting:
                    return True
                await trio.sleep(READY_POLL_SECONDS)
        self._log(f"cluster: stays a member, {', '.join(waiting)} have yet to get what lies here")
        return False

    # --- what the HTTP server asks (`serve.site.Standing`) ---------------------------------------

    @property
    def causal(self) -> bool:
        """Whether clients carry tokens."""
        return self.core is not None and self.core.context.causal

    def unready(self) -> str:
        """Why the node had better not be asked now; empty if it may."""
        core, service = self.core, self.engine.service
        if core is None:
            return "starting"
        if core.membership.me.ring == JOINING:
            linked = any(core.membership.is_linked(id) for id in core.membership.live())
            return "joining: fetching its data" if linked else "joining: no member answers yet"
        if not core.fetching.complete or not core.causality.caught_up():
            return "catching up"
        if service is not None and not service.raft.leader:
            return "no leader is known: too few members can be reached"
        agreement = None if self.driver is None else self.driver.agreement
        refusal = self.engine.stalled() or ("" if agreement is None else agreement.refusal())
        if refusal:
            return f"no writes to strong memory: {refusal}"
        return "" if self._etcd is None else self._etcd.unready()

    async def wait_ready(self, seconds: float, given_up: Callable[[], bool]) -> None:
        """Returns when the node has joined its cluster, or that time is over."""
        with trio.move_on_after(seconds):
            while True:
                if not self.unready() or given_up():
                    return
                await trio.sleep(READY_POLL_SECONDS)

    def token(self) -> str:
        """What this node has seen, for a client."""
        return "" if self.core is None else self.core.token()

    async def seen(self, token: str) -> None:
        """Returns when this node has seen as much. Raises SomaError."""
        assert self.core is not None
        answered = trio.Event()
        failure: SomaError | None = None

        def answer(error: SomaError | None) -> None:
            nonlocal failure
            failure = error
            answered.set()

        self.core.wait_seen(token, answer)
        await answered.wait()
        if failure is not None:
            raise failure

    def status(self) -> dict[str, object]:
        """What `/__soma/cluster` shows: without members that are out of the cluster."""
        assert self.core is not None
        core = self.core
        service = self.engine.service
        found: dict[str, object] = dict(core.status())
        members = found["members"]
        assert isinstance(members, list)
        found["members"] = [one for one in members if one["status"] != REMOVED]
        agreement = None if self.driver is None else self.driver.agreement
        if agreement is not None:
            found["phase"] = agreement.phase
        if service is not None:
            found.update(group_of(core, service, voters_of(self._spec)))
        if self._etcd is not None:
            found["etcd"] = self._etcd.status()
            found["leader"], found["term"] = self._etcd.leader
        return found
