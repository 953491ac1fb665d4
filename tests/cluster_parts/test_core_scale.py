"""What a whole node sends at rest does not grow with the cluster (docs/scale.md)."""

from __future__ import annotations

from dataclasses import replace

import pytest
from cluster_cells import BOARD
from core_network import cluster

from somart.cluster.config import ClusterConfig


def rate_at_rest(size: int) -> tuple[float, float]:
    """Messages and bytes per node and second."""
    net = cluster(size, spec=BOARD)
    net.run(60_000)
    net.sent.clear()
    net.bytes.clear()
    net.run(120_000)
    return net.sent.total() / size / 120, net.bytes.total() / size / 120


def test_48_nodes_send_no_more_than_12() -> None:
    messages, weight = rate_at_rest(12)
    more, heavier = rate_at_rest(48)
    assert messages < 1.0
    assert more == pytest.approx(messages, rel=0.1)
    assert heavier == pytest.approx(weight, rel=0.2)


def test_deletions_of_a_dozen_nodes_are_forgotten_within_three_turns_of_comparisons() -> None:
    config = replace(ClusterConfig(), tombstone_ms=5_000)
    net = cluster(12, spec=BOARD, config=config)
    one = net.hosts["n1"]
    one.call("put", "notes", "k", "v")
    net.run(1_000)
    one.call("cut", "notes", "k")
    turn = 12 * config.sync_interval_ms * 9 // 8
    net.until(
        lambda: not any(h.engine.replica.segments("Shop.notes") for h in net.living), 3 * turn
    )
