"""How a node leaves its cluster for good: nothing may go with it (decision 012, 34)."""

from __future__ import annotations

from .core import ClusterCore
from .members import ALIVE, READY


def staying(core: ClusterCore) -> str:
    """Why a node cannot leave for good; empty if it can."""
    if len(core.membership.live()) < 2:
        return "it is the only one alive: nobody would have the data"
    replica = core.context.replica
    single = sorted(table for table in replica.tables if replica.copies(table) == 1)
    if single:
        return f"the only copies of a part of {', '.join(single)} lie here (tolerance: 0)"
    return _absent(core)


def _absent(core: ClusterCore) -> str:
    """A member that may lack what this node is the last to have."""
    for id in core.context.others():
        state = core.membership.members[id].state
        if state.status != ALIVE:
            return (
                f"'{id}' is {state.status} and may lack what lies here: remove it, or wait for it"
            )
        if state.ring != READY:
            return f"'{id}' has only just joined and may lack what lies here: wait for it"
    return ""


class Departure:
    """Waits until the others have all that lies here. Batches alone do not tell: who has come back,
    or into new segments, may not have been sent what it is to hold, so each is shown everything."""

    def __init__(self, core: ClusterCore) -> None:
        self._core = core
        self._before = dict(core.last_sync)

    def waiting_for(self) -> list[str]:
        """The members that have yet to confirm, to be asked again until there are none. Whatever
        else keeps this node is among them."""
        core = self._core
        streams = core.outbox.streams
        waiting = []
        for id in core.context.others():
            shown = core.last_sync.get(id) != self._before.get(id)
            if not shown:
                core.compare(id)
            if not shown or (id in streams and streams[id].pending):
                waiting.append(id)
        core.context.wake()
        return waiting
