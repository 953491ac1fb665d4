"""Mutated frames against the bus: `python tests/soak/fuzz_bus.py SECONDS [SEED]`.

Strangers send broken handshakes; peers that have proved themselves send well-sealed nonsense.
Whatever comes in: no private handler runs, what is said is said in a bounded number of lines, no
fault of the node shows, nothing is left behind, and the next program is served as if nothing had
been.
"""

from __future__ import annotations

import hmac
import random
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass

import trio
from msgspec import msgpack

from somart import App, Cell, ProgramSpec, StandaloneEngine, Value, handler
from somart.cluster.bus import Bus
from somart.cluster.channel import Channel, LinkError, dial
from somart.cluster.clocks import SystemClock
from somart.cluster.config import ClusterConfig
from somart.cluster.frames import HEADER, SEAL_BYTES, Received
from somart.cluster.handshake import NONCE_BYTES, VERSIONS, Hello, Introduction, Opening
from somart.cluster.links import Links
from somart.cluster.messages import Handled, Heartbeat, Signal, encode
from somart.cluster.protection import Protection

SECRET = b"the secret of the fuzzer"
CONFIG = ClusterConfig(handshake_ms=50, frame_bytes=65_536)
PATIENCE_SECONDS = 10.0
LINES_MAX = 4
"""What one attack may add to the log: a signal that fails adds a line, too."""


class Target(Cell):
    """cell Target"""

    soma_name = "Target"
    broken_into = False
    seen: Value = None

    @handler("see", "v")
    def see(self, v: Value) -> Value:
        self.seen = v
        return None

    @handler("_secret", "v")
    def _secret(self, v: Value) -> Value:
        self.broken_into = True
        return None


_INTRODUCTION = Introduction(msgpack.encode(Hello("node", "x", "y")), b"p" * 32)
HANDSHAKES = [
    msgpack.encode(Opening(*VERSIONS, b"n" * NONCE_BYTES)),
    msgpack.encode(_INTRODUCTION),
    msgpack.encode(["REFUSED", "go away"]),
]
BODIES = [
    encode(1, Signal("x", 1, "see", "[1]")),
    encode(1, Signal("x", 1, "_secret", "[1]")),
    encode(1, Handled(2**63)),
    encode(1, Heartbeat(1, [])),
]
SPICES = [b"\xdd\xff\xff\xff\xff", b"\xdb\xff\xff\xff\xff", b"\xc1", b"\x90" * 300, b"\0" * 5]
SPICES += [b"_secret", b"\xcf" + b"\xff" * 8, b"GET / HTTP/1.1\r\n\r\n", b"\x91" * 2_000]


def mutate(data: bytes, source: random.Random) -> bytes:
    """A few edits."""
    for _ in range(source.choice([0, 1, 1, 2, 4])):
        at = source.randrange(len(data) + 1)
        match source.randrange(4):
            case 0:
                data = data[:at] + source.choice(SPICES) + data[at:]
            case 1:
                data = data[:at] + data[at + source.randrange(1, 9) :]
            case 2:
                data = data[:at] + bytes([source.randrange(256)]) + data[at + 1 :]
            case _:
                data = data[:at]
    return data


def framed(body: bytes, source: random.Random) -> bytes:
    """A frame, its length a lie at times."""
    length = len(body)
    if source.random() < 0.1:
        length = source.choice([0, 1, length + 1, 70_000, 2**31, 2**32 - 1])
    return HEADER.pack(length) + body


@dataclass
class Tally:
    """What a campaign has seen."""

    attacks: int = 0
    strangers: int = 0
    lines: int = 0


class Fortress:
    """The bus under attack."""

    def __init__(self, app: App, port: int, log: list[str]) -> None:
        self.app = app
        self.target = app.top_level[0]
        self.address = f"127.0.0.1:{port}"
        self.port = port
        self.log = log
        self.late = 0


async def as_stranger(fortress: Fortress, source: random.Random) -> None:
    stream = await trio.open_tcp_stream("127.0.0.1", fortress.port)
    try:
        for body in source.choices(HANDSHAKES, k=source.randrange(1, 4)):
            await stream.send_all(framed(mutate(body, source), source))
        if source.random() < 0.5:
            await stream.send_eof()
        while await stream.receive_some():
            pass
    except trio.BrokenResourceError:
        pass
    finally:
        await trio.aclose_forcefully(stream)


async def as_peer(fortress: Fortress, source: random.Random) -> None:
    """Proves itself, and then says anything, under good seals most of the time."""
    channel = await program(fortress, source)
    key = channel._writer._key
    assert key is not None
    sent = b""
    for body in source.choices(BODIES, k=source.randrange(1, 6)):
        body = mutate(body, source)
        seal = hmac.digest(key, body, "sha256")[:SEAL_BYTES]
        sent += framed(body + (seal if source.random() < 0.9 else b"?" * SEAL_BYTES), source)
    step = source.choice([1, 7, 100_000])
    try:
        for at in range(0, len(sent), step):
            await channel._stream.send_all(sent[at : at + step])
    except trio.BrokenResourceError:
        pass
    channel.finish()
    await channel.run(ignore)


async def ignore(_batch: object) -> None:
    """Nobody listens."""


async def program(fortress: Fortress, source: random.Random) -> Channel:
    role = source.choice(["link", "link", "tail"])
    hello = Hello(role, "peer", f"peer-{source.getrandbits(64):x}")  # type: ignore[arg-type]
    return await let_in(fortress, hello)


async def let_in(fortress: Fortress, hello: Hello) -> Channel:
    """Dials until it is let in: on a busy machine a handshake may take longer than it may, and that
    is the only reason to try again."""
    shield, config = Protection(SECRET), ClusterConfig()
    while True:
        began = time.monotonic()
        try:
            return await dial(fortress.address, hello, shield, config, lambda _peer: None)
        except LinkError:
            if (time.monotonic() - began) * 1_000 < CONFIG.handshake_ms:
                raise
            fortress.late += 1


async def be_served(fortress: Fortress, source: random.Random) -> None:
    """An honest program: its signal is handled."""
    hello = Hello("link", "good", f"good-{source.getrandbits(64):x}")
    channel = await let_in(fortress, hello)
    wanted = source.getrandbits(40)
    channel.send(Signal(hello.instance, 1, "see", f"[{wanted}]"))

    async def receive(batch: list[Received]) -> None:
        assert [message for message, _ in batch] == [Handled(1)]
        channel.finish()

    await channel.run(receive)  # type: ignore[arg-type]
    assert fortress.target.seen == wanted  # type: ignore[attr-defined]


async def attack(fortress: Fortress, seed: int, tally: Tally) -> None:
    """One attack, then one honest program."""
    source = random.Random(seed)
    before, late = len(fortress.log), fortress.late
    if source.random() < 0.5:
        tally.strangers += 1
        await as_stranger(fortress, source)
    else:
        await as_peer(fortress, source)
    await be_served(fortress, source)
    assert not fortress.target.broken_into  # type: ignore[attr-defined]
    said = fortress.log[before:]
    assert len(said) <= LINES_MAX + 2 + fortress.late - late, said
    assert not [line for line in said if "internal" in line or "\n" in line], said
    tally.attacks += 1
    tally.lines += len(said)


async def attack_all(go_on: Callable[[int], bool], seed: int, tally: Tally) -> None:
    log: list[str] = []
    with App(ProgramSpec("fuzz", (Target,)), StandaloneEngine(None)) as app:
        listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
        me, shield, rng = Hello("node", "fort", "fort-1"), Protection(SECRET), random.Random(1)
        links = Links(app, me, config=CONFIG, protection=shield, rng=rng, log=log.append)
        bus = Bus(
            me,
            config=CONFIG,
            protection=shield,
            clock=SystemClock(),
            rng=rng,
            log=log.append,
            links=links,
        )
        fortress = Fortress(app, listeners[0].socket.getsockname()[1], log)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(bus.run, listeners)
            number = 0
            while go_on(number):
                try:
                    with trio.fail_after(PATIENCE_SECONDS):
                        await attack(fortress, seed + number, tally)
                except BaseException:
                    sys.stderr.write(f"failing seed: {seed + number}\n")
                    raise
                number += 1
            with trio.fail_after(PATIENCE_SECONDS):
                while bus.pending or links.open:  # noqa: ASYNC110 - nobody tells
                    await trio.sleep(0.005)
            nursery.cancel_scope.cancel()


def campaign(go_on: Callable[[int], bool], seed: int) -> Tally:
    """Attacks as long as `go_on` of their number says so."""
    tally = Tally()
    trio.run(attack_all, go_on, seed, tally)
    return tally


def main(seconds: float, seed: int) -> None:
    deadline = time.monotonic() + seconds
    tally = campaign(lambda _number: time.monotonic() < deadline, seed)
    print(f"{tally.attacks} attacks, {tally.strangers} by strangers, {tally.lines} lines logged")


if __name__ == "__main__":
    main(float(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else random.randrange(2**40))
