"""Clients of a cluster, who expect that nothing acknowledged is lost and that all nodes agree."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..cell import Cell
from ..cluster.members import REMOVED
from . import checks
from .clients import Clients
from .history import RUNNING
from .lifecycle import all_cells
from .machine import Machine
from .member import Member


class ClusterClients(Clients):
    """Adds what a cluster promises to what each node does."""

    def _born(self, machine: Machine) -> None:
        super()._born(machine)
        process: Any = machine.process
        for cell in all_cells(process.app.top_level):
            _note_ids(cell)

    def verdict(self) -> Sequence[str]:
        """What healed nodes still owe: the same members, the same data, all that was promised."""
        super().verdict()
        members: list[Member] = self.processes()
        present = self.simulation.present()
        down = [machine.name for machine in present if machine.process is None]
        if down:
            return [f"down: {' '.join(down)} did not start"]
        wrong = unsettled(members)
        if wrong:
            self._remove_departed()
        else:
            ledger = checks.Ledger(self.operations)
            wrong = [
                *checks.unequal_replicas(members),
                *checks.lost_writes(members, ledger, any(map(_knows_of_expelled, members))),
                *checks.strange_values(members, ledger),
            ]
        return wrong or checks.repeated_ids(self.operations)

    def _remove_departed(self) -> None:
        """As an operator does when a node's farewell was not heard."""
        first, *_ = self.processes()
        for machine in self.simulation.machines:
            if not machine.enlisted and machine.life:
                first.machine.do(lambda process, id=machine.name: process.membership.remove(id))

    def may_wipe(self, machine: Machine) -> bool:
        """A disk may go when all that it has is stored on other nodes that are up and stay, and the
        log of strong memory keeps a majority."""
        process = machine.process
        staying = [other for other in self.processes() if not other.machine.stopping]
        others = [other for other in staying if other is not process]
        return (
            isinstance(process, Member)
            and all(other.engine.idle for other in others)
            and checks.safe_without(process, others)
            and all(has_majority(other, others) for other in others)
        )


def has_majority(member: Member, up: Sequence[Member]) -> bool:
    """Whether the voters that a member knows have a majority of nodes that are up."""
    service = member.engine.service
    if service is None:
        return True
    voters = service.raft.configuration.voters
    running = {other.engine.service.node for other in up if other.engine.service is not None}
    return 2 * len(running.intersection(voters)) > len(voters)


def unsettled(members: Sequence[Member]) -> list[str]:
    """Nodes that do not see all others, and nobody else, alive, ready and in the ring."""
    ids = {member.id for member in members}
    wrong = []
    for member in members:
        seen = {
            id: f"{known.state.status}, {known.state.ring}"
            for id, known in member.membership.members.items()
            if id in ids or known.state.status != REMOVED
        }
        if seen != dict.fromkeys(seen.keys() | ids, "alive, ready"):
            wrong.append(f"unsettled: {member.id} sees {dict(sorted(seen.items()))}")
        elif set(member.ring.ids) != ids:
            wrong.append(f"ring: {member.id} has {member.ring.ids} for {sorted(ids)}")
    return wrong


def _note_ids(cell: Cell) -> None:
    """Has the results of this cell's `next_id` noted in the operation that asked for them."""
    plain, plain_async = cell.next_id, cell.next_id_async
    name = cell.soma_path

    def note(number: int) -> int:
        operation = RUNNING.get()
        if operation is not None:
            operation.ids.append((name, number))
        return number

    def next_id() -> int:
        return note(plain())

    async def next_id_async() -> int:
        return note(await plain_async())

    cell.next_id = next_id  # type: ignore[method-assign]  # of this object, in a simulation
    cell.next_id_async = next_id_async  # type: ignore[method-assign]


def _knows_of_expelled(member: Member) -> bool:
    """Whether somebody has been taken out of the ring, be it this node or another one."""
    return any(record.state.expelled for record in member.core.membership.members.values())
