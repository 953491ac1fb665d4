"""Buses on the loopback address, a core that only remembers, and peers of all kinds."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any

import trio

from somart.cluster.bus import Bus
from somart.cluster.channel import Channel, dial
from somart.cluster.clocks import SystemClock
from somart.cluster.config import ClusterConfig
from somart.cluster.handshake import Hello
from somart.cluster.links import Links
from somart.cluster.messages import Message
from somart.cluster.outputs import Dial, Output
from somart.cluster.protection import Protection

CONFIG = ClusterConfig(dial_first_ms=5, dial_most_ms=20, handshake_ms=2_000)
SECRET = b"the secret of these tests"


class Memo:
    """A core that keeps what it is told, and gives out what the test has put there."""

    def __init__(self, dials: tuple[str, ...] = ()) -> None:
        self.hellos: dict[str, Hello] = {}
        self.events: list[str] = []
        self.heard: list[tuple[str, Message]] = []
        self.outputs: list[Output] = [Dial(address) for address in dials]
        self.wakeup: int | None = None
        self.ticks = 0
        self.refuses = ""
        self.echo: Callable[[str, Message], list[Output]] = lambda _peer, _message: []

    def admit(self, hello: Hello) -> str:
        return self.refuses

    def connected(self, hello: Hello, dialled: str) -> None:
        self.hellos[hello.id] = hello
        self.events.append(f"+{hello.id}")

    def disconnected(self, peer: str) -> None:
        del self.hellos[peer]
        self.events.append(f"-{peer}")

    def receive(self, peer: str, message: Message) -> None:
        self.heard.append((peer, message))
        self.outputs += self.echo(peer, message)

    def tick(self) -> None:
        self.ticks += 1
        self.wakeup = None

    def next_wakeup(self) -> int | None:
        return self.wakeup

    def store(self) -> bool:
        return False

    def take(self) -> list[Output]:
        taken, self.outputs = self.outputs, []
        return taken


class Running:
    """A bus that runs, what it logged, and where it listens."""

    def __init__(self, bus: Bus, port: int, log: list[str]) -> None:
        self.bus = bus
        self.port = port
        self.log = log
        self.address = f"127.0.0.1:{port}"


@asynccontextmanager
async def running_bus(
    core: Memo | None = None,
    *,
    id: str = "node",
    secret: bytes | None = None,
    protection: Protection | None = None,
    config: ClusterConfig = CONFIG,
    links: Callable[[Hello, list[str]], Links] | None = None,
    port: int = 0,
    digests: dict[str, str] | None = None,
    **more: Any,
) -> AsyncIterator[Running]:
    """A bus until the end of the block; nothing of it is left behind then."""
    log: list[str] = []
    listeners = await trio.open_tcp_listeners(port, host="127.0.0.1")
    port = listeners[0].socket.getsockname()[1]
    instance = f"{id}-{random.getrandbits(64):x}"
    me = Hello("node", id, instance, f"127.0.0.1:{port}", digests=digests or {})
    bus = Bus(
        me,
        config=config,
        protection=protection or Protection(secret),
        clock=SystemClock(),
        rng=random.Random(1),
        log=log.append,
        core=core,
        links=None if links is None else links(me, log),
        **more,
    )
    async with trio.open_nursery() as nursery:
        nursery.start_soon(bus.run, listeners)
        try:
            yield Running(bus, port, log)
        finally:
            nursery.cancel_scope.cancel()


def hello(id: str = "peer", role: Any = "node", **more: Any) -> Hello:
    return Hello(role, id, f"{id}-{random.getrandbits(64):x}", **more)


async def connect(
    to: Running | str,
    me: Hello | None = None,
    secret: bytes | None = None,
    protection: Protection | None = None,
    config: ClusterConfig = CONFIG,
) -> Channel:
    """A channel to a bus. Raises LinkError."""
    address = to if isinstance(to, str) else to.address
    shield = protection or Protection(secret)
    return await dial(address, me or hello(), shield, config, lambda _peer: None)


@asynccontextmanager
async def stranger(to: Running) -> AsyncIterator[trio.SocketStream]:
    """A bare connection to a bus."""
    stream = await trio.open_tcp_stream("127.0.0.1", to.port)
    try:
        yield stream
    finally:
        await trio.aclose_forcefully(stream)


@asynccontextmanager
async def between(to: Running, said: list[bytes]) -> AsyncIterator[str]:
    """An address between a dialler and a bus, where all that the dialler says is written down."""

    async def onward(
        source: trio.SocketStream, sink: trio.SocketStream, notes: list[bytes]
    ) -> None:
        with suppress(trio.BrokenResourceError, trio.ClosedResourceError):
            while data := await source.receive_some():
                notes.append(bytes(data))
                await sink.send_all(data)

    async def serve(stream: trio.SocketStream) -> None:
        async with stranger(to) as target, trio.open_nursery() as nursery:
            nursery.start_soon(onward, target, stream, [])
            await onward(stream, target, said)
            nursery.cancel_scope.cancel()

    async with trio.open_nursery() as nursery:
        listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
        nursery.start_soon(trio.serve_listeners, serve, listeners)
        yield f"127.0.0.1:{listeners[0].socket.getsockname()[1]}"
        nursery.cancel_scope.cancel()


async def ignore(_batch: object) -> None:
    """Nobody listens."""


async def until(condition: Callable[[], object]) -> None:
    """Lets others run until it holds."""
    while not condition():  # noqa: ASYNC110 - the condition may be anything
        await trio.sleep(0.001)


def run(test: Callable[[], Awaitable[None]], seconds: float = 10) -> None:
    """Runs an async test; what hangs is a failure."""

    async def bounded() -> None:
        with trio.fail_after(seconds):
            await test()

    trio.run(bounded)
