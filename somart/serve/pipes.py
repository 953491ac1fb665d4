"""Byte streams as the servers use them: a socket's own descriptor when there is one.

Two system calls and one wait per request are most of what a small answer costs, so plain sockets
are read and written without the bookkeeping of a general stream.
"""

from __future__ import annotations

import ipaddress
import os
from collections.abc import Callable
from typing import Protocol

import trio

_BROKEN = (trio.BrokenResourceError, trio.ClosedResourceError, OSError)
_LINGER_SECONDS = 1.0
_LINGER_READS = 16


MORE = 0
"""What has come is dealt with; pass on what comes next."""

HOLD = 1
"""The same, but pass on nothing until `release`: an answer comes first."""

LEAVE = 2
"""The task that receives has to go on."""

Take = Callable[[bytes], int]
"""Takes what has arrived, empty at the end; gives MORE, HOLD or LEAVE."""


class Disconnected(Exception):
    """The client is gone; nobody reads an answer any more."""


class Pipe(Protocol):
    """A connection. `local` says whether the other end is on this machine.

    `in_place` says that `serve` passes on what arrives without a task of its own, so that waiting
    has to be done elsewhere (HOLD).
    """

    local: bool
    in_place: bool

    async def receive(self, limit: int) -> bytes:
        """The next bytes, empty at the end. Raises Disconnected."""

    async def serve(self, limit: int, take: Take) -> None:
        """Passes on what arrives until `take` gives LEAVE. Raises Disconnected."""

    def release(self, step: int) -> None:
        """Ends a HOLD with MORE or LEAVE."""

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

    in_place = False

    def __init__(self, stream: trio.abc.Stream, local: bool = True) -> None:
        self._stream = stream
        self.local = local

    async def receive(self, limit: int) -> bytes:
        try:
            return bytes(await self._stream.receive_some(limit))
        except _BROKEN as error:
            raise Disconnected from error

    async def serve(self, limit: int, take: Take) -> None:
        while take(await self.receive(limit)) is not LEAVE:
            continue

    def release(self, step: int) -> None:
        raise RuntimeError("a stream is not held")

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


def _is_loopback(stream: trio.SocketStream) -> bool:
    try:
        return ipaddress.ip_address(stream.socket.getpeername()[0]).is_loopback
    except (OSError, ValueError, IndexError):
        return False
