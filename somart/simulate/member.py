"""A node of a simulated cluster: the production engine, membership and core behind the driver that
the bus has in production."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from msgspec.structs import replace

from ..app import App
from ..cluster.boot import voters_of
from ..cluster.core import ClusterCore
from ..cluster.departing import Departure, staying
from ..cluster.driver import Driver
from ..cluster.handshake import Hello
from ..cluster.leadership import Leadership
from ..cluster.members import first_record
from ..cluster.membership import Membership
from ..cluster.messages import Message
from ..cluster.outputs import Output
from ..cluster.records import stored_members, stored_record
from ..cluster.ring import Ring
from ..cluster.versions import ABSENT
from ..cluster.versiontable import VersionTable
from ..consensus.service import ServiceConfig
from ..engines.consensus import ConsensusEngine
from ..memory.table import Table
from ..spec import ProgramSpec
from ..timers import Gate
from ..transaction import Transaction
from .application import FOLDER, Application, OnSimulatedDisk
from .history import RUNNING, Written
from .machine import Birth, Machine


class SimulatedClusterEngine(ConsensusEngine, OnSimulatedDisk):
    """The engine of a node of a cluster; it notes what the calls of clients have written."""

    def __init__(self, spec: ProgramSpec, machine: Machine) -> None:
        super().__init__(
            spec,
            machine.name,
            FOLDER,
            clock=machine.clock,
            database_factory=lambda folder, key_file: machine.disk.open(),
        )
        self.place(machine)

    def commit(self, transaction: Transaction) -> int:
        operation = RUNNING.get()
        if operation is None:
            return super().commit(transaction)
        before = {
            (table, key): found[1].get(key)
            for table, pending in transaction.writes.items()
            if (found := self.replicated(table.name)) is not None
            for key in pending.data
        }
        ticket = super().commit(transaction)
        for (table, key), earlier in before.items():
            found, entry = self.replicated(table.name), transaction.writes[table].data[key]
            assert found is not None
            value = ABSENT if entry is None else entry.value
            written = Written(table.name, key, found[1].get(key), earlier, value)
            operation.writes.append(written)
        return ticket


class Member(Application):
    """One life of a node. `seeds` empty: it founds a cluster, unless its disk knows better.
    `service`: bounds of its log, that a test may want narrower."""

    def __init__(
        self, birth: Birth, spec: ProgramSpec, service: ServiceConfig | None = None
    ) -> None:
        super().__init__(birth, spec)
        engine: Any = self.app.engine
        self.engine: SimulatedClusterEngine = engine
        stored = stored_record(engine)
        founder = stored is None and not birth.seeds
        address = birth.machine.address
        record = stored or first_record(self.id, address, address, founder)
        self.membership = Membership(
            replace(record, address=address, http=address),
            birth.config,
            birth.clock,
            birth.rng,
            seeds=birth.seeds,
            known=stored_members(engine),
        )
        self.boot = self.membership.me.boot
        self.core = ClusterCore(birth.config, birth.clock, birth.rng, engine, self.membership)
        self.driver = Driver(
            self.core,
            engine,
            birth.clock,
            birth.rng,
            replicas=voters_of(spec),
            founder=founder,
            service=service,
        )
        self._gate = Leadership(self.core, engine, birth.clock)
        self._waking = False
        self.core.context.wake = engine.wake = self._wake
        self.driver.start()

    @property
    def gate(self) -> Gate:
        return self._gate

    def _open(self, birth: Birth, spec: ProgramSpec) -> App:
        return (spec.app_class or App)(spec, SimulatedClusterEngine(spec, birth.machine))

    def _wake(self) -> None:
        if not self._waking:
            self._waking = True
            self.machine.world.after(0, self._woken)

    def _woken(self) -> None:
        self._waking = False
        if self.machine.process is self:
            self.machine.do(lambda _: None)  # what is to be sent is taken after each input

    # --- the process -----------------------------------------------------------------------------

    def admit(self, peer: str, boot: str) -> str:
        return self.driver.admit(Hello("node", peer, boot))

    def link_up(self, peer: str, dialled: str = "") -> None:
        self.driver.connected(Hello("node", peer), dialled)

    def link_down(self, peer: str) -> None:
        self.driver.disconnected(peer)

    def receive(self, peer: str, message: Message) -> None:
        self.driver.receive(peer, message)

    def tick(self) -> None:
        self.driver.tick()

    def due(self) -> int | None:
        return self.driver.next_wakeup()

    def leave(self, for_good: bool = False) -> None:
        self.driver.leave(for_good)

    def staying(self) -> str:
        return staying(self.core)

    def departure(self) -> Callable[[], bool]:
        waiting_for = Departure(self.core).waiting_for
        return lambda: not waiting_for()

    def take(self) -> Iterable[Output]:
        return self.driver.take()

    # --- what the checks see ---------------------------------------------------------------------

    @property
    def replica(self) -> Any:
        return self.engine.replica

    @property
    def ring(self) -> Ring:
        return self.membership.ring

    def replicated(self, name: str) -> tuple[Table, VersionTable] | None:
        return self.engine.replicated(name)
