"""Hand-written cells, in the form that the compiler generates, and an in-process HTTP client."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any, ClassVar

import trio
from trio.testing import MockClock, memory_stream_pair

from somart import App, Cell, ProgramSpec, Prop, SlotDecl, StandaloneEngine, Value, handler, ops
from somart.cluster.frames import frame
from somart.cluster.handshake import NONCE_BYTES, Handshake, Hello
from somart.serve.http import HttpServer
from somart.serve.limits import ServeLimits
from somart.serve.log import ServerLog
from somart.serve.site import Site, SiteOptions


class Shop(Cell):
    """cell Shop"""

    soma_name = "Shop"

    stock = SlotDecl("stock", "Map<String, Int>", (Prop("persistent"),))

    @handler("add", "a", "b")
    def add(self, a: Value, b: Value) -> Value:
        return ops.add(a, b)

    @handler("echo", "v")
    def echo(self, v: Value) -> Value:
        return v

    @handler("boom")
    def boom(self) -> Value:
        return ops.add(1, "x")

    @handler("put", "k", "v")
    def put(self, k: Value, v: Value) -> Value:
        self.stock.set(k, v)
        self.emit("stocked", k, v)
        return {"ok": True}

    @handler("all_stock")
    def all_stock(self) -> Value:
        return self.stock.as_map()

    @handler("shout", "v")
    def shout(self, v: Value) -> Value:
        self.emit("shouted", v)
        return None

    @handler("nap", "ms")
    async def nap(self, ms: Value) -> Value:
        await trio.sleep(ms / 1000)
        return "rested"

    @handler("headers", "name", "value")
    def headers(self, name: Value, value: Value) -> Value:
        return {"_status": 200, "_body": "x", name: value}

    @handler("feed")
    def feed(self) -> Value:
        return {"_sse": True, "_streams": ["stocked"]}

    @handler("_secret")
    def _secret(self) -> Value:
        return "hidden"

    @handler("ws", "message")
    def ws(self, message: Value) -> Value:
        if message == "fail":
            return ops.add(1, "x")
        return None if message == "silent" else {"got": message}


PROGRAM = ProgramSpec("shop", (Shop,))


def opening_of_a_bus() -> bytes:
    """What a node or a command sends first that was told the HTTP address."""
    handshake = Handshake(Hello("status", "x"), True, None, bytes(NONCE_BYTES), lambda _: None)
    first = handshake.start()
    assert first is not None
    return frame(first)


class Client:
    """Talks HTTP over any stream."""

    def __init__(self, stream: trio.abc.Stream) -> None:
        self.stream = stream
        self.buffer = b""

    async def send(self, data: bytes) -> None:
        await self.stream.send_all(data)

    async def until(self, mark: bytes) -> bytes:
        """What comes up to and including the mark. Fails when the stream ends before it."""
        while mark not in self.buffer:
            data = await self.stream.receive_some(65536)
            assert data, f"ended with {self.buffer!r}"
            self.buffer += data
        found, _, self.buffer = self.buffer.partition(mark)
        return found + mark

    async def answer(self, body: bool = True) -> tuple[int, dict[str, str], bytes]:
        """The next response: status, headers in lower case, body."""
        lines = (await self.until(b"\r\n\r\n")).decode().split("\r\n")
        headers = dict(line.split(": ", 1) for line in lines[1:-2])
        headers = {name.lower(): value for name, value in headers.items()}
        length = int(headers.get("content-length", 0)) if body else 0
        while len(self.buffer) < length:
            self.buffer += await self.stream.receive_some(65536)
        content, self.buffer = self.buffer[:length], self.buffer[length:]
        return int(lines[0].split(" ")[1]), headers, content

    async def ask(
        self, method: str, target: str, body: bytes = b"", *headers: str
    ) -> tuple[int, dict[str, str], bytes]:
        """One request and its response."""
        lines = [f"{method} {target} HTTP/1.1", "Host: here", *headers]
        if body:
            lines.append(f"Content-Length: {len(body)}")
        await self.send("\r\n".join([*lines, "", ""]).encode() + body)
        return await self.answer(method != "HEAD")

    async def json(self, method: str, target: str, value: Any = None) -> Any:
        """The decoded body of the response."""
        body = b"" if value is None else json.dumps(value).encode()
        return json.loads((await self.ask(method, target, body))[2])

    async def ended(self) -> bytes:
        """What is left until the server closes the connection."""
        rest = self.buffer
        while data := await self.stream.receive_some(65536):
            rest += data
        self.buffer = b""
        return rest


def socket_pair() -> tuple[trio.SocketStream, trio.SocketStream]:
    """Connected sockets whose data arrives without delay, so that virtual time cannot overtake."""
    ours, theirs = trio.socket.socketpair()
    return trio.SocketStream(ours), trio.SocketStream(theirs)


TRANSPORTS: dict[str, Callable[[], tuple[trio.abc.HalfCloseableStream, trio.abc.Stream]]] = {
    "memory": memory_stream_pair,
    "sockets": socket_pair,
}


class Harness:
    """A server in this process; clients are memory streams, or sockets."""

    transport: ClassVar[str] = "memory"

    def __init__(self, nursery: trio.Nursery, server: HttpServer, listener: Listener) -> None:
        self.nursery = nursery
        self.server = server
        self.site = server.site
        self._listener = listener
        self._ours: list[trio.abc.HalfCloseableStream] = []

    def client(self) -> Client:
        ours, theirs = TRANSPORTS[Harness.transport]()
        self._listener.hand_over(theirs)
        self._ours.append(ours)
        return Client(ours)

    async def hang_up(self) -> None:
        """Ends all clients that have not ended."""
        for stream in self._ours:
            await trio.aclose_forcefully(stream)


@asynccontextmanager
async def serving(
    options: SiteOptions | None = None,
    limits: ServeLimits | None = None,
    program: ProgramSpec = PROGRAM,
    log: ServerLog | None = None,
    engine: StandaloneEngine | None = None,
) -> AsyncIterator[Harness]:
    """A server with its reaper, without a port."""
    limits = limits or ServeLimits()
    with App(program, engine or StandaloneEngine(None)) as app:
        options = options or SiteOptions(limits=limits)
        site = Site(app, program.cells[0], options, log or ServerLog(requests=False))
        site.open()
        server = HttpServer(site, limits)
        async with trio.open_nursery() as nursery:
            listener = Listener()
            nursery.start_soon(server.serve, [listener])
            harness = Harness(nursery, server, listener)
            try:
                yield harness
            finally:
                nursery.cancel_scope.cancel()
                with trio.CancelScope(shield=True):
                    await harness.hang_up()


class Listener(trio.abc.Listener[trio.abc.Stream]):
    """Accepts the streams that it is handed."""

    def __init__(self) -> None:
        self._send, self._receive = trio.open_memory_channel[trio.abc.Stream](100)

    def hand_over(self, stream: trio.abc.Stream) -> None:
        self._send.send_nowait(stream)

    async def accept(self) -> trio.abc.Stream:
        return await self._receive.receive()

    async def aclose(self) -> None:
        await trio.lowlevel.checkpoint()


def run(test: Callable[[], Awaitable[None]], seconds: float = 200.0) -> None:
    """Runs a test under virtual time: waiting costs nothing, hanging fails."""

    async def bounded() -> None:
        with trio.fail_after(seconds):
            await test()

    trio.run(bounded, clock=MockClock(autojump_threshold=0))
