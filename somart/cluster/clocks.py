"""The two clocks that the cluster is handed: one never goes back, one may be wrong."""

from __future__ import annotations

import time
from typing import Protocol


class Clock(Protocol):
    """Milliseconds, as integers."""

    def monotonic(self) -> int:
        """For intervals: never goes back, has no date."""

    def wall(self) -> int:
        """Since the epoch, as far as this machine knows; may jump."""


class SystemClock:
    """The clocks of this machine."""

    def monotonic(self) -> int:
        return time.monotonic_ns() // 1_000_000

    def wall(self) -> int:
        return time.time_ns() // 1_000_000
