"""Batches on streams: three nodes converge, whatever the network and the disks do."""

from __future__ import annotations

import pytest
from core_network import CoreNetwork, cluster


def converge(net: CoreNetwork) -> None:
    net.loss = net.twice = net.late = 0.0
    net.heal()
    for host in net.hosts.values():
        if not host.alive:
            host.start()
    net.until(lambda: net.formed() and net.same())


def test_a_write_is_on_all_nodes_within_a_round_trip() -> None:
    net = cluster(3)
    net.hosts["n1"].call("put", "notes", "k", "v")
    net.run(20)
    assert [host.value("notes", "k") for host in net.living] == ["v"] * 3
    net.run(2_000)
    assert not net.hosts["n1"].core.journal.batches
