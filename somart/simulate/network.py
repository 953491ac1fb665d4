"""The network between simulated machines: connections as from TCP, and what may become of them.

The node sees what the trio shell shows it: a link with a peer comes up, messages arrive on it in
order, the link goes down. What a partition holds up arrives when it heals in time, else the
connection breaks, at each end by itself. Messages pass through the real codec, so that nodes share
no objects.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import partial
from random import Random
from typing import Protocol

from ..cluster.config import ClusterConfig
from ..cluster.messages import Message, decode, encode
from .world import Timer, World

Pair = tuple[str, str]
"""Names of machines: from, to."""

REFUSED_MS = 20
"""Nobody listens at a reachable address: how soon a dialler knows."""
DIAL_TIMEOUT_MS = 2_000
BREAK_MS = (5_000, 20_000)
"""Data that are not acknowledged for so long break a connection."""


class Host(Protocol):
    """What the network needs of a machine. `life` counts starts, `identity` is the member's id."""

    name: str
    address: str
    life: int

    @property
    def identity(self) -> str | None:
        """None while the machine is down."""

    @property
    def paused(self) -> bool: ...

    @property
    def boot(self) -> str:
        """Of the present process."""

    def admit(self, peer: str, boot: str) -> bool:
        """Whether this machine's process lets another have a link with it."""

    def link_up(self, peer: str, dialled: str) -> None: ...

    def link_down(self, peer: str) -> None: ...

    def receive(self, peer: str, message: Message) -> None: ...


def _admits(host: Host, other: Host) -> bool:
    return host.admit(other.identity or "", other.boot)


@dataclass
class Conditions:
    """The weather. Pairs count how many faults hold them at the moment."""

    cut: Counter[Pair] = field(default_factory=Counter)
    """Nothing passes."""
    slow: Counter[Pair] = field(default_factory=Counter)
    """Delays times 50."""
    loss: float = 0.0
    """Part of the messages that break their connection."""
    drop: float = 0.0
    """Part of the messages that vanish, which TCP does not do to an open connection."""
    duplicate: float = 0.0
    reorder: float = 0.0


class End:
    """One end of a connection."""

    __slots__ = ("breaking", "dialled", "host", "last", "life", "open", "other", "peer", "stalled")

    def __init__(self, host: Host, peer: str, dialled: str) -> None:
        self.host = host
        self.dialled = dialled  # the address that led here, at the dialler's end
        self.life = host.life
        self.peer = peer
        self.open = False
        self.other: End = self
        self.last = 0  # when what was sent last arrives at the other end
        self.stalled: list[bytes] = []  # held up by a partition
        self.breaking: Timer | None = None

    @property
    def pair(self) -> Pair:
        return self.host.name, self.other.host.name

    @property
    def alive(self) -> bool:
        """Whether the process that has this end is still there."""
        return self.host.life == self.life and self.host.identity is not None


class Network:
    """All machines by address, and the open ends of connections by machine and peer id."""

    def __init__(self, world: World, config: ClusterConfig) -> None:
        self.conditions = Conditions()
        self.messages = 0
        self.bytes = 0
        self._world = world
        self._config = config
        self._rng = world.stream("network")
        self._hosts: dict[str, Host] = {}
        self._ends: dict[str, dict[str, End]] = {}

    def attach(self, host: Host) -> None:
        """Makes a machine known; it keeps its address for ever."""
        self._hosts[host.address] = host
        self._ends[host.name] = {}

    # --- connections -----------------------------------------------------------------------------

    def connected(self, host: Host, peer: str) -> bool:
        """Whether a machine has an open link with a peer, as far as it knows."""
        return peer in self._ends[host.name]

    def dial(self, host: Host, address: str, done: Callable[[str | None], None]) -> None:
        """Tries once to reach an address; `done` is told the peer's id, or None."""
        life, delay = host.life, self._delay((host.name, address))
        self._world.after(delay, partial(self._arrive, host, life, address, done))

    def _arrive(
        self, host: Host, life: int, address: str, done: Callable[[str | None], None]
    ) -> None:
        if host.life != life or host.identity is None:
            return
        target = self._hosts.get(address)
        cut = self.conditions.cut
        if target is None or target is host:
            done(None)
        elif cut[host.name, target.name] or cut[target.name, host.name] or target.paused:
            self._world.after(DIAL_TIMEOUT_MS, partial(done, None))
        elif target.identity is None or not (_admits(target, host) and _admits(host, target)):
            self._world.after(REFUSED_MS, partial(done, None))
        else:
            self._connect(host, target, address)
            done(target.identity)

    def _connect(self, host: Host, target: Host, address: str) -> None:
        mine, theirs = host.identity, target.identity
        assert mine is not None
        assert theirs is not None
        old = self._ends[host.name].get(theirs)
        if old is not None and old.other.open and old.other.alive and old.alive:
            return  # they have one already
        for known, peer in ((host, theirs), (target, mine)):
            half = self._ends[known.name].get(peer)
            if half is not None:
                self._close(half)
        near, far = End(host, theirs, address), End(target, mine, "")
        near.other, far.other = far, near
        self._open(far)
        far.last = self._world.now + self._delay(far.pair)
        self._world.after(far.last - self._world.now, partial(self._open, near))

    def _open(self, end: End) -> None:
        if not end.alive:
            self._world.after(REFUSED_MS, partial(self._close, end.other))
            return
        former = self._ends[end.host.name].get(end.peer)
        if former is not None:
            self._close(former)
        end.open = True
        self._ends[end.host.name][end.peer] = end
        end.host.link_up(end.peer, end.dialled)
        if not (end.other.alive or end.other.open):
            self._world.after(REFUSED_MS, partial(self._close, end))

    def _close(self, end: End) -> None:
        """This end learns that the connection is no more."""
        if not end.open:
            return
        end.open = False
        end.stalled.clear()
        if self._ends[end.host.name].get(end.peer) is end:
            del self._ends[end.host.name][end.peer]
        if end.alive:
            end.host.link_down(end.peer)

    def hang_up(self, host: Host, peer: str) -> None:
        """A node closes a link; the other end learns of it when the network lets it."""
        end = self._ends[host.name].get(peer)
        if end is not None:
            self._close(end)
            self._finish(end)

    def _finish(self, end: End) -> None:
        other = end.other
        if self.conditions.cut[end.pair]:
            patience = self._rng.randint(*BREAK_MS)
            self._world.after(patience, partial(self._close, other))
        else:
            at = max(end.last, self._world.now + self._delay(end.pair))
            self._world.after(at - self._world.now, partial(self._close, other))

    def crashed(self, host: Host, silent: bool) -> None:
        """A machine's process has died. `silent`: its power went, so that nobody is told."""
        ends = list(self._ends[host.name].values())
        self._ends[host.name].clear()
        for end in ends:
            end.open = False
            end.stalled.clear()
            if silent:
                patience = self._rng.randint(*BREAK_MS)
                self._world.after(patience, partial(self._close, end.other))
            else:
                self._finish(end)

    # --- messages --------------------------------------------------------------------------------

    def send(self, host: Host, peer: str, message: Message) -> None:
        """A message enters the link, if there is one. Raises ValueError for what cannot travel."""
        end = self._ends[host.name].get(peer)
        if end is None:
            return
        self.messages += 1
        data = encode(self.messages, message)
        self.bytes += len(data)
        weather = self.conditions
        if weather.drop and self._rng.random() < weather.drop:
            return
        if weather.loss and self._rng.random() < weather.loss:
            for side in (end, end.other):
                self._world.after(0, partial(self._close, side))
        elif end.stalled or weather.cut[end.pair]:
            self._stall(end, data)
        else:
            self._transmit(end, data)
            if weather.duplicate and self._rng.random() < weather.duplicate:
                self._transmit(end, data)

    def _stall(self, end: End, data: bytes) -> None:
        if len(end.stalled) < self._config.queue_frames:
            end.stalled.append(data)
        if end.breaking is None:
            end.breaking = self._world.after(
                self._rng.randint(*BREAK_MS), partial(self._break, end)
            )

    def _break(self, end: End) -> None:
        end.breaking = None
        if end.stalled and end.open:
            self._close(end)
            self._finish(end)

    def healed(self, pairs: Iterable[Pair]) -> None:
        """What was held up between these machines goes on its way, if nothing holds it any more."""
        for name, peer in pairs:
            if self.conditions.cut[name, peer]:
                continue
            for end in list(self._ends[name].values()):
                if end.other.host.name == peer and end.stalled:
                    self._retransmit(end)

    def _retransmit(self, end: End) -> None:
        end.last = max(end.last, self._world.now + self._rng.randint(50, 1_000))
        held, end.stalled = end.stalled, []
        if end.breaking is not None:
            end.breaking.cancel()
            end.breaking = None
        for data in held:
            self._transmit(end, data)

    def _transmit(self, end: End, data: bytes) -> None:
        at = self._world.now + self._delay(end.pair)
        reorder = self.conditions.reorder
        if not (reorder and self._rng.random() < reorder):
            end.last = at = max(at, end.last)
        self._world.after(at - self._world.now, partial(self._deliver, end.other, data))

    def _deliver(self, end: End, data: bytes) -> None:
        if end.open and end.alive:
            end.host.receive(end.peer, decode(data)[1])
        elif end.host.identity is not None:  # a machine that is up refuses what it doesn't expect
            self._world.after(REFUSED_MS, partial(self._close, end.other))

    def _delay(self, pair: Pair) -> int:
        rng = self._rng
        delay = 1 + int(rng.random() * 4)
        if rng.random() < 0.01:
            delay += rng.randint(20, 300)
        return delay * 50 if self.conditions.slow[pair] else delay


class Dialler:
    """Keeps trying the addresses that one life of a node wants links with, with back-off."""

    def __init__(
        self, world: World, network: Network, host: Host, config: ClusterConfig, rng: Random
    ) -> None:
        self._world = world
        self._network = network
        self._host = host
        self._config = config
        self._rng = rng
        self._wanted: dict[str, int] = {}  # address: the next pause
        self._peers: dict[str, str] = {}  # id: address
        self._busy: set[str] = set()
        self._stopped = False

    def want(self, address: str) -> None:
        """Tries until `give_up`."""
        if address not in self._wanted and address != self._host.address:
            self._wanted[address] = self._config.dial_first_ms
            self._attempt(address)

    def give_up(self, address: str) -> None:
        self._wanted.pop(address, None)

    def stop(self) -> None:
        """The node is dead."""
        self._stopped = True
        self._wanted.clear()

    def lost(self, peer: str) -> None:
        """A link went down: if it was wanted, it is dialled anew."""
        address = self._peers.get(peer)
        if address is not None:
            self._later(address)

    def _attempt(self, address: str) -> None:
        if address in self._wanted and address not in self._busy and not self._stopped:
            self._busy.add(address)
            self._network.dial(self._host, address, partial(self._tried, address))

    def _tried(self, address: str, peer: str | None) -> None:
        self._busy.discard(address)
        if self._stopped or address not in self._wanted:
            return
        if peer is not None:
            self._peers[peer] = address
            self._wanted[address] = self._config.dial_first_ms
        else:
            self._later(address)

    def _later(self, address: str) -> None:
        pause = self._wanted.get(address)
        if pause is None or self._stopped:
            return
        self._wanted[address] = min(2 * pause, self._config.dial_most_ms)
        wait = pause + int(pause * self._rng.random() / 2)
        self._world.after(wait, partial(self._attempt, address))
