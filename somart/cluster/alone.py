"""A node that is in no cluster, as it shows itself: the only member."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .members import ALIVE, READY
from .phase import SINGLE

if TYPE_CHECKING:
    from .boot import Addresses


class Alone:
    """What a site asks of a standalone node (`serve.site.Standing`)."""

    causal = False

    def __init__(self, node: str, addresses: Addresses) -> None:
        self._node = node
        self._addresses = addresses

    def unready(self) -> str:
        """It waits for nobody."""
        return ""

    def token(self) -> str:
        """There is no other node to be told anything."""
        return ""

    async def seen(self, token: str) -> None:
        """All is here."""

    def status(self) -> dict[str, object]:
        """The same form as that of a member of a cluster."""
        member = {
            "id": self._node,
            "address": self._addresses.bus,
            "http": self._addresses.http,
            "status": ALIVE,
            "ring": READY,
            "share": 1.0,
        }
        return {
            "node": self._node,
            "leader": self._node,
            "term": None,
            "phase": SINGLE,
            "ready": True,
            "members": [member],
            "outbox": 0,
            "last_sync": None,
        }
