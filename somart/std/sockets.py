"""Client sockets under trio: TCP with readable errors, and WebSockets (wsproto)."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, TypeGuard
from urllib.parse import SplitResult, urlsplit

if TYPE_CHECKING:
    import trio
    from wsproto import WSConnection
    from wsproto.events import CloseConnection, Event

CONNECT_SECONDS = 10.0  # a handler must not hang on a peer that never answers
MAX_LINE = 1024 * 1024  # one event or message: more would let a peer fill the memory


class ConnectionFailed(Exception):
    """No connection; the text is the message of the operating system."""


def reason(error: BaseException) -> str:
    """The innermost cause: trio wraps the errors of all addresses that it tried."""
    while True:
        inner = error.exceptions if isinstance(error, BaseExceptionGroup) else ()
        cause = inner[0] if inner else error.__cause__
        if cause is None:
            break
        error = cause
    if isinstance(error, OSError) and error.errno is not None:
        if error.errno > 0:
            return f"{os.strerror(error.errno)} (os error {error.errno})"
        return error.strerror or str(error)  # of name resolution
    return str(error)


async def open_tcp(host: str, port: int, tls: bool = False) -> trio.abc.Stream:
    """A connected stream. Raises ConnectionFailed, also when it takes too long."""
    import ssl

    import trio

    try:
        with trio.fail_after(CONNECT_SECONDS):
            if not tls:
                return await trio.open_tcp_stream(host, port)
            context = ssl.create_default_context()
            stream = await trio.open_ssl_over_tcp_stream(
                host, port, ssl_context=context, https_compatible=True
            )
            await stream.do_handshake()
            return stream
    except trio.TooSlowError as error:
        raise ConnectionFailed("timed out") from error
    except (OSError, UnicodeError, trio.BrokenResourceError) as error:
        raise ConnectionFailed(reason(error)) from error


class WebSocket:
    """A client's side of a WebSocket: sends texts, yields the texts that arrive."""

    def __init__(self, stream: trio.abc.Stream, connection: WSConnection) -> None:
        import trio

        self.stream = stream
        self._connection = connection
        self._waiting: deque[Event] = deque()
        self._sending = trio.StrictFIFOLock()  # one writer at a time, in the order of the frames

    @classmethod
    async def connect(cls, url: str) -> WebSocket:
        """Open `ws://` or `wss://`. Raises ConnectionFailed."""
        from wsproto import ConnectionType, WSConnection
        from wsproto.events import AcceptConnection, Request

        target = _target(url)
        tls = target.scheme == "wss"
        host = target.hostname or ""
        stream = await open_tcp(host, target.port or (443 if tls else 80), tls)
        socket = cls(stream, WSConnection(ConnectionType.CLIENT))
        path = (target.path or "/") + (f"?{target.query}" if target.query else "")
        await socket._send_event(Request(host=target.netloc, target=path))
        if isinstance(await socket._next_event(), AcceptConnection):
            return socket
        await stream.aclose()
        raise ConnectionFailed("the server refused the WebSocket")

    async def send(self, message: str) -> bool:
        """Send a text; False when the connection is gone."""
        from wsproto.events import TextMessage

        return await self._try_to_send(TextMessage(data=message))

    async def messages(self) -> AsyncIterator[str]:
        """The texts that arrive until the other side closes; pings are answered."""
        from wsproto.events import Ping, TextMessage

        parts: list[str] = []
        while (event := await self._next_event()) is not None:
            if isinstance(event, TextMessage):
                parts.append(event.data)
                if sum(map(len, parts)) > MAX_LINE:
                    return
                if event.message_finished:
                    yield "".join(parts)
                    parts.clear()
            elif isinstance(event, Ping) or self._is_polite_close(event):
                await self._try_to_send(event.response())

    def _is_polite_close(self, event: Event) -> TypeGuard[CloseConnection]:
        from wsproto.connection import ConnectionState
        from wsproto.events import CloseConnection

        asked = self._connection.state is ConnectionState.REMOTE_CLOSING
        return isinstance(event, CloseConnection) and asked

    async def _try_to_send(self, event: Event) -> bool:
        import trio
        from wsproto.utilities import LocalProtocolError

        try:
            await self._send_event(event)
        except (trio.BrokenResourceError, trio.ClosedResourceError, LocalProtocolError):
            return False
        return True

    async def _send_event(self, event: Event) -> None:
        data = self._connection.send(event)
        async with self._sending:
            await self.stream.send_all(data)

    async def _next_event(self) -> Event | None:
        """The next event of the connection, None at its end."""
        import trio
        from wsproto.utilities import RemoteProtocolError

        while not self._waiting:
            try:
                data = await self.stream.receive_some()
                self._connection.receive_data(bytes(data) or None)
                self._waiting.extend(self._connection.events())
            except (trio.BrokenResourceError, trio.ClosedResourceError, RemoteProtocolError):
                return None
            if not data:
                break
        return self._waiting.popleft() if self._waiting else None


def _target(url: str) -> SplitResult:
    try:
        target = urlsplit(url)
        target.port  # noqa: B018 - raises for a port that is no number
    except ValueError as error:
        raise ConnectionFailed(str(error)) from error
    if target.scheme not in ("ws", "wss") or not target.hostname:
        raise ConnectionFailed(f"not a WebSocket address: {url}")
    return target
