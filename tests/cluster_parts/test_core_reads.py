"""Reads of a sharded slot from any node: owners, alternates, staleness, and honest errors."""

from __future__ import annotations

import pytest
from core_network import CoreNetwork, Host, cluster

from somart import SomaError
from somart.cluster.hashing import segment_of
from somart.cluster.messages import GetReply, Message, Values, VersionWire, Write

STOCK = "Shop.stock"


def stocked(size: int, count: int, seed: int = 1) -> CoreNetwork:
    net = cluster(size, seed)
    for n in range(count):
        net.living[n % size].call("put", "stock", f"item{n}", n)
    net.run(10_000)
    assert net.same()
    return net


def owners(net: CoreNetwork, key: str) -> list[str]:
    return list(net.hosts["n1"].core.context.owners(STOCK, segment_of(key)))


def stranger(net: CoreNetwork, key: str) -> str:
    return next(id for id in net.hosts if id not in owners(net, key))


def get(net: CoreNetwork, host: str, key: str) -> object:
    answers = net.hosts[host].ask(lambda done: net.hosts[host].core.get(STOCK, key, done))
    net.run(2_500)
    (answer,) = answers
    return answer


def keys(net: CoreNetwork, host: str) -> object:
    answers = net.hosts[host].ask(lambda done: net.hosts[host].core.entries(STOCK, False, done))
    net.run(2_500)
    (answer,) = answers
    return sorted(write.key for write in answer) if isinstance(answer, list) else answer


def count(net: CoreNetwork, host: str) -> object:
    answers = net.hosts[host].ask(lambda done: net.hosts[host].core.count(STOCK, done))
    net.run(2_500)
    (answer,) = answers
    return answer


@pytest.mark.slow
def test_every_node_reads_every_key_and_holds_only_its_own() -> None:
    net = stocked(4, 40)
    for host in net.living:
        assert 0 < len(host.held("stock")) < 40
        assert keys(net, host.id) == sorted(f"item{n}" for n in range(40))
        assert count(net, host.id) == 40
    for n in range(0, 40, 7):
        found = get(net, stranger(net, f"item{n}"), f"item{n}")
        assert found is not None
        assert found.value == str(n)
    assert sum(len(host.held("stock")) for host in net.living) == 2 * 40


def test_a_key_that_nobody_has_is_absent_not_an_error() -> None:
    net = stocked(3, 3)
    for host in net.living:
        assert get(net, host.id, "nothing") is None


def test_a_write_is_read_back_at_once_where_it_was_made() -> None:
    net = stocked(4, 4)
    host = net.hosts[stranger(net, "new")]
    net.watch = lambda one, other, message: False  # nothing arrives anywhere
    host.call("put", "stock", "new", 1)
    assert host.core.reads.settled(STOCK, "new") is False
    net.watch = lambda one, other, message: True
    answers = host.ask(lambda done: host.core.get(STOCK, "new", done))
    net.run(100)
    assert answers[0].value == "1"
    listed = host.ask(lambda done: host.core.entries(STOCK, True, done))
    net.run(100)
    assert {w.key: w.value for w in listed[0]}["new"] == "1"


@pytest.mark.slow
def test_a_dead_owner_is_replaced_by_the_other_one() -> None:
    net = stocked(4, 40)
    net.hosts["n2"].crash()
    for id in ("n1", "n3", "n4"):
        assert keys(net, id) == sorted(f"item{n}" for n in range(40))
        assert count(net, id) == 40


def test_a_silent_owner_is_replaced_within_the_timeout() -> None:
    net = stocked(4, 40)
    net.watch = lambda one, other, message: one != "n2"  # takes all, answers nothing
    assert keys(net, "n1") == sorted(f"item{n}" for n in range(40))


def test_segments_without_an_owner_are_an_error_that_names_nodes_and_segments() -> None:
    net = stocked(4, 40)
    key = "item5"
    gone = owners(net, key)
    for id in gone:
        net.hosts[id].crash()
    host = stranger(net, key)
    for error in (get(net, host, key), keys(net, host), count(net, host)):
        assert isinstance(error, SomaError)
        assert error.kind == "Unavailable"
        names = ", ".join(f"'{id}'" for id in sorted(gone))
        assert str(error).startswith(f"cluster: no answer from {names} for slot 'stock' (segment")


@pytest.mark.parametrize("stale", [0, 1])
def test_the_newer_of_two_answers_wins_and_the_stale_owner_is_repaired(stale: int) -> None:
    net = stocked(4, 8)
    key = "item3"
    late = net.hosts[owners(net, key)[stale]]
    net.watch = lambda one, other, message: other != late.id
    net.hosts[owners(net, key)[1 - stale]].call("put", "stock", key, 99)
    net.run(100)
    assert late.value("stock", key) == 3
    net.watch = lambda one, other, message: type(message).__name__ != "Batch"
    found = get(net, stranger(net, key), key)
    assert found is not None
    assert found.value == "99"
    assert late.value("stock", key) == 99


# --- owners that do not know the same ------------------------------------------------------------


def values(net: CoreNetwork, host: str) -> dict[str, str]:
    answers = net.hosts[host].ask(lambda done: net.hosts[host].core.entries(STOCK, True, done))
    net.run(2_500)
    return {write.key: write.value for write in answers[0]}


def missed(net: CoreNetwork, late: str, action: str, key: str, *args: object) -> None:
    """One owner of a key misses what the other one writes."""
    (host,) = (net.hosts[id] for id in owners(net, key) if id != late)
    net.watch = lambda one, other, message: type(message).__name__ != "Batch" or other != late
    host.call(action, "stock", key, *args)
    net.run(300)


@pytest.mark.parametrize("asker", ["stranger", "late", "other"])
@pytest.mark.parametrize("stale", [0, 1])
def test_lists_show_what_one_owner_has_missed(stale: int, asker: str) -> None:
    net = stocked(4, 8)
    late, other = owners(net, "new")[stale], owners(net, "new")[1 - stale]
    host = {"stranger": stranger(net, "new"), "late": late, "other": other}[asker]
    missed(net, late, "put", "new", 99)
    assert net.hosts[late].value("stock", "new") is None
    everything = [f"item{n}" for n in range(8)] + ["new"]
    assert keys(net, host) == everything
    assert count(net, host) == 9
    found = values(net, host)
    assert found["new"] == "99"
    assert sorted(found) == everything


@pytest.mark.parametrize("stale", [0, 1])
def test_lists_do_not_show_what_one_owner_has_seen_deleted(stale: int) -> None:
    net = stocked(4, 8)
    late = owners(net, "item3")[stale]
    missed(net, late, "cut", "item3")
    assert net.hosts[late].value("stock", "item3") == 3
    for host in net.living:
        kept = [f"item{n}" for n in range(8) if n != 3]
        assert keys(net, host.id) == kept
        assert sorted(values(net, host.id)) == kept
        assert count(net, host.id) == 7


def test_lists_join_the_additions_of_owners() -> None:
    net = stocked(4, 8)
    net.watch = lambda one, other, message: type(message).__name__ != "Batch"
    for n, id in enumerate(owners(net, "item3")):
        net.hosts[id].call("add", "stock", "item3", 10 * (n + 1))
    assert values(net, stranger(net, "item3"))["item3"] == "33"


def test_owners_that_cannot_reach_each_other_are_both_asked() -> None:
    net = stocked(4, 8)
    first, second = owners(net, "new")
    net.cut([first], [second])
    net.hosts[second].call("put", "stock", "new", 99)
    net.run(100)
    assert keys(net, stranger(net, "new")) == [*(f"item{n}" for n in range(8)), "new"]


def test_two_nodes_that_both_hold_everything_compare_too() -> None:
    net = cluster(2)
    net.hosts["n1"].call("put", "stock", "old", 1)
    net.run(1_000)
    net.watch = lambda one, other, message: type(message).__name__ != "Batch"
    net.hosts["n2"].call("put", "stock", "new", 2)
    assert not net.hosts["n1"].core.whole(STOCK)
    assert keys(net, "n1") == ["new", "old"]
    assert count(net, "n1") == 2
    net.hosts["n2"].crash()
    assert net.hosts["n1"].core.whole(STOCK)


@pytest.mark.slow
def test_owners_that_agree_send_each_entry_once() -> None:
    net = stocked(4, 600)
    for ask in (values, keys, count):
        entries = 0
        net.bytes.clear()

        def watch(one: str, other: str, message: Message) -> bool:
            nonlocal entries
            entries += len(getattr(message, "writes", ()))
            return True

        net.watch = watch
        ask(net, "n1")
        held = len(net.hosts["n1"].held("stock"))
        assert entries == (0 if ask is count else 600 - held)
        # Digests: 14 bytes for each segment that has keys, of each owner that is asked.
        assert net.bytes["ValuesReply"] < entries * 110 + 2 * 600 * 14


@pytest.mark.slow
def test_pages_are_bounded_and_complete() -> None:
    net = cluster(3)
    text = "x" * 2_000
    for n in range(900):
        net.hosts["n1"].call("put", "stock", f"item{n}", text)
    net.run(20_000)
    sizes: list[int] = []

    def watch(one: str, other: str, message: Message) -> bool:
        if type(message).__name__ == "ValuesReply":
            sizes.append(sum(len(write.value) for write in message.writes))
        return True

    net.watch = watch
    host = net.hosts["n2"]
    answers = host.ask(lambda done: host.core.entries(STOCK, True, done))
    net.run(2_500)
    assert sorted(write.key for write in answers[0]) == sorted(f"item{n}" for n in range(900))
    assert len(sizes) > 2
    assert max(sizes) < net.config.page_bytes + 64 * len(text)


@pytest.mark.slow
def test_a_page_that_comes_twice_and_an_answer_after_the_end_change_nothing() -> None:
    net = stocked(4, 40)
    net.twice = 1.0
    assert keys(net, "n1") == sorted(f"item{n}" for n in range(40))
    assert count(net, "n2") == 40
    net.hosts["n1"].do(lambda core: core.receive("n2", GetReply(1, None)))
    assert net.hosts["n1"].core.reads.open == {}


def test_a_node_that_joins_asks_those_who_have_the_data() -> None:
    net = cluster(2)
    for n in range(10):
        net.hosts["n1"].call("put", "notes", f"k{n}", str(n))
    net.run(1_000)
    net.watch = lambda one, other, message: not type(message).__name__.startswith("Sync")
    late = net.add("n3", "n1")
    net.run(3_000)
    assert late.core.membership.me.ring == "joining"
    assert late.core.settled("Shop.notes", "k1") is False
    assert not late.core.whole("Shop.notes")
    answers = late.ask(lambda done: late.core.get("Shop.notes", "k1", done))
    counts = late.ask(lambda done: late.core.count("Shop.notes", done))
    net.run(200)
    assert answers[0].value == "1"
    assert counts == [10]
    net.watch = lambda one, other, message: True
    net.until(net.formed)
    assert late.core.whole("Shop.notes")
    assert late.value("notes", "k1") == "1"


def test_an_unknown_slot_is_refused() -> None:
    net = cluster(2)
    said: list[Message] = []
    net.watch = lambda one, other, message: said.append(message) is None
    net.hosts["n1"].do(lambda core: core.receive("n2", Values(7, "Shop.none", [1], "keys", {})))
    (reply,) = [message for message in said if type(message).__name__ == "ValuesReply"]
    assert reply.refused == "no such slot"


# --- what the disk refuses -----------------------------------------------------------------------


def unstored_deletion(net: CoreNetwork, host: Host, key: str) -> None:
    """The node has deleted a key, and the disk is about to refuse it."""
    host._flush_at = net.now + 1_000_000  # the test says when
    host.disk.full = True
    stamp = host.engine.replica.tick()
    gone = Write(STOCK, key, VersionWire((*stamp,), None), None, "")
    assert host.engine.replica.merge([gone]).applied == 1


def the_disk_refuses(net: CoreNetwork, host: Host) -> None:
    host.engine.flush()
    host.disk.full = False
    host._flush_at = -1
    host.drain()
    net.run(5_000)


@pytest.mark.parametrize("asker", ["owner", "stranger"])
def test_a_read_does_not_spread_what_the_disk_refuses_meanwhile(asker: str) -> None:
    net = stocked(3, 8)
    key = "item3"
    host = net.hosts[owners(net, key)[0] if asker == "owner" else stranger(net, key)]
    unstored_deletion(net, host, key)
    answers = host.ask(lambda done: host.core.get(STOCK, key, done))
    the_disk_refuses(net, host)
    assert answers[0].value == "3"
    assert [net.hosts[id].value("stock", key) for id in owners(net, key)] == [3, 3]


def test_a_comparison_does_not_repeat_what_the_disk_has_refused() -> None:
    net = stocked(3, 8)
    key = "item3"
    first, second = owners(net, key)
    host = net.hosts[first]
    unstored_deletion(net, host, key)
    host.do(lambda core: core.compare(second))
    net.run(200)  # all that remains is to send the entry
    the_disk_refuses(net, host)
    assert net.hosts[second].value("stock", key) == 3
    assert net.same()
