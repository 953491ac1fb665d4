"""Who runs `every` and `after`: the lowest live id, in a node's own view (paper 4.1).

In a partition each side has a leader, so both run their schedules; only consensus can fence that.
An `after` runs once: a node that comes to lead runs those that are due and that nobody has
announced.
"""

from __future__ import annotations

from collections.abc import Callable

from .messages import TimerRan


class Schedules:
    """The timers of one node. `leader` tells the id that leads now."""

    def __init__(self, me: str, leader: Callable[[], str]) -> None:
        self.me = me
        self._leader = leader
        self._was = False
        self._due: dict[str, bool] = {}
        self._ran: dict[str, bool] = {}
        self._running: dict[str, bool] = {}

    @property
    def leads(self) -> bool:
        """Whether this node runs `every` blocks now."""
        return self._leader() == self.me

    def after_due(self, timer: str) -> bool:
        """The time of an `after` has come on this node. True: run it, then call `after_ran`."""
        if timer in self._ran or timer in self._running:
            return False
        if not self.leads:
            self._due[timer] = True
            return False
        self._running[timer] = True
        return True

    def has_run(self, timer: str) -> bool:
        """Whether an `after` has run somewhere, or is running here."""
        return timer in self._ran or timer in self._running

    def after_ran(self, timer: str) -> TimerRan:
        """It has run here, well or not; the message is for all peers."""
        self._settle(timer)
        return TimerRan(timer)

    def heard(self, message: TimerRan) -> None:
        """It has run elsewhere."""
        self._settle(message.timer)

    def _settle(self, timer: str) -> None:
        self._ran[timer] = True
        self._due.pop(timer, None)
        self._running.pop(timer, None)

    def announcements(self) -> list[TimerRan]:
        """What a node that has just come needs to know."""
        return [TimerRan(timer) for timer in self._ran]

    def taken_over(self) -> list[str]:
        """To be called when members have changed: the `after` blocks to run now, because this node
        has come to lead. Call `after_ran` for each when it has."""
        leads = self.leads
        changed, self._was = leads and not self._was, leads
        if not changed:
            return []
        found = list(self._due)
        self._due = {}
        self._running.update(dict.fromkeys(found, True))
        return found
