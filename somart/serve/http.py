"""The HTTP/1.1 server: listeners, limits, deadlines, shutdown. Decisions lie elsewhere."""

from __future__ import annotations

import time
from collections.abc import Sequence

import trio

from .connection import Connection
from .limits import ServeLimits
from .message import Request, Response, encode
from .newcomers import turn_away
from .pipes import Disconnected, Pipe
from .polling import Poller, make_poller, pipe_for
from .replies import refusal_reply
from .settling import Settler
from .site import Site

_TURN_AWAY_SECONDS = 1.0
_LATE_SECONDS = 1.0
_LAST_SECONDS = 0.1


class _KeptOpen(trio.abc.Listener[trio.abc.Stream]):
    """A listener that `serve_listeners` does not close: there may be clients waiting on it."""

    def __init__(self, listener: trio.abc.Listener[trio.abc.Stream]) -> None:
        self._listener = listener

    async def accept(self) -> trio.abc.Stream:
        return await self._listener.accept()

    async def aclose(self) -> None:
        await trio.lowlevel.checkpoint()


class HttpServer:
    """Serves a site on listeners until it is told to stop."""

    def __init__(self, site: Site, limits: ServeLimits) -> None:
        self.site = site
        self.limits = limits
        self.stopping = False
        self.now = 0.0
        self.settler = Settler(site.app.engine)
        self._poller: Poller | None = None
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
        self._poller = make_poller(self.limits.turn_reads)
        try:
            await self._serve(listeners, self._poller)
        finally:
            if self._poller is not None:
                self._poller.close()

    async def _serve(
        self, listeners: Sequence[trio.abc.Listener[trio.abc.Stream]], poller: Poller | None
    ) -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._reap)
            nursery.start_soon(self.settler.run)
            if poller is not None:
                nursery.start_soon(poller.run)
            with self._accepting:
                kept = [_KeptOpen(listener) for listener in listeners]
                await trio.serve_listeners(self.handle, kept, handler_nursery=nursery)
            for listener in listeners:
                await self._accept_rest(listener, nursery)
                await listener.aclose()
            with trio.move_on_after(self.limits.grace_seconds):
                while self._connections:
                    self._all_gone = trio.Event()
                    await self._all_gone.wait()
            nursery.cancel_scope.cancel()

    async def _accept_rest(
        self, listener: trio.abc.Listener[trio.abc.Stream], nursery: trio.Nursery
    ) -> None:
        """Who has connected already is answered still: the system would reset the connection, and
        the client could not know whether its request was carried out. Nobody else comes meanwhile,
        where that can be had."""
        if isinstance(listener, trio.SocketListener):
            turn_away(listener.socket)
        with trio.move_on_after(_LAST_SECONDS):
            while True:
                nursery.start_soon(self.handle, await listener.accept())

    def stop(self) -> None:
        """No new connections, idle ones end now, the others after the answer they wait for."""
        self.stopping = True
        self._accepting.cancel()
        for connection in self._connections:
            if connection.idle:
                connection.scope.cancel()

    async def handle(self, stream: trio.abc.Stream) -> None:
        """One connection from its beginning to its end."""
        pipe = pipe_for(stream, self._poller)
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
