"""Answers that wait for their commit, given by one task for all connections.

Commits of this node are durable in their order, so waiting for one after the other costs nothing.
What other nodes decide on comes in when they have: without them it takes seconds, and nobody else
shall wait for that.
"""

from __future__ import annotations

from collections import deque
from functools import partial
from typing import TYPE_CHECKING

import trio

if TYPE_CHECKING:
    from ..engines.base import Engine
    from .connection import Connection


class Settler:
    """Waits for tickets in the order of the commits, as they become durable.

    A group of commits costs one wait, however many connections it has; they are told one after
    the other without another turn of the event loop.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._waiting: deque[tuple[int, Connection]] = deque()
        self._task: trio.lowlevel.Task | None = None

    def add(self, ticket: int, connection: Connection) -> None:
        """Tells the connection when the ticket is settled."""
        if not self._engine.when_decided(ticket, partial(self._decided, ticket, connection)):
            self._decided(ticket, connection)

    def _decided(self, ticket: int, connection: Connection) -> None:
        self._waiting.append((ticket, connection))
        task, self._task = self._task, None
        if task is not None:
            trio.lowlevel.reschedule(task)

    async def run(self) -> None:
        """Until it is cancelled."""
        while True:
            while self._waiting:
                ticket, connection = self._waiting.popleft()
                connection.settled(await self._outcome(ticket))
            await self._rest()

    async def _outcome(self, ticket: int) -> Exception | None:
        try:
            await self._engine.wait_durable(ticket)
        except Exception as error:  # it is the answer of this request
            return error
        return None

    async def _rest(self) -> None:
        self._task = trio.lowlevel.current_task()

        def abort(_: object) -> trio.lowlevel.Abort:
            self._task = None
            return trio.lowlevel.Abort.SUCCEEDED

        await trio.lowlevel.wait_task_rescheduled(abort)
