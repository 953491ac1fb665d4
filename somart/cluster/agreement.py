"""Which phase a node with strong cells is in, and whether it takes writes to them (`phase.py`).

Members are those that vote in the log. A node that starts, or has not reached a majority, is behind
until a read index that it has asked for since is applied: then it has all that was acknowledged.
"""

from __future__ import annotations

from collections.abc import Callable

from ..consensus.service import Failure, Service
from .phase import PARTITIONED, SINGLE, acknowledges, may_cease, needed, phase, still_behind
from .placement import STRONG

LOOK_MS = 50
"""Between two looks at who is reachable."""


class Agreement:
    """The standing of one node. `hears` tells whether a voter has been heard of lately; `others`
    counts members and reachable ones while no configuration is known."""

    def __init__(
        self,
        service: Service,
        hears: Callable[[str], bool],
        others: Callable[[], tuple[int, int]],
    ) -> None:
        self._service = service
        self._hears = hears
        self._others = others
        self.behind = True
        self.members, self.reachable = 1, 1
        self._losses = 0
        self._asking = False
        self._look_at = 0

    @property
    def phase(self) -> str:
        """One of `phase.PHASES`, as of the last look."""
        return phase(self.members, self.reachable, self.behind, STRONG)

    def refusal(self) -> str:
        """Why no write to strong memory is taken now; empty if it is."""
        state = self.phase
        if acknowledges(state, STRONG):
            return ""
        if state == PARTITIONED:
            return f"{self.reachable} of {self.members} that vote can be reached"
        return "this node has yet to learn what was decided without it"

    def look(self, now: int) -> None:
        """Looks who is reachable, and asks for what was missed. Cheap enough for every turn."""
        if now < self._look_at:
            return
        self._look_at = now + LOOK_MS
        self.members, self.reachable = self._reach()
        if self.reachable < needed(self.members, STRONG):
            self._losses += 1
        self.behind = still_behind(self.behind, self.members, self.reachable, STRONG)
        if self.phase == SINGLE:
            self.behind = False
        if self.behind and not self._asking and self._may_ask():
            self._asking = True
            losses = self._losses
            self._service.read(lambda failure: self._caught_up(failure, losses), now)

    def _reach(self) -> tuple[int, int]:
        configuration = self._service.raft.configuration
        voters = {*configuration.voters, *configuration.outgoing}
        if not voters:
            return self._others()
        return len(voters), sum(map(self._hears, voters))

    def _may_ask(self) -> bool:
        known = bool(self._service.raft.leader)
        return known and may_cease(self.members, self.reachable, STRONG)

    def _caught_up(self, failure: Failure | None, losses: int) -> None:
        self._asking = False
        if failure is None and losses == self._losses:
            self.behind = False
