"""The core's own rows, as they are in memory, in step with the system tables of the engine."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Protocol

from ..engines.base import DURABLE
from ..engines.remote import Remote
from .ids import Ids
from .messages import Write
from .replica import Replica, SystemRows


class ClusterEngineDoor(Protocol):
    """What the core needs of `engines.cluster.ClusterEngine`."""

    replica: Replica
    ids: Ids
    on_batch: Callable[[list[Write]], SystemRows] | None
    remote: Remote | None

    @property
    def origin(self) -> str: ...

    @property
    def next_ticket(self) -> int:
        """That of the commit that `on_batch` is called in."""

    def system_table(self, name: str) -> object:
        """Sees to it that there is one of that name."""

    def stored_rows(self, name: str) -> Iterable[tuple[str, str | bytes]]:
        """All rows of a system table that are stored."""

    def record(self, rows: SystemRows) -> int:
        """Stores system rows in a commit of their own; gives its ticket."""

    def on_durable(self, ticket: int, told: Callable[[bool], None]) -> None:
        """Calls back once: stored, or lost with all that came after."""


class Rows:
    """System rows by table and key. What could not be stored is read anew, for the commits that
    came after it are lost as well."""

    def __init__(self, engine: ClusterEngineDoor, tables: Iterable[str]) -> None:
        self._engine = engine
        for table in tables:
            engine.system_table(table)
        self._tables: dict[str, dict[str, str]] = {}

    @property
    def origin(self) -> str:
        return self._engine.origin

    def rows(self, table: str) -> Mapping[str, str]:
        """All rows of a system table."""
        found = self._tables.get(table)
        if found is None:
            found = self._tables[table] = self.stored(table)
        return found

    def stored(self, table: str) -> dict[str, str]:
        """What is in storage; for what is kept in another form in memory."""
        stored = self._engine.stored_rows(table)
        return {k: v if isinstance(v, str) else v.decode() for k, v in stored}

    def row(self, table: str, key: str) -> str | None:
        """One of them."""
        return self.rows(table).get(key)

    def applied(self, rows: SystemRows) -> None:
        """These rows are part of a commit that has been made."""
        for (table, key), value in rows.items():
            self.rows(table)
            if value is None:
                self._tables[table].pop(key, None)
            else:
                self._tables[table][key] = value if isinstance(value, str) else value.decode()

    def record(self, rows: SystemRows) -> int:
        """Changes rows in a commit of their own; gives the ticket."""
        ticket = self._engine.record(rows)
        self.applied(rows)
        return ticket

    def store(self, rows: SystemRows) -> int:
        """The same for rows that are kept in another form in memory."""
        return self._engine.record(rows)

    def on_durable(self, ticket: int, callback: Callable[[bool], None]) -> None:
        """Calls back once when the ticket is durable (True) or could not be stored (False).
        Ticket 0, of a commit that changed nothing, stands for all that has been committed so far:
        what it repeated may not be durable yet."""
        if ticket == DURABLE:
            ticket = max(DURABLE, self._engine.next_ticket - 1)

        def told(ok: bool) -> None:
            if not ok:
                self._tables.clear()
            callback(ok)

        self._engine.on_durable(ticket, told)
