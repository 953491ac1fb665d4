"""Intervals of a cluster: scaled for tests, adjusted by users."""

from __future__ import annotations

import pytest
from tiny_network import cluster

from somart.cluster.config import ClusterConfig
from somart.cluster.members import Died


def test_scaling_keeps_counts_and_at_least_a_millisecond() -> None:
    config = ClusterConfig().scaled(0.01)
    assert (config.heartbeat_ms, config.dead_ms, config.suspicion_ms) == (30, 150, 60)
    assert config.virtual_nodes == 128
    assert ClusterConfig().scaled(1e-9).heartbeat_ms == 1


def test_what_hangs_on_a_users_interval_keeps_its_proportion() -> None:
    config = ClusterConfig().adjusted({"heartbeat_ms": 300, "dead_ms": 1_500})
    assert (config.probe_timeout_ms, config.gossip_ms, config.suspicion_ms) == (100, 50, 600)
    assert config.forget_ms == ClusterConfig().forget_ms
    assert ClusterConfig().adjusted({}) == ClusterConfig()
    stated = ClusterConfig().adjusted({"dead_ms": 30_000, "suspicion_ms": 1_000})
    assert stated.suspicion_ms == 1_000


def test_death_takes_a_few_heartbeats() -> None:
    with pytest.raises(ValueError, match=r"dead_ms \(3000\) must be at least twice"):
        ClusterConfig().adjusted({"dead_ms": 3_000})


@pytest.mark.parametrize("heartbeat", [100, 1_000])
def test_a_users_dead_ms_is_when_members_die(heartbeat: int) -> None:
    net = cluster(3, config=ClusterConfig().adjusted({"heartbeat_ms": heartbeat, "dead_ms": 3_500}))
    net.run(2_000)
    at = net.now
    net.kill(net.places["n2:1"])
    net.run(10_000)
    for place in net.running:
        [(died, _)] = place.of(Died)
        assert 3_500 <= died - at <= 3_500 + heartbeat
        assert "cluster: node 'n2' removed (no heartbeat for 3.5s)" in place.notes
