"""What an engine is: the place where committed state lives.

`commit` takes a transaction with what it read and wrote, applies it at once for those who come
after, and answers with a ticket; the caller may see the result when the ticket is durable.
"""

from __future__ import annotations

from typing import Protocol

from ..memory.properties import SlotRules
from ..memory.table import Table
from ..transaction import Transaction

DURABLE = 0
"""The ticket of a commit that has nothing to wait for."""


class Conflict(Exception):
    """Something that a transaction had read has changed: run it again. Never seen by programs."""


class Engine(Protocol):
    """Standalone now; a cluster implements the same. Not thread safe: one thread calls it."""

    def clock(self) -> int:
        """Milliseconds since the epoch, for ttl and retain."""

    def table(self, name: str, rules: SlotRules, log: bool = False) -> Table:
        """The table of that name; the same object for the same name."""

    def open(self) -> None:
        """Makes durable tables usable. Raises SomaError when the data cannot be used."""

    def commit(self, transaction: Transaction) -> int:
        """Validates and applies; gives a ticket. Raises Conflict, or SomaError for bad values."""

    def flush(self) -> None:
        """Makes all commits durable, without an event loop."""

    def check(self, ticket: int) -> None:
        """Raises SomaError when the commit with this ticket could not be stored."""

    async def wait_durable(self, ticket: int) -> None:
        """Returns when the ticket is durable. Raises SomaError when it could not be stored.

        Answers of handlers that do not wait are given in the order of their tickets: one that
        takes long holds those behind it back.
        """

    def sweep(self) -> None:
        """Forgets expired entries, also in storage."""

    def close(self) -> None:
        """Flushes and gives up the data directory."""
