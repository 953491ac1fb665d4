"""Runs of production nodes in virtual time that a test directs step by step."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Any

import trio

from somart.cluster.config import ClusterConfig
from somart.simulate.cluster_checks import ClusterClients
from somart.simulate.history import Operation
from somart.simulate.machine import Machine
from somart.simulate.member import Member
from somart.simulate.scheduling import WorldClock, repeatable
from somart.simulate.simulation import Settings, Simulation
from somart.spec import ProgramSpec

STEP_MS = 100


class Stage(Simulation):
    """Machines that are all started at the beginning, and then do what the script says."""

    def __init__(
        self, spec: ProgramSpec, nodes: int, seed: int, config: ClusterConfig | None = None
    ) -> None:
        self.clients = ClusterClients(spec, ())
        settings = Settings(nodes=nodes, seed=seed, config=config or ClusterConfig())
        super().__init__(settings, partial(Member, spec=spec), self.clients)
        self.cell = spec.live[0].soma_name
        self.world.note = lambda *_: None  # type: ignore[method-assign]  # nobody reads it

    def direct(self, script: Callable[[Stage], Awaitable[None]]) -> None:
        """The whole run."""

        async def run() -> None:
            async with trio.open_nursery() as nursery:
                self._nursery = nursery
                self.clients.begin(self)
                for machine in self.machines:
                    machine.complain = self.fail
                    machine.start()
                await script(self)
                nursery.cancel_scope.cancel()

        with repeatable(self.settings.seed):
            trio.run(run, clock=WorldClock(self.world))

    # --- what scripts say ------------------------------------------------------------------------

    async def wait(self, milliseconds: int) -> None:
        await self._advance(self.world.now + milliseconds)
        assert not self.failures, self.failures

    async def until(self, condition: Callable[[], object], milliseconds: int = 60_000) -> None:
        end = self.world.now + milliseconds
        while not condition():
            assert self.world.now < end, "it did not happen in time"
            await self.wait(STEP_MS)

    def call(self, machine: Machine, handler: str, *args: Any) -> Operation:
        """A client's call, on its way."""
        number = len(self.clients.operations)
        operation = Operation(number, machine.name, self.cell, handler, args, self.world.now)
        self.clients.operations.append(operation)
        self.clients.send(machine, operation)
        return operation

    async def ask(self, machine: Machine, handler: str, *args: Any) -> Operation:
        """A client's call, answered."""
        operation = self.call(machine, handler, *args)
        await self.until(lambda: operation.ended >= 0)
        return operation

    # --- what they see ---------------------------------------------------------------------------

    @property
    def up(self) -> Sequence[Machine]:
        return [machine for machine in self.machines if machine.process is not None]

    def member(self, machine: Machine) -> Any:
        """The node that lives on a machine."""
        return machine.process

    def voters(self, machine: Machine) -> tuple[str, ...]:
        """Those that a node knows to vote; nobody while a change is under way."""
        raft = self.member(machine).engine.service.raft
        configuration = raft.configuration
        settled = not configuration.joint and raft.log.configured_at <= raft.commit
        return tuple(sorted(configuration.voters)) if settled else ()

    def leader(self) -> Machine | None:
        """Who leads in the latest term, as far as it knows."""
        leading = [m for m in self.up if self.member(m).engine.service.leads]
        return max(leading, key=lambda m: self.member(m).engine.service.raft.term, default=None)
