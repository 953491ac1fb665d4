"""Which changes of members are still to be passed on (Das and others 2002, §4.1)."""

from __future__ import annotations

from collections.abc import Callable

from .messages import MemberState


class Rumours:
    """Changes by member, each sent `log2(members) + 2` times and then let go.

    Each copy goes to a member at random, so that after L of them all but e^-L of the members have
    it, whatever their number; comparison of tables finds the rest.
    """

    def __init__(self, state_of: Callable[[str], MemberState]) -> None:
        self._state_of = state_of
        self._sent: dict[str, int] = {}  # oldest change first

    def __bool__(self) -> bool:
        return bool(self._sent)

    def add(self, id: str) -> None:
        """The member's state has just changed."""
        self._sent.pop(id, None)
        self._sent[id] = 0

    def take(self, receiver: str, most: int, members: int) -> list[MemberState]:
        """What to tell a receiver now: what was told least often, then the newest."""
        if not self._sent:
            return []
        ids = [id for id in reversed(self._sent) if id != receiver]
        if len(ids) > most:
            ids = sorted(ids, key=self._sent.__getitem__)[:most]
        enough = members.bit_length() + 2
        for id in [*ids, receiver]:  # the receiver knows its own: counted, lest it waits for ever
            if id in self._sent:
                self._sent[id] += 1
                if self._sent[id] >= enough:
                    del self._sent[id]
        return [self._state_of(id) for id in ids]
