"""What a sans-I/O part has to do at which time: a heap, so that a tick costs what is due."""

from __future__ import annotations

from collections.abc import Callable
from heapq import heappop, heappush

Action = Callable[[str], None]


class Agenda:
    """Actions by time (ms), each with the id or address that it is about. Nothing is cancelled: an
    action looks whether it still applies."""

    def __init__(self) -> None:
        self._heap: list[tuple[int, int, Action, str]] = []
        self._count = 0

    def add(self, at: int, action: Action, about: str = "") -> None:
        """Lets `action(about)` run at the first `run` from `at` on, after what was added before."""
        self._count += 1
        heappush(self._heap, (at, self._count, action, about))

    def run(self, now: int) -> None:
        """Runs what is due, in the order of its time."""
        while self._heap and self._heap[0][0] <= now:
            _, _, action, about = heappop(self._heap)
            action(about)

    def due(self) -> int | None:
        """When `run` has something to do next; None: never."""
        return self._heap[0][0] if self._heap else None
