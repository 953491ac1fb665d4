"""An authenticated connection under trio: messages out of a bounded queue, batches of them in."""

from __future__ import annotations

import errno
import os
import secrets
import ssl
from collections import deque
from collections.abc import Awaitable, Callable, Sequence

import trio

from .config import ClusterConfig
from .frames import FrameError, FrameReader, FrameWriter, Received, frame
from .handshake import HANDSHAKE_BYTES, NONCE_BYTES, Handshake, HandshakeError, Hello, Judge
from .messages import Message
from .options import split_address
from .protection import Protection

RECEIVE_BYTES = 64 * 1024
BATCH_BYTES = 256 * 1024
"""What goes out in one write, at most."""

FAREWELL_SECONDS = 1.0
"""For what is queued, when a link is closed in good order."""

HUNG_UP = "it hung up during the handshake"
_KEEPALIVE = (("TCP_KEEPIDLE", 10), ("TCP_KEEPINTVL", 5), ("TCP_KEEPCNT", 4))
_LOST = (trio.BrokenResourceError, trio.ClosedResourceError)

Receive = Callable[[Sequence[Received]], Awaitable[None]]


class LinkError(Exception):
    """There is no link; the text says why. `speaks_http`: a web server answered."""

    def __init__(self, reason: str, speaks_http: bool = False) -> None:
        super().__init__(reason)
        self.speaks_http = speaks_http


class Channel:
    """A link with a peer that has proved itself. `dialled`: by this side.

    Sending never waits: a peer that reads too slowly loses the link, and memory stays bounded.
    """

    def __init__(
        self,
        stream: trio.abc.Stream,
        reader: FrameReader,
        handshake: Handshake,
        protection: Protection,
        config: ClusterConfig,
        dialled: bool,
    ) -> None:
        assert handshake.peer is not None
        keys = handshake.keys if protection.seals else None
        reader.begin(config.frame_bytes, keys.receiving if keys else None)
        self.peer: Hello = handshake.peer
        self.dialled = dialled
        self.reason: str | None = None
        self.ended = trio.Event()
        self.since = trio.current_time()
        self._stream = stream
        self._descriptor: int | None = None
        if isinstance(stream, trio.SocketStream) and os.name == "posix":
            self._descriptor = stream.socket.fileno()
        self._reader = reader
        self._writer = FrameWriter(config.frame_bytes, keys.sending if keys else None)
        self._config = config
        self._most_frames = config.queue_frames
        self._most_bytes = config.queue_bytes
        self._frames: deque[bytes] = deque()
        self._waiting = 0
        self._more: trio.Event | None = None
        self._finishing = False
        self._closed = False
        self._scope = trio.CancelScope()

    @property
    def backlog(self) -> tuple[int, int]:
        """Frames and bytes that wait to be sent."""
        return len(self._frames), self._waiting

    def send(self, message: Message) -> int:
        """Queues a message; gives its size, 0 when the link is closed or was closed for being full.

        Raises ValueError for what cannot travel.
        """
        size = self.post(message)
        if self._more is not None:
            self._more.set()
        return size

    def post(self, message: Message) -> int:
        """The same, for those who call `flush` when they have said all."""
        if self._finishing or self._closed:
            return 0
        frames = self._frames
        if len(frames) >= self._most_frames or self._waiting >= self._most_bytes:
            self.close(f"it reads too slowly: {len(frames)} frames, {self._waiting} bytes wait")
            return 0
        data = self._writer.frame(message)
        frames.append(data)
        self._waiting += len(data)
        return len(data)

    def flush(self) -> None:
        """Sends what was posted, at once if nothing is on its way and the system takes it: that
        spares the turns of the event loop until the writer has woken up."""
        if self._more is None or not self._frames:
            return  # the writer is at it
        if self._descriptor is not None:
            batch = self._batch()
            try:
                sent = os.write(self._descriptor, batch)
            except OSError:  # full, or broken: the writer will see
                sent = 0
            self._waiting -= sent
            if sent < len(batch):
                self._frames.appendleft(batch[sent:])
            if not self._frames:
                return
        self._more.set()

    def close(self, reason: str) -> None:
        """Ends the link at once; what is queued is lost."""
        if self.reason is None:
            self.reason = reason
        self._closed = True
        self._frames.clear()
        self._scope.cancel()

    def finish(self) -> None:
        """Ends the link when what is queued has been sent, soon in any case."""
        self._finishing = True
        if self._more is not None:
            self._more.set()

    async def run(self, receive: Receive) -> None:
        """Hands over what arrives until the link ends; `reason` then says why, None: in good order.

        Errors of `receive` are the caller's.
        """
        try:
            with self._scope:
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(self._write, nursery.cancel_scope)
                    await self._read(receive)
                    nursery.cancel_scope.cancel()
        finally:
            self._closed = True
            self._descriptor = None
            self._frames.clear()
            await _close(self._stream)
            self.ended.set()

    async def _read(self, receive: Receive) -> None:
        reader = self._reader
        try:
            while True:
                if found := reader.messages():
                    await receive(found)
                data = await self._receive_some()
                if not data:
                    return
                reader.feed(data)
        except FrameError as error:
            self.close(str(error))
        except _LOST:
            self._broke()

    async def _receive_some(self) -> bytes | bytearray:
        """Waits first, as there is mostly nothing yet: that spares a read in vain."""
        if self._descriptor is None:
            return await self._stream.receive_some(RECEIVE_BYTES)
        while True:
            await trio.lowlevel.wait_readable(self._descriptor)
            try:
                return os.read(self._descriptor, RECEIVE_BYTES)
            except BlockingIOError:
                continue
            except OSError as error:
                raise trio.BrokenResourceError from error

    def _broke(self) -> None:
        if self._finishing:  # the other side need not hear the last of it
            self._scope.cancel()
        else:
            self.close("the connection broke")

    async def _write(self, link: trio.CancelScope) -> None:
        seconds = self._config.send_ms / 1000
        try:
            while not (self._finishing and not self._frames):
                if self._frames:
                    batch = self._batch()
                    with trio.fail_after(seconds):
                        await self._stream.send_all(batch)
                    self._waiting -= len(batch)
                else:
                    self._more = trio.Event()
                    await self._more.wait()
                    self._more = None
            await self._say_goodbye(link)
        except trio.TooSlowError:
            self.close(f"nothing could be sent for {seconds:g} s")
        except _LOST:
            self._broke()

    async def _say_goodbye(self, link: trio.CancelScope) -> None:
        """Lets the other side read to the end: closing at once could cost it what it has not."""
        if isinstance(self._stream, trio.SocketStream):
            await self._stream.send_eof()
            link.deadline = trio.current_time() + FAREWELL_SECONDS
        else:
            link.cancel()

    def _batch(self) -> bytes:
        frames = self._frames
        batch = [frames.popleft()]
        size = len(batch[0])
        while frames and size < BATCH_BYTES:
            batch.append(frames.popleft())
            size += len(batch[-1])
        return b"".join(batch) if len(batch) > 1 else batch[0]


async def _close(stream: trio.abc.Stream) -> None:
    """In good order if that is quick; never waits for the other side."""
    with trio.CancelScope(shield=True, deadline=trio.current_time() + FAREWELL_SECONDS):
        try:
            await stream.aclose()
        except _LOST:
            return


# --- making channels -----------------------------------------------------------------------------


async def dial(
    address: str, me: Hello, protection: Protection, config: ClusterConfig, judge: Judge
) -> Channel:
    """A link with the bus at `host:port`. Raises LinkError."""
    found = split_address(address)
    if found is None:
        raise LinkError(f"'{address}' is no address")
    try:
        with trio.fail_after(config.handshake_ms / 1000):
            stream = await trio.open_tcp_stream(*found)
    except trio.TooSlowError as error:
        raise LinkError("timed out") from error
    except (OSError, UnicodeError) as error:
        raise LinkError(reason_of(error)) from error
    return await shake(stream, me, protection, config, judge, dials=True)


async def shake(
    stream: trio.SocketStream,
    me: Hello,
    protection: Protection,
    config: ClusterConfig,
    judge: Judge,
    dials: bool,
) -> Channel:
    """Makes a connection a link; closes it, and raises LinkError, when the handshake fails."""
    keep_alive(stream, config.send_ms)
    secured: trio.abc.Stream = stream
    nonce = secrets.token_bytes(NONCE_BYTES)
    reader = FrameReader(HANDSHAKE_BYTES)
    handshake = Handshake(me, dials, protection.secret, nonce, judge)
    try:
        with trio.fail_after(config.handshake_ms / 1000):
            if protection.tls is not None:
                tls = protection.tls
                context = tls.client if dials else tls.server
                secured = trio.SSLStream(
                    stream, context, server_side=not dials, https_compatible=True
                )
                await secured.do_handshake()
            await _exchange(secured, reader, handshake)
        return Channel(secured, reader, handshake, protection, config, dials)
    except BaseException as error:
        await trio.aclose_forcefully(stream)
        http = dials and (reader.beginning.startswith(b"HTTP/") or _plain_http(error))
        if isinstance(error, trio.TooSlowError):
            raise LinkError("the handshake took too long") from error
        if isinstance(error, (HandshakeError, FrameError, *_LOST)):
            raise LinkError(_why(error, protection, http), http) from error
        raise


async def _exchange(stream: trio.abc.Stream, reader: FrameReader, handshake: Handshake) -> None:
    first = handshake.start()
    if first is not None:
        await stream.send_all(frame(first))
    while not handshake.done:
        body = reader.body()
        if body is None:
            data = await stream.receive_some(RECEIVE_BYTES)
            if not data:
                raise HandshakeError(HUNG_UP)
            reader.feed(data)
            continue
        try:
            answer = handshake.receive(body)
        except HandshakeError as error:
            if error.reply is not None:
                await stream.send_all(frame(error.reply))
            raise
        if answer is not None:
            await stream.send_all(frame(answer))


def _plain_http(error: BaseException) -> bool:
    cause = error.__cause__
    return isinstance(cause, ssl.SSLError) and cause.reason in (
        "HTTP_REQUEST",
        "WRONG_VERSION_NUMBER",
    )


def _why(error: BaseException, protection: Protection, http: bool) -> str:
    if http:
        return "there is a web server, no bus"
    if not isinstance(error, _LOST):
        return str(error)
    cause = error.__cause__
    if isinstance(cause, ssl.SSLError) or protection.tls is not None:
        detail = getattr(cause, "verify_message", "") or getattr(cause, "reason", "") or "hung up"
        return f"no TLS that both sides accept ({str(detail).replace('_', ' ').lower()})"
    return HUNG_UP


def keep_alive(stream: trio.SocketStream, unanswered_ms: int) -> None:
    """Has the system find out when the other side has vanished, also while something is on its way
    to it; small frames go out at once."""
    try:
        stream.setsockopt(trio.socket.IPPROTO_TCP, trio.socket.TCP_NODELAY, 1)
        stream.setsockopt(trio.socket.SOL_SOCKET, trio.socket.SO_KEEPALIVE, 1)
        for name, value in (*_KEEPALIVE, ("TCP_USER_TIMEOUT", unanswered_ms)):
            option = getattr(trio.socket, name, None)
            if option is not None:
                stream.setsockopt(trio.socket.IPPROTO_TCP, option, value)
    except OSError:
        return  # it has vanished already, as the next read will tell


def innermost(error: BaseException) -> BaseException:
    """What has failed, without the nurseries around it."""
    while isinstance(error, BaseExceptionGroup) and len(error.exceptions) == 1:
        error = error.exceptions[0]
    return error


def reason_of(error: BaseException) -> str:
    """The innermost cause: trio wraps the errors of all addresses that it tried."""
    while True:
        inner = error.exceptions if isinstance(error, BaseExceptionGroup) else ()
        cause = inner[0] if inner else error.__cause__
        if cause is None:
            break
        error = cause
    if isinstance(error, OSError) and error.errno is not None and error.errno in errno.errorcode:
        return f"{os.strerror(error.errno)} (os error {error.errno})"
    return getattr(error, "strerror", None) or str(error)
