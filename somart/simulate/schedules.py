"""`every` and `after` blocks of a simulated node: due by the machine's clock, let through by the
production gate, and never while the node stands still."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from ..app import App
from ..tape import Tape
from ..timers import RUN, Gate, Schedule, Tick, Timer, run_tick, schedule_of
from . import world
from .machine import Machine

Spawn = Callable[[Machine, Callable[[], Awaitable[None]]], None]


class Schedules:
    """The timers of one life. `ticked` hears of each block that runs: the node and its name."""

    def __init__(
        self,
        machine: Machine,
        app: App,
        gate: Gate | None,
        tape: Tape,
        spawn: Spawn,
        ticked: Callable[[str, str], None],
    ) -> None:
        self._ticked = ticked
        self._machine = machine
        self._app = app
        self._gate = gate
        self._tape = tape
        self._spawn = spawn
        self._life = machine.life
        self._timer: world.Timer | None = None
        self._schedule: Schedule = schedule_of(app)
        self._schedule.start(self._now())
        self._wait()

    def _now(self) -> float:
        return self._machine.clock.monotonic() / 1000

    def _wait(self) -> None:
        due = self._schedule.next_due()
        if self._timer is not None:
            self._timer.cancel()
        if due is not None:
            delay = max(1, int((due - self._now()) * 1000) + 1)
            self._timer = self._machine.world.after(delay, self._wake)

    def _wake(self) -> None:
        if self._machine.life == self._life:
            self._machine.do(lambda _: self._run_due())

    def _run_due(self) -> None:
        for timer in self._schedule.take_due(self._now()):
            verdict = RUN if self._gate is None else self._gate.judge(timer)
            if verdict.run:
                self._run(timer, verdict.tick, verdict.then)
            else:
                self._schedule.finished(timer, self._now(), verdict.then)
        self._wait()

    def _run(self, timer: Timer, tick: Tick | None, then: int | None) -> None:
        machine, name = self._machine, timer.name

        def log(line: str) -> None:
            machine.world.note(machine.name, "log", line)

        async def run() -> None:
            with self._tape.running():
                await run_tick(self._app, timer, log, tick)
            if self._gate is not None:
                self._gate.finished(timer)
            self._schedule.finished(timer, self._now(), then)
            self._wait()
            machine.drain()

        machine.world.note(machine.name, "tick", name)
        self._ticked(machine.name, name)
        self._spawn(machine, run)
