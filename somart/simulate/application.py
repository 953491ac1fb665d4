"""A program on a simulated machine: the app and its engine, with the disk's time made virtual."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import trio

from ..app import App
from ..engines.standalone import StandaloneEngine
from ..errors import SomaError
from ..spec import ProgramSpec
from ..std.clock import format_date
from ..tape import Tape
from ..timers import Gate
from ..values import Value
from .history import ERROR, OK, RUNNING, UNKNOWN, Operation
from .machine import Birth, Machine

if TYPE_CHECKING:
    from ..cluster.messages import Message
    from ..cluster.outputs import Output

FOLDER = Path("data")


class VirtualTape(Tape):
    """What handlers take from outside: the time of the machine's clock."""

    def __init__(self, machine: Machine) -> None:
        super().__init__()
        self._machine = machine

    def take(self, name: str, draw: Callable[[], Any]) -> Any:
        wall = self._machine.clock.wall()
        match name:
            case "now":
                return wall // 1000
            case "now_ms":
                return wall
            case "today":
                return format_date(wall // 1000)
        return draw()  # `random`: `repeatable` has seeded its generator


class OnSimulatedDisk(StandaloneEngine):
    """What becomes of an engine on a simulated disk: commits that come together are written
    together, take their time, and are kept or lost as a whole when the node dies meanwhile."""

    _machine: Machine
    _life: int

    def place(self, machine: Machine) -> None:
        """Puts the engine on a machine, before it is opened."""
        self._machine = machine
        self._life = machine.life
        self._storing = False
        self._waiters = trio.lowlevel.ParkingLot()
        self.undoing = False
        """A commit has failed, and memory goes back to what is stored."""

    @property
    def idle(self) -> bool:
        """Whether all that was committed is stored."""
        return not (self._queue.waiting or self._queue.writing)

    def _enqueue(self, changes: Any, undo: Any) -> int:
        ticket = super()._enqueue(changes, undo)
        if not self._storing:
            self._storing = True
            self._machine.world.after(0, self._begin_write)
        return ticket

    def _begin_write(self) -> None:
        if self._machine.life != self._life or not self._queue.waiting:
            self._storing = False
            return
        batch, changes = self._take_batch(), {}
        for commit in batch:
            changes.update(commit.changes)
        disk = self._machine.disk
        disk.begin(changes)
        written = partial(self._written, batch)
        self._machine.world.after(disk.latency(), lambda: self._machine.do(lambda _: written()))

    def _written(self, batch: Any) -> None:
        if self._machine.life == self._life:
            if self._queue.writing is batch:  # `flush` has not been quicker
                self._settle(batch, self._write(batch))
            self._begin_write()

    def _settle(self, batch: Any, failure: SomaError | None) -> None:
        self.undoing = failure is not None
        super()._settle(batch, failure)
        self.undoing = False
        self._waiters.unpark_all()

    def flush(self) -> None:
        """Writes at once, also what was under way: at the start of a node, and at its end."""
        if self._queue.writing:
            self._settle(self._queue.writing, self._write(self._queue.writing))
        super().flush()

    async def _settling(self, ticket: int) -> None:
        while ticket > self._settled:
            await self._waiters.park()


class SimulatedEngine(OnSimulatedDisk):
    """The engine of a single node."""

    def __init__(self, machine: Machine) -> None:
        super().__init__(
            FOLDER,
            clock=machine.clock.wall,
            database_factory=lambda folder, key_file: machine.disk.open(),
        )
        self.place(machine)


class Application:
    """A process without a cluster: the program alone, as after `serve` without `--join`."""

    def __init__(self, birth: Birth, spec: ProgramSpec) -> None:
        self.id = birth.machine.name
        self.machine = birth.machine
        self.app = self._open(birth, spec)
        self.tape = VirtualTape(birth.machine)

    @property
    def gate(self) -> Gate | None:
        """Who may run timers; None: this node, always."""
        return None

    def _open(self, birth: Birth, spec: ProgramSpec) -> App:
        return (spec.app_class or App)(spec, SimulatedEngine(birth.machine))

    async def call(self, operation: Operation) -> None:
        """Carries out a client's call and notes its answer."""
        RUNNING.set(operation)
        with self.tape.running():
            status, result = await self._invoke(operation)
        operation.end(self.machine.world.now, status, result)

    async def _invoke(self, operation: Operation) -> tuple[str, Value]:
        try:
            return OK, await self.app.invoke(
                operation.cell, operation.handler, list(operation.args)
            )
        except SomaError as error:
            return UNKNOWN if error.definite is False else ERROR, str(error)

    # --- the process -----------------------------------------------------------------------------

    boot = ""

    def admit(self, peer: str, boot: str) -> str:
        return ""

    def link_up(self, peer: str, dialled: str = "") -> None:
        pass

    def link_down(self, peer: str) -> None:
        pass

    def receive(self, peer: str, message: Message) -> None:
        pass

    def tick(self) -> None:
        pass

    def due(self) -> int | None:
        return None

    def leave(self, for_good: bool = False) -> None:
        pass

    def staying(self) -> str:
        return ""

    def departure(self) -> Callable[[], bool]:
        return lambda: True

    def take(self) -> Iterable[Output]:
        return ()

    def stop(self) -> None:
        self.app.events.close()
