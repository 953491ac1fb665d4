"""How the cluster grows: `python tests/soak/members_at_scale.py [SIZE …]`.

Memberships of the given sizes (3 to 200) form over one seed, rest, lose a node, have one stopped,
are cut in half and heal; then whole nodes with data rest and write. All in virtual time and from
one seed. Prints the tables of docs/scale.md, and fails when a node sends more the more there are.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path
from statistics import mean, stdev

sys.path.insert(0, str(Path(__file__).parents[1] / "cluster_parts"))

from cluster_cells import BOARD
from core_network import cluster
from msgspec.msgpack import Encoder
from tiny_network import BREAK_MS, Place, TinyNetwork

from somart.cluster.hashing import SEGMENTS
from somart.cluster.members import Died
from somart.cluster.messages import Message
from somart.cluster.ring import Ring

SIZES = (3, 10, 20, 50, 100, 200)
QUIET_MS = 300_000
"""How long a cluster rests before and while it is measured."""
REST_MOST = 1.0
"""Messages that a node at rest may send per second, whatever the number of nodes."""


class Measured(TinyNetwork):
    """A network that weighs what is sent."""

    def __init__(self, seed: int) -> None:
        super().__init__(seed)
        self.bytes = 0
        self.largest = 0
        self._encoder = Encoder()

    def _send(self, place: Place, to: str, message: Message) -> None:
        size = len(self._encoder.encode(message))
        self.bytes += size
        self.largest = max(self.largest, size)
        super()._send(place, to, message)

    def sent(self) -> int:
        """Messages until now."""
        return sum(place.sent.total() for place in self.places.values())


def measure(size: int, seed: int = 1) -> list[str]:
    """One row of the table."""
    net = Measured(seed)
    net.start("n1", founder=True)
    for number in range(2, size + 1):
        net.start(f"n{number}", seeds=["n1:1"])
    formed = net.run(120_000, until=net.formed)
    row = [f"{size}", f"{formed / 1000:.2f} s"]
    net.run(60_000)
    row += [f"{net.sent() / size:.0f}", f"{net.bytes / size / 1000:.0f} kB"]
    net.run(QUIET_MS)
    row += _rates(net, size, QUIET_MS)
    assert float(row[-2]) < REST_MOST, "it grows"
    victim, at = net.places["n2:1"], net.now
    net.kill(victim)
    row += _rates(net, size, 60_000)[:1]
    deaths = [when - at for place in net.running for when, _ in place.of(Died)]
    assert len(deaths) == size - 1, "somebody has not heard"
    row.append(f"{max(deaths) / 1000:.1f} s")
    row.append(f"{_stopped(net):.1f} s")
    row.append(f"{_healing(net) / 1000:.1f} s")
    row.append(f"{net.largest / 1000:.1f} kB")
    return row


def _rates(net: Measured, size: int, ms: int) -> list[str]:
    """Messages and bytes per node and second while so much time passes."""
    messages, weight = net.sent(), net.bytes
    net.run(ms)
    seconds = size * ms / 1000
    return [f"{(net.sent() - messages) / seconds:.2f}", f"{(net.bytes - weight) / seconds:.0f}"]


def _stopped(net: Measured) -> float:
    """From the stop of a process whose links stay up until all know that it is dead (seconds)."""
    victim, at = net.places["n3:1"], net.now
    net.pause(victim, 60_000)
    net.run(60_000)
    others = [place for place in net.running if place is not victim]
    known = [when for p in others for when, change in p.of(Died) if change == Died("n3")]
    assert len(known) == len(others), "somebody has not heard"
    net.run(20_000, until=lambda: victim.statuses()["n3"] == "alive" and len(victim.links) > 0)
    return (max(known) - at) / 1000


def _healing(net: Measured) -> int:
    """From the end of a partition into halves until all tables are right and all links up."""
    places = net.running
    half = len(places) // 2
    net.cut(places[:half], places[half:])
    net.run(BREAK_MS + 40_000)
    assert len(places) < 4 or places[-1].statuses()[places[0].id] == "dead"
    net.heal()
    statuses = {place.id: "alive" for place in places} | {"n2": "dead"}
    return net.run(120_000, until=lambda: _healed(places, statuses))


def _healed(places: list[Place], statuses: dict[str, str]) -> bool:
    return all(len(place.links) == len(places) - 1 for place in places) and all(
        place.statuses() == statuses for place in places
    )


def whole_nodes(size: int) -> list[str]:
    """One row about nodes with memory: each writes a key that all are to have."""
    net = cluster(size, spec=BOARD)
    row = [f"{size}", f"{net.now / 1000:.1f} s"]
    net.run(QUIET_MS)
    net.sent.clear()
    net.bytes.clear()
    net.run(QUIET_MS)
    seconds = size * QUIET_MS / 1000
    assert net.sent.total() / seconds < REST_MOST, "it grows"
    row += [f"{net.sent.total() / seconds:.2f}", f"{net.bytes.total() / seconds:.0f}"]
    net.sent.clear()
    at = net.now
    for host in net.living:
        host.call("put", "notes", host.id, "news")
    while not (net.same() and len(net.living[0].held("notes")) == size):
        net.run(1)
    row.append(f"{net.now - at} ms")
    net.run(1_000)
    return [*row, f"{net.sent.total() / size:.0f}"]


def main(sizes: list[int]) -> None:
    """Prints the tables."""
    heads = ["nodes", "formed after", "messages in the first minute", "bytes in it"]
    heads += ["messages/s at rest", "bytes/s at rest", "messages/s after a death"]
    heads += ["a killed node is dead after", "a stopped one after", "halves healed after"]
    _table([*heads, "largest message"], map(measure, sizes))
    print()
    heads = ["nodes", "all ready after", "messages/s at rest", "bytes/s at rest"]
    heads += ["a key of each is everywhere after", "messages per node for that"]
    _table(heads, map(whole_nodes, sizes))
    print()
    heads = ["ring", "a newcomer takes", "least and most, of 20", "spread of shares"]
    _table(heads, (moves(size) for size in (3, 10, 50)))


def moves(size: int) -> list[str]:
    """What one more node takes over from that many, in parts of its fair share of all segments."""
    taken, spread = [], []
    for trial in range(20):
        ids = [f"t{trial}-n{number}:8082" for number in range(size + 1)]
        before, after = Ring(ids[:-1]), Ring(ids)
        taken.append(len(before.moved(after, 1)) * (size + 1) / SEGMENTS)
        shares = after.shares().values()
        spread.append(stdev(shares) / mean(shares))
    ends = f"{min(taken):.2f} to {max(taken):.2f}"
    return [f"{size} → {size + 1}", f"{mean(taken):.2f} K/N", ends, f"± {mean(spread):.0%}"]


def _table(heads: list[str], rows: Iterable[list[str]]) -> None:
    print("| " + " | ".join(heads) + " |")
    print("|" + "---|" * len(heads))
    for row in rows:
        print("| " + " | ".join(row) + " |", flush=True)


if __name__ == "__main__":
    main([int(size) for size in sys.argv[1:]] or list(SIZES))
