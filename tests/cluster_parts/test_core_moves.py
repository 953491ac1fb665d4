"""Joining, hand-over, removal, and when deletions are forgotten."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import replace

import pytest
from core_network import CoreNetwork, cluster

from somart.cluster import handover, status
from somart.cluster.config import ClusterConfig
from somart.cluster.hashing import segment_of
from somart.merge import BEGINNING

STOCK = "Shop.stock"
Forget = Callable[[str, list[str]], int]
QUICK = replace(ClusterConfig(), tombstone_ms=5_000, forget_ms=60_000)


def stocked(size: int, count: int, config: ClusterConfig | None = None) -> CoreNetwork:
    net = cluster(size, config=config)
    for n in range(count):
        net.living[n % size].call("put", "stock", f"item{n}", n)
    net.run(10_000)
    assert net.same()
    return net


def deleted(net: CoreNetwork, key: str) -> list[bool]:
    """Per node whether it still remembers that a key was deleted."""
    return [host.engine.replica.version("Shop.notes", key) is not None for host in net.living]


# --- joining -------------------------------------------------------------------------------------


@pytest.mark.slow
def test_a_fourth_node_takes_its_share_while_reads_and_writes_go_on() -> None:
    net = stocked(3, 200)
    fourth = net.add("n4", "n1")
    written = 200
    while not (net.formed() and net.same()):
        net.run(100)
        assert net.now < 120_000
        host = net.living[written % 4]
        host.call("put", "stock", f"item{written}", written)
        answers = net.hosts["n2"].ask(lambda d: net.hosts["n2"].core.entries(STOCK, False, d))
        net.run(400)
        found = {write.key for write in answers[0]}
        assert {f"item{n}" for n in range(written - 1)} <= found
        written += 1
        net.run(5_000 if written > 220 else 0)
    assert len(fourth.held("stock")) == pytest.approx(written * 2 / 4, rel=0.35)
    assert sum(len(host.held("stock")) for host in net.living) == 2 * written


def test_a_joiner_is_not_ready_before_what_it_fetched_is_durable() -> None:
    net = stocked(2, 10)
    late = net.add("n3", "n1")
    late._flush = lambda life: None  # type: ignore[method-assign]  # from now on the disk stands
    net.run(10_000)
    assert late.core.membership.me.ring == "joining"


def test_a_joiner_waits_for_a_ready_member_and_writes_meanwhile() -> None:
    net = CoreNetwork()
    late = net.add("n2", "n1")
    late.call("put", "notes", "early", "bird")
    net.run(10_000)
    assert late.core.membership.me.ring == "joining"
    net.add("n1")
    net.hosts["n1"].call("put", "notes", "k", "v")
    net.until(lambda: net.formed() and net.same())
    assert net.hosts["n1"].value("notes", "early") == "bird"
    assert late.value("notes", "k") == "v"


# --- hand-over -----------------------------------------------------------------------------------


def test_a_key_written_by_a_stranger_stays_there_until_all_owners_have_it() -> None:
    net = stocked(4, 0)
    segment = segment_of("new")
    owners = net.hosts["n1"].core.context.owners(STOCK, segment)
    stranger = next(host for host in net.living if host.id not in owners)
    net.cut([stranger.id], [owners[1]])
    stranger.call("put", "stock", "new", 1)
    net.run(8_000)
    assert net.hosts[owners[0]].value("stock", "new") == 1
    assert stranger.value("stock", "new") == 1
    assert stranger.core.status()["not_own"] == {"segments": 1, "keys": 1, "bytes": 68}
    net.heal()
    net.until(net.same)
    assert stranger.value("stock", "new") is None
    assert net.hosts[owners[1]].value("stock", "new") == 1


def test_many_keys_are_dropped_in_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that a node serves, and stores what others write, in between."""
    most = 40
    monkeypatch.setattr(handover, "DROPPED_AT_ONCE", most)
    monkeypatch.setattr(status, "WEIGHED", most)
    net = stocked(2, 400)
    dropped: Counter[tuple[str, int]] = Counter()
    shown = 0
    for host in net.living:
        forget = host.engine.replica.forget

        def counting(table: str, keys: list[str], id: str = host.id, do: Forget = forget) -> int:
            dropped[id, net.now] += len(keys)
            return do(table, keys)

        monkeypatch.setattr(host.engine.replica, "forget", counting)
    net.add("n3", "n1")
    while not dropped:
        net.run(20)
        found = net.hosts["n1"].core.status()["not_own"]
        if found["keys"]:
            assert 60 * found["keys"] < found["bytes"] < 80 * found["keys"]
            shown += 1
    net.until(lambda: net.formed() and net.same())
    assert shown
    assert sum(dropped.values()) > 5 * most
    assert max(dropped.values()) < most + 5  # a segment is dropped as a whole


def test_who_has_nothing_to_show_any_more_does_not_ask() -> None:
    """What the owner holds of the segment would come back whole, to be shown again."""
    net = stocked(4, 60)
    one = net.hosts["n1"]
    context, replica = one.core.context, one.engine.replica
    item = next(key for n in range(60) if not context.owns(STOCK, segment_of(key := f"item{n}")))
    segment = segment_of(item)
    assert replica.keys_of(STOCK, segment) == []
    one.core.handover._show(context.owners(STOCK, segment)[0], STOCK, [segment])
    net.run(500)
    assert replica.keys_of(STOCK, segment) == []


def test_what_has_become_its_own_is_not_dropped_though_others_have_it() -> None:
    net = stocked(3, 0)
    stranger = net.hosts["n3"]
    context = stranger.core.context
    key = next(key for key in map(str, range(100)) if not context.owns(STOCK, segment_of(key)))
    stranger.call("put", "stock", key, 1)
    net.until(lambda: stranger.core.handover._released)
    net.hosts["n2"].core.leave(for_good=True)
    net.until(lambda: context.owns(STOCK, segment_of(key)), 1_000)
    for _ in range(100):
        net.run(50)
        assert stranger.value("stock", key) == 1


def test_nothing_is_dropped_while_an_owner_that_is_there_has_not_confirmed() -> None:
    net = stocked(3, 60)
    before = {host.id: host.held("stock") for host in net.living}
    net.watch = lambda one, other, message: not (
        other == "n4" and type(message).__name__ in ("SyncEntries", "SyncSummary", "SyncDone")
    )
    net.add("n4", "n1")
    net.run(30_000)
    for id, held in before.items():
        assert net.hosts[id].held("stock") == held
    net.watch = lambda one, other, message: True
    net.until(lambda: net.formed() and net.same())


def test_a_crash_moves_nothing_and_a_removal_restores_the_copies() -> None:
    net = stocked(4, 60, QUICK)
    before = {host.id: set(host.held("stock")) for host in net.living}
    net.hosts["n4"].crash()
    net.run(40_000)
    assert {id: set(net.hosts[id].held("stock")) for id in ("n1", "n2", "n3")} == {
        id: before[id] for id in ("n1", "n2", "n3")
    }
    net.until(lambda: len(net.hosts["n1"].core.context.ring.ids) == 3, 200_000)
    net.until(net.same)
    assert sum(len(host.held("stock")) for host in net.living) == 2 * 60


# --- deletions -----------------------------------------------------------------------------------


def test_deletions_are_forgotten_when_all_have_seen_them() -> None:
    net = cluster(3, config=QUICK)
    for n in range(20):
        net.hosts["n1"].call("put", "notes", f"k{n}", "v")
    net.run(1_000)
    for n in range(20):
        net.hosts["n2"].call("cut", "notes", f"k{n}")
    net.run(1_000)
    assert deleted(net, "k7") == [True] * 3
    net.until(lambda: deleted(net, "k7") == [False] * 3, 400_000)
    net.until(net.same)
    assert all(host.core.context.floor > BEGINNING for host in net.living)
    assert all(host.held("notes") == {} for host in net.living)


@pytest.mark.parametrize("away", ["crashed", "cut off"])
def test_deletions_are_kept_while_a_member_is_away(away: str) -> None:
    config = replace(QUICK, forget_ms=10_000_000)
    net = cluster(3, config=config)
    net.hosts["n1"].call("put", "notes", "k", "v")
    net.run(1_000)
    if away == "crashed":
        net.hosts["n3"].crash()
    else:
        net.cut(["n3"], ["n1", "n2"])
    net.hosts["n1"].call("cut", "notes", "k")
    net.run(300_000)
    assert net.hosts["n1"].engine.replica.version("Shop.notes", "k") is not None
    assert net.hosts["n2"].engine.replica.version("Shop.notes", "k") is not None
    assert net.hosts["n3"].value("notes", "k") == "v"
    net.hosts["n3"].start()
    net.heal()
    net.until(lambda: net.formed() and net.same())
    assert net.hosts["n3"].value("notes", "k") is None
    net.until(lambda: deleted(net, "k") == [False] * 3, 400_000)


def test_an_older_write_under_way_keeps_a_deletion() -> None:
    """The write was made before the deletion, by a node whose batches do not arrive."""
    net = cluster(3, config=QUICK)
    net.watch = lambda one, other, message: one != "n3" or type(message).__name__ != "Batch"
    net.hosts["n3"].call("put", "notes", "k", "old")
    net.run(10)
    net.hosts["n1"].call("put", "notes", "k", "newer")
    net.hosts["n1"].call("cut", "notes", "k")
    net.run(200)
    for host in net.living:
        host.core.compare = lambda peer: None  # type: ignore[method-assign]
    net.run(200_000)
    assert net.hosts["n1"].engine.replica.version("Shop.notes", "k") is not None
    net.watch = lambda one, other, message: True
    net.run(10_000)
    assert [host.value("notes", "k") for host in net.living] == [None] * 3


def test_young_deletions_are_kept() -> None:
    net = cluster(2, config=replace(QUICK, tombstone_ms=10_000_000))
    net.hosts["n1"].call("put", "notes", "k", "v")
    net.hosts["n1"].call("cut", "notes", "k")
    net.run(200_000)
    assert deleted(net, "k") == [True] * 2


def test_a_member_that_was_removed_comes_back_as_new_and_brings_nothing_back_to_life() -> None:
    net = cluster(3, config=QUICK)
    net.hosts["n1"].call("put", "notes", "k", "v")
    net.run(1_000)
    three = net.hosts["n3"]
    net.cut(["n3"], ["n1", "n2"])
    three.call("put", "notes", "own", "kept")
    three.crash()
    net.hosts["n1"].call("cut", "notes", "k")
    net.until(lambda: len(net.hosts["n1"].core.context.ring.ids) == 2, 300_000)
    net.until(lambda: deleted(net, "k") == [False] * 2, 400_000)
    net.heal()
    three.start()
    assert three.value("notes", "k") == "v"
    net.until(lambda: net.formed() and net.same())
    for host in net.living:
        assert host.held("notes") == {"own": "kept"}
    assert [note for note in three.notes if "joins anew" in note]


def test_a_member_that_was_removed_while_it_ran_starts_anew_too() -> None:
    net = cluster(3, config=QUICK)
    net.hosts["n1"].call("put", "notes", "k", "v")
    net.run(1_000)
    net.cut(["n3"], ["n1", "n2"])
    net.hosts["n3"].call("put", "notes", "own", "kept")
    net.hosts["n1"].call("cut", "notes", "k")
    net.until(lambda: len(net.hosts["n1"].core.context.ring.ids) == 2, 300_000)
    net.until(lambda: not any(deleted(net, "k")[:2]), 400_000)
    net.heal()
    net.until(lambda: net.formed() and net.same(), 300_000)
    for host in net.living:
        assert host.held("notes") == {"own": "kept"}


# --- a disk that is full -------------------------------------------------------------------------


def test_a_joiner_whose_disk_was_full_fetches_again() -> None:
    net = stocked(2, 20)
    net.hosts["n1"].call("put", "notes", "k", "v")
    late = net.add("n3", "n1")
    late.disk.full = True
    net.run(10_000)
    assert late.core.membership.me.ring == "joining"
    late.disk.full = False
    net.until(lambda: net.formed() and net.same())
    assert late.value("notes", "k") == "v"


def test_what_could_not_be_dropped_is_dropped_later() -> None:
    net = stocked(3, 60)
    fourth = net.add("n4", "n1")
    net.until(lambda: fourth.core.membership.me.ring == "ready")
    for id in ("n1", "n2", "n3"):
        net.hosts[id].disk.full = True
    net.run(10_000)
    for host in net.living:
        host.disk.full = False
    net.until(net.same)
    assert sum(len(host.held("stock")) for host in net.living) == 2 * 60
