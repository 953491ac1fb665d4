"""`every` and `after`: when they are due (plain decisions), and the trio loop that runs them."""

from __future__ import annotations

import math
from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import dataclass, field
from inspect import iscoroutinefunction
from typing import TYPE_CHECKING, NamedTuple, Protocol

from . import limits
from .errors import DEPOSED, SomaError
from .spec import TimerInfo
from .tracing import locate

if TYPE_CHECKING:
    from .app import App
    from .cell import Cell

Log = Callable[[str], None]

RETRY_MS = 500
"""How soon an `after` that another node may yet have to run is looked at again."""


class Tick(NamedTuple):
    """One run of a schedule in a cell with consensus: when it was due (ms since the epoch), in
    which term of leadership it runs, and which due time had been served last when that was decided
    (0: none; -1: it does not matter)."""

    schedule: str
    due: int
    term: int
    since: int = -1


class Verdict(NamedTuple):
    """What to do about a timer that is due: run it or not, and in how many milliseconds to look
    again (None: as the timer says; -1: never)."""

    run: bool
    tick: Tick | None = None
    then: int | None = None


RUN = Verdict(run=True)
SKIP = Verdict(run=False)
LATER = Verdict(run=False, then=RETRY_MS)


class Gate(Protocol):
    """Who may run timers: in a cluster not every node."""

    def judge(self, timer: Timer) -> Verdict:
        """What to do about a timer whose time has come."""

    def finished(self, timer: Timer) -> None:
        """A block has run here."""


TICK: ContextVar[Tick | None] = ContextVar("somart_tick", default=None)
"""The tick that is running, for the engine that commits it."""


@dataclass(slots=True, eq=False)
class Timer:
    """One block of one cell; `due` is None while it runs and once an `after` has run."""

    cell: Cell
    info: TimerInfo
    name: str = ""
    due: float | None = None


@dataclass(slots=True)
class Schedule:
    """Which timers are due at a time in seconds. Fixed delay: no overlap, no catching up."""

    timers: list[Timer] = field(default_factory=list)

    def start(self, now: float) -> None:
        """Counts all intervals and delays from now."""
        for timer in self.timers:
            timer.due = now + timer.info.milliseconds / 1000

    def take_due(self, now: float) -> list[Timer]:
        """The timers to run now, in the order in which they were declared; each only once."""
        due = [timer for timer in self.timers if timer.due is not None and timer.due <= now]
        for timer in due:
            timer.due = None
        return due

    def finished(self, timer: Timer, now: float, then: int | None = None) -> None:
        """A block has ended: an `every` is due again one interval later, or after `then` ms."""
        if then is not None:
            timer.due = now + then / 1000
        elif timer.info.kind == "every":
            timer.due = now + timer.info.milliseconds / 1000

    def next_due(self) -> float | None:
        """The time to wake at, if any timer waits."""
        return min((timer.due for timer in self.timers if timer.due is not None), default=None)


def schedule_of(app: App) -> Schedule:
    """All blocks of top-level live cells, in source order."""
    live = set(app.spec.live)
    cells = [cell for cell in app.top_level if type(cell) in live]
    return Schedule(
        [
            Timer(cell, info, f"{cell.soma_path}.{info.method}")
            for cell in cells
            for info in cell.soma_timers
        ]
    )


async def run_timers(app: App, log: Log, gate: Gate | None = None) -> None:
    """Runs the program's timers, and sweeps expired entries, until it is cancelled."""
    import trio

    schedule = schedule_of(app)
    for timer in schedule.timers:
        log(f"scheduler: {timer.info.kind} {timer.info.milliseconds}ms [{timer.cell.soma_name}]")
    schedule.start(trio.current_time())
    changed = trio.Event()

    async def tick(timer: Timer) -> None:
        nonlocal changed
        verdict = RUN if gate is None else gate.judge(timer)
        if verdict.run:
            await run_tick(app, timer, log, verdict.tick)
            if gate is not None:
                gate.finished(timer)
        schedule.finished(timer, trio.current_time(), verdict.then)
        changed.set()
        changed = trio.Event()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(_sweep, app)
        while True:
            for timer in schedule.take_due(trio.current_time()):
                nursery.start_soon(tick, timer)
            due = schedule.next_due()
            with trio.move_on_at(math.inf if due is None else due):
                await changed.wait()


async def run_tick(app: App, timer: Timer, log: Log, tick: Tick | None = None) -> None:
    """Runs one block as a transaction of its cell; an error is logged, nothing more."""
    body = getattr(timer.cell, timer.info.method)
    token = TICK.set(tick)
    try:
        await app.run(timer.cell, iscoroutinefunction(body), body)
    except SomaError as error:
        if error.kind == DEPOSED:  # another node has served this due time
            return
        name = timer.cell.soma_name
        if timer.info.kind == "every":
            log(f"[scheduler] error: {error}")
            log(f"[scheduler:{name}] tick error: {error}")
        else:
            log(f"[after:{name}] error: {error}")
        place = locate(error, app.spec.source_map)
        if place is not None:
            log(f"  at {place.file}:{place.line}:{place.column}: {place.text.strip()}")
    finally:
        TICK.reset(token)


async def _sweep(app: App) -> None:
    import trio

    while True:
        await trio.sleep(limits.SWEEP_SECONDS)
        app.engine.sweep()
