"""A member that was taken out of the ring comes back: at the cost of the difference, safely."""

from __future__ import annotations

from dataclasses import replace

import pytest
from cluster_cells import BOARD, CAUSAL_SHOP, SHOP
from core_network import CoreNetwork, Host, cluster

from somart.cluster.config import ClusterConfig
from somart.cluster.core import JOINED
from somart.cluster.hashing import segment_of
from somart.cluster.journal import STATE
from somart.cluster.messages import VersionWire, Write
from somart.cluster.replica import SystemRows
from somart.spec import ProgramSpec

QUICK = replace(ClusterConfig(), tombstone_ms=5_000, forget_ms=60_000)
NOTES, STOCK = "Shop.notes", "Shop.stock"
TEXT = "x" * 100


def filled(count: int, slot: str = "notes", config: ClusterConfig = QUICK) -> CoreNetwork:
    net = cluster(3, config=config)
    for n in range(count):
        net.living[n % 3].call("put", slot, f"k{n}", TEXT if slot == "notes" else n)
    net.until(net.same)
    net.run(5_000)
    return net


def planted(count: int) -> CoreNetwork:
    """The same at once, as if written long ago by somebody else."""
    net = cluster(3, config=QUICK)
    writes = [
        Write(NOTES, f"k{n}", VersionWire((n + 1, 0, "x~1")), "string", TEXT) for n in range(count)
    ]
    for host in net.living:
        host.engine.replica.merge(writes)
        host.engine.flush()
    return net


def owners_of(net: CoreNetwork, key: str) -> list[str]:
    return list(net.hosts["n1"].core.context.owners(STOCK, segment_of(key)))


def expel(net: CoreNetwork, host: Host) -> None:
    """Lets so much time pass that a host, which is away, leaves the ring."""
    one = net.hosts["n1"]
    net.until(lambda: host.id not in one.core.context.ring.ids, 300_000)
    net.until(lambda: all(living.core.fetching.complete for living in net.living))


def forgotten(net: CoreNetwork, table: str, keys: list[str]) -> bool:
    return all(
        host.engine.replica.version(table, key) is None for host in net.living for key in keys
    )


def away_while_deleted(net: CoreNetwork, host: Host, key: str) -> None:
    """A host leaves the ring, and a key is deleted for good."""
    host.crash()
    net.hosts["n1"].call("cut", "notes", key)
    expel(net, host)
    net.until(lambda: forgotten(net, NOTES, [key]), 400_000)


def back(net: CoreNetwork, host: Host) -> int:
    """It comes back; how many bytes travel until all are equal, but for digests of segments."""
    net.heal()
    net.bytes.clear()
    host.start()
    net.until(lambda: net.formed() and net.same())
    told = ("SyncSummary", "SyncEntries", "SyncDone", "Batch", "SyncDiffers")
    return sum(net.bytes[name] for name in told)


def full_fetch(net: CoreNetwork, host: Host) -> int:
    host.crash()
    host.disk.wipe()
    return back(net, host)


@pytest.mark.slow
@pytest.mark.parametrize(("slot", "count"), [("notes", 5_000), ("stock", 1_000)])
def test_after_a_week_only_the_difference_travels_and_no_deletion_comes_back(
    slot: str, count: int
) -> None:
    table = f"Shop.{slot}"
    net = planted(count) if slot == "notes" else filled(count, slot)
    one, three = net.hosts["n1"], net.hosts["n3"]
    three.crash()
    expel(net, three)
    for n in range(10):
        one.call("put", slot, f"k{7 * n}", "new" if slot == "notes" else -1)
    gone = [f"k{100 + n}" for n in range(5)]
    for key in gone:
        one.call("cut", slot, key)
    net.until(lambda: forgotten(net, table, gone), 400_000)
    travelled = back(net, three)
    digests = net.bytes["SyncRequest"]
    for host in net.living:
        assert not set(gone) & set(host.held(slot))
    assert len({key for host in net.living for key in host.held(slot)}) == count - 5
    fetched = full_fetch(net, three)
    assert travelled < 0.05 * fetched, net.bytes
    # Two bytes and a digest for each segment that is fetched or given away, whatever is in it.
    assert digests < 4_096 * 2 * 16
    assert slot != "notes" or travelled + digests < 0.05 * fetched


def test_under_causal_it_fetches_the_difference_from_everybody() -> None:
    net = cluster(3, spec=CAUSAL_SHOP, config=QUICK)
    for n in range(200):
        net.living[n % 3].call("put", "notes", f"k{n}", TEXT)
    net.run(5_000)
    one, three = net.hosts["n1"], net.hosts["n3"]
    three.crash()
    expel(net, three)
    one.call("put", "notes", "k5", "new")
    one.call("cut", "notes", "k7")
    net.until(lambda: forgotten(net, NOTES, ["k7"]), 400_000)
    assert back(net, three) < 4_000
    assert three.held("notes") == one.held("notes")
    assert "k7" not in three.held("notes")
    three.call("put", "notes", "k5", "newer")
    net.until(lambda: one.value("notes", "k5") == "newer", 5_000)


def test_what_others_wrote_and_nobody_has_any_more_is_dropped() -> None:
    """It may have been deleted: nobody can tell."""
    net = filled(10)
    two, three = net.hosts["n2"], net.hosts["n3"]
    net.cut(["n2", "n3"], ["n1"])
    net.add("n4", "n1")
    net.until(lambda: net.hosts["n4"].core.membership.me.ring == "ready")
    net.cut(["n2", "n3"], ["n4"])
    two.call("put", "notes", "theirs", "v")
    three.call("put", "notes", "own", "v")
    net.run(1_000)
    assert three.value("notes", "theirs") == "v"
    two.crash()
    three.crash()
    for host in (two, three):
        expel(net, host)
    del net.hosts["n2"]
    back(net, three)
    for host in net.living:
        assert host.value("notes", "own") == "v"
        assert host.value("notes", "theirs") is None


def test_the_last_writes_before_an_absence_may_be_deleted_for_good() -> None:
    """Their batches lie in the journal until a commit follows, though all have them."""
    net = filled(10)
    three = net.hosts["n3"]
    for n in range(3):
        three.call("put", "notes", f"last{n}", "v")
    net.run(3_000)
    away_while_deleted(net, three, "last1")
    back(net, three)
    assert [host.value("notes", "last1") for host in net.living] == [None] * 3
    three.call("put", "notes", "next", "v")
    net.until(lambda: net.hosts["n1"].value("notes", "next") == "v", 5_000)


@pytest.mark.parametrize("deleted_meanwhile", [False, True])
def test_segments_whose_owners_were_all_taken_out_come_back_with_them(
    deleted_meanwhile: bool,
) -> None:
    """Unless it cannot be told any more whether a key has been deleted."""
    net = cluster(4, config=QUICK)
    one = net.hosts["n1"]
    key = next(f"k{n}" for n in range(99) if "n1" not in owners_of(net, f"k{n}"))
    segment = segment_of(key)
    net.hosts[owners_of(net, key)[0]].call("put", "stock", key, 7)
    net.run(5_000)
    gone = [net.hosts[id] for id in owners_of(net, key)]
    for host in gone:
        host.crash()
    for host in gone:
        expel(net, host)
    if deleted_meanwhile:
        one.call("put", "stock", key, 8)
        one.call("cut", "stock", key)
        net.until(
            lambda: all(h.core.collecting.latest(STOCK, segment) for h in net.living), 300_000
        )
        net.run(1_000)
        one.crash()
        one.start()
    for host in gone:
        host.start()
    net.until(lambda: net.formed() and net.same())
    expected = None if deleted_meanwhile else 7
    assert [host.value("stock", key) for host in gone] == [expected] * 2
    for host in gone:  # they know of the deletion from those of whom they have fetched
        assert (host.core.collecting.latest(STOCK, segment) > 0) is deleted_meanwhile


def test_own_writes_that_the_journal_gave_up_are_not_lost() -> None:
    net = filled(10, config=replace(QUICK, journal_batches=10))
    three = net.hosts["n3"]
    net.cut(["n3"], ["n1", "n2"])
    for n in range(40):
        three.call("put", "notes", f"own{n}", "kept")
        three.call("add", "prices", "sum", 1)
    three.call("cut", "notes", "k1")
    assert len(three.core.journal.batches) == 10
    expel(net, three)
    back(net, three)
    for host in net.living:
        assert [host.value("notes", f"own{n}") for n in range(40)] == ["kept"] * 40
        assert host.value("prices", "sum") == 40
        assert host.value("notes", "k1") is None
    assert three.core.journal.lost_from is not None
    net.until(lambda: three.core.journal.lost_from is None, 200_000)


@pytest.mark.parametrize("plain", [False, True])
def test_additions_count_while_what_was_there_lies_aside(plain: bool) -> None:
    net = filled(3)
    one, three = net.hosts["n1"], net.hosts["n3"]
    if plain:
        one.call("put", "prices", "sum", 100)
        net.until(net.same)
    three.call("add", "prices", "sum", 5)
    three.call("add", "prices", "sum", 5)
    one.call("add", "prices", "sum", 20)
    net.until(net.same)
    net.run(5_000)
    three.crash()
    expel(net, three)
    net.watch = lambda a, b, message: not type(message).__name__.startswith("Sync")
    three.start()
    net.until(lambda: three.core.membership.me.ring == "joining")
    assert three.value("prices", "sum") is None
    three.call("add", "prices", "sum", 1)
    net.watch = lambda a, b, message: True
    net.until(lambda: net.formed() and net.same(), 300_000)
    assert {host.value("prices", "sum") for host in net.living} == {131 if plain else 31}


def test_what_lies_aside_is_shown_to_nobody() -> None:
    net = filled(30)
    three = net.hosts["n3"]
    away_while_deleted(net, three, "k7")
    net.watch = lambda one, other, message: not type(message).__name__.startswith("Sync")
    three.start()
    net.run(3_000)
    assert three.core.membership.me.ring == "joining"
    assert len(three.core.aside) > 0
    assert three.held("notes") == {}
    for key, value in (("k7", None), ("k8", TEXT)):
        answers = three.ask(lambda done, key=key: three.core.get(NOTES, key, done))  # type: ignore[misc]
        net.run(200)
        assert (answers[0] and answers[0].value) == value
    net.watch = lambda one, other, message: True
    net.until(lambda: net.formed() and net.same())
    assert "k7" not in three.held("notes")
    assert len(three.core.aside) == 0
    assert [note for note in three.notes if "entries were up to date" in note]


@pytest.mark.parametrize("spec", [SHOP, BOARD], ids=["with a shard", "without"])
def test_a_node_that_crashes_while_it_joins_goes_on_when_it_returns(spec: ProgramSpec) -> None:
    net = cluster(2, spec=spec)
    for n in range(10):
        net.hosts["n1"].call("put", "notes", f"k{n}", "v")
    net.run(1_000)
    net.watch = lambda one, other, message: not type(message).__name__.startswith("Sync")
    late = net.add("n3", "n1")
    net.run(3_000)
    late.crash()
    late.start()
    net.run(3_000)
    assert late.core.membership.me.ring == "joining"
    assert not late.core.reads.serves(NOTES, 0)
    net.watch = lambda one, other, message: True
    net.until(lambda: net.formed() and net.same(), 10_000)
    assert len(late.held("notes")) == 10


def test_a_crash_before_all_is_put_aside_brings_nothing_back() -> None:
    net = filled(10)
    three = net.hosts["n3"]
    away_while_deleted(net, three, "k7")
    net.watch = lambda one, other, message: not type(message).__name__.startswith("Sync")
    three.start()
    three.core._put_aside = lambda: None  # type: ignore[method-assign]
    record = three.core.store.record

    def lost(rows: SystemRows) -> int:
        return 0 if (STATE, JOINED) in rows else record(rows)

    three.core.store.record = lost  # type: ignore[method-assign]
    net.run(2_000)
    assert three.core._joined == three.core.membership.me.joined
    assert "k7" in three.held("notes")
    three.crash()
    net.watch = lambda one, other, message: True
    back(net, three)
    assert "k7" not in three.held("notes")
