"""A log that nobody can flood from outside: some lines at a time, then only how many there were."""

from __future__ import annotations

from collections.abc import Callable

from .clocks import Clock

LINES = 20
INTERVAL_MS = 10_000


class Complaints:
    """Passes on `LINES` lines in `INTERVAL_MS`, and counts the rest."""

    def __init__(self, clock: Clock, log: Callable[[str], None]) -> None:
        self._clock = clock
        self._log = log
        self._began = clock.monotonic()
        self._said = self._withheld = 0

    def say(self, line: str) -> None:
        """A line, if there have not been too many lately."""
        now = self._clock.monotonic()
        if now - self._began >= INTERVAL_MS:
            if self._withheld:
                self._log(f"bus: {self._withheld} more lines like these were left out")
            self._began = now
            self._said = self._withheld = 0
        if self._said < LINES:
            self._said += 1
            self._log(line)
        else:
            self._withheld += 1
