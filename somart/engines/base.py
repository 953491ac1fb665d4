"""What an engine is: the place where committed state lives.

`commit` takes a transaction with what it read and wrote, applies it at once for those who come
after, and answers with a ticket; the caller may see the result when the ticket is durable.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from ..memory.properties import SlotRules
from ..memory.table import Key, Table
from ..transaction import Transaction

DURABLE = 0
"""The ticket of a commit that has nothing to wait for."""


class Conflict(Exception):
    """Something that a transaction had read has changed: run it again. Never seen by programs."""


class Busy(Conflict):
    """Another transaction of this node, which has ended meanwhile, wrote the same: as they take
    turns, this one has its own. It does not count towards the bound of runs."""


class Engine(Protocol):
    """Standalone, or of a node of a cluster. Not thread safe: one thread calls it.

    `tracks`: what a transaction read is asked for even when no other runs on this node.
    """

    tracks: bool

    def clock(self) -> int:
        """Milliseconds since the epoch, for ttl and retain."""

    def table(self, name: str, rules: SlotRules, log: bool = False) -> Table:
        """The table of that name; the same object for the same name."""

    def record_key(self, table: Table) -> Key:
        """The key of the next record of a log: later ones are greater."""

    def sharded(self, table: Table) -> bool:
        """Whether keys of a table may lie on other nodes only."""

    def sums(self, table: Table) -> bool:
        """Whether additions of several nodes to an Int in a table are summed."""

    async def fetch(self, transaction: Transaction, table: Table, key: Key) -> None:
        """Makes the transaction see a key of a sharded table. Raises SomaError when no owner of
        the key answers."""

    async def fetch_all(self, transaction: Transaction, table: Table, values: bool) -> None:
        """The same for all keys, or with `values` for all entries."""

    async def fetch_count(self, transaction: Transaction, table: Table) -> None:
        """The same for the number of keys only."""

    def id_after(self, table: Table, last: int) -> int:
        """The id that follows one in a counter, 0 if there was none. Raises SomaError when this
        node has none left."""

    def open(self) -> None:
        """Makes durable tables usable. Raises SomaError when the data cannot be used."""

    def commit(self, transaction: Transaction) -> int:
        """Validates and applies; gives a ticket. Raises Conflict, or SomaError for bad values."""

    def confirm(self, transaction: Transaction) -> int:
        """The ticket of a transaction that failed: its error may be seen once all is true that it
        has read."""

    def flush(self) -> None:
        """Makes all commits durable, without an event loop."""

    def check(self, ticket: int) -> None:
        """Raises SomaError when the commit with this ticket could not be stored."""

    async def wait_durable(self, ticket: int) -> None:
        """Returns when the ticket is durable. Raises SomaError when it could not be stored, and
        Conflict when other nodes were first."""

    def pause_after(self, conflicts: int) -> float:
        """Seconds to wait before a handler runs again that other nodes have been quicker than so
        many times in a row."""

    def when_decided(self, ticket: int, tell: Callable[[], None]) -> bool:
        """Has `tell` called when waiting for the ticket will take no longer than a commit; False:
        that is so now. Tickets of commits are durable in their order; those that other nodes
        decide on are not, and must not hold others back."""

    def sweep(self) -> None:
        """Forgets expired entries, also in storage."""

    def close(self) -> None:
        """Flushes and gives up the data directory."""
