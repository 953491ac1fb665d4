"""One HTTP connection: what is answered at once, what by its task, deadlines, the order."""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING

import trio

from ..engines.base import DURABLE, Conflict
from ..errors import SomaError, type_error
from .message import Request, Response, encode, encode_stream_head
from .parsing import RequestParser
from .pipes import HOLD, LEAVE, MORE, Disconnected, Pipe
from .replies import error_reply, refusal_reply
from .sse import EventStream

if TYPE_CHECKING:
    from ..app import Ended
    from .http import HttpServer

_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
_UNREAD = "-"

Answered = tuple[Request, Response, float]
"""A request, the response, and when the request began to be answered."""


class Connection:
    """One client. Requests are answered one after the other, in the order of their arrival.

    A request that comes alone, for a handler that does not wait, is answered where it was read,
    or by the settler when its commit is durable. The task of the connection does all else.
    `deadline` is looked at by the server's reaper, which cancels `scope`; while a handler runs
    there is none, so that a transaction is never cut by a clock.
    """

    __slots__ = (
        "_done",
        "_ended",
        "_fault",
        "_fresh",
        "_parser",
        "_pipe",
        "_running",
        "_server",
        "_unsent",
        "deadline",
        "idle",
        "scope",
    )

    def __init__(self, server: HttpServer, pipe: Pipe) -> None:
        self._server = server
        self._pipe = pipe
        self._parser = RequestParser(server.limits)
        self._ended = False
        self._fault: Exception | None = None
        self._fresh = True  # nothing has been asked yet
        self._running: tuple[Request, Ended, float] | None = None
        self._done: Answered | None = None
        self._unsent = b""
        self.scope = trio.CancelScope()
        self.deadline = math.inf
        self.idle = False

    async def run(self) -> None:
        """Serves the client until either side ends. Never raises for what the client does."""
        try:
            with self.scope:
                if self._server.stopping:
                    await self._serve_last()
                else:
                    await self._serve()
            if self.scope.cancelled_caught:
                await self._end()
        except* Disconnected:
            pass  # an ordinary end, also out of the tasks of an event stream
        finally:
            self._running = None

    async def _end(self) -> None:
        """After a deadline, or when the server stops: what has arrived in full is answered."""
        if self._parser.receiving:
            await self._refuse(408, "the request took too long")
        elif self._fresh and self._server.stopping:
            await self._serve_last()
        elif self.idle or self._parser.requests:
            self._parser.feed(self._pipe.try_receive(self._server.limits.receive_bytes))
            await self._answer_all(last=True)

    async def _serve_last(self) -> None:
        """A client that came just before the server stopped: its request is on its way."""
        limits = self._server.limits
        with trio.move_on_after(limits.newcomer_seconds) as patience:
            while not self._parser.requests and self._parser.refusal is None:
                data = await self._pipe.receive(limits.receive_bytes)
                if not data:
                    return
                if not self._parser.receiving:
                    patience.deadline = trio.current_time() + limits.request_seconds
                self._parser.feed(data)
        await self._answer_all(last=True)

    async def _serve(self) -> None:
        server, parser = self._server, self._parser
        while True:
            if not parser.receiving:
                if server.stopping:
                    return
                self._rest()
            elif self.deadline is math.inf:
                self.deadline = server.now + server.limits.request_seconds
            await self._pipe.serve(server.limits.receive_bytes, self._take)
            if self._fault is not None:
                raise self._fault
            if self._done is not None:
                answered, self._done = self._done, None
                if not await self._deliver(answered, True):
                    return
            elif self._unsent:
                unsent, self._unsent = self._unsent, b""
                await self._send(unsent)
            if self.scope.cancel_called:
                await trio.lowlevel.checkpoint_if_cancelled()
            if self._ended:
                return
            if (parser.requests or parser.refusal) and not await self._answer_all():
                return
            if parser.expects_continue:
                parser.expects_continue = False
                await self._send(_CONTINUE)

    def _rest(self) -> None:
        """Between two requests."""
        self.idle = True
        self.deadline = self._server.now + self._server.limits.idle_seconds

    # --- at once, outside the task ---------------------------------------------------------------

    def _take(self, data: bytes) -> int:
        """Takes what has arrived. Faults and a client that is gone are left to the task."""
        try:
            return self._taken(data)
        except Exception as error:
            self._fault = error
            return LEAVE

    def _taken(self, data: bytes) -> int:
        parser = self._parser
        if not data:
            self._ended = True
            return LEAVE
        parser.feed(data)
        if parser.requests or parser.refusal is not None:
            self._fresh = False
            self.idle = False
            self.deadline = math.inf
            if len(parser.requests) == 1 and self._pipe.in_place and parser.between:
                return self._begin(parser.requests[0])
            return LEAVE
        if parser.receiving and self.idle:
            self.idle = False
            self.deadline = self._server.now + self._server.limits.request_seconds
        return LEAVE if parser.expects_continue else MORE

    def _begin(self, request: Request) -> int:
        """Runs the handler if it can be done without waiting."""
        server = self._server
        if not request.keep_alive or server.stopping:
            return LEAVE
        started = time.perf_counter()
        ended = server.site.attempt(request)
        if ended is None:
            return LEAVE
        self._parser.requests.clear()
        ticket = ended[2]
        if ticket == DURABLE:
            return self._finish((request, server.site.answer(request, ended), started))
        self._running = (request, ended, started)
        server.settler.add(ticket, self)
        return HOLD

    def settled(self, failure: Exception | None) -> None:
        """The commit that the answer waits for is durable, or has failed."""
        if self._running is None:
            return  # the connection has been given up
        (request, ended, started), self._running = self._running, None
        if isinstance(failure, Conflict):  # to be run again, which the task can wait for
            self._parser.requests.append(request)
            self._pipe.release(LEAVE)
            return
        try:
            response = self._server.site.answer(request, ended, failure)
            step = self._finish((request, response, started))
        except Exception as error:
            self._fault = error
            step = LEAVE
        self._pipe.release(step)

    def _finish(self, answered: Answered) -> int:
        """Sends what can be sent without waiting; the rest is left to the task."""
        request, response, started = answered
        server = self._server
        if response.stream is not None or response.close or server.stopping:
            self._done = answered
            return LEAVE
        data = _encoded(request, response, True)
        sent = self._pipe.try_send(data)
        server.log_request(request, response, started)
        if sent < len(data):
            self._unsent = data[sent:]
            return LEAVE
        self._rest()
        return MORE

    # --- in the task -----------------------------------------------------------------------------

    async def _answer_all(self, last: bool = False) -> bool:
        """Answers what has arrived; False when the connection is to be closed."""
        parser = self._parser
        self.deadline = math.inf
        self.idle = False
        while parser.requests:
            request = parser.requests.popleft()
            ends = (last or parser.upgrade) and not parser.requests
            if not await self._answer(request, request.keep_alive and not ends):
                return False
        if parser.refusal is not None:
            refusal = parser.refusal
            await self._refuse(refusal.status, refusal.reason, refusal.silent)
            return False
        return True

    async def _answer(self, request: Request, keep_alive: bool) -> bool:
        started = time.perf_counter()
        response = await self._server.site.respond(request, self._pipe.local)
        return await self._deliver((request, response, started), keep_alive)

    async def _deliver(self, answered: Answered, keep_alive: bool) -> bool:
        """Sends a response of any kind; False when the connection is to be closed."""
        request, response, started = answered
        server = self._server
        if response.stream is not None and request.method != "HEAD":
            server.log_request(request, response, started)
            await self._stream(request, response)
            return False
        keep_alive = keep_alive and not server.stopping and not response.close
        await self._send(_encoded(request, response, keep_alive))
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

    async def _refuse(self, status: int, reason: str, silent: bool = False) -> None:
        """Says why, and ends. What else the client sends is thrown away for a moment."""
        response = refusal_reply(status, reason)
        if not silent:
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


def _encoded(request: Request, response: Response, keep_alive: bool) -> bytes:
    try:
        return encode(response, request, keep_alive)
    except ValueError as error:  # a header that `replies` has not made
        return encode(error_reply(_unsafe(error)), request, keep_alive)


def _unsafe(error: ValueError) -> SomaError:
    return type_error(str(error))
