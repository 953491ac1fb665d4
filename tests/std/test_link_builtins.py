"""`link`, `subscribe`, `ws_connect` and `ws_send` against peers on 127.0.0.1."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Any

import pytest
import trio
from wsproto import ConnectionType, WSConnection
from wsproto.events import AcceptConnection, CloseConnection, Ping, Request, TextMessage

from somart import std
from somart.app import App
from somart.cell import Cell, handler
from somart.cluster.channel import shake
from somart.cluster.config import ClusterConfig
from somart.cluster.handshake import Hello
from somart.cluster.messages import Message, Signal
from somart.cluster.protection import Protection
from somart.errors import SomaError
from somart.spec import ProgramSpec
from somart.values import Value


class Hub(Cell):
    """A cell that opens connections and remembers what reaches it."""

    soma_name = "Hub"
    heard: list[tuple[str, Value]]

    @handler("open", "kind", "address")
    async def open(self, kind: Value, address: Value) -> Value:
        return await getattr(std, kind)(address)

    @handler("say", "message")
    async def say(self, message: Value) -> Value:
        return await std.ws_send(message)

    @handler("shout", "v")
    def shout(self, v: Value) -> Value:
        self.publish("hidden", v)
        self.emit("noise", v)
        return None

    @handler("tick", "v")
    def tick(self, v: Value) -> Value:
        self.heard.append(("tick", v))
        return None

    @handler("ws", "message")
    def ws(self, message: Value) -> Value:
        self.heard.append(("ws", message))
        return None

    @handler("_hidden", "v")
    def _hidden(self, v: Value) -> Value:
        self.heard.append(("_hidden", v))
        return None

    @handler("broken", "v")
    def broken(self, v: Value) -> Value:
        raise SomaError("no luck")


PROGRAM = ProgramSpec("hub", (Hub,))
Serve = Callable[[trio.SocketStream], Awaitable[None]]
Client = Callable[[App, int], Awaitable[None]]


async def _session(serve: Serve, client: Client) -> list[tuple[str, Value]]:
    with App(PROGRAM) as app:
        hub: Any = app.top_level[0]
        hub.heard = []
        async with trio.open_nursery() as nursery:
            bound = partial(trio.serve_tcp, serve, 0, host="127.0.0.1")
            listeners = await nursery.start(bound)
            with trio.fail_after(5):
                await client(app, listeners[0].socket.getsockname()[1])
            nursery.cancel_scope.cancel()
        return list(hub.heard)


async def _until(condition: Callable[[], bool]) -> None:
    while not condition():
        await trio.lowlevel.checkpoint()


async def _peer(stream: trio.SocketStream, received: list[Signal]) -> None:
    """The other end of a link: says what the program has handlers for, and more."""
    me, config = Hello("link", "peer", "peer-1"), ClusterConfig()
    channel = await shake(stream, me, Protection(), config, lambda _hello: None, dials=False)
    for number, (name, args) in enumerate(
        [
            ("nobody", "[1]"),
            ("broken", "[1]"),
            ("_hidden", "[1]"),
            ("tick", "[1, 2]"),
            ("tick", '[{"b": 1, "a": 2}]'),
            ("tick", '["5"]'),
            ("tick", "5"),
            ("tick", '["end"]'),
        ]
    ):
        channel.send(Signal("peer-1", number, name, args))

    async def receive(batch: Sequence[tuple[Message, int]]) -> None:
        received.extend(message for message, _ in batch if isinstance(message, Signal))

    await channel.run(receive)


def test_linked_peers_exchange_events(capsys: pytest.CaptureFixture[str]) -> None:
    received: list[Signal] = []

    async def serve(stream: trio.SocketStream) -> None:
        await _peer(stream, received)

    async def client(app: App, port: int) -> None:
        address = f"127.0.0.1:{port}"
        for _ in range(2):  # a second link with the same address is the first one
            result = await app.invoke("Hub", "open", ["link", address])
            assert result == {"status": "connected", "peer": address}
        hub: Any = app.top_level[0]
        await _until(lambda: ("tick", "end") in hub.heard)
        for v in ([1, "x"], "a\nEVENT tick 9", "5", 5, None):
            await app.invoke("Hub", "shout", [v])
        await _until(lambda: len(received) == 5)

    heard = trio.run(_session, serve, client)
    assert heard == [("tick", {"a": 2, "b": 1}), ("tick", "5"), ("tick", "end")]
    assert {signal.name for signal in received} == {"noise"}
    args = ['[[1, "x"]]', '["a\\nEVENT tick 9"]', '["5"]', "[5]", "[null]"]
    assert [signal.args for signal in received] == args
    numbers = [signal.number for signal in received]
    assert numbers == sorted(set(numbers))
    errors = capsys.readouterr().err
    assert "[bus] no handler for 'nobody'" in errors
    assert "[bus] no handler for '_hidden'" in errors
    assert "[bus] error in 'broken': no luck" in errors
    assert "[bus] error in 'tick': tick() expected 1 argument, got 2" in errors
    assert "[bus] error in 'tick': no list of arguments" in errors


def _websocket_server(script: list[str], received: list[str]) -> Serve:
    """A server that accepts, sends a script of texts, and keeps what it gets."""

    async def serve(stream: trio.SocketStream) -> None:
        connection = WSConnection(ConnectionType.SERVER)
        async for data in stream:
            connection.receive_data(data)
            for event in connection.events():
                if isinstance(event, Request):
                    await stream.send_all(connection.send(AcceptConnection()))
                    await stream.send_all(connection.send(Ping(b"p")))
                    for message in script:
                        await stream.send_all(connection.send(TextMessage(data=message)))
                elif isinstance(event, TextMessage):
                    received.append(event.data)
                elif isinstance(event, CloseConnection):
                    return
                else:
                    received.append(type(event).__name__)

    return serve


def test_subscribe_calls_handlers() -> None:
    received: list[str] = []
    script = ['{"event": "tick", "data": [1]}', "hello", '{"data": 5}', '{"event": "x"}', "end"]

    async def client(app: App, port: int) -> None:
        url = f"ws://127.0.0.1:{port}/feed"
        result = await app.invoke("Hub", "open", ["subscribe", url])
        assert result == {"status": "subscribed", "url": url}
        hub: Any = app.top_level[0]
        await _until(lambda: ("ws", "end") in hub.heard)
        await _until(lambda: received == ["Pong"])

    heard = trio.run(_session, _websocket_server(script, received), client)
    assert heard == [("tick", [1]), ("ws", "hello"), ("ws", '{"data": 5}'), ("ws", "end")]


def test_ws_send_reaches_the_server() -> None:
    received: list[str] = []

    async def client(app: App, port: int) -> None:
        with pytest.raises(SomaError, match=r"^ws_send: not connected$"):
            await app.invoke("Hub", "say", ["too early"])
        await app.invoke("Hub", "open", ["ws_connect", f"ws://127.0.0.1:{port}"])
        await app.invoke("Hub", "say", [{"n": 1}])
        await _until(lambda: '{"n": 1}' in received)

    trio.run(_session, _websocket_server([], received), client)


@pytest.mark.parametrize(
    ("kind", "address", "message"),
    [
        ("link", 5, r'connect\("host:port"\)'),
        ("link", "nohost", r'connect\("host:port"\)'),
        ("link", "h:99999", r'connect\("host:port"\)'),
        ("subscribe", 5, r"subscribe\(url\)"),
        ("ws_connect", 5, r"ws_connect\(url\)"),
        ("ws_connect", "http://x/", "connect: not a WebSocket address"),
    ],
)
def test_wrong_addresses(kind: str, address: Value, message: str) -> None:
    with App(PROGRAM) as app, pytest.raises(SomaError, match=f"^{message}"):
        app.call("Hub", "open", [kind, address])


def test_refused_connections_say_so() -> None:
    async def serve(stream: trio.SocketStream) -> None:
        await stream.send_all(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n")
        await stream.receive_some()

    async def client(app: App, port: int) -> None:
        with pytest.raises(SomaError, match=r"^connect: the server refused the WebSocket$"):
            await app.invoke("Hub", "open", ["ws_connect", f"ws://127.0.0.1:{port}"])
        with trio.socket.socket() as unused:
            await unused.bind(("127.0.0.1", 0))
            closed = unused.getsockname()[1]
            with pytest.raises(SomaError, match=r"^connect: Connection refused"):
                await app.invoke("Hub", "open", ["link", f"127.0.0.1:{closed}"])

    trio.run(_session, serve, client)
