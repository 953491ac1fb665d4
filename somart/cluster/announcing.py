"""The log lines of a cluster's life: who this node is in it, and who comes and goes (spec 3 §9.1).

The membership itself tells of those that leave or die; here is the rest.
"""

from __future__ import annotations

from collections.abc import Callable

from .members import Change, Joined, Refuted, Returned, Suspected


class Announcer:
    """Says what is new, once. `view` gives how many live members there are, and who leads (empty
    while nobody is known); None while this node has no part in a cluster."""

    def __init__(
        self, me: str, view: Callable[[], tuple[int, str] | None], log: Callable[[str], None]
    ) -> None:
        self._me = me
        self._view = view
        self._log = log
        self._said = ""
        self._begun = False

    def begin(self) -> None:
        """The node has shown its banner."""
        self._begun = True
        self.stand()

    def changed(self, change: Change) -> None:
        """The membership has changed."""
        match change:
            case Joined(member):
                self._log(f"cluster: node '{member.id}' joined ({member.address})")
            case Returned(member):
                self._log(f"cluster: node '{member.id}' is back ({member.address})")
            case Suspected(id):
                self._log(f"cluster: node '{id}' does not answer")
            case Refuted(id):
                self._log(f"cluster: node '{id}' answers again")
            case _:
                pass
        self.stand()

    def stand(self) -> None:
        """How this node stands in its cluster, if that is new."""
        view = self._view() if self._begun else None
        if view is None:
            return
        members, leader = view
        leads = "yes" if leader == self._me else "no"
        said = f"cluster: node '{self._me}' ({members} nodes, leader: {leads})"
        if said != self._said:
            self._said = said
            self._log(said)
