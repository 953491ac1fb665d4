"""Event streams: emitted and published events as `text/event-stream` (spec 3 §8.4)."""

from __future__ import annotations

import trio

from ..events import Event, Subscription
from ..values import text
from .pipes import Disconnected, Pipe
from .site import Site

_CONNECTED = b'event: connected\ndata: {"status":"connected"}\n\n'
_KEEPALIVE = b": keepalive\n\n"
_TOO_SLOW = b": dropped, the client reads too slowly\n\n"


def frame(event: Event) -> bytes:
    """An event as a frame. Line breaks in the data become further data lines, in names blanks."""
    name = " ".join(event.name.splitlines())
    lines = text(event.payload).replace("\r\n", "\n").replace("\r", "\n").split("\n")
    data = "".join([f"data: {line}\n" for line in lines])
    return f"event: {name}\n{data}\n".encode("utf-8", "replace")


def chunk(data: bytes) -> bytes:
    """One chunk of a chunked body."""
    return b"%x\r\n%b\r\n" % (len(data), data)


class EventStream:
    """Sends the events with the given names, or all, until the client or the feed ends."""

    def __init__(self, site: Site, pipe: Pipe, names: tuple[str, ...], chunked: bool) -> None:
        self._site = site
        self._pipe = pipe
        self._names = names
        self._chunked = chunked

    async def run(self, head: bytes) -> None:
        """Streams. A feed that ends (the server stops) completes the body properly."""
        feed = self._site.app.events.subscribe(self._names or None)
        with feed as subscription:
            await self._send_raw(head)
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._watch, nursery.cancel_scope)
                await self._send(_CONNECTED)
                await self._pump(subscription)
                nursery.cancel_scope.cancel()
        if self._chunked:
            await self._send_raw(b"0\r\n\r\n")

    async def _pump(self, subscription: Subscription) -> None:
        seconds = self._site.limits.keepalive_seconds
        while True:
            event = None
            try:
                with trio.move_on_after(seconds):
                    event = await subscription.receive()
            except trio.EndOfChannel:
                if subscription.dropped:
                    await self._send(_TOO_SLOW)
                return
            await self._send(_KEEPALIVE if event is None else frame(event))

    async def _watch(self, scope: trio.CancelScope) -> None:
        """Notices a client that leaves; what it sends meanwhile is not read as requests."""
        try:
            while await self._pipe.receive(4096):
                continue
        except Disconnected:
            scope.cancel()
            return
        scope.cancel()

    async def _send(self, data: bytes) -> None:
        await self._send_raw(chunk(data) if self._chunked else data)

    async def _send_raw(self, data: bytes) -> None:
        with trio.move_on_after(self._site.limits.send_seconds) as scope:
            await self._pipe.send(data)
        if scope.cancelled_caught:
            raise Disconnected
