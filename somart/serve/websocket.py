"""WebSocket: messages to `on ws(message)`, events to every client (spec 3 §8.4, RFC 6455)."""

from __future__ import annotations

from collections.abc import Sequence

import trio
from wsproto import ConnectionType, WSConnection
from wsproto.connection import ConnectionState
from wsproto.events import (
    AcceptConnection,
    BytesMessage,
    CloseConnection,
    Message,
    Ping,
    Pong,
    RejectConnection,
    TextMessage,
)
from wsproto.events import Event as SocketEvent
from wsproto.events import Request as Handshake
from wsproto.frame_protocol import CloseReason
from wsproto.utilities import ProtocolError, RemoteProtocolError

from ..errors import as_soma_error
from ..events import Event
from ..values import text
from ..values.jsontext import to_json
from .limits import ServeLimits
from .log import printable
from .message import encode
from .pipes import Disconnected, Pipe
from .polling import pipe_for
from .replies import refusal_reply
from .site import Site

HANDLER = "ws"


def broadcast(event: Event) -> str:
    """An event as its message, always valid JSON (mend 15)."""
    return f'{{"event":{to_json(event.name)},"data":{to_json(event.payload)}}}'


class _Ended(Exception):
    """The connection is over."""


class SocketSession:
    """One WebSocket client; its messages are handled one after the other."""

    def __init__(self, site: Site, pipe: Pipe) -> None:
        self._site = site
        self._limits = site.limits
        self._pipe = pipe
        self._protocol = WSConnection(ConnectionType.SERVER)
        self._parts: list[str] = []
        self._size = 0
        self._unanswered_pings = 0
        self._sending = trio.Lock()

    async def run(self) -> None:
        """From the handshake to the end. Never raises for what the client does."""
        try:
            accepted = False
            with trio.move_on_after(self._limits.handshake_seconds):
                accepted = await self._accept()
            if accepted:
                await self._converse()
        except* (Disconnected, _Ended):
            pass  # the ordinary end

    # --- handshake -------------------------------------------------------------------------------

    async def _accept(self) -> bool:
        handshake = await self._handshake()
        if handshake is None:
            refusal = refusal_reply(426, "this port speaks WebSocket only")
            refusal.headers = (("Sec-WebSocket-Version", "13"),)
            await self._pipe.send(encode(refusal, None, False))
            await self._pipe.linger()
            return False
        headers = {name.lower(): value for name, value in handshake.extra_headers}
        origin = headers.get(b"origin")
        known = None if origin is None else origin.decode("latin-1")
        if not self._site.origin_allowed(known, handshake.host):
            await self._send_event(RejectConnection(status_code=403))
            return False
        await self._send_event(AcceptConnection())
        return True

    async def _handshake(self) -> Handshake | None:
        """The client's request, or None for what is none."""
        while True:
            data = await self._pipe.receive(self._limits.receive_bytes)
            if not data:
                raise _Ended
            try:
                self._protocol.receive_data(data)
                for event in self._protocol.events():
                    return event if isinstance(event, Handshake) else None
            except ProtocolError:
                return None

    # --- conversation ----------------------------------------------------------------------------

    async def _converse(self) -> None:
        with self._site.app.events.subscribe(None) as feed:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._ping)
                nursery.start_soon(self._read, nursery.cancel_scope)
                async for event in feed:
                    await self._send_event(TextMessage(broadcast(event)))
                await self._leave(feed.dropped)
                nursery.cancel_scope.cancel()

    async def _leave(self, too_slow: bool) -> None:
        """The feed has ended: the server stops, or this client could not keep up."""
        code = CloseReason.TRY_AGAIN_LATER if too_slow else CloseReason.GOING_AWAY
        await self._send_event(CloseConnection(code=code))

    async def _read(self, scope: trio.CancelScope) -> None:
        try:
            while True:
                data = await self._pipe.receive(self._limits.receive_bytes)
                await self._take(data or None)
        except (Disconnected, _Ended):
            scope.cancel()

    async def _take(self, data: bytes | None) -> None:
        try:
            self._protocol.receive_data(data)
            for event in self._protocol.events():
                await self._react(event)
        except RemoteProtocolError as error:
            code = CloseReason.PROTOCOL_ERROR
            if isinstance(error.event_hint, CloseConnection):
                code = CloseReason(error.event_hint.code)
            await self._close(code)

    async def _react(self, event: SocketEvent) -> None:
        if isinstance(event, TextMessage):
            await self._text(event)
        elif isinstance(event, BytesMessage):
            await self._close(CloseReason.UNSUPPORTED_DATA)
        elif isinstance(event, Ping):
            await self._send_event(event.response())
        elif isinstance(event, Pong):
            self._unanswered_pings = 0
        elif isinstance(event, CloseConnection):
            if self._protocol.state is ConnectionState.REMOTE_CLOSING:
                await self._send_event(event.response())
            elif self._protocol.state is ConnectionState.OPEN:  # what came was no WebSocket
                await self._close(CloseReason(event.code))
            raise _Ended

    async def _text(self, event: Message[str]) -> None:
        self._parts.append(event.data)
        self._size += len(event.data)
        if self._size > self._limits.message_bytes:
            await self._close(CloseReason.MESSAGE_TOO_BIG)
        if event.message_finished:
            message = "".join(self._parts)
            self._parts, self._size = [], 0
            await self._handle(message)

    async def _handle(self, message: str) -> None:
        try:
            result = await self._site.invoke(HANDLER, [message])
            answer = None if result is None else text(result)
        except Exception as error:  # of the program or of the runtime: the client gets its text
            failure = as_soma_error(error)
            log, place = self._site.log, self._site.place_of(failure)
            log.line(f"websocket: error: {printable(str(failure))}")
            if place is not None:
                log.place(place)
            answer = f'{{"error":{to_json(str(failure))}}}'
        if answer is not None:
            await self._send_event(TextMessage(answer))

    async def _ping(self) -> None:
        while True:
            await trio.sleep(self._limits.ping_seconds)
            if self._unanswered_pings >= 2:
                await self._pipe.close()
                return
            self._unanswered_pings += 1
            await self._send_event(Ping())

    async def _close(self, code: CloseReason) -> None:
        await self._send_event(CloseConnection(code=code))
        await self._pipe.linger()
        raise _Ended

    async def _send_event(self, event: SocketEvent) -> None:
        """Sends in one piece. Raises Disconnected when the client does not read."""
        async with self._sending:
            try:
                data = self._protocol.send(event)
            except ProtocolError as error:  # it is closed already
                raise Disconnected from error
            with trio.move_on_after(self._limits.send_seconds) as scope:
                await self._pipe.send(data)
            if scope.cancelled_caught:
                raise Disconnected


class SocketServer:
    """Accepts WebSocket clients until it is told to stop."""

    def __init__(self, site: Site, limits: ServeLimits) -> None:
        self._site = site
        self._limits = limits
        self._sessions = 0
        self._accepting = trio.CancelScope()
        self._all_gone = trio.Event()

    async def serve(self, listeners: Sequence[trio.abc.Listener[trio.abc.Stream]]) -> None:
        """Returns after `stop`, when the clients have been told or the grace is over."""
        async with trio.open_nursery() as nursery:
            with self._accepting:
                await trio.serve_listeners(self.handle, list(listeners), handler_nursery=nursery)
            for listener in listeners:
                await listener.aclose()
            with trio.move_on_after(self._limits.grace_seconds):
                if self._sessions:
                    await self._all_gone.wait()
            nursery.cancel_scope.cancel()

    def stop(self) -> None:
        """No new clients; those connected leave when the event feed ends."""
        self._accepting.cancel()

    async def handle(self, stream: trio.abc.Stream) -> None:
        """One client."""
        pipe = pipe_for(stream)
        self._sessions += 1
        try:
            if self._sessions <= self._limits.connections:
                await SocketSession(self._site, pipe).run()
        except Exception as error:  # a fault of the server: it costs this client, nobody else
            self._site.log.fault(error)
        finally:
            self._sessions -= 1
            if not self._sessions:
                self._all_gone.set()
            await pipe.close()
