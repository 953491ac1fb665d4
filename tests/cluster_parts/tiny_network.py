"""A deterministic network for memberships alone: virtual time, delays, loss, cuts, pauses, lives.

Links are like TCP connections: they come from dialling, and go when an end dies or after both ends
have been cut off for a while. Loss is harsher than TCP: single messages vanish.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from heapq import heappop, heappush
from random import Random

from somart.cluster.config import ClusterConfig
from somart.cluster.members import Change, Identity, first_record
from somart.cluster.membership import Membership
from somart.cluster.messages import MemberState, Message
from somart.cluster.outputs import Dial, Drop, Note, Send, Undial

BREAK_MS = 4_000
"""After so long without a path, a link goes down."""
REDIAL_MS = 1_000


class _Clock:
    def __init__(self, net: TinyNetwork) -> None:
        self._net = net

    def monotonic(self) -> int:
        return self._net.now

    def wall(self) -> int:
        return self._net.now


class Place:
    """One process after another at an address, with what outlives them."""

    def __init__(self, net: TinyNetwork, id: str, address: str) -> None:
        self.net, self.id, self.address = net, id, address
        self.record: MemberState | None = None
        self.known: list[MemberState] = []
        self.node: Membership | None = None
        self.life = 0
        self.paused_until = 0
        self.ticks_at = -1
        self.links: dict[str, Place] = {}
        self.dialling: set[str] = set()
        self.changes: list[tuple[int, Change]] = []
        self.notes: list[str] = []
        self.dropped: list[Drop] = []
        self.refusals: list[str] = []
        self.sent: Counter[str] = Counter()
        self.entries = 0

    def of(self, kind: type) -> list[tuple[int, Change]]:
        """The changes of one kind, with their times."""
        return [(at, change) for at, change in self.changes if isinstance(change, kind)]

    def statuses(self) -> dict[str, str]:
        """The status of each member that this node knows."""
        assert self.node is not None
        return {state.id: state.status for state in self.node.members.states()}


class TinyNetwork:
    """Places, and the events between them in the order of their times."""

    def __init__(self, seed: int = 1, config: ClusterConfig | None = None) -> None:
        self.now = 0
        self.rng = Random(seed)
        self.config = config or ClusterConfig()
        self.places: dict[str, Place] = {}
        self.loss = 0.0
        self.formed_after = 0
        self.cuts: set[tuple[str, str]] = set()
        self._events: list[tuple[int, int, Callable[[], None]]] = []
        self._count = 0

    # --- what a test does ------------------------------------------------------------------------

    def start(
        self,
        id: str,
        seeds: Iterable[str] = (),
        address: str = "",
        wipe: bool = False,
        founder: bool = False,
    ) -> Place:
        """A new process: the first at its place, or the next one."""
        address = address or f"{id}:1"
        place = self.places.get(address) or Place(self, id, address)
        earlier = [p for p in self.places.values() if p.id == id and p.record is not None]
        self.places[address] = place
        place.id = id
        if earlier and not wipe and place.record is None:
            place.record, place.known = earlier[-1].record, earlier[-1].known
        if wipe:
            place.record, place.known = None, []
        record = place.record or first_record(id, address, "", founder)
        record = MemberState(
            id, address, "", *(getattr(record, name) for name in record.__struct_fields__[3:])
        )
        place.life += 1
        rng = Random(self.rng.getrandbits(64))
        place.node = Membership(record, self.config, _Clock(self), rng, seeds, place.known)
        place.ticks_at = -1
        self._drain(place)
        return place

    def kill(self, place: Place) -> None:
        """The process is gone; its links close."""
        place.node = None
        place.dialling.clear()
        for other in list(place.links.values()):
            self._unlink(place, other)

    def leave(self, place: Place, for_good: bool = False) -> None:
        """Says goodbye, and is gone a moment later."""
        assert place.node is not None
        place.node.leave(for_good)
        self._drain(place)
        self.at(self.now + 50, lambda: self.kill(place))

    def cut(self, one: Iterable[Place], other: Iterable[Place], both: bool = True) -> None:
        """No message comes from the one side to the other any more."""
        others = list(other)
        for a in one:
            for b in others:
                self.cuts.add((a.address, b.address))
                if both:
                    self.cuts.add((b.address, a.address))
                    self.at(self.now + BREAK_MS, lambda a=a, b=b: self._break(a, b))

    def heal(self) -> None:
        """All paths are open again."""
        self.cuts.clear()

    def pause(self, place: Place, ms: int) -> None:
        """The process does nothing for so long (SIGSTOP); messages wait for it."""
        place.paused_until = self.now + ms

    def run(self, ms: int, until: Callable[[], bool] | None = None) -> int:
        """Lets time pass, at most so long; returns how much has."""
        begin, end = self.now, self.now + ms
        while self._events and self._events[0][0] <= end:
            at, _, event = heappop(self._events)
            self.now = max(self.now, at)
            event()
            if until is not None and until():
                return self.now - begin
        self.now = end
        assert until is None, "it did not come to that"
        return ms

    def at(self, at: int, event: Callable[[], None]) -> None:
        """Plans something."""
        self._count += 1
        heappush(self._events, (at, self._count, event))

    @property
    def running(self) -> list[Place]:
        """The places with a living process."""
        return [place for place in self.places.values() if place.node is not None]

    def agrees(self, statuses: dict[str, str]) -> bool:
        """Whether all processes see just that, and have linked with all that are alive."""
        alive = sum(status == "alive" for status in statuses.values())
        return all(len(place.links) == alive - 1 for place in self.running) and all(
            place.statuses() == statuses for place in self.running
        )

    def formed(self) -> bool:
        """Whether all that run know each other as alive, with a link for each pair."""
        running = self.running
        if len(running[-1].links) < len(running) - 1:
            return False  # most of the time, cheaply
        return self.agrees({place.id: "alive" for place in running})

    # --- what happens ----------------------------------------------------------------------------

    def do(self, place: Place, life: int, action: Callable[[Membership], None]) -> None:
        """Gives a process an input, when it runs."""
        if place.node is None or place.life != life:
            return
        if self.now < place.paused_until:
            self.at(place.paused_until, lambda: self.do(place, life, action))
            return
        action(place.node)
        self._drain(place)

    def _tick_in_time(self, place: Place) -> None:
        assert place.node is not None
        due, life = max(self.now + 1, place.node.due()), place.life
        if self.now < place.ticks_at <= due:
            return
        place.ticks_at = due

        def tick() -> None:
            if place.ticks_at == due:
                self.do(place, life, Membership.tick)

        self.at(due, tick)

    def _drain(self, place: Place) -> None:
        assert place.node is not None
        outputs, changes = place.node.take()
        for change in changes:
            place.changes.append((self.now, change))
            if isinstance(change, Identity):
                place.record = change.me
        if changes:
            place.known = place.node.members.states()
        for output in outputs:
            match output:
                case Send(to, message):
                    self._send(place, to, message)
                case Dial(address):
                    place.dialling.add(address)
                    self._dial(place, place.life, address)
                case Undial(address):
                    place.dialling.discard(address)
                case Drop(peer):
                    place.dropped.append(output)
                    if peer in place.links:
                        self._unlink(place, place.links[peer])
                case Note(text):
                    place.notes.append(text)
        self._tick_in_time(place)

    def _delay(self) -> int:
        return 1 + int(self.rng.random() * 8)

    def _send(self, place: Place, to: str, message: Message) -> None:
        place.sent[type(message).__name__] += 1
        place.entries += len(getattr(message, "gossip", None) or getattr(message, "members", ()))
        other = place.links.get(to)
        if other is None or self.rng.random() < self.loss:
            return
        life = other.life

        def arrive() -> None:
            if (place.address, other.address) not in self.cuts and other.links.get(place.id):
                self.do(other, life, lambda node: node.receive(place.id, message))

        self.at(self.now + self._delay(), arrive)

    def _dial(self, place: Place, life: int, address: str) -> None:
        if place.node is None or place.life != life or address not in place.dialling:
            return
        other = self.places.get(address)
        pair = (place.address, address)
        silent = other is None or other.node is None or other.paused_until > self.now
        if silent or pair in self.cuts or pair[::-1] in self.cuts:
            self.at(self.now + REDIAL_MS, lambda: self._dial(place, life, address))
            return
        assert other is not None
        self.at(self.now + self._delay(), lambda: self._arrive(place, life, address, other))

    def _arrive(self, place: Place, life: int, address: str, other: Place) -> None:
        if place.node is None or place.life != life or other.node is None:
            return
        refused = other.node.admit(place.id, place.node.me.boot) or (
            place.node.admit(other.id, other.node.me.boot)
        )
        self._drain(other)
        if refused:
            if other is place:
                place.dialling.discard(address)
            else:
                self.at(self.now + REDIAL_MS, lambda: self._dial(place, life, address))
            place.refusals.append(refused)
            return
        if place.links.get(other.id) is other:
            return
        place.links[other.id], other.links[place.id] = other, place
        self.do(other, other.life, lambda node: node.link_up(place.id))
        self.do(place, life, lambda node: node.link_up(other.id, address))

    def _unlink(self, place: Place, other: Place) -> None:
        for near, far in ((place, other), (other, place)):
            if near.links.get(far.id) is far:
                del near.links[far.id]
                self.do(near, near.life, lambda node, far=far: node.link_down(far.id))

    def _break(self, one: Place, other: Place) -> None:
        if (one.address, other.address) in self.cuts and one.links.get(other.id) is other:
            self._unlink(one, other)


def cluster(size: int, seed: int = 1, config: ClusterConfig | None = None) -> TinyNetwork:
    """A network with a formed cluster of n1, n2, … that joined over n1."""
    net = TinyNetwork(seed, config)
    net.start("n1", founder=True)
    for number in range(2, size + 1):
        net.start(f"n{number}", seeds=["n1:1"])
    net.formed_after = net.run(60_000, until=net.formed)
    net.run(1_000)
    return net
