"""trio inside a simulation: its clock is the world's, and its scheduler is made repeatable.

Handlers that wait are trio tasks. trio shuffles runnable tasks on purpose; a simulation seeds that,
by the switch that trio has for Hypothesis. Only the simulator ever touches it.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager
from math import inf
from typing import Any

import trio
from trio._core import _run as _scheduler
from trio.testing import wait_all_tasks_blocked

from ..std.randomness import generator as handlers
from .world import World


class WorldClock(trio.abc.Clock):
    """trio's deadlines in seconds of virtual time; it never waits in real time."""

    def __init__(self, world: World) -> None:
        self._world = world

    def start_clock(self) -> None:
        pass

    def current_time(self) -> float:
        return self._world.now / 1000

    def deadline_to_sleep_time(self, deadline: float) -> float:
        return 0 if deadline <= self.current_time() else inf


@contextmanager
def repeatable(seed: int) -> Iterator[None]:
    """Within the block, trio schedules by the seed alone, and so do the draws of handlers
    (`random`) and of tables (`evict(random)`)."""
    scheduler: Any = _scheduler
    generators: list[Any] = [scheduler._r, handlers, random]
    before = scheduler._ALLOW_DETERMINISTIC_SCHEDULING
    states = [generator.getstate() for generator in generators]
    scheduler._ALLOW_DETERMINISTIC_SCHEDULING = True
    for generator in generators:
        generator.seed(seed)
    try:
        yield
    finally:
        scheduler._ALLOW_DETERMINISTIC_SCHEDULING = before
        for generator, state in zip(generators, states, strict=True):
            generator.setstate(state)


async def settle() -> None:
    """Lets all other tasks run until each of them waits for something."""
    await wait_all_tasks_blocked()


def next_deadline() -> float:
    """In how many virtual seconds the next sleep of a task ends."""
    return trio.lowlevel.current_statistics().seconds_to_next_deadline
