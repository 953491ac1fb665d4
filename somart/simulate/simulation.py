"""One run: machines, faults and a workload in one world, from a seed to a verdict."""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Protocol

import trio

from ..cluster.config import ClusterConfig
from . import faults as weather
from .faults import Fault
from .history import Operation
from .machine import Factory, Machine
from .network import Network
from .scheduling import WorldClock, next_deadline, repeatable, settle
from .world import Traced, World

MINUTE = 60_000
QUIET_MS = 150_000
"""The last part of a run, in which nothing is wrong any more and replicas must become equal."""
POLL_MS = 2_000
START_SPREAD_MS = 3_000
BURST = 0.75
"""Part of the calls that come right after another one: conflicts need company."""
BURST_MS = 6
NEAR = 0.5
"""Part of the others that come when a fault begins or ends: what is under way then is cut."""
NEAR_MS = 1_000
"""At most so long before or after, mostly much less."""


@dataclass(frozen=True)
class Settings:
    """What determines a run, with the program: the same settings give the same run.

    `faults` are names of `faults.KINDS`. `only` keeps some of the faults and calls, by number, and
    leaves out the others; None keeps all.
    """

    nodes: int = 5
    seed: int = 1
    minutes: float = 10.0
    faults: tuple[str, ...] = ()
    calls: int = 200
    only_faults: frozenset[int] | None = None
    only_calls: frozenset[int] | None = None
    config: ClusterConfig = field(default_factory=ClusterConfig)

    @property
    def end(self) -> int:
        """Of the run, in ms."""
        return int(self.minutes * MINUTE)

    @property
    def healing(self) -> int:
        """When faults and calls stop."""
        return max(self.end // 2, self.end - QUIET_MS)


@dataclass(frozen=True)
class Failure:
    """A broken promise: when it was seen, on which node (empty: all), and what."""

    at: int
    node: str
    text: str

    @property
    def kind(self) -> str:
        """What the sentence begins with: `lost write`, `misplaced`, the name of an exception …"""
        return self.text.partition(":")[0]

    def __str__(self) -> str:
        place = f" {self.node}:" if self.node else ""
        return f"{self.at / 1000:.3f} s:{place} {self.text}"


@dataclass
class Outcome:
    """What came of a run."""

    settings: Settings
    failures: list[Failure]
    trace: list[Traced]
    faults: tuple[Fault, ...]
    calls: dict[str, int]
    messages: int
    bytes: int
    healed_ms: int
    """From the end of the faults until all checks held."""
    names: tuple[str, ...] = ()
    """Of the machines, those that came later included."""
    operations: Sequence[Operation] = ()
    """What clients asked for and were told, where the workload keeps that."""

    @property
    def passed(self) -> bool:
        return not self.failures

    def digest(self) -> str:
        """A fingerprint of all that happened: equal for equal runs."""
        hashed = hashlib.sha256()
        for line in self.trace:
            hashed.update(str(line).encode())
        hashed.update(repr(self.failures).encode())
        return hashed.hexdigest()


class Workload(Protocol):
    """Clients of the cluster, and what they may expect of it."""

    calls: dict[str, int]
    """How many calls ended how: ok, error, unknown …"""

    def begin(self, simulation: Simulation) -> None:
        """All machines are there, none has started."""

    def call(self, number: int) -> None:
        """A client begins the call with this number; its draws come from a stream of its own."""

    def look(self) -> Sequence[str]:
        """What is wrong now, checked every now and then while things go wrong."""

    def verdict(self) -> Sequence[str]:
        """What is not yet as it must be, asked when nothing has been wrong for a while."""

    def may_wipe(self, machine: Machine) -> bool: ...


def faults_of(settings: Settings) -> tuple[Fault, ...]:
    """All faults that the seed draws, also those that are left out."""
    rng = World(settings.seed).stream("faults")
    return weather.draw(rng, settings.faults, settings.nodes, settings.healing)


class Simulation:
    """The site of a run. `seeds` of the machines: all dial the first one, as `--join` does."""

    def __init__(self, settings: Settings, factory: Factory, workload: Workload) -> None:
        self.settings = settings
        self.world = World(settings.seed)
        self.network = Network(self.world, settings.config)
        self.workload = workload
        self._drawn = faults_of(settings)
        only = settings.only_faults
        self.faults = tuple(f for f in self._drawn if only is None or f.number in only)
        self.machines = self._make_machines(factory)
        self.failures: list[Failure] = []
        self._nursery: trio.Nursery | None = None
        self._running = 0
        self._wake: float | None = None
        self._said: set[str] = set()

    def _make_machines(self, factory: Factory) -> tuple[Machine, ...]:
        """Those of the beginning, and those that are to come."""
        first: tuple[str, ...] = ()
        machines: list[Machine] = []
        for number in range(weather.machines_of(self._drawn, self.settings.nodes)):
            name, config = f"n{number + 1}", self.settings.config
            machine = Machine(name, self.world, self.network, config, factory, first)
            machine.enlisted = number < self.settings.nodes
            first = first or (machine.address,)
            machines.append(machine)
        return tuple(machines)

    def present(self) -> list[Machine]:
        """The machines that belong to the cluster now, also those that are down."""
        return [machine for machine in self.machines if machine.enlisted]

    def may_wipe(self, machine: Machine) -> bool:
        return self.workload.may_wipe(machine)

    def fail(self, text: str, node: str = "") -> None:
        """Notes a broken promise, each once."""
        if text not in self._said:
            self._said.add(text)
            self.world.note(node, "FAILURE", text)
            self.failures.append(Failure(self.world.now, node, text))

    # --- tasks -----------------------------------------------------------------------------------

    def spawn(self, machine: Machine, task: Callable[[], Awaitable[None]]) -> None:
        """Runs a task that ends with the present life of a machine, if not before."""
        assert self._nursery is not None
        scope = trio.CancelScope()
        machine.died.append(scope.cancel)
        self._running += 1
        machine.busy += 1
        self._nursery.start_soon(self._run_task, machine, scope, task)

    async def _run_task(
        self, machine: Machine, scope: trio.CancelScope, task: Callable[[], Awaitable[None]]
    ) -> None:
        try:
            with scope:
                await task()
        except Exception as error:
            machine.broken(error)
        finally:
            self._running -= 1
            machine.busy -= 1
            if scope.cancel in machine.died:
                machine.died.remove(scope.cancel)

    async def _advance(self, until: int) -> None:
        """Lets all events up to a time happen, and the tasks that they wake."""
        world = self.world
        while (at := world.next_at()) is not None and at <= until:
            world.step()
            if self._running:
                await settle()
                self._mind_sleepers()
        world.now = max(world.now, until)

    def _mind_sleepers(self) -> None:
        """A task that sleeps needs an event at which time stands still for it."""
        seconds = next_deadline()
        if seconds != float("inf"):
            wake = self.world.now + max(1, int(seconds * 1000 + 0.999))
            if self._wake is None or not self.world.now < self._wake <= wake:
                self._wake = wake
                self.world.after(wake - self.world.now, lambda: None)

    # --- the run ---------------------------------------------------------------------------------

    async def run(self) -> Outcome:
        """The whole run, inside trio."""
        async with trio.open_nursery() as nursery:
            self._nursery = nursery
            healed = await self._play()
            nursery.cancel_scope.cancel()
        return Outcome(
            self.settings,
            self.failures,
            self.world.trace,
            self.faults,
            self.workload.calls,
            self.network.messages,
            self.network.bytes,
            healed,
            tuple(machine.name for machine in self.machines),
        )

    async def _play(self) -> int:
        self._schedule()
        settings = self.settings
        while self.world.now < settings.healing and not self.failures:
            await self._advance(min(settings.healing, self.world.now + POLL_MS))
            for text in self.workload.look():
                self.fail(text)
        self.world.note("", "healed")
        weather.heal(self)
        await self._converge()
        return self.world.now - settings.healing

    async def _converge(self) -> None:
        """Until nothing is left to complain of, or time is up."""
        left: Sequence[str] = ()
        while not self.failures and self.world.now < self.settings.end:
            await self._advance(self.world.now + POLL_MS)
            for text in self.workload.look():
                self.fail(text)
            left = self.workload.verdict()
            if not left:
                return
        for text in left:
            self.fail(text)

    def _schedule(self) -> None:
        self.workload.begin(self)
        starts = self.world.stream("starts")
        for number, machine in enumerate(self.machines):
            machine.complain = self.fail
            delay = 0 if number == 0 else starts.randrange(START_SPREAD_MS)
            self.world.after(delay, machine.start)
        for fault in self.faults:
            self.world.after(fault.at, partial(self._begin, fault))
        self._schedule_calls()

    def _begin(self, fault: Fault) -> None:
        kind = weather.KINDS[fault.kind]
        self.world.note("", "fault", fault)
        kind.begin(self, fault)
        self.world.after(fault.lasts, partial(self._over, fault))

    def _over(self, fault: Fault) -> None:
        if self.world.now < self.settings.healing:
            self.world.note("", "fault over", f"f{fault.number} {fault.kind}")
            weather.KINDS[fault.kind].end(self, fault)

    def _schedule_calls(self) -> None:
        settings, rng = self.settings, self.world.stream("calls")
        last = settings.healing
        first = at = min(5_000, max(START_SPREAD_MS, last // 10), last // 2)
        moments = [m for fault in self._drawn for m in (fault.at, fault.at + fault.lasts)]
        for number in range(settings.calls):
            if rng.random() < BURST:
                at = min(last - 1, at + int(rng.expovariate(1 / BURST_MS)))
            elif moments and rng.random() < NEAR:
                at = rng.choice(moments) + int(rng.choice((-1, 1)) * NEAR_MS ** rng.random())
                at = min(last - 1, max(first, at))
            else:
                at = rng.randrange(first, last)
            if settings.only_calls is None or number in settings.only_calls:
                self.world.after(at, partial(self.workload.call, number))


def simulate(settings: Settings, factory: Factory, workload: Workload) -> Outcome:
    """Runs a simulation to its end. Raises KeyError for an unknown kind of fault."""
    simulation = Simulation(settings, factory, workload)
    with repeatable(settings.seed):
        return trio.run(simulation.run, clock=WorldClock(simulation.world))


def without(settings: Settings, faults: frozenset[int], calls: frozenset[int]) -> Settings:
    """The same run with these faults and calls only."""
    return replace(settings, only_faults=faults, only_calls=calls)
