"""Two processes with one id, from a copied data directory: which of them has to go."""

from __future__ import annotations

from .messages import MemberState


class Doubles:
    """What has been seen of processes under an id that belongs to another."""

    def __init__(self) -> None:
        self._rivals: dict[str, int] = {}
        self._refused: dict[str, str] = {}

    def is_rival(self, me: MemberState, state: MemberState) -> bool:
        """Whether another process lives under this node's id: it has contradicted this one twice.
        Once may be a late word of an earlier life. Since each side only ever raises its
        incarnation in answer to the other, one of them finds out first, and only that one stops."""
        if state.boot == me.boot or state.incarnation <= me.incarnation:
            return False
        before = self._rivals.get(state.boot)
        self._rivals[state.boot] = state.incarnation
        return before is not None and before < state.incarnation

    def is_news(self, id: str, boot: str) -> bool:
        """Whether a process that is refused was not the last one refused under that id."""
        known = self._refused.get(id) == boot
        self._refused[id] = boot
        return not known
