"""Random faults, then peace: every node ends with the same true table, and nobody is lost."""

from __future__ import annotations

import pytest
from tiny_network import Place, TinyNetwork

from somart.cluster.members import RingChanged
from somart.cluster.ring import Ring


def _fault(net: TinyNetwork, places: list[Place]) -> None:
    place = net.rng.choice(places)
    match net.rng.randrange(9):
        case 0 | 1:
            if place.node is not None:
                net.kill(place)
        case 2 | 3:
            if place.node is None:
                net.start(place.id, seeds=["n1:1"], wipe=net.rng.random() < 0.2)
        case 4:
            if place.node is not None and not place.node.leaving:
                net.leave(place)
        case 5:
            net.pause(place, net.rng.randrange(25_000))
        case 6:
            net.cut([place], [p for p in places if p is not place], net.rng.random() < 0.7)
        case 7:
            side = net.rng.sample(places, len(places) // 2)
            net.cut(side, [p for p in places if p not in side])
        case _:
            net.heal()
            net.loss = net.rng.choice([0.0, 0.0, 0.1, 0.4])


def _check_stories(net: TinyNetwork) -> None:
    """Changes are a story: rings follow each other, and end with the ring that there is."""
    for place in net.running:
        assert place.node is not None
        rings = [change for _, change in place.of(RingChanged)][-3:]
        assert rings[-1].ids == place.node.ring.ids
        assert all(change.before != change.ids for change in rings)
        assert place.node.ring is Ring.of(place.node.ring.ids)
        assert place.record == place.node.me
        assert not place.node.superseded


@pytest.mark.parametrize("seed", range(24))
def test_peace_follows_faults(seed: int) -> None:
    net = TinyNetwork(seed)
    size = 3 + seed % 5
    places = [net.start("n1", founder=True)]
    places += [net.start(f"n{n}", seeds=["n1:1"]) for n in range(2, size + 1)]
    net.run(10_000)
    for _ in range(25):
        _fault(net, places)
        net.run(net.rng.randrange(20_000))
    net.heal()
    net.loss = 0.0
    net.run(30_000)  # whoever was about to stop has, whoever was paused runs
    for place in places:
        if place.node is None:
            net.start(place.id, seeds=["n1:1"])
    net.run(60_000, until=net.formed)
    net.run(40_000)
    assert net.formed()
    first = places[0].node
    assert first is not None
    for place in places:
        assert place.node is not None
        assert place.node.members.states() == first.members.states()
        assert place.node.ring.ids == first.ring.ids == tuple(p.id for p in places)
        assert place.node.lowest_live() == "n1"
        assert place.dialling == set()
    _check_stories(net)
