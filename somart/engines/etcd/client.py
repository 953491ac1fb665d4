"""etcd's JSON gateway (v3) over kept connections: several members, TLS, tokens, bounded waits.

Calls are one attempt each: who calls knows whether another attempt does harm. etcd's gRPC clients
need asyncio, and general HTTP clients are slow with many calls at once; hence this small one.
Source: etcd's API reference, "gRPC gateway".
"""

from __future__ import annotations

from base64 import b64decode, b64encode
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from typing import Any

import msgspec
import trio

from .connection import Connection, TransportError
from .settings import Endpoint, EtcdOptions

ATTEMPT_SECONDS = 1.0
"""For one answer of one member; then another one is tried."""
IDLE_CONNECTIONS = 64
"""Kept for the next calls."""

INVALID, NOT_FOUND, EXHAUSTED, PRECONDITION = 3, 5, 8, 9
OUT_OF_RANGE, DENIED, UNAUTHENTICATED = 11, 7, 16
_HARMLESS = frozenset(
    {INVALID, NOT_FOUND, EXHAUSTED, PRECONDITION, OUT_OF_RANGE, DENIED, UNAUTHENTICATED}
)
"""Codes of gRPC with which etcd says that it has not done what was asked."""
_OUTDATED = ("invalid auth token", "revision of auth store is old")
"""With these etcd refuses a token that was good: it has expired, or users or roles have changed."""

Json = dict[str, Any]
_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder()


class EtcdError(Exception):
    """A call has failed. `sent`: it may have had its effect, or may still have it. `code` is
    gRPC's, 0 without an answer."""

    def __init__(self, text: str, sent: bool, code: int = 0) -> None:
        super().__init__(text)
        self.sent = sent
        self.code = code


class EtcdClient:
    """Calls to whichever member answers. For one event loop."""

    def __init__(self, options: EtcdOptions) -> None:
        self._options = options
        self._context = options.context()
        self._endpoints: Sequence[Endpoint] = options.endpoints
        self._at = 0
        self._idle: list[tuple[Endpoint, Connection]] = []
        self._token = ""

    @property
    def endpoint(self) -> Endpoint:
        """The member that is asked now."""
        return self._endpoints[self._at]

    def turn_from(self, endpoint: Endpoint) -> None:
        """Asks the next member from now on, unless somebody has turned already."""
        if self.endpoint == endpoint:
            self._at = (self._at + 1) % len(self._endpoints)

    async def aclose(self) -> None:
        """Closes the connections that are at rest."""
        idle, self._idle = self._idle, []
        for _, connection in idle:
            await connection.aclose()

    # --- calls -----------------------------------------------------------------------------------

    async def call(self, path: str, message: Json, seconds: float = ATTEMPT_SECONDS) -> Json:
        """The answer of `/v3/{path}`. Raises EtcdError; the next call asks another member then."""
        endpoint = self.endpoint
        try:
            with trio.fail_after(seconds):
                return await self._call(endpoint, path, message)
        except trio.TooSlowError as error:
            self.turn_from(endpoint)
            raise EtcdError(f"{endpoint}: no answer in time", sent=True) from error
        except TransportError as error:
            self.turn_from(endpoint)
            raise EtcdError(str(error), sent=error.sent) from error
        except EtcdError as error:
            if error.code not in _HARMLESS:
                self.turn_from(endpoint)
            raise

    async def ask(self, path: str, message: Json, seconds: float) -> Json:
        """The same for what may be said twice: members are tried until the time is over."""
        deadline = trio.current_time() + seconds
        while True:
            left = max(0.01, deadline - trio.current_time())
            try:
                return await self.call(path, message, min(ATTEMPT_SECONDS, left))
            except EtcdError as error:
                if error.code in _HARMLESS or trio.current_time() + 0.1 >= deadline:
                    raise
            await trio.sleep(0.05)

    async def _call(self, endpoint: Endpoint, path: str, message: Json) -> Json:
        if self._options.user and not self._token:
            await self._authenticate(endpoint)
        try:
            return await self._exchange(endpoint, path, message)
        except EtcdError as error:
            outdated = any(reason in str(error) for reason in _OUTDATED)
            if not self._options.user or not outdated:
                raise
        await self._authenticate(endpoint)
        return await self._exchange(endpoint, path, message)

    async def _authenticate(self, endpoint: Endpoint) -> None:
        self._token = ""
        message = {"name": self._options.user, "password": self._options.password}
        answer = await self._exchange(endpoint, "auth/authenticate", message)
        self._token = str(answer["token"])

    async def _exchange(self, endpoint: Endpoint, path: str, message: Json) -> Json:
        body = _encoder.encode(message)
        connection = await self._connection(endpoint)
        try:
            status, answer = await connection.post(f"/v3/{path}", body, self._token)
        except BaseException:
            with trio.CancelScope(shield=True):
                await connection.aclose()
            raise
        if connection.alive and len(self._idle) < IDLE_CONNECTIONS:
            self._idle.append((endpoint, connection))
        else:
            await connection.aclose()
        return _judged(endpoint, status, answer)

    async def _connection(self, endpoint: Endpoint) -> Connection:
        """The one that has rested the shortest, or a new one."""
        while self._idle:
            found, connection = self._idle.pop()
            if found == endpoint and connection.rests():
                return connection
            await connection.aclose()
        return await Connection.open(endpoint, self._context)

    # --- streams ---------------------------------------------------------------------------------

    async def watch(self, first: str, last: str, revision: int) -> AsyncGenerator[Json, None]:
        """Results of a watch on keys from `first` (base64) up to `last`, from a revision on.

        Ends or raises EtcdError when the stream breaks.
        """
        endpoint = self.endpoint
        create = {
            "key": first,
            "range_end": last,
            "start_revision": str(revision),
            "progress_notify": True,
        }
        body = _encoder.encode({"create_request": create})
        try:
            if self._options.user:  # a stream has no second chance with an old token
                with trio.fail_after(ATTEMPT_SECONDS):
                    await self._authenticate(endpoint)
            connection = await Connection.open(endpoint, self._context)
        except (TransportError, trio.TooSlowError) as error:
            self.turn_from(endpoint)
            raise EtcdError(f"{endpoint}: {error}", sent=False) from error
        try:
            async with aclosing(connection.stream("/v3/watch", body, self._token)) as lines:
                async for line in lines:
                    yield _judged(endpoint, 200, line)["result"]
        except TransportError as error:
            self.turn_from(endpoint)
            raise EtcdError(str(error), sent=False) from error
        finally:
            with trio.CancelScope(shield=True):
                await connection.aclose()


def _judged(endpoint: Endpoint, status: int, body: bytes) -> Json:
    try:
        answer = _decoder.decode(body)
    except msgspec.DecodeError as error:
        raise EtcdError(f"{endpoint}: this is not etcd's gateway", sent=True) from error
    if status == 200 and "error" not in answer:
        found: Json = answer
        return found
    failure = answer.get("error") if isinstance(answer.get("error"), dict) else answer
    text = failure.get("message") or failure.get("error") or f"status {status}"
    code = failure.get("code", failure.get("grpc_code", 0))
    code = code if isinstance(code, int) else 0
    raise EtcdError(f"{endpoint}: {text}", sent=code not in _HARMLESS, code=code)


def to_wire(text: str) -> str:
    """Keys and values as the gateway takes them."""
    return b64encode(text.encode()).decode("ascii")


def from_wire(data: str) -> str:
    """The text of a key or value."""
    return b64decode(data).decode()


def key_after(wire: str) -> str:
    """The key that follows one directly."""
    return b64encode(b64decode(wire) + b"\0").decode("ascii")
