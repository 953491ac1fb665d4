"""Which node runs an `every` or `after` block, and what keeps a deposed one from doing harm.

Cells with consensus: the leader of the log. Each tick names its due time, its term, and the due
time that it follows. When it is applied it is refused if another one has been served since, or if a
later term has begun to serve: one effect per due time, in any partition, and an `after` runs once
whoever else thought that it was to run. Due times are the multiples of the interval since the
epoch, so that all leaders mean the same ones; a new leader makes up those that were missed,
`CATCH_UP_MS` back at most (the last one in any case).

Other cells with `scale`: the lowest live id, in a node's own view (paper 4.1); in a partition each
side has one. Cells without `scale` run their blocks on every node: their memory is the node's own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..engines.consensus import ConsensusEngine
from ..timers import LATER, RETRY_MS, RUN, SKIP, Tick, Timer, Verdict
from .clocks import Clock
from .core import ClusterCore

if TYPE_CHECKING:
    from ..spec import ScaleSpec

CATCH_UP_MS = 60_000
"""How far back a new leader makes up ticks that nobody has run; the last one in any case."""


def next_due(last: int, now: int, interval: int) -> int:
    """The due time after the one that was served last (0: none was), in ms since the epoch."""
    latest = now // interval * interval
    if not last:
        return latest
    due = (last // interval + 1) * interval
    if due <= now - CATCH_UP_MS:
        due = min(latest, ((now - CATCH_UP_MS) // interval + 1) * interval)
    return due


class Leadership:
    """The gate through which a node's timers go (`timers.Gate`)."""

    def __init__(self, core: ClusterCore, engine: ConsensusEngine, clock: Clock) -> None:
        self._core = core
        self._engine = engine
        self._clock = clock
        self._started = clock.wall()

    def judge(self, timer: Timer) -> Verdict:
        """What to do about a timer whose time has come here."""
        scale: ScaleSpec | None = type(timer.cell).soma_scale
        if scale is None:
            return RUN
        if scale.consistency == "strong":
            return self._judge_fenced(timer)
        schedules = self._core.schedules
        if timer.info.kind == "every":
            return RUN if schedules.leads else SKIP
        return self._judge_after(timer)

    def _judge_after(self, timer: Timer) -> Verdict:
        schedules = self._core.schedules
        if schedules.after_due(timer.name):
            return RUN
        if timer.name in schedules.taken_over():
            return RUN
        return SKIP if schedules.has_run(timer.name) else LATER

    def _judge_fenced(self, timer: Timer) -> Verdict:
        fence = self._engine.fence()
        if fence is None:
            return LATER
        now = self._clock.wall()
        last, _ = fence.ticks.get(timer.name, (0, 0))
        term = fence.term
        if timer.info.kind == "after":
            if last >= self._started:
                return SKIP
            if not fence.leads:
                return LATER
            return Verdict(run=True, tick=Tick(timer.name, max(now, last + 1), term, last))
        if not fence.leads:
            return Verdict(run=False, then=min(RETRY_MS, timer.info.milliseconds))
        interval = max(1, timer.info.milliseconds)
        due = next_due(last, now, interval)
        if due > now:
            return Verdict(run=False, then=due - now)
        tick = Tick(timer.name, due, term, last)
        return Verdict(run=True, tick=tick, then=max(0, due + interval - now))

    def finished(self, timer: Timer) -> None:
        """A block has run here: others need not run an `after`."""
        scale = type(timer.cell).soma_scale
        if timer.info.kind == "after" and scale is not None and scale.consistency != "strong":
            message = self._core.schedules.after_ran(timer.name)
            for peer in sorted(self._core.context.linked):
                self._core.context.send(peer, message)
            self._core.context.wake()
