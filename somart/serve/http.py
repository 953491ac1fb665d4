"""The HTTP/1.1 driver: connections, deadlines, keep-alive, shutdown. Decisions lie elsewhere."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence

import trio

from ..errors import SomaError, type_error
from .limits import ServeLimits
from .message import Request, Response, encode, encode_stream_head
from .parsing import RequestParser
from .pipes import Disconnected, Pipe, pipe_for
from .replies import error_reply, refusal_reply
from .site import Site
from .sse import EventStream

_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
_UNREAD = "-"
_TURN_AWAY_SECONDS = 1.0
_LATE_SECONDS = 1.0


class Connection:
    """One client. Requests are answered one after the other, in the order of their arrival.

    `deadline` is looked at by the server's reaper, which cancels `scope`; while a handler runs
    there is none, so that a transaction is never cut by a clock.
    """

    __slots__ = ("_parser", "_pipe", "_server", "deadline", "idle", "scope")

    def __init__(self, server: HttpServer, pipe: Pipe) -> None:
        self._server = server
        self._pipe = pipe
        self._parser = RequestParser(server.limits)
        self.scope = trio.CancelScope()
        self.deadline = math.inf
        self.idle = False

    async def run(self) -> None:
        """Serves the client until either side ends. Never raises for what the client does."""
        try:
            with self.scope:
                await self._serve()
            if self.scope.cancelled_caught:
                await self._end()
        except* Disconnected:
            pass  # an ordinary end, also out of the tasks of an event stream

    async def _end(self) -> None:
        """After a deadline, or when the server stops: what has arrived in full is answered."""
        if self._parser.receiving:
            await self._refuse(408, "the request took too long")
        elif self.idle:
            self._parser.feed(self._pipe.try_receive(self._server.limits.receive_bytes))
            await self._answer_all(last=True)

    async def _serve(self) -> None:
        server, parser = self._server, self._parser
        limits = server.limits
        while True:
            if not parser.receiving:
                if server.stopping:
                    return
                self.idle = True
                self.deadline = server.now + limits.idle_seconds
            elif self.deadline is math.inf:
                self.deadline = server.now + limits.request_seconds
            was_idle = self.idle
            data = await self._pipe.receive(limits.receive_bytes)
            self.idle = False
            if self.scope.cancel_called:
                await trio.lowlevel.checkpoint_if_cancelled()
            if not data:
                return
            if was_idle:
                self.deadline = math.inf
            parser.feed(data)
            if (parser.requests or parser.refusal) and not await self._answer_all():
                return
            if parser.expects_continue:
                parser.expects_continue = False
                await self._send(_CONTINUE)

    async def _answer_all(self, last: bool = False) -> bool:
        """Answers what has arrived; False when the connection is to be closed."""
        parser = self._parser
        self.deadline = math.inf
        while parser.requests:
            request = parser.requests.popleft()
            ends = (last or parser.upgrade) and not parser.requests
            if not await self._answer(request, request.keep_alive and not ends):
                return False
        if parser.refusal is not None:
            await self._refuse(parser.refusal.status, parser.refusal.reason)
            return False
        return True

    async def _answer(self, request: Request, keep_alive: bool) -> bool:
        server = self._server
        started = time.perf_counter()
        response = await server.site.respond(request, self._pipe.local)
        if response.stream is not None and request.method != "HEAD":
            server.log_request(request, response, started)
            await self._stream(request, response)
            return False
        keep_alive = keep_alive and not server.stopping and not response.close
        try:
            data = encode(response, request, keep_alive)
        except ValueError as error:  # a header that `replies` has not made
            response = error_reply(_unsafe(error))
            data = encode(response, request, keep_alive)
        await self._send(data)
        server.log_request(request, response, started)
        if response.close:
            await self._linger()
        return keep_alive

    async def _stream(self, request: Request, response: Response) -> None:
        if self._server.stopping:
            await self._refuse(503, "the server is stopping")
            return
        head = encode_stream_head(response, request)
        stream = EventStream(
            self._server.site, self._pipe, response.stream or (), not request.http10
        )
        await stream.run(head)

    async def _refuse(self, status: int, reason: str) -> None:
        """Says why, and ends. What else the client sends is thrown away for a moment."""
        response = refusal_reply(status, reason)
        self._server.site.log.request(_UNREAD, _UNREAD, status, 0.0, None)
        with trio.move_on_after(self._server.limits.reap_seconds * 4):
            await self._pipe.send(encode(response, None, False))
            await self._pipe.linger()

    async def _linger(self) -> None:
        self.deadline = math.inf
        await self._pipe.linger()

    async def _send(self, data: bytes) -> None:
        sent = self._pipe.try_send(data)
        if sent == len(data):
            return
        limits = self._server.limits
        view = memoryview(data)
        while sent < len(data):
            self.deadline = trio.current_time() + limits.send_seconds
            await self._pipe.send(view[sent : sent + limits.send_block])
            sent += limits.send_block
        self.deadline = math.inf


def _unsafe(error: ValueError) -> SomaError:
    return type_error(str(error))


class HttpServer:
    """Serves a site on listeners until it is told to stop."""

    def __init__(self, site: Site, limits: ServeLimits) -> None:
        self.site = site
        self.limits = limits
        self.stopping = False
        self.now = 0.0
        self._connections: set[Connection] = set()
        self._accepting = trio.CancelScope()
        self._all_gone = trio.Event()

    def log_request(self, request: Request, response: Response, started: float) -> None:
        """The request's line, and with `--verbose` the body of the response."""
        log = self.site.log
        if log.requests:
            seconds = time.perf_counter() - started
            log.request(request.method, request.target, response.status, seconds, response.error)
            if response.place is not None:
                log.place(response.place)
        if log.verbose:
            log.detail("response body", response.body.decode("utf-8", "replace"))

    async def serve(self, listeners: Sequence[trio.abc.Listener[trio.abc.Stream]]) -> None:
        """Accepts connections until `stop`; returns when they have ended or the grace is over."""
        self.now = trio.current_time()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._reap)
            with self._accepting:
                await trio.serve_listeners(self.handle, list(listeners), handler_nursery=nursery)
            for listener in listeners:
                await listener.aclose()
            with trio.move_on_after(self.limits.grace_seconds):
                if self._connections:
                    await self._all_gone.wait()
            nursery.cancel_scope.cancel()

    def stop(self) -> None:
        """No new connections, idle ones end now, the others after the answer they wait for."""
        self.stopping = True
        self._accepting.cancel()
        for connection in self._connections:
            if connection.idle:
                connection.scope.cancel()

    async def handle(self, stream: trio.abc.Stream) -> None:
        """One connection from its beginning to its end."""
        pipe = pipe_for(stream)
        connection = Connection(self, pipe)
        try:
            if len(self._connections) >= self.limits.connections:
                await _turn_away(pipe)
                return
            self._connections.add(connection)
            await connection.run()
        except Exception as error:  # a fault of the server: it costs this client, nobody else
            self.site.log.fault(error)
        finally:
            self._connections.discard(connection)
            if self.stopping and not self._connections:
                self._all_gone.set()
            await pipe.close()

    async def _reap(self) -> None:
        """Cancels connections whose deadline is over."""
        while True:
            await trio.sleep(self.limits.reap_seconds)
            now = trio.current_time()
            late = now - self.now - self.limits.reap_seconds
            self.now = now
            for connection in self._connections:
                if late > _LATE_SECONDS:  # a handler kept the loop busy: not the clients' fault
                    connection.deadline += late
                if connection.deadline < now:
                    connection.scope.cancel()


async def _turn_away(pipe: Pipe) -> None:
    """503 for a client too many, as cheaply as possible."""
    response = refusal_reply(503, "too many connections")
    try:
        with trio.move_on_after(_TURN_AWAY_SECONDS):
            await pipe.send(encode(response, None, False))
    except Disconnected:
        return
