"""Byte streams as the servers use them: a socket's own descriptor when there is one.

Two system calls and one wait per request are most of what a small answer costs, so plain sockets
are read and written without the bookkeeping of a general stream.
"""

from __future__ import annotations

import ipaddress
import os
from typing import Protocol

import trio

_BROKEN = (trio.BrokenResourceError, trio.ClosedResourceError, OSError)
_LINGER_SECONDS = 1.0
_LINGER_READS = 16


class Disconnected(Exception):
    """The client is gone; nobody reads an answer any more."""


class Pipe(Protocol):
    """A connection. `local` says whether the other end is on this machine."""

    local: bool

    async def receive(self, limit: int) -> bytes:
        """The next bytes, empty at the end. Raises Disconnected."""

    def try_receive(self, limit: int) -> bytes:
        """What has arrived already, perhaps nothing. Raises Disconnected."""

    def try_send(self, data: bytes) -> int:
        """Sends what fits without waiting; how many bytes that was. Raises Disconnected."""

    async def send(self, data: bytes | memoryview) -> None:
        """Sends everything. Raises Disconnected."""

    async def linger(self) -> None:
        """Ends sending, and reads a little on, so that the last answer is not reset away."""

    async def close(self) -> None:
        """Closes the connection."""


class StreamPipe:
    """Any trio stream."""

    def __init__(self, stream: trio.abc.Stream, local: bool = True) -> None:
        self._stream = stream
        self.local = local

    async def receive(self, limit: int) -> bytes:
        try:
            return bytes(await self._stream.receive_some(limit))
        except _BROKEN as error:
            raise Disconnected from error

    def try_receive(self, limit: int) -> bytes:
        return b""

    def try_send(self, data: bytes) -> int:
        return 0

    async def send(self, data: bytes | memoryview) -> None:
        try:
            await self._stream.send_all(data)
        except _BROKEN as error:
            raise Disconnected from error

    async def linger(self) -> None:
        try:
            if isinstance(self._stream, trio.abc.HalfCloseableStream):
                await self._stream.send_eof()
            with trio.move_on_after(_LINGER_SECONDS):
                for _ in range(_LINGER_READS):
                    if not await self.receive(65536):
                        break
        except (*_BROKEN, Disconnected):
            return  # it ended even sooner

    async def close(self) -> None:
        await trio.aclose_forcefully(self._stream)


class SocketPipe(StreamPipe):
    """A plain TCP socket, read and written through its descriptor."""

    def __init__(self, stream: trio.SocketStream) -> None:
        super().__init__(stream, _is_loopback(stream))
        self._fd = stream.socket.fileno()

    async def receive(self, limit: int) -> bytes:
        try:
            while True:
                await trio.lowlevel.wait_readable(self._fd)
                try:
                    return os.read(self._fd, limit)
                except BlockingIOError:
                    continue
        except _BROKEN as error:
            raise Disconnected from error

    def try_receive(self, limit: int) -> bytes:
        try:
            return os.read(self._fd, limit)
        except BlockingIOError:
            return b""
        except OSError as error:
            raise Disconnected from error

    def try_send(self, data: bytes) -> int:
        try:
            return os.write(self._fd, data)
        except BlockingIOError:
            return 0
        except OSError as error:
            raise Disconnected from error


def pipe_for(stream: trio.abc.Stream) -> Pipe:
    """The quickest pipe for a stream."""
    if isinstance(stream, trio.SocketStream) and os.name == "posix":
        return SocketPipe(stream)
    return StreamPipe(stream)


def _is_loopback(stream: trio.SocketStream) -> bool:
    try:
        return ipaddress.ip_address(stream.socket.getpeername()[0]).is_loopback
    except (OSError, ValueError, IndexError):
        return False
