"""Whole nodes (app, engine, membership, core) on a deterministic network and disks, virtual time.

Unlike TCP it can lose, repeat and reorder single messages; all of them pass through the codec.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from functools import partial
from heapq import heappop, heappush
from pathlib import Path
from random import Random
from typing import Any

from cluster_cells import SHOP
from msgspec import msgpack

from somart import App, SomaError
from somart.cluster.config import ClusterConfig
from somart.cluster.core import ClusterCore
from somart.cluster.members import first_record
from somart.cluster.membership import Membership
from somart.cluster.messages import Message
from somart.cluster.outputs import Dial, Drop, Note, Send, Undial
from somart.cluster.records import stored_members, stored_record
from somart.engines.cluster import ClusterEngine
from somart.simulate.disk import Disk
from somart.spec import ProgramSpec

START = 1_700_000_000_000
_encode = msgpack.Encoder().encode
_decode = msgpack.Decoder(Message).decode


class Clock:
    def __init__(self, net: CoreNetwork) -> None:
        self.net = net
        self.skew = 0

    def monotonic(self) -> int:
        return self.net.now

    def wall(self) -> int:
        return START + self.net.now + self.skew


class Host:
    """One node's life after life, on its disk."""

    def __init__(self, net: CoreNetwork, id: str, seeds: Iterable[str]) -> None:
        self.net, self.id, self.seeds = net, id, tuple(seeds)
        self.clock = Clock(net)
        self.disk = Disk(net.rng)
        self.life = 0
        self.links: dict[str, int] = {}
        self.dialling: dict[str, bool] = {}
        self.notes: list[str] = []
        self.alive = False
        self._ticks_at = -1
        self._flush_at = -1

    def start(self) -> None:
        if self.alive:
            return
        self.life += 1
        self.alive = True
        self._ticks_at = self._flush_at = -1
        self.dialling = {}
        net = self.net
        self.engine = ClusterEngine(
            net.spec,
            self.id,
            Path("data"),
            clock=self.clock,
            database_factory=lambda folder, key_file: self.disk.open(),
        )
        self.app = App(net.spec, self.engine)
        rng = Random(net.rng.getrandbits(64))
        record = stored_record(self.engine)
        if record is None:
            record = first_record(self.id, self.id, "", not self.seeds)
        membership = Membership(
            record, net.config, self.clock, rng, self.seeds, stored_members(self.engine)
        )
        self.core = ClusterCore(net.config, self.clock, rng, self.engine, membership)
        self.core.context.wake = self.soon
        self.core.start()
        self.drain()

    def crash(self) -> None:
        self.alive = False
        self.disk.crash()
        for peer in list(self.links):
            self.net.unlink(self.id, peer)

    def soon(self) -> None:
        life = self.life
        self.net.at(0, lambda: self.do(lambda core: None) if self.life == life else None)

    def call(self, handler: str, *args: Any) -> Any:
        """Runs a handler on what lies here; durable when this returns."""
        result = self.app.call("Shop", handler, args)
        self.drain()
        return result

    def ask(self, action: Callable[[Callable[[Any], None]], None]) -> list[Any]:
        """Puts a question to the core; the answer is in the list when it has come."""
        answers: list[Any] = []
        action(answers.append)
        self.drain()
        return answers

    def do(self, action: Callable[[ClusterCore], None]) -> None:
        if self.alive:
            action(self.core)
            self.drain()

    def drain(self) -> None:
        for output in self.core.take():
            match output:
                case Send(to, message):
                    self.net.send(self.id, to, message)
                case Dial(address):
                    if address not in self.dialling:
                        self.dialling[address] = True
                        self.net.dial(self, self.life, address)
                case Undial(address):
                    self.dialling.pop(address, None)
                case Drop(peer):
                    self.net.unlink(self.id, peer)
                case Note(text):
                    self.notes.append(text)
        life = self.life
        due = max(self.net.now + 1, self.core.next_wakeup())
        if not self.net.now < self._ticks_at <= due:
            self._ticks_at = due
            self.net.at(due - self.net.now, lambda: self._tick(life, due))
        if self.engine._queue.waiting and self._flush_at < self.net.now:
            delay = 1 + self.net.rng.randrange(4)
            self._flush_at = self.net.now + delay
            self.net.at(delay, lambda: self._flush(life))

    def _tick(self, life: int, due: int) -> None:
        if self.life == life and self._ticks_at == due:
            self._ticks_at = -1
            self.do(ClusterCore.tick)

    def _flush(self, life: int) -> None:
        if self.life == life and self.alive:
            self._flush_at = -1
            self.engine.flush()
            self.drain()

    # --- looking at it ---------------------------------------------------------------------------

    def value(self, table: str, key: str) -> Any:
        found = self.engine.replicated(f"Shop.{table}")
        assert found is not None
        held, _ = found
        entry = held.entries.get(key)
        return None if entry is None else entry.value

    def held(self, table: str) -> dict[str, Any]:
        found = self.engine.replicated(f"Shop.{table}")
        assert found is not None
        held, _ = found
        return {key: entry.value for key, entry in held.entries.items()}


class CoreNetwork:
    def __init__(
        self, seed: int = 1, spec: ProgramSpec = SHOP, config: ClusterConfig | None = None
    ) -> None:
        self.now = 0
        self.spec = spec
        self.rng = Random(seed)
        self.config = config or ClusterConfig()
        self.hosts: dict[str, Host] = {}
        self.loss = self.twice = self.late = 0.0
        self.cuts: set[tuple[str, str]] = set()
        self.sent: Counter[str] = Counter()
        self.bytes: Counter[str] = Counter()
        self.watch: Callable[[str, str, Message], bool] = lambda one, other, message: True
        self._events: list[tuple[int, int, Callable[[], object]]] = []
        self._count = 0

    def add(self, id: str, *seeds: str) -> Host:
        host = self.hosts[id] = Host(self, id, seeds)
        host.start()
        return host

    def at(self, delay: int, event: Callable[[], object]) -> None:
        self._count += 1
        heappush(self._events, (self.now + delay, self._count, event))

    def run(self, ms: int) -> None:
        end = self.now + ms
        while self._events and self._events[0][0] <= end:
            at, _, event = heappop(self._events)
            self.now = at
            event()
        self.now = end

    def until(self, condition: Callable[[], bool], most_ms: int = 120_000) -> int:
        """Lets time pass until something holds; how long that took."""
        begin = self.now
        while not condition():
            assert self.now - begin < most_ms, "it did not come to that"
            self.run(50)
        return self.now - begin

    # --- links -----------------------------------------------------------------------------------

    def cut(self, one: Iterable[str], other: Iterable[str]) -> None:
        others = list(other)
        for a in one:
            for b in others:
                self.cuts |= {(a, b), (b, a)}
                self.unlink(a, b)

    def heal(self) -> None:
        self.cuts.clear()

    def dial(self, host: Host, life: int, address: str) -> None:
        if host.life != life or not host.alive or address not in host.dialling:
            return
        other = self.hosts.get(address)
        pair = (host.id, address)
        if other is None or not other.alive or pair in self.cuts or other is host:
            self.at(500, lambda: self.dial(host, life, address))
            return
        if address not in host.links:
            host.links[address] = other.links[host.id] = self._count
            host.do(lambda core: core.connected(address, address))
            other.do(lambda core: core.connected(host.id))
        self.at(500, lambda: self.dial(host, life, address))

    def unlink(self, one: str, other: str) -> None:
        for near, far in ((one, other), (other, one)):
            if self.hosts[near].links.pop(far, None) is not None:
                self.hosts[near].do(partial(ClusterCore.disconnected, peer=far))

    def send(self, one: str, other: str, message: Message) -> None:
        data = _encode(message)
        self.sent[type(message).__name__] += 1
        self.bytes[type(message).__name__] += len(data)
        link = self.hosts[one].links.get(other)
        if link is None or not self.watch(one, other, message):
            return
        for _ in range(2 if self.rng.random() < self.twice else 1):
            if self.rng.random() < self.loss:
                continue
            delay = self.rng.randrange(400) if self.rng.random() < self.late else 3
            self.at(delay, lambda: self._arrive(one, other, link, data))

    def _arrive(self, one: str, other: str, link: int, data: bytes) -> None:
        host = self.hosts[other]
        if host.links.get(one) == link:
            host.do(lambda core: core.receive(one, _decode(data)))

    # --- checks ----------------------------------------------------------------------------------

    @property
    def living(self) -> list[Host]:
        return [host for host in self.hosts.values() if host.alive]

    def formed(self) -> bool:
        return all(
            len(host.links) == len(self.living) - 1
            and host.core.membership.me.ring == "ready"
            and host.core.fetching.complete
            and len(host.core.context.ready_ring.ids) == len(self.living)
            for host in self.living
        )

    def same(self) -> bool:
        """Whether all hold the same of what lies on all members, and owners of what is theirs."""
        for table in self.living[0].engine.replica.tables:
            segments: dict[int, dict[str, int]] = {}
            for host in self.living:
                for segment, digest in host.engine.replica.digests(table).items():
                    segments.setdefault(segment, {})[host.id] = digest
            for segment, digests in segments.items():
                owners = self.living[0].core.context.owners(table, segment)
                if sorted(digests) != sorted(owners) or len(set(digests.values())) != 1:
                    return False
        return True


def cluster(
    size: int, seed: int = 1, spec: ProgramSpec = SHOP, config: ClusterConfig | None = None
) -> CoreNetwork:
    """A formed cluster of n1 to n{size}."""
    net = CoreNetwork(seed, spec, config)
    net.add("n1")
    for number in range(2, size + 1):
        net.add(f"n{number}", "n1")
    net.until(net.formed)
    return net


__all__ = ["CoreNetwork", "Host", "SomaError", "cluster"]
