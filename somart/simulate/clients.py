"""Clients that call a program's handlers at random, on random nodes, and what they may expect."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import TYPE_CHECKING, Any, Protocol

from ..app import App
from ..spec import ProgramSpec
from ..values import Value
from .arguments import Arguments, Pool
from .history import ERROR, OK, UNKNOWN, Operation
from .lifecycle import AllRules, Observer
from .machine import Machine
from .schedules import Schedules

if TYPE_CHECKING:
    from .simulation import Simulation

PATIENCE_MS = 30_000
"""A client that has no answer by then gives up; its call may still take effect."""
WINDOW = 12
"""Calls with consecutive numbers share names that are not used later: what went wrong with a key
is not overwritten."""
TRIES = 3
"""How many nodes a client knows, at most: it turns to the next when it cannot connect."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A handler that clients call; `types` are those of its parameters, as written."""

    cell: str
    handler: str
    types: tuple[str, ...] = ()


class Called(Protocol):
    """What clients need of a process."""

    app: App

    async def call(self, operation: Operation) -> None: ...


class Clients:
    """The part of a workload that calls handlers and keeps their history.

    `entries` are what may be called, a subclass may override `choose`.
    """

    def __init__(
        self, spec: ProgramSpec, entries: Sequence[Entry], rules: AllRules | None = None
    ) -> None:
        self.spec = spec
        self.entries = list(entries)
        self.calls: dict[str, int] = {OK: 0, ERROR: 0, UNKNOWN: 0, "refused": 0}
        self.operations: list[Operation] = []
        self.ticks: list[tuple[int, str, str]] = []
        """When which node ran which block."""
        self.pool = Pool()
        self.observer = Observer(rules or {})
        self._arguments = Arguments(spec.variants, self.pool)

    def begin(self, simulation: Simulation) -> None:
        """The machines are there, and none has started."""
        self.simulation = simulation
        for machine in simulation.machines:
            machine.born.append(self._born)

    def _born(self, machine: Machine) -> None:
        process: Any = machine.process
        self.observer.watch(machine, process.app, self._observed)
        spawn = self.simulation.spawn
        Schedules(machine, process.app, process.gate, process.tape, spawn, self.ticked)

    def ticked(self, node: str, timer: str) -> None:
        """An `every` or `after` block runs on a node."""
        self.ticks.append((self.simulation.world.now, node, timer))

    def _observed(self, node: str, sentence: str) -> None:
        self.simulation.fail(sentence, node)

    # --- calls -----------------------------------------------------------------------------------

    def call(self, number: int) -> None:
        """A client calls a node; when it cannot connect it tries others, as a client does."""
        rng = self.simulation.world.stream(f"call/{number}")
        machines = self._order(rng, number)
        cell, handler, args = self.choose(rng, number)
        up = next((m for m in machines if m.process is not None and not m.stopping), None)
        if up is None:
            self.calls["refused"] += 1
            return
        now = self.simulation.world.now
        operation = Operation(number, up.name, cell, handler, tuple(args), now)
        self.operations.append(operation)
        self.send(up, operation)

    def _order(self, rng: Random, number: int) -> list[Machine]:
        machines = self.simulation.present()
        return rng.sample(machines, min(rng.randint(1, TRIES), len(machines)))

    def choose(self, rng: Random, number: int) -> tuple[str, str, Sequence[Value]]:
        """What is called with the given number: cell, handler, arguments."""
        entry = rng.choice(self.entries)
        window = number // WINDOW
        args = [self._arguments.draw(rng, text, window) for text in entry.types]
        return entry.cell, entry.handler, args

    def send(self, machine: Machine, operation: Operation) -> None:
        """The call reaches a machine; a paused one takes it when it goes on."""
        self.simulation.world.note(machine.name, "call", operation)
        process: Any = machine.process
        called: Called = process

        async def run() -> None:
            await called.call(operation)
            machine.drain()
            self.ended(operation)

        machine.do(lambda _: self.simulation.spawn(machine, run))

    def ended(self, operation: Operation) -> None:
        """A call has been answered."""
        self.calls[operation.status] += 1
        self.simulation.world.note(operation.node, "answer", str(operation))
        if operation.status == OK:
            self.pool.learn(operation.result)

    # --- what is expected ------------------------------------------------------------------------

    def look(self) -> Sequence[str]:
        return self.observer.invariants(self.processes())

    def verdict(self) -> Sequence[str]:
        self.calls[UNKNOWN] = sum(operation.status == UNKNOWN for operation in self.operations)
        return ()

    def may_wipe(self, machine: Machine) -> bool:
        return False

    def processes(self) -> list[Any]:
        """Those that live, by machine."""
        machines = self.simulation.machines
        return [machine.process for machine in machines if machine.process is not None]


def entries_of(
    spec: ProgramSpec, types: Callable[[str, str], Sequence[str]], left_out: Iterable[str] = ()
) -> tuple[Entry, ...]:
    """All public handlers of live cells; `types` gives the parameter types of a cell's handler."""
    skipped = {"request", "ws", "event", *left_out}
    return tuple(
        Entry(cell.soma_name, info.name, tuple(types(cell.soma_name, info.name)))
        for cell in spec.live
        for info in cell.soma_handlers.values()
        if not info.private and info.name not in skipped
    )


def signatures(known: Mapping[tuple[str, str], Sequence[str]]) -> Callable[[str, str], list[str]]:
    """Parameter types by cell and handler, as `entries_of` wants them."""
    return lambda cell, handler: list(known[cell, handler])
