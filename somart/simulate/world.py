"""Virtual time: one heap of events, one seed, nothing else decides.

A discrete-event simulation in the manner of FoundationDB's (Zhou and others, SIGMOD 2021, §4): all
that would be concurrent or random is an event of this heap or a draw from a named stream of the
seed, so that a run can be repeated to the byte.
"""

from __future__ import annotations

from collections.abc import Callable
from heapq import heappop, heappush
from random import Random
from typing import Any, NamedTuple

EPOCH_MS = 1_767_225_600_000
"""What a right clock shows when a simulation begins (2026-01-01, UTC)."""


class Traced(NamedTuple):
    """Something that happened: at which millisecond, to which node, and what. `detail` is told only
    when the trace is shown, since most traces never are."""

    at: int
    node: str
    event: str
    detail: Any = ""

    def __str__(self) -> str:
        return f"{self.at:>8}  {self.node:<4} {self.event:<10} {self.detail}"


class Timer:
    """An event to come; `cancel` makes it not happen."""

    __slots__ = ("action",)

    def __init__(self, action: Callable[[], None]) -> None:
        self.action: Callable[[], None] | None = action

    def cancel(self) -> None:
        self.action = None


class World:
    """The heap, the time in milliseconds since the beginning, the streams and the trace."""

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self.now = 0
        self.trace: list[Traced] = []
        self._heap: list[tuple[int, int, Timer]] = []
        self._sequence = 0

    def stream(self, name: str) -> Random:
        """A generator of its own for one purpose: what others draw does not disturb it, so that a
        fault can be left out without changing everything after it."""
        return Random(f"{self.seed}/{name}")

    def after(self, delay: int, action: Callable[[], None]) -> Timer:
        """Runs an action in `delay` ms (0: after all that is due now)."""
        timer = Timer(action)
        self._sequence += 1
        heappush(self._heap, (self.now + delay, self._sequence, timer))
        return timer

    def next_at(self) -> int | None:
        """When the next event happens, if there is one."""
        heap = self._heap
        while heap and heap[0][2].action is None:
            heappop(heap)
        return heap[0][0] if heap else None

    def step(self) -> None:
        """Lets the next event happen. Raises IndexError when there is none."""
        at, _, timer = heappop(self._heap)
        action = timer.action
        if action is not None:
            self.now = at
            action()

    def note(self, node: str, event: str, detail: Any = "") -> None:
        """Adds to the trace."""
        self.trace.append(Traced(self.now, node, event, detail))
