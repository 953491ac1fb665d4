"""The clocks of a simulated machine: its rate may be off, its wall clock wrong or set anew."""

from __future__ import annotations

from .world import EPOCH_MS, World

_PER_MILLION = 1_000_000


class NodeClock:
    """A `cluster.clocks.Clock` under virtual time.

    `skew` is by how many ms the wall clock is wrong at first; `drift` by how many millionths both
    clocks run too fast (quartz: up to about ±100; tests take more).
    """

    def __init__(self, world: World, skew: int = 0, drift: int = 0) -> None:
        self._world = world
        self._skew = skew
        self._drift = drift
        self._since = 0  # when the rate last changed
        self._elapsed = 0  # by this machine's count, at that time

    def monotonic(self) -> int:
        passed = self._world.now - self._since
        return self._elapsed + passed + passed * self._drift // _PER_MILLION

    def wall(self) -> int:
        return EPOCH_MS + self.monotonic() + self._skew

    def jump(self, by: int) -> None:
        """The wall clock is set forwards, or backwards."""
        self._skew += by

    def set_drift(self, drift: int) -> None:
        """The rate changes; neither clock jumps."""
        self._elapsed, self._since = self.monotonic(), self._world.now
        self._drift = drift
