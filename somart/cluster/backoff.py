"""How long to wait between two attempts to reach somebody."""

from __future__ import annotations

from random import Random

from .config import ClusterConfig


class Backoff:
    """Pauses in seconds: each twice the one before, up to a bound, less up to half by chance.

    The chance keeps many nodes from knocking in step at one that has just come back.
    """

    def __init__(self, config: ClusterConfig, rng: Random) -> None:
        self._first = config.dial_first_ms
        self._most = config.dial_most_ms
        self._rng = rng
        self._next = self._first

    def reset(self) -> None:
        """The last attempt succeeded."""
        self._next = self._first

    def pause(self) -> float:
        """The next pause."""
        whole = self._next
        self._next = min(whole * 2, self._most)
        return whole * (1 - self._rng.random() / 2) / 1000
