"""A node of a simulated cluster: the production engine and core, as the trio shell drives them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from msgspec import json
from msgspec.structs import replace

from ..app import App
from ..cluster.core import ClusterCore
from ..cluster.journal import STATE
from ..cluster.members import first_record
from ..cluster.membership import Membership
from ..cluster.messages import MemberState, Message
from ..cluster.outputs import Output
from ..cluster.ring import Ring
from ..cluster.versions import ABSENT
from ..cluster.versiontable import VersionTable
from ..engines.cluster import ClusterEngine
from ..memory.table import Table
from ..spec import ProgramSpec
from ..transaction import Transaction
from .application import FOLDER, Application, OnSimulatedDisk
from .history import RUNNING, Written
from .machine import Birth, Machine


class SimulatedClusterEngine(OnSimulatedDisk, ClusterEngine):
    """The engine of a node of a cluster; it notes what the calls of clients have written."""

    def __init__(self, spec: ProgramSpec, machine: Machine) -> None:
        ClusterEngine.__init__(
            self,
            spec,
            machine.name,
            FOLDER,
            clock=machine.clock,
            database_factory=lambda folder, key_file: machine.disk.open(),
        )
        self.place(machine)

    def commit(self, transaction: Transaction) -> int:
        ticket = super().commit(transaction)
        operation = RUNNING.get()
        if operation is not None:
            for table, pending in transaction.writes.items():
                found = self.replicated(table.name)
                if found is not None:
                    for key, entry in pending.data.items():
                        value = ABSENT if entry is None else entry.value
                        version = found[1].get(key)
                        operation.writes.append(Written(table.name, key, version, value))
        return ticket


class Member(Application):
    """One life of a node of a cluster."""

    def __init__(self, birth: Birth, spec: ProgramSpec) -> None:
        super().__init__(birth, spec)
        machine = birth.machine
        engine: Any = self.app.engine
        self.engine: SimulatedClusterEngine = engine
        self.membership = Membership(
            self._record(birth), birth.config, birth.clock, birth.rng, birth.seeds
        )
        self.boot = self.membership.me.boot
        self.core = ClusterCore(birth.config, birth.clock, birth.rng, self.engine, self.membership)
        self._waking = False
        self.core.context.wake = self._wake
        self.core.start()
        self.id = machine.name

    def _open(self, birth: Birth, spec: ProgramSpec) -> App:
        return (spec.app_class or App)(spec, SimulatedClusterEngine(spec, birth.machine))

    def _record(self, birth: Birth) -> MemberState:
        address = birth.machine.address
        self.engine.system_table(STATE)
        stored = dict(self.engine.stored_rows(STATE)).get("identity")
        if stored is None:
            return first_record(birth.machine.name, address, "", founder=not birth.seeds)
        return replace(json.decode(stored, type=MemberState), address=address)

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
        return self.membership.admit(peer, boot)

    def link_up(self, peer: str, dialled: str = "") -> None:
        self.core.connected(peer, dialled)

    def link_down(self, peer: str) -> None:
        self.core.disconnected(peer)

    def receive(self, peer: str, message: Message) -> None:
        self.core.receive(peer, message)

    def tick(self) -> None:
        self.core.tick()

    def due(self) -> int | None:
        return self.core.next_wakeup()

    def leave(self) -> None:
        self.core.leave()

    def take(self) -> Iterable[Output]:
        return self.core.take()

    # --- what the checks see ---------------------------------------------------------------------

    @property
    def replica(self) -> Any:
        return self.engine.replica

    @property
    def ring(self) -> Ring:
        return self.membership.ring

    def replicated(self, name: str) -> tuple[Table, VersionTable] | None:
        return self.engine.replicated(name)
