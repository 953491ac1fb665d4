"""Anti-entropy: what no batch brings arrives, at a cost that follows the difference."""

from __future__ import annotations

from dataclasses import replace

import pytest
from core_network import CoreNetwork, Host, cluster

from somart.cluster.config import ClusterConfig
from somart.cluster.digests import lacks
from somart.cluster.messages import Message, VersionWire, Write
from somart.cluster.versions import Version
from somart.memory.table import Entry
from somart.merge import Stamp

NOTES = "Shop.notes"


def plant(host: Host, writes: list[Write]) -> None:
    """Writes that come from nowhere: no batch will carry them."""
    result = host.engine.replica.merge(writes)
    assert not result.refused
    host.engine.flush()


def write(key: str, at: int, value: str | None = "v", table: str = NOTES) -> Write:
    kind = None if value is None else "string"
    return Write(table, key, VersionWire((at, 0, "x~1")), kind, value or "")


def total(net: CoreNetwork) -> int:
    return sum(net.bytes[name] for name in net.bytes if name.startswith("Sync"))


def test_versions_know_what_they_lack() -> None:
    old, new = VersionWire((1, 0, "a")), VersionWire((1, 0, "b"))
    assert lacks(None, old)
    assert lacks(old, new)
    assert not lacks(new, old)
    assert not lacks(old, old)
    some = VersionWire((1, 0, "a"), {"n1": (2, 5)})
    more = VersionWire((1, 0, "a"), {"n1": (3, 4)})
    assert lacks(old, some)
    assert lacks(some, more)
    assert not lacks(more, some)
    assert not lacks(some, old)
    assert not lacks(new, more)


def test_entries_go_both_ways_and_the_newer_one_wins() -> None:
    net = cluster(2)
    one, two = net.living
    plant(one, [write("a", 10), write("both", 10, "old"), write("gone", 20, None)])
    plant(two, [write("b", 10), write("both", 11, "new"), write("gone", 10, "there")])
    one.do(lambda core: core.compare("n2"))
    net.run(200)
    assert net.same()
    assert one.held("notes") == {"a": "v", "b": "v", "both": "new"}
    assert two.held("notes") == one.held("notes")
    assert one.core.last_sync["n2"] > 0


def test_equal_nodes_exchange_two_messages() -> None:
    net = cluster(2)
    for host in net.living:
        plant(host, [write(f"k{n}", n + 1) for n in range(200)])
    net.bytes.clear()
    net.sent.clear()
    net.hosts["n1"].do(lambda core: core.compare("n2"))
    net.run(200)
    assert {name: n for name, n in net.sent.items() if name.startswith("Sync")} == {
        "SyncRequest": 1,
        "SyncDiffers": 1,
    }


@pytest.mark.slow
def test_the_traffic_of_ten_differences_among_100000_keys_is_small() -> None:
    net = cluster(2)
    for host in net.living:
        table, versions = host.engine.replicated(NOTES)
        for n in range(100_000):
            table.put(f"key{n:06}", Entry("v"))
            versions.put(f"key{n:06}", Version(Stamp(n + 1, 0, "x~1")))
    plant(
        net.hosts["n1"], [write(f"key{n:06}", 200_000 + n, "new") for n in range(0, 50_000, 5_000)]
    )
    net.bytes.clear()
    net.hosts["n2"].do(lambda core: core.compare("n1"))
    net.run(500)
    assert net.same()
    # Ten segments of some 24 keys with versions, the digests of ten groups, ten entries.
    assert total(net) < 40_000, net.bytes


def test_pages_are_bounded_and_the_rest_follows() -> None:
    net = cluster(2, config=replace(ClusterConfig(), page_bytes=4_096))
    plant(net.hosts["n1"], [write(f"k{n}", n + 1, "x" * 500) for n in range(150)])
    plant(net.hosts["n2"], [write(f"j{n}", n + 1, "x" * 500) for n in range(150)])
    largest = 0

    def watch(one: str, other: str, message: Message) -> bool:
        nonlocal largest
        largest = max(largest, sum(len(w.value) for w in getattr(message, "writes", ())))
        return True

    net.watch = watch
    net.hosts["n1"].do(lambda core: core.compare("n2"))
    net.run(5_000)
    assert net.same()
    assert len(net.hosts["n1"].held("notes")) == 300
    assert largest <= 4_096


def test_a_comparison_survives_lost_messages_and_ends_when_the_peer_is_silent() -> None:
    net = cluster(2)
    plant(net.hosts["n1"], [write(f"k{n}", n + 1) for n in range(50)])
    lost = 0

    def watch(one: str, other: str, message: Message) -> bool:
        nonlocal lost
        if type(message).__name__.startswith("Sync") and lost < 3:
            lost += 1
            return False
        return True

    net.watch = watch
    net.hosts["n1"].do(lambda core: core.compare("n2"))
    net.run(30_000)
    assert net.same()
    net.watch = lambda one, other, message: not type(message).__name__.startswith("Sync")
    net.run(60_000)
    net.hosts["n1"].do(lambda core: core.compare("n2"))
    (comparison,) = net.hosts["n1"].core.comparisons.open.values()
    ends: list[bool] = []
    comparison.on_end = ends.append
    net.run(60_000)
    assert ends == [False]


def test_an_acknowledgement_of_entries_waits_for_the_disk() -> None:
    net = cluster(2)
    one, two = net.living
    plant(one, [write("k", 10)])
    said: list[str] = []
    net.watch = lambda a, b, message: said.append(type(message).__name__) is None
    two._flush = lambda life: None  # type: ignore[method-assign]  # the disk stands still
    one.do(lambda core: core.compare("n2"))
    net.run(3_000)
    assert two.value("notes", "k") == "v"
    assert "SyncDone" not in said
    assert "n2" not in one.core.last_sync


def test_a_journal_that_is_full_leaves_the_rest_to_comparisons() -> None:
    net = cluster(3, config=replace(ClusterConfig(), journal_batches=10))
    net.hosts["n3"].crash()
    for n in range(40):
        net.hosts["n1"].call("put", "notes", f"k{n}", str(n))
        net.run(50)
    assert len(net.hosts["n1"].core.journal.batches) == 10
    net.hosts["n3"].start()
    net.sent.clear()
    took = net.until(net.same)
    assert took < 5_000
    assert net.sent["SyncRequest"] > 0
    assert len(net.hosts["n3"].held("notes")) == 40


def test_a_node_that_was_away_gets_only_what_it_missed() -> None:
    net = cluster(3)
    for n in range(300):
        net.hosts["n1"].call("put", "notes", f"k{n}", "x" * 100)
    net.run(5_000)
    net.hosts["n3"].crash()
    for n in range(5):
        net.hosts["n1"].call("put", "notes", f"new{n}", "x")
    net.run(5_000)
    net.bytes.clear()
    net.hosts["n3"].start()
    net.until(net.same)
    net.run(200)
    assert net.bytes["Batch"] < 2_000
    assert net.bytes["SyncEntries"] + net.bytes["SyncDone"] < 2_000


def test_a_wiped_node_is_filled_again_and_its_new_writes_count() -> None:
    net = cluster(3)
    two = net.hosts["n2"]
    for n in range(20):
        two.call("put", "notes", f"k{n}", str(n))
        two.call("add", "prices", "sum", 1)
    net.run(2_000)
    two.crash()
    two.disk.wipe()
    two.start()
    two.call("put", "notes", "after", "the wipe")
    two.call("add", "prices", "sum", 1)
    net.until(lambda: net.formed() and net.same())
    for host in net.living:
        assert host.value("notes", "after") == "the wipe"
        assert host.value("notes", "k7") == "7"
        assert host.value("prices", "sum") == 21


def test_stamps_from_the_far_future_are_refused_and_said() -> None:
    net = cluster(2)
    net.hosts["n2"].clock.skew = 10 * 3_600_000
    net.hosts["n2"].call("put", "notes", "k", "from the future")
    net.run(5_000)
    assert net.hosts["n1"].value("notes", "k") is None
    told = [note for note in net.hosts["n1"].notes if "ahead of this node's clock" in note]
    assert 0 < len(told) < 5
    assert len(net.hosts["n2"].core.journal.batches) == 1
