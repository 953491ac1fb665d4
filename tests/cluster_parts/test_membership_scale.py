"""Fifty nodes: they form at once, and what each sends does not grow with them (docs/scale.md)."""

from __future__ import annotations

import pytest
from tiny_network import cluster

from somart.cluster.members import Died, Suspected

pytestmark = pytest.mark.slow


def test_fifty_nodes_form_rest_lose_one_and_heal() -> None:
    net = cluster(50)
    assert net.formed_after < 1_000
    assert max(place.sent.total() for place in net.running) < 400
    net.run(60_000)
    before = {place.id: place.sent.total() for place in net.running}
    net.run(120_000)
    rates = [(place.sent.total() - before[place.id]) / 120 for place in net.running]
    assert sum(rates) / 50 == pytest.approx(0.7, rel=0.1)  # a mesh of heartbeats: 16 a second
    assert max(rates) < 1.0
    assert all(not place.of(Suspected) for place in net.running)

    victim, at = net.places["n17:1"], net.now
    net.kill(victim)
    net.run(30_000)
    deaths = [when - at for place in net.running for when, _ in place.of(Died)]
    assert len(deaths) == 49
    assert min(deaths) >= net.config.dead_ms
    assert max(deaths) <= net.config.dead_ms + 1_000

    places = net.running
    net.cut(places[:20], places[20:])
    net.run(40_000)
    net.heal()
    statuses = {place.id: "alive" for place in places} | {"n17": "dead"}
    assert net.run(60_000, until=lambda: net.agrees(statuses)) < 10_000


def test_fifty_nodes_under_loss_kill_nobody() -> None:
    net = cluster(50)
    net.loss = 0.1
    net.run(120_000)
    assert all(not place.of(Died) for place in net.running)
