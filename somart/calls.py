"""Handlers that call their own server over HTTP: such a call runs at once, on its caller's turn.

It cannot wait for the turn of a cell, for its caller may hold it and waits for the answer. It is
a transaction of its own; what it changes is no conflict for its callers, who asked for it. A
request names the running calls behind it in a header with tokens that nobody can guess.
"""

from __future__ import annotations

import secrets
from contextvars import ContextVar
from typing import TYPE_CHECKING

from .transaction import CURRENT, Transaction

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .memory.table import Key, Table

HEADER = "Soma-Call"
MAX_DEPTH = 32
"""Calls behind a request: a handler that calls itself over HTTP ends before sockets run out."""

_CHAIN: ContextVar[tuple[str, ...]] = ContextVar("somart_chain", default=())


class TooDeep(Exception):
    """More calls stand behind a request than are allowed."""


def received(header: bytes | None) -> None:
    """Notes the calls behind the request that this task is about to answer. Raises TooDeep."""
    if header is None:
        if _CHAIN.get():
            _CHAIN.set(())
        return
    tokens = tuple(token.strip() for token in header.decode("latin-1").split(","))
    if len(tokens) > MAX_DEPTH:
        raise TooDeep
    _CHAIN.set(tokens)


def header_for(host: str, port: int) -> str | None:
    """The header of a request from the running handler; None for hosts that need not know."""
    transaction = CURRENT.get(None)
    if transaction is None:
        return None
    calls = transaction.app.calls
    local = host in ("localhost", "::1") or host.startswith("127.")
    if not local and port not in calls.ports:
        return None
    return ", ".join((*_CHAIN.get(), calls.token(transaction)))


class Calls:
    """The calls of an app that run now and have sent requests. `ports` are the app's own."""

    def __init__(self) -> None:
        self.ports: set[int] = set()
        self._running: dict[str, Transaction] = {}

    def token(self, transaction: Transaction) -> str:
        """The name of a running call in headers, until it ends."""
        if transaction.token is None:
            transaction.token = secrets.token_hex(8)
            self._running[transaction.token] = transaction
        return transaction.token

    def ended(self, transaction: Transaction) -> None:
        """The call's name means nothing any more."""
        if transaction.token is not None:
            self._running.pop(transaction.token, None)

    def caller(self) -> Transaction | None:
        """The running call that waits for what this task is about to do."""
        chain = _CHAIN.get()
        if not chain:
            return None
        return next((self._running[t] for t in reversed(chain) if t in self._running), None)


class Expected:
    """Reads of a call's callers that are valid before the call commits, and shall stay so."""

    def __init__(self, call: Transaction) -> None:
        self._kept: list[tuple[Transaction, list[tuple[Table, Key]], list[Table], list[Table]]] = []
        for caller in _callers(call):
            keys = [
                (table, key)
                for table, pending in call.writes.items()
                for key in pending.data
                if caller.key_reads.get((table, key)) == table.revision(key)
            ]
            shapes = [t for t in call.writes if caller.shape_reads.get(t) == t.shape]
            values = [t for t in call.writes if caller.value_reads.get(t) == t.version]
            self._kept.append((caller, keys, shapes, values))

    def refresh(self) -> None:
        """Call it once the commit has been applied."""
        for caller, keys, shapes, values in self._kept:
            caller.key_reads.update({(table, key): table.revision(key) for table, key in keys})
            caller.shape_reads.update({table: table.shape for table in shapes})
            caller.value_reads.update({table: table.version for table in values})


def _callers(call: Transaction) -> Iterator[Transaction]:
    caller = call.caller
    while caller is not None:
        yield caller
        caller = caller.caller
