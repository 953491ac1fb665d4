"""Answers that are kept under the `Idempotency-Key` of their request, so that a repetition is safe.

The answer lies in a table of the runtime's own, written in the transaction of the handler: a client
that heard nothing sends the same request again, and either the handler has never happened, or it
gets what it would have heard (issue 5.3; the header is that of the IETF's httpapi working group,
draft-ietf-httpapi-idempotency-key-header).

`#answers` is strong memory, in programs that have any: its rows travel with the proposals, and the
key is part of what a proposal has read, so that of two requests with one key, on whatever nodes,
one runs. What touches no strong memory is kept in `#answers.near`, which is the node's own.
A handler that fails leaves nothing behind, no answer either: it may be repeated anyway.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Sequence
from inspect import isawaitable
from typing import TYPE_CHECKING, Any

from .cluster.placement import ANSWERS, strong_tables_of
from .errors import SomaError
from .memory.properties import SlotRules, rules_of
from .memory.table import Entry, Table
from .serve.message import Refused, Request, Response
from .serve.replies import reply
from .transaction import CURRENT, Transaction
from .values import Value
from .values.jsontext import to_json

if TYPE_CHECKING:
    from .engines.base import Engine
    from .spec import ProgramSpec

HEADER = b"idempotency-key"
NEAR = f"{ANSWERS}.near"

KEPT_MS = 24 * 3_600_000
"""How long an answer is kept; a client gives up long before."""

LONGEST_KEY = 255
LARGEST_ANSWER = 256 * 1024
"""Bytes: an answer is part of a log entry, which all nodes store."""

_KEY = re.compile(r"[\x21-\x7e](?:[\x20-\x7e]*[\x21-\x7e])?")
_REUSED = "this Idempotency-Key was used for another request: choose a new one for each request"


class Answers:
    """The kept answers of a program. To be made before the engine opens its data."""

    def __init__(self, spec: ProgramSpec, engine: Engine) -> None:
        slots = (slot for cell in spec.all_cells for slot in cell.soma_slots.values())
        persistent = any(rules_of(slot.props).persistent for slot in slots)
        rules = SlotRules(persistent=persistent, ttl=KEPT_MS)
        self._engine = engine
        self._strong_names = strong_tables_of(spec)
        self._near = engine.table(NEAR, rules)
        self._strong: Table | None = None
        if ANSWERS in self._strong_names:
            self._strong = engine.table(ANSWERS, rules)

    def keeping(self, request: Request, body: Callable[..., Any]) -> Callable[..., Any]:
        """The handler `body` as one that gives the Response of the request, kept or new. Raises
        Refused for what cannot be a key."""
        key = request.headers.get(HEADER, b"").decode("latin-1").strip()
        if len(key) > LONGEST_KEY or _KEY.fullmatch(key) is None:
            raise Refused(400, f"Idempotency-Key: 1 to {LONGEST_KEY} printable ASCII characters")
        mark = _fingerprint(request)

        async def run(*args: Value) -> Response:
            transaction = CURRENT.get()
            found = await self._find(transaction, key)
            if found is not None:
                return _repeated(found, mark)
            value = body(*args)
            response = reply(await value if isawaitable(value) else value)
            if response.stream is None:
                self._keep(transaction, key, mark, response)
            return response

        return run

    async def _find(self, transaction: Transaction, key: str) -> Sequence[Any] | None:
        for table in (self._near, self._strong):
            if table is None:
                continue
            if self._engine.sharded(table):
                await self._engine.fetch(transaction, table, key)
            entry = transaction.read(table, key)
            if entry is not None and entry.expires > self._engine.clock():
                kept: Sequence[Any] = entry.value
                return kept
        return None

    def _keep(self, transaction: Transaction, key: str, mark: str, response: Response) -> None:
        if len(response.body) > LARGEST_ANSWER:
            raise SomaError(
                f"an answer of {len(response.body)} bytes is too large for an Idempotency-Key: "
                f"at most {LARGEST_ANSWER}"
            )
        headers = [[name, value] for name, value in response.headers]
        body = response.body.decode("utf-8", "replace")
        row = [mark, response.status, response.content_type, headers, body]
        now = self._engine.clock()
        transaction.write(self._place(transaction), key, Entry(row, now, now + KEPT_MS))

    def _place(self, transaction: Transaction) -> Table:
        """Where the commit of all other writes is, too."""
        strong, wrote = self._strong, transaction.writes
        if strong is None or (wrote and not any(t.name in self._strong_names for t in wrote)):
            return self._near
        return strong


def _fingerprint(request: Request) -> str:
    """What makes two requests the same: method, target and body."""
    parts = (request.method.encode(), request.target.encode("utf-8", "surrogatepass"), request.body)
    return hashlib.sha256(b"\n".join(parts)).hexdigest()


def _repeated(kept: Sequence[Any], mark: str) -> Response:
    first, status, content_type, headers, body = kept
    if first != mark:
        error = to_json(_REUSED)
        return Response(422, f'{{"error": {error}, "definite": true}}'.encode(), error=_REUSED)
    named = tuple((name, value) for name, value in headers)
    return Response(status, body.encode(), content_type, (*named, ("Idempotent-Replayed", "true")))
