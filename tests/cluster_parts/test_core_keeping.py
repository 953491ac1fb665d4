"""Causal, sharded: what a member has seen it keeps for others, until all have it."""

from __future__ import annotations

from dataclasses import replace

import pytest
from cluster_cells import CAUSAL_SHOP, SHOP
from core_network import CoreNetwork, Host, cluster

from somart.cluster.config import ClusterConfig
from somart.cluster.hashing import segment_of
from somart.spec import ProgramSpec

STOCK = "Shop.stock"
QUICK = replace(ClusterConfig(), tombstone_ms=5_000, forget_ms=60_000)


def causal(size: int) -> CoreNetwork:
    return cluster(size, 1, CAUSAL_SHOP)


def key_of(net: CoreNetwork, *owners: str) -> str:
    """A key that lies on these two."""
    context = net.hosts["n1"].core.context
    keys = (f"s{n}" for n in range(10_000))
    return next(key for key in keys if set(context.owners(STOCK, segment_of(key))) == {*owners})


def shows(host: Host, key: str) -> bool:
    """Whether a node has a key, and may speak for it."""
    return host.core.reads.serves(STOCK, segment_of(key)) and key in host.held("stock")


def test_a_cause_outlives_its_writer_where_only_a_stranger_has_it() -> None:
    net = causal(4)
    one, two, three, four = net.living
    key = key_of(net, "n3", "n4")
    net.watch = lambda a, b, message: a != "n1" or b == "n2"
    one.call("put", "stock", key, 1)
    net.run(50)
    two.call("put", "notes", "effect", "y")
    one.crash()
    net.watch = lambda a, b, message: True
    for _ in range(2_000):
        net.run(50)
        for host in (three, four):
            served = host.core.reads.serves("Shop.notes", 0)
            assert not served or "effect" not in host.held("notes") or shows(host, key)
        if all(shows(host, key) and "effect" in host.held("notes") for host in (three, four)):
            break
    else:
        raise AssertionError("the owners never had it")
    one.start()
    net.until(lambda: net.formed() and net.same())


def test_what_belongs_to_others_goes_when_all_have_it() -> None:
    net = causal(4)
    key = key_of(net, "n3", "n4")
    before = net.sent["SyncSummary"]
    net.hosts["n3"].call("put", "stock", key, 1)
    net.run(50)
    assert all(key in host.held("stock") for host in net.living)
    net.run(4_000)
    assert [host.id for host in net.living if key in host.held("stock")] == ["n3", "n4"]
    assert net.sent["SyncSummary"] == before  # nobody had to be shown anything
    assert net.sent["Everywhere"] == 3
    for host in net.living:
        assert host.core.keeping.earliest() is None
        assert not host.core.handover.foreign


def test_it_is_shown_to_its_owners_when_the_writer_says_no_more() -> None:
    net = causal(4)
    two, three = net.hosts["n2"], net.hosts["n3"]
    key = key_of(net, "n3", "n4")
    net.watch = lambda a, b, message: type(message).__name__ != "Everywhere"
    three.call("put", "stock", key, 1)
    net.run(20_000)
    assert key in two.held("stock")
    assert two.core.keeping.earliest() is not None
    net.until(lambda: key not in two.held("stock"), 60_000)
    assert two.core.keeping.earliest() is None
    assert two.core.keeping.released[three.core.store.origin] >= 1


def test_what_a_node_may_have_dropped_is_known_after_a_restart() -> None:
    net = causal(4)
    two, three = net.hosts["n2"], net.hosts["n3"]
    key = key_of(net, "n3", "n4")
    for n in range(3):
        three.call("put", "stock", key, n)
    net.run(5_000)
    released = dict(two.core.keeping.released)
    assert released[three.core.store.origin] == 3
    three.call("put", "stock", key, 3)
    net.run(50)
    two.crash()
    two.start()
    assert two.core.keeping.released == released
    assert key in two.held("stock")
    net.until(lambda: key not in two.held("stock"), 60_000)


def expelled(net: CoreNetwork, host: Host) -> None:
    one = net.hosts["n1"]
    net.until(lambda: host.id not in one.core.context.ring.ids, 300_000)


@pytest.mark.parametrize("spec", [SHOP, CAUSAL_SHOP], ids=["eventual", "causal"])
def test_who_was_taken_out_brings_back_what_nobody_else_has(spec: ProgramSpec) -> None:
    """Both owners are taken out of the ring, one after the other; others hold the segment by the
    time that they return."""
    net = cluster(4, 1, spec, QUICK)
    three, four = net.hosts["n3"], net.hosts["n4"]
    keys = [key for key in (f"s{n}" for n in range(400)) if owned(net, key) == {"n3", "n4"}]
    for number, key in enumerate(keys):
        three.call("put", "stock", key, number)
    net.until(net.same)
    net.run(5_000)
    three.crash()
    four.crash()
    expelled(net, three)
    expelled(net, four)
    net.run(20_000)
    four.start()
    net.until(lambda: net.formed() and net.same(), 300_000)
    held = {key: value for host in net.living for key, value in host.held("stock").items()}
    assert held == {key: number for number, key in enumerate(keys)}
    for key in keys:
        owners = owned(net, key)
        assert all(net.hosts[id].value("stock", key) is not None for id in owners)
    three.start()
    net.until(lambda: net.formed() and net.same(), 300_000)
    assert all(three.value("stock", key) is not None for key in keys if "n3" in owned(net, key))


def owned(net: CoreNetwork, key: str) -> set[str]:
    return set(net.hosts["n1"].core.context.owners(STOCK, segment_of(key)))
