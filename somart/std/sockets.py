"""Client sockets under trio: TCP with readable errors, and WebSockets (wsproto)."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import TYPE_CHECKING
from urllib.parse import SplitResult, urlsplit

if TYPE_CHECKING:
    import trio
    from wsproto import WSConnection
    from wsproto.events import Event

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
    if isinstance(error, OSError) and error.strerror:
        return f"{error.strerror} (os error {error.errno})"
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
        self.stream = stream
        self._connection = connection

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
        async for event in socket._events():
            if isinstance(event, AcceptConnection):
                return socket
            break
        await stream.aclose()
        raise ConnectionFailed("the server refused the WebSocket")

    async def send(self, message: str) -> bool:
        """Send a text; False when the connection is gone."""
        import trio
        from wsproto.events import TextMessage
        from wsproto.utilities import LocalProtocolError

        try:
            await self._send_event(TextMessage(data=message))
        except (trio.BrokenResourceError, trio.ClosedResourceError, LocalProtocolError):
            return False
        return True

    async def messages(self) -> AsyncIterator[str]:
        """The texts that arrive until the other side closes; pings are answered."""
        from wsproto.events import CloseConnection, Ping, TextMessage

        parts: list[str] = []
        async for event in self._events():
            if isinstance(event, TextMessage):
                parts.append(event.data)
                if sum(map(len, parts)) > MAX_LINE:
                    return
                if event.message_finished:
                    yield "".join(parts)
                    parts.clear()
            elif isinstance(event, Ping | CloseConnection):
                await self._answer(event)

    async def _answer(self, event: Event) -> None:
        import trio
        from wsproto.events import CloseConnection, Ping

        if isinstance(event, Ping | CloseConnection):
            try:
                await self._send_event(event.response())
            except (trio.BrokenResourceError, trio.ClosedResourceError):
                return  # the reader sees the end of the connection

    async def _send_event(self, event: Event) -> None:
        await self.stream.send_all(self._connection.send(event))

    async def _events(self) -> AsyncIterator[Event]:
        import trio
        from wsproto.utilities import RemoteProtocolError

        while True:
            try:
                data = await self.stream.receive_some()
                self._connection.receive_data(bytes(data) or None)
                events = list(self._connection.events())
            except (trio.BrokenResourceError, trio.ClosedResourceError, RemoteProtocolError):
                return
            for event in events:
                yield event
            if not data:
                return


def _target(url: str) -> SplitResult:
    try:
        target = urlsplit(url)
        target.port  # noqa: B018 - raises for a port that is no number
    except ValueError as error:
        raise ConnectionFailed(str(error)) from error
    if target.scheme not in ("ws", "wss") or not target.hostname:
        raise ConnectionFailed(f"not a WebSocket address: {url}")
    return target
