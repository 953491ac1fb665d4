"""Comparing tables of members with others: what heals partitions, and finds what gossip missed.

Both ends of a link send a `Join` with the digest of their table; whoever sees another digest sends
all it knows, in pages, and is answered likewise where that was news to it alone. However many links
come up at once, a node sends its table once per `gossip_ms`, except to newcomers.
"""

from __future__ import annotations

from collections.abc import Callable

from .agenda import Agenda
from .clocks import Clock
from .config import ClusterConfig
from .members import Table
from .messages import Join, Members, MemberState, Message

MOST_WAITING = 4
"""Peers that wait for the table. When many links come up at once, a few spread what is new."""


class Comparing:
    """Who is to be sent this node's table, and when."""

    def __init__(
        self,
        config: ClusterConfig,
        clock: Clock,
        agenda: Agenda,
        table: Table,
        send: Callable[[str, Message], None],
    ) -> None:
        self._config = config
        self._clock = clock
        self._agenda = agenda
        self._table = table
        self._send = send
        self._waiting: dict[str, tuple[int, bool]] = {}  # peer: its digest, whether to answer
        self._from = clock.monotonic()

    def greet(self, peer: str, me: MemberState) -> None:
        """Says who this node is, and what its table is like."""
        self._send(peer, Join(me, self._table.digest, self._table.known))

    def greeted(self, peer: str, join: Join) -> bool:
        """A peer did so, and what it said of itself is taken in: whether the tables are equal."""
        if join.digest == self._table.digest:
            return True
        if 2 * join.known <= self._table.known:
            self._send_table(peer, answer=False)  # a newcomer: it can do nothing before
        else:
            self._queue(peer, join.digest, answer=False)
        return False

    def compared(self, peer: str, message: Members) -> None:
        """The last page of a peer's table has been taken in."""
        if message.digest != self._table.digest and not message.answer:
            self._queue(peer, message.digest, answer=True)

    def lost(self, peer: str) -> None:
        """There is no link with a peer any more."""
        self._waiting.pop(peer, None)

    def _queue(self, peer: str, digest: int, answer: bool) -> None:
        waiting = bool(self._waiting)
        if len(self._waiting) < MOST_WAITING or peer in self._waiting:
            self._waiting[peer] = digest, answer
        if not waiting:
            self._agenda.add(max(self._from, self._clock.monotonic()), self._next)

    def _next(self, _: str) -> None:
        if not self._waiting:
            return
        peer = next(iter(self._waiting))
        digest, answer = self._waiting.pop(peer)
        if digest != self._table.digest:
            self._send_table(peer, answer)
            self._from = self._clock.monotonic() + self._config.gossip_ms
        if self._waiting:
            self._agenda.add(self._from, self._next)

    def _send_table(self, peer: str, answer: bool) -> None:
        states = self._table.states()
        size = self._config.members_page
        for first in range(0, len(states), size):
            last = first + size >= len(states)
            digest = self._table.digest if last else 0
            self._send(peer, Members(states[first : first + size], digest, answer))
