"""The bus: frames that are answered, and signals that run a handler and come back, per second.

`python bench/bus.py [ROUNDS] [SECONDS]`: one connection on the loopback address, server and client
in processes of their own; rounds are interleaved, and medians shown. What the server needs of a
CPU is shown beside, for machines that have other things to do.
"""

from __future__ import annotations

import random
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

import trio
from figures import Figure, print_table
from serving import TICKS, cpu_seconds

from somart import App, Cell, ProgramSpec, Prop, SlotDecl, StandaloneEngine, Value, handler
from somart.cluster.bus import Bus
from somart.cluster.channel import Channel, dial
from somart.cluster.clocks import SystemClock
from somart.cluster.config import ClusterConfig
from somart.cluster.frames import Received
from somart.cluster.handshake import Hello
from somart.cluster.links import Links
from somart.cluster.messages import Alive, Handled, Heartbeat, Message, Signal
from somart.cluster.outputs import Output, Send
from somart.cluster.protection import Protection

SECRET = b"the secret of this benchmark"
CONFIG = ClusterConfig()
WINDOWS = (1, 16, 128)
SIGNALS_PER_SECOND = 4_000


class Board(Cell):
    """A handler that writes memory, and one that writes the disk."""

    soma_name = "Board"

    seen = SlotDecl("seen", "Map<String, Int>", (Prop("ephemeral"),))
    kept = SlotDecl("kept", "Map<String, Int>", (Prop("persistent"),))

    @handler("see", "k", "n")
    def see(self, k: Value, n: Value) -> Value:
        self.seen.set(k, n)
        return None

    @handler("keep", "k", "n")
    def keep(self, k: Value, n: Value) -> Value:
        self.kept.set(k, n)
        return None


class Answering:
    """A core that answers probes."""

    def __init__(self) -> None:
        self.outputs: list[Output] = []

    def admit(self, hello: Hello) -> str:
        return ""

    def connected(self, hello: Hello, dialled: str) -> None:
        return

    def disconnected(self, peer: str) -> None:
        return

    def receive(self, peer: str, message: Message) -> None:
        if isinstance(message, Heartbeat):
            self.outputs.append(Send(peer, Alive(message.number, "server", [])))

    def tick(self) -> None:
        return

    def next_wakeup(self) -> int | None:
        return None

    def store(self) -> bool:
        return False

    def take(self) -> list[Output]:
        taken, self.outputs = self.outputs, []
        return taken


async def serve(secret: bytes | None) -> None:
    """A node, until its process is ended; tells its port on stdout."""
    with tempfile.TemporaryDirectory() as data:
        app = App(ProgramSpec("board", (Board,)), StandaloneEngine(Path(data)))
        me, protection = Hello("node", "server", "server-1"), Protection(secret)
        rng = random.Random(1)
        links = Links(app, me, config=CONFIG, protection=protection, rng=rng, log=sys.stderr.write)
        bus = Bus(
            me,
            config=CONFIG,
            protection=protection,
            clock=SystemClock(),
            rng=rng,
            log=sys.stderr.write,
            core=Answering(),
            links=links,
        )
        listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
        print(listeners[0].socket.getsockname()[1], flush=True)
        await bus.run(listeners)


class Load:
    """Keeps `window` messages under way for some seconds; gives how many came back a second."""

    def __init__(self, make: Callable[[int], Message], window: int, seconds: float) -> None:
        self._make = make
        self._window = window
        self._seconds = seconds
        self._sent = self.answered = 0

    async def run(self, port: int, role: str, secret: bytes | None) -> float:
        hello = Hello(role, "client", f"client-{random.getrandbits(64):x}")  # type: ignore[arg-type]
        channel = await dial(
            f"127.0.0.1:{port}", hello, Protection(secret), CONFIG, lambda _peer: None
        )
        began = trio.current_time()
        deadline = began + self._seconds
        self._send(channel, self._window)

        async def receive(batch: Sequence[Received]) -> None:
            answered = 0
            for message, _ in batch:
                answered += message.count if isinstance(message, Handled) else 1
            self.answered += answered
            if trio.current_time() < deadline:
                self._send(channel, answered)
            elif self.answered == self._sent:
                channel.finish()

        await channel.run(receive)
        return self.answered / (trio.current_time() - began)

    def _send(self, channel: Channel, count: int) -> None:
        for _ in range(count):
            channel.send(self._make(self._sent))
            self._sent += 1


def frame(number: int) -> Message:
    return Heartbeat(number, [])


ORIGIN = f"client-{random.getrandbits(64):x}"
_numbers = iter(range(2**62))


def see(number: int) -> Message:
    return Signal(ORIGIN, next(_numbers), "see", f'["k{number % 1000}", {number}]')


def keep(number: int) -> Message:
    return Signal(ORIGIN, next(_numbers), "keep", f'["k{number % 1000}", {number}]')


KINDS: list[tuple[str, str, Callable[[int], Message], bool]] = [
    ("frame answered", "node", frame, False),
    ("frame answered, sealed", "node", frame, True),
    ("signal handled, memory", "link", see, False),
    ("signal handled, on disk", "link", keep, False),
    ("signal handled, on disk, sealed", "link", keep, True),
]


def main(rounds: int = 5, seconds: float = 1.0) -> None:
    servers = {
        sealed: subprocess.Popen(
            [sys.executable, __file__, "serve", *(["sealed"] if sealed else [])],
            stdout=subprocess.PIPE,
            text=True,
        )
        for sealed in (False, True)
    }
    found: dict[tuple[str, int], list[float]] = {}
    per_cpu: dict[tuple[str, int], list[float]] = {}
    try:
        ports = {sealed: int(_line(server)) for sealed, server in servers.items()}
        for _ in range(rounds):
            for name, role, make, sealed in KINDS:
                for window in WINDOWS:
                    load = Load(make, window, seconds)
                    secret = SECRET if sealed else None
                    before = cpu_seconds(servers[sealed].pid)
                    rate = trio.run(load.run, ports[sealed], role, secret)
                    used = max(cpu_seconds(servers[sealed].pid) - before, 1 / TICKS)
                    found.setdefault((name, window), []).append(rate)
                    per_cpu.setdefault((name, window), []).append(load.answered / used)
    finally:
        for server in servers.values():
            server.terminate()
            server.wait()
            assert server.stdout is not None
            server.stdout.close()
    _print("per second, by window", found)
    _print("per CPU-second of the server, by window", per_cpu)
    print_table(promises(found))


def promises(found: dict[tuple[str, int], list[float]]) -> list[Figure]:
    """Signals that one connection carries when its sender does not wait for each."""
    names = [name for name, role, *_ in KINDS if role == "link"]
    return [
        Figure(
            f"{name}, {WINDOWS[-1]} under way",
            statistics.median(found[name, WINDOWS[-1]]),
            SIGNALS_PER_SECOND,
            at_most=False,
            unit="/s",
        )
        for name in names
    ]


def _print(title: str, found: dict[tuple[str, int], list[float]]) -> None:
    print(f"{title:40}", *(f"{w:>9}" for w in WINDOWS))
    for name, *_ in KINDS:
        rates = (statistics.median(found[name, window]) for window in WINDOWS)
        print(f"{name:40}", *(f"{rate:9,.0f}" for rate in rates))


def _line(server: subprocess.Popen[str]) -> str:
    assert server.stdout is not None
    return server.stdout.readline()


if __name__ == "__main__":
    if sys.argv[1:2] == ["serve"]:
        trio.run(serve, SECRET if "sealed" in sys.argv else None)
    else:
        main(*(int(word) for word in sys.argv[1:2]), *(float(word) for word in sys.argv[2:3]))
