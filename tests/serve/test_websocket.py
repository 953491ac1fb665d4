"""WebSocket over memory streams, with wsproto as the client."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import trio
from serve_cells import Harness, run, serving
from trio.testing import memory_stream_pair, wait_all_tasks_blocked
from wsproto import ConnectionType, WSConnection
from wsproto.events import (
    AcceptConnection,
    BytesMessage,
    CloseConnection,
    Ping,
    Pong,
    RejectConnection,
    Request,
    TextMessage,
)

from somart.serve.limits import ServeLimits
from somart.serve.site import SiteOptions
from somart.serve.websocket import SocketServer


class SocketClient:
    """One client connection."""

    def __init__(self, stream: trio.abc.Stream) -> None:
        self.stream = stream
        self.protocol = WSConnection(ConnectionType.CLIENT)
        self.waiting: list[Any] = []

    async def send(self, event: Any) -> None:
        await self.stream.send_all(self.protocol.send(event))

    async def event(self) -> Any:
        while not self.waiting:
            data = await self.stream.receive_some(65536)
            self.protocol.receive_data(data or None)
            self.waiting = list(self.protocol.events())
        return self.waiting.pop(0)

    async def say(self, text: str) -> None:
        await self.send(TextMessage(text))

    async def heard(self) -> str:
        event = await self.event()
        assert isinstance(event, TextMessage), event
        return str(event.data)


@asynccontextmanager
async def sockets(
    limits: ServeLimits | None = None, options: SiteOptions | None = None
) -> AsyncIterator[tuple[Harness, SocketServer]]:
    async with serving(options, limits) as harness:
        yield harness, SocketServer(harness.site, harness.site.limits)


async def connect(harness: Harness, server: SocketServer, *headers: tuple[bytes, bytes]) -> Any:
    """A client, and the answer to its handshake."""
    ours, theirs = memory_stream_pair()
    harness.nursery.start_soon(server.handle, theirs)
    client = SocketClient(ours)
    await client.send(Request(host="here:8081", target="/any", extra_headers=list(headers)))
    return client, await client.event()


def test_messages_events_and_errors() -> None:
    async def test() -> None:
        async with sockets() as (harness, server):
            client, accepted = await connect(harness, server)
            assert isinstance(accepted, AcceptConnection)
            await client.say("hello")
            assert await client.heard() == '{"got": "hello"}'
            await client.say("silent")
            await client.say("fail")
            assert json.loads(await client.heard()) == {"error": "cannot add Int and String: 1 + x"}
            await harness.client().ask("POST", "/shout", b'say "hi"')
            assert await client.heard() == '{"event":"shouted","data":"say \\"hi\\""}'
            await harness.client().ask("GET", "/put/pen/3")
            assert await client.heard() == '{"event":"stocked","data":["pen", 3]}'

    run(test)


def test_ping_close_and_binary() -> None:
    async def test() -> None:
        async with sockets() as (harness, server):
            client, _ = await connect(harness, server)
            await client.send(Ping(b"x"))
            assert await client.event() == Pong(b"x")
            await client.send(CloseConnection(code=1000))
            assert (await client.event()).code == 1000
            binary, _ = await connect(harness, server)
            await binary.send(BytesMessage(b"x"))
            assert (await binary.event()).code == 1003

    run(test)


def test_a_long_message_is_refused() -> None:
    async def test() -> None:
        async with sockets(ServeLimits(message_bytes=1000)) as (harness, server):
            client, _ = await connect(harness, server)
            for _ in range(3):
                await client.send(TextMessage("x" * 400, message_finished=False))
            assert (await client.event()).code == 1009

    run(test)


def test_protocol_errors_close_with_their_code() -> None:
    async def test() -> None:
        async with sockets() as (harness, server):
            client, _ = await connect(harness, server)
            await client.stream.send_all(b"\x81\x05hello")  # not masked
            closed = await client.event()
            assert isinstance(closed, CloseConnection)
            assert closed.code == 1002

    run(test)


def test_a_dead_client_is_noticed() -> None:
    async def test() -> None:
        async with sockets(ServeLimits(ping_seconds=1)) as (harness, server):
            client, _ = await connect(harness, server)
            pings = [await client.event() for _ in range(2)]
            assert all(isinstance(ping, Ping) for ping in pings)
            assert isinstance(await client.event(), CloseConnection)
            await wait_all_tasks_blocked()
            assert not harness.site.app.events._subscribers

    run(test)


def test_the_end_of_the_server_is_said() -> None:
    async def test() -> None:
        async with sockets() as (harness, server):
            client, _ = await connect(harness, server)
            server.stop()
            harness.site.app.events.close()
            assert (await client.event()).code == 1001

    run(test)


def test_pages_of_other_sites_may_not_connect() -> None:
    async def test() -> None:
        async with sockets() as (harness, server):
            _, refused = await connect(harness, server, (b"Origin", b"https://evil.example"))
            assert isinstance(refused, RejectConnection)
            assert refused.status_code == 403
            _, same = await connect(harness, server, (b"Origin", b"http://here:8080"))
            assert isinstance(same, AcceptConnection)
        async with sockets(options=SiteOptions(cors=("https://a.example",))) as (harness, server):
            _, allowed = await connect(harness, server, (b"Origin", b"https://a.example"))
            assert isinstance(allowed, AcceptConnection)

    run(test)


def test_what_is_no_handshake_is_told_so() -> None:
    async def test() -> None:
        for data in (b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", b"\x00\x01garbage\r\n\r\n"):
            async with sockets() as (harness, server):
                ours, theirs = memory_stream_pair()
                harness.nursery.start_soon(server.handle, theirs)
                await ours.send_all(data)
                assert (await ours.receive_some(65536)).startswith(b"HTTP/1.1 4")

    run(test)


def test_a_silent_handshake_is_given_up() -> None:
    async def test() -> None:
        async with sockets(ServeLimits(handshake_seconds=3)) as (harness, server):
            ours, theirs = memory_stream_pair()
            harness.nursery.start_soon(server.handle, theirs)
            begin = trio.current_time()
            assert await ours.receive_some(100) == b""
            assert 2 < trio.current_time() - begin < 4

    run(test)
