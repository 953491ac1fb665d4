"""Mutated requests against the HTTP driver: `python tests/soak/fuzz_http.py SECONDS [SEED]`.

Whatever comes in: every byte that goes out belongs to a well-formed response, a refusal is the last
one of its connection, nothing is left behind, and the next client is served as if nothing had been.
"""

from __future__ import annotations

import random
import re
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass

import trio
import trio.testing
from trio.testing import MockClock, memory_stream_pair

from somart import App, Cell, ProgramSpec, StandaloneEngine, Value, handler
from somart.serve.http import HttpServer
from somart.serve.limits import ServeLimits
from somart.serve.log import ServerLog
from somart.serve.site import Site, SiteOptions


class Target(Cell):
    """cell Target"""

    soma_name = "Target"

    @handler("echo", "v")
    def echo(self, v: Value) -> Value:
        return v

    @handler("request", "method", "path", "body", "query")
    def request(self, method: Value, path: Value, body: Value, query: Value) -> Value:
        return {"method": method, "path": path, "body": body, "query": query}


SEEDS = [
    b"GET /echo/1 HTTP/1.1\r\nHost: a\r\n\r\n",
    b'POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 8\r\n\r\n{"a": 1}',
    b"POST /x?y=%41+b HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
    b"3\r\na=b\r\n0\r\n\r\n",
    b"POST /echo HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n[]",
    b"HEAD / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
    b"OPTIONS * HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
    b"GET /static/../%2e%2e/x HTTP/1.1\r\nHost: a\r\nIf-None-Match: *\r\n\r\n",
    b"GET /signal/echo?v=1 HTTP/1.1\r\nHost: a\r\nUpgrade: h2c\r\nConnection: upgrade\r\n\r\n",
]
SPICES = b"""\r\n|\n|\r|\0| |\t|:|chunked|Content-Length: 5\r\n|0\r\n\r\n|Host: b\r\n|\xff\xfe|%00\
|%|GET |-1|Transfer-Encoding: chunked\r\n|HTTP/1.1|99999999999999999999|;ext=1|\x0b""".split(b"|")
SPICES += [b"a" * 3000, b"[" * 300, b'{"a":' * 200]


def mutate(data: bytes, random: random.Random) -> bytes:
    """A few edits."""
    for _ in range(random.choice([0, 0, 0, 1, 1, 2, 3, 6])):
        at = random.randrange(len(data) + 1)
        match random.randrange(5):
            case 0:
                data = data[:at] + random.choice(SPICES) + data[at:]
            case 1:
                data = data[:at] + data[at + random.randrange(1, 9) :]
            case 2:
                data = data[:at] + bytes([random.randrange(256)]) + data[at + 1 :]
            case 3:
                other = random.choice(SEEDS)
                data = data[:at] + other[random.randrange(len(other)) :]
            case _:
                data = data[:at] + data[max(0, at - 20) :]
    return data


HEAD = re.compile(rb"HTTP/1\.1 (\d{3}) [A-Za-z -]+\r\n((?:[A-Za-z-]+: [^\r\n\x00]*\r\n)*)\r\n")


def check_answers(data: bytes, requests: bytes) -> list[int]:
    """The statuses of the responses; AssertionError when a byte belongs to none."""
    statuses: list[int] = []
    at = 0
    while at < len(data):
        head = HEAD.match(data, at)
        assert head is not None, data[at : at + 200]
        statuses.append(int(head.group(1)))
        at = head.end()
        length = re.search(rb"Content-Length: (\d+)", head.group(2))
        size = int(length.group(1)) if length else 0
        at += 0 if b"HEAD" in requests and data[at : at + 5] in (b"", b"HTTP/") else size
        assert at <= len(data), "a body that is cut"
        if b"Connection: close" in head.group(2):
            assert at == len(data), "an answer after the last one"
    assert 500 not in statuses or b"HTTP/" in requests
    return statuses


@dataclass
class Tally:
    """What a campaign has seen."""

    connections: int = 0
    answers: int = 0
    refusals: int = 0


async def attack(server: HttpServer, nursery: trio.Nursery, seed: int, tally: Tally) -> None:
    """One connection with mutated requests in random pieces, then an ordinary one."""
    source = random.Random(seed)
    data = b"".join(mutate(source.choice(SEEDS), source) for _ in range(source.randrange(1, 5)))
    answers = await exchange(server, nursery, data, source)
    statuses = check_answers(answers.replace(b"HTTP/1.1 100 Continue\r\n\r\n", b""), data)
    good = await exchange(server, nursery, SEEDS[0], source)
    assert good.endswith(b'{"result": 1}'), good
    tally.connections += 1
    tally.answers += len(statuses)
    tally.refusals += sum(400 <= status < 500 for status in statuses)


async def exchange(
    server: HttpServer, nursery: trio.Nursery, data: bytes, source: random.Random
) -> bytes:
    """Sends data in pieces, half-closes, and gives all that comes back."""
    ours, theirs = source.choice([memory_stream_pair, socket_pair])()
    nursery.start_soon(server.handle, theirs)
    received = bytearray()

    async def read() -> None:
        try:
            while piece := await ours.receive_some(65536):
                received.extend(piece)
        except trio.BrokenResourceError:
            return  # the server has closed a socket without reading all of it

    async with trio.open_nursery() as reading:
        reading.start_soon(read)
        step = source.choice([1, 3, 50, 100_000])
        try:
            for at in range(0, len(data), step):
                await ours.send_all(data[at : at + step])
            await ours.send_eof()
        except trio.BrokenResourceError:
            await trio.lowlevel.checkpoint()  # the server has closed first
    await ours.aclose()
    return bytes(received)


Ends = tuple[trio.abc.HalfCloseableStream, trio.abc.Stream]


def socket_pair() -> Ends:
    """Sockets, which the server reads in place."""
    ours, theirs = trio.socket.socketpair()
    return trio.SocketStream(ours), trio.SocketStream(theirs)


class Nobody(trio.abc.Listener[trio.abc.Stream]):
    """Nobody calls: the attacks hand their streams over."""

    async def accept(self) -> trio.abc.Stream:
        await trio.sleep_forever()
        raise AssertionError

    async def aclose(self) -> None:
        await trio.lowlevel.checkpoint()


async def attack_all(
    server: HttpServer, go_on: Callable[[int], bool], seed: int, tally: Tally
) -> None:
    """Attacks one after the other; returns when their connections have ended."""
    number = 0
    async with trio.open_nursery() as nursery:
        while go_on(number):
            try:
                with trio.fail_after(300):
                    await attack(server, nursery, seed + number, tally)
            except BaseException:
                sys.stderr.write(f"failing seed: {seed + number}\n")
                raise
            number += 1


def campaign(go_on: Callable[[int], bool], seed: int) -> Tally:
    """Attacks, under virtual time, as long as `go_on` of their number says so."""
    tally = Tally()

    async def attacks() -> None:
        with App(ProgramSpec("fuzz", (Target,)), StandaloneEngine(None)) as app:
            limits = ServeLimits(head_bytes=8192, target_bytes=2048, body_bytes=65_536)
            site = Site(app, Target, SiteOptions(limits=limits), ServerLog(requests=False))
            site.open()
            server = HttpServer(site, limits)
            async with trio.open_nursery() as serving:
                serving.start_soon(server.serve, [Nobody()])
                await trio.testing.wait_all_tasks_blocked()
                await attack_all(server, go_on, seed, tally)
                assert not server._connections
                serving.cancel_scope.cancel()

    trio.run(attacks, clock=MockClock(autojump_threshold=0))
    return tally


def main() -> None:
    """A timed campaign from the command line."""
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 60.0
    seed = int(sys.argv[2]) if len(sys.argv) > 2 else time.time_ns() % 10**9
    end = time.monotonic() + seconds
    sys.stdout.write(f"seed {seed}\n")
    tally = campaign(lambda _: time.monotonic() < end, seed)
    sys.stdout.write(f"{tally}\n")


if __name__ == "__main__":
    main()
