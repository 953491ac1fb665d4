"""One kept HTTP/1.1 connection to an etcd member: requests, answers, and streamed answers."""

from __future__ import annotations

import select
import ssl
from collections.abc import AsyncGenerator

import httptools
import trio

from .settings import Endpoint

CONNECT_SECONDS = 1.0
"""For TCP and TLS together: members are near, and there are others to try."""
MAX_ANSWER = 64 * 1024 * 1024
"""Of one answer, or one message of a stream: more than any page that is asked for."""
_CHUNK = 256 * 1024


class TransportError(Exception):
    """No answer. `sent`: the request may have reached the member."""

    def __init__(self, text: str, sent: bool) -> None:
        super().__init__(text)
        self.sent = sent


class Connection:
    """A connection for one request at a time; `alive` while it may carry another one."""

    def __init__(self, stream: trio.abc.Stream, descriptor: int, endpoint: Endpoint) -> None:
        self._stream = stream
        self._socket = descriptor
        self._host = f"{endpoint.host}:{endpoint.port}"
        self._parser: httptools.HttpResponseParser | None = None
        self._body = bytearray()
        self._complete = False
        self.alive = True

    @classmethod
    async def open(cls, endpoint: Endpoint, context: ssl.SSLContext | None) -> Connection:
        """Raises TransportError."""
        try:
            with trio.fail_after(CONNECT_SECONDS):
                plain = await trio.open_tcp_stream(endpoint.host, endpoint.port)
                stream: trio.abc.Stream = plain
                if endpoint.tls:
                    stream = await _secured(plain, endpoint, context)
        except (OSError, trio.BrokenResourceError, trio.TooSlowError) as error:
            reason = error.__cause__ or error
            raise TransportError(f"{endpoint}: {reason or 'timed out'}", sent=False) from error
        return cls(stream, plain.socket.fileno(), endpoint)

    def rests(self) -> bool:
        """Whether it may carry a request: nothing has come that nobody asked for, the end neither.
        A request on a connection that was closed long ago would seem to have been sent."""
        if not self.alive:
            return False
        poll = select.poll()
        poll.register(self._socket, select.POLLIN)
        return not poll.poll(0)

    async def aclose(self) -> None:
        """Gives it up, without ceremony."""
        self.alive = False
        await trio.aclose_forcefully(self._stream)

    # --- what the parser calls -------------------------------------------------------------------

    def on_body(self, data: bytes) -> None:
        self._body += data

    def on_message_complete(self) -> None:
        assert self._parser is not None
        self._complete = True
        self.alive = self._parser.should_keep_alive()  # later it does not know any more

    # --- exchanges -------------------------------------------------------------------------------

    async def post(self, path: str, body: bytes, token: str) -> tuple[int, bytes]:
        """The status and the body of an answer. Raises TransportError."""
        await self._send(path, body, token)
        while not self._complete:
            await self._receive()
        answer = bytes(self._body)
        assert self._parser is not None
        status = self._parser.get_status_code()
        return status, answer

    async def stream(self, path: str, body: bytes, token: str) -> AsyncGenerator[bytes, None]:
        """The lines of an endless answer. Raises TransportError when it breaks."""
        await self._send(path, body, token)
        while True:
            await self._receive()
            *lines, rest = self._body.split(b"\n")
            self._body = bytearray(rest)
            for line in lines:
                if line.strip():
                    yield bytes(line)
            if self._complete:
                if rest.strip():
                    yield bytes(rest)
                return

    async def _send(self, path: str, body: bytes, token: str) -> None:
        self._parser = httptools.HttpResponseParser(self)
        self._body = bytearray()
        self._complete = False
        authorization = f"Authorization: {token}\r\n" if token else ""
        head = (
            f"POST {path} HTTP/1.1\r\nHost: {self._host}\r\n{authorization}"
            f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        try:
            await self._stream.send_all(head.encode("ascii") + body)
        except (trio.BrokenResourceError, trio.ClosedResourceError, OSError) as error:
            self.alive = False
            raise TransportError(f"{self._host}: connection lost", sent=True) from error

    async def _receive(self) -> None:
        assert self._parser is not None
        try:
            data = await self._stream.receive_some(_CHUNK)
            if data:
                self._parser.feed_data(bytes(data))
        except (
            trio.BrokenResourceError,
            trio.ClosedResourceError,
            OSError,
            httptools.HttpParserError,
        ) as error:
            self.alive = False
            raise TransportError(f"{self._host}: connection lost", sent=True) from error
        if not data or len(self._body) > MAX_ANSWER:
            self.alive = False
            reason = "answer too long" if data else "connection closed"
            raise TransportError(f"{self._host}: {reason}", sent=True)


async def _secured(
    plain: trio.SocketStream, endpoint: Endpoint, context: ssl.SSLContext | None
) -> trio.abc.Stream:
    """The connection with TLS. Closes it when the other side is not who it should be."""
    context = context or ssl.create_default_context()
    secure = trio.SSLStream(plain, context, server_hostname=endpoint.host, https_compatible=True)
    try:
        await secure.do_handshake()
    except BaseException:
        await trio.aclose_forcefully(plain)
        raise
    return secure
