"""Membership in small clusters: forming, failures, partitions, pauses, loss, leave, removal."""

from __future__ import annotations

import pytest
from tiny_network import BREAK_MS, Place, TinyNetwork, cluster

from somart.cluster.config import ClusterConfig
from somart.cluster.members import (
    Died,
    Joined,
    Left,
    MadeReady,
    Refuted,
    Removed,
    Returned,
    RingChanged,
    Suspected,
)

SHORT = ClusterConfig(forget_ms=60_000)


def _ids(size: int, but: tuple[str, ...] = ()) -> dict[str, str]:
    names = (f"n{number}" for number in range(1, size + 1))
    return {name: "alive" for name in names if name not in but}


def _members(place: Place) -> tuple[str, ...]:
    assert place.node is not None
    return place.node.ring.ids


# --- forming -------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [1, 2, 3, 5, 7])
def test_a_star_of_joins_becomes_a_full_mesh(size: int) -> None:
    net = cluster(size)
    assert net.formed_after < 1_000
    for place in net.running:
        assert place.node is not None
        assert place.node.established == (size > 1)
        assert place.node.ring.ids == tuple(_ids(size))
        assert place.node.lowest_live() == "n1"
        assert place.node.reach() == (size, size)
        assert len(place.of(Joined)) == size - 1
        assert place.of(RingChanged)[-1][1] == RingChanged(
            place.of(RingChanged)[-1][1].before, tuple(_ids(size))
        )


@pytest.mark.parametrize("seed", range(6))
def test_any_topology_of_seeds_will_do(seed: int) -> None:
    """A chain, given in any order: each knows its neighbour, which may not run yet."""
    net = TinyNetwork(seed)
    order = list(range(1, 7))
    net.rng.shuffle(order)
    for number in order:
        neighbour = [f"n{number - 1}:1"] if number > 1 else []
        net.start(f"n{number}", seeds=neighbour, founder=number == 1)
        net.run(net.rng.randrange(1_500))
    net.run(30_000, until=net.formed)


def test_a_seed_serves_before_anyone_has_joined_and_may_name_itself() -> None:
    net = TinyNetwork()
    place = net.start("n1", seeds=["n1:1", "n9:1"], founder=True)
    net.run(60_000)
    assert place.node is not None
    assert place.node.me.ring == "ready"
    assert place.node.live() == ("n1",)
    assert place.dialling == {"n9:1"}


def test_another_name_of_the_seed_is_dialled_once() -> None:
    net = TinyNetwork()
    first = net.start("n1", founder=True)
    net.places["alias:1"] = first
    second = net.start("n2", seeds=["alias:1"])
    net.run(5_000, until=lambda: "n1" in second.links)
    net.run(1_000)
    assert second.dialling == set()
    net.kill(first)
    net.run(3_000)
    assert second.dialling == {"alias:1", "n1:1"}


def test_a_newcomer_is_joining_until_it_says_ready() -> None:
    net = cluster(3)
    joiner = net.places["n2:1"]
    assert joiner.node is not None
    assert joiner.node.me.ring == "joining"
    net.do(joiner, joiner.life, lambda node: node.ready())
    net.run(5_000)
    for place in net.running:
        assert place.node is not None
        assert place.node.members["n2"].state.ring == "ready"
        assert [change.id for _, change in place.of(MadeReady)] == (
            [] if place is joiner else ["n2"]
        )
    assert joiner.record is not None
    assert joiner.record.ring == "ready"


# --- failures ------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [2, 3, 5, 7])
def test_a_killed_node_is_dead_in_time_and_keeps_its_segments(size: int) -> None:
    net = cluster(size)
    net.run(7_000)
    victim, at = net.places["n2:1"], net.now
    net.kill(victim)
    net.run(60_000)
    expected = _ids(size) | {"n2": "dead"}
    for place in net.running:
        assert place.statuses() == expected
        [(died, _)] = place.of(Died)
        assert net.config.dead_ms <= died - at <= net.config.dead_ms + net.config.heartbeat_ms
        assert "cluster: node 'n2' removed (no heartbeat for 15s)" in place.notes
        assert "n2" in _members(place)
        assert "n2:1" in place.dialling
        assert place.node is not None
        assert place.node.reach() == (size, size - 1)


def test_the_next_lowest_takes_over() -> None:
    net = cluster(3)
    net.kill(net.places["n1:1"])
    net.run(25_000)
    assert [place.node.lowest_live() for place in net.running if place.node] == ["n2", "n2"]


@pytest.mark.parametrize("seed", range(4))
def test_a_stopped_process_is_dead_not_sooner_and_hardly_later(seed: int) -> None:
    """SIGSTOP: its links stay up, so that only probes tell."""
    net = cluster(4, seed)
    net.run(net.rng.randrange(10_000))
    at = net.now
    net.pause(net.places["n3:1"], 60_000)
    net.run(40_000)
    for place in (net.places["n1:1"], net.places["n2:1"], net.places["n4:1"]):
        [(died, _)] = place.of(Died)
        assert net.config.dead_ms <= died - at <= net.config.dead_ms + 3 * net.config.heartbeat_ms
        assert [drop.peer for drop in place.dropped] == ["n3"]


@pytest.mark.parametrize("seed", range(4))
def test_a_pause_of_twenty_seconds_is_refuted_and_blames_nobody(seed: int) -> None:
    net = cluster(5, seed)
    net.run(10_000)
    paused = net.places["n3:1"]
    net.pause(paused, 20_000)
    net.run(20_000)
    net.run(5_000, until=net.formed)
    net.run(60_000)
    assert net.formed()
    assert not paused.of(Died)
    assert not paused.of(Suspected)
    for place in net.running:
        assert {change.id for _, change in place.of(Died)} <= {"n3"}


@pytest.mark.slow
@pytest.mark.parametrize(("seed", "size"), [(1, 2), (2, 3), (3, 5), (4, 7)])
def test_thirty_percent_loss_kills_nobody(seed: int, size: int) -> None:
    """Bound: in ten minutes with 30 % of the messages lost, no death; suspicions are refuted."""
    net = cluster(size, seed)
    net.loss = 0.3
    net.run(600_000)
    assert all(not place.of(Died) for place in net.running)
    suspected = sum(len(place.of(Suspected)) for place in net.running)
    refuted = sum(len(place.of(Refuted)) for place in net.running)
    assert suspected - size * size <= refuted <= suspected
    net.loss = 0.0
    net.run(60_000, until=net.formed)


def test_a_cluster_forms_under_loss() -> None:
    for seed in range(5):
        net = TinyNetwork(seed)
        net.loss = 0.3
        net.start("n1", founder=True)
        for number in range(2, 6):
            net.start(f"n{number}", seeds=["n1:1"])
        net.run(120_000, until=net.formed)


def test_a_one_way_path_between_two_of_three_harms_nothing() -> None:
    net = cluster(3)
    net.cut([net.places["n1:1"]], [net.places["n2:1"]], both=False)
    net.run(300_000)
    assert net.formed()
    assert all(not place.of(Died) for place in net.running)


def test_without_any_path_back_a_node_is_dead() -> None:
    net = cluster(3)
    deaf = net.places["n3:1"]
    net.cut([net.places["n1:1"], net.places["n2:1"]], [deaf], both=False)
    net.run(90_000)
    assert deaf.statuses() == {"n1": "dead", "n2": "dead", "n3": "alive"}
    net.heal()
    net.run(60_000, until=net.formed)


# --- partitions ----------------------------------------------------------------------------------


@pytest.mark.parametrize(("size", "split"), [(2, 1), (3, 1), (5, 2), (7, 3), (6, 3)])
def test_partitions_are_seen_and_heal(size: int, split: int) -> None:
    net = cluster(size)
    places = list(net.places.values())
    one, other = places[:split], places[split:]
    net.run(5_000)
    net.cut(one, other)
    net.run(BREAK_MS + 30_000)
    for here, there in ((one, other), (other, one)):
        for place in here:
            expected = _ids(size) | {gone.id: "dead" for gone in there}
            assert place.statuses() == expected
            assert _members(place) == tuple(_ids(size))
            assert place.node is not None
            assert place.node.lowest_live() == here[0].id
    net.heal()
    assert net.run(20_000, until=net.formed) < 10_000
    for place in net.running:
        gone = sorted(far.id for far in (other if place in one else one))
        assert sorted(change.id for _, change in place.of(Died)) == gone
        assert sorted(change.member.id for _, change in place.of(Returned)) == gone


def test_a_partial_partition_kills_nobody() -> None:
    """Two that cannot reach each other are vouched for by the others."""
    net = cluster(5)
    net.cut([net.places["n1:1"]], [net.places["n2:1"]])
    net.run(300_000)
    assert all(not place.of(Suspected) for place in net.running)
    assert all(place.statuses() == _ids(5) for place in net.running)
    net.heal()
    net.run(10_000, until=net.formed)


def test_news_crosses_a_partial_partition() -> None:
    net = cluster(4)
    net.cut([net.places["n1:1"]], [net.places["n4:1"]])
    net.run(10_000)
    net.leave(net.places["n4:1"])
    net.run(5_000)
    assert net.places["n1:1"].statuses()["n4"] == "left"


# --- leaving and forgetting ----------------------------------------------------------------------


def test_a_clean_leave_is_known_at_once_and_moves_no_data() -> None:
    net = cluster(4)
    net.run(3_000)
    net.leave(net.places["n4:1"])
    net.run(100)
    for place in net.running:
        assert place.statuses()["n4"] == "left"
        assert [change for _, change in place.of(Left)] == [Left("n4")]
        assert "n4" in _members(place)
        assert "n4:1" not in place.dialling
        assert place.node is not None
        assert place.node.reach() == (3, 3)
    net.run(60_000)
    assert all(not place.of(Died) for place in net.running)


def test_leaving_for_good_takes_the_segments_out_of_the_ring() -> None:
    net = cluster(3)
    net.run(3_000)
    net.leave(net.places["n3:1"], for_good=True)
    net.run(1_000)
    for place in net.running:
        assert place.statuses()["n3"] == "removed"
        assert _members(place) == ("n1", "n2")
        assert place.of(RingChanged)[-1][1] == RingChanged(("n1", "n2", "n3"), ("n1", "n2"))


def test_the_dead_are_forgotten_where_most_are_alive_and_join_anew() -> None:
    net = cluster(3, config=SHORT)
    victim = net.places["n3:1"]
    net.do(victim, victim.life, lambda node: node.ready())
    net.run(5_000)
    net.kill(victim)
    net.run(40_000)
    assert _members(net.places["n1:1"]) == ("n1", "n2", "n3")
    net.run(60_000)
    for place in net.running:
        assert place.statuses()["n3"] == "removed"
        assert [change.id for _, change in place.of(Removed)] == ["n3"]
        assert _members(place) == ("n1", "n2")
        assert "n3:1" not in place.dialling
    net.start("n3")
    net.run(30_000, until=net.formed)
    net.run(1_000)
    assert all(_members(place) == ("n1", "n2", "n3") for place in net.running)
    assert victim.record is not None
    assert victim.record.ring == "joining"  # it was ready in its last life


def test_time_until_removal_begins_anew_with_each_absence() -> None:
    net = cluster(3, config=SHORT)
    victim = net.places["n3:1"]
    net.kill(victim)
    net.run(50_000)  # dead for 35 s
    net.start("n3")
    net.run(2_000)
    net.kill(victim)
    net.run(60_000)  # dead for 45 s; 95 s since it first was
    assert _members(net.places["n1:1"]) == ("n1", "n2", "n3")
    net.run(25_000)
    assert _members(net.places["n1:1"]) == ("n1", "n2")


@pytest.mark.parametrize(("size", "split"), [(4, 2), (5, 2)])
def test_the_lesser_part_of_a_long_partition_removes_nobody(size: int, split: int) -> None:
    net = cluster(size, config=SHORT)
    for place in net.running:
        net.do(place, place.life, lambda node: node.ready())
    places = list(net.places.values())
    one, other = places[:split], places[split:]  # of two halves, n1's removes the other
    greater, lesser = (one, other) if split * 2 == size else (other, one)
    net.cut(one, other)
    net.run(300_000)
    assert _members(greater[0]) == tuple(sorted(place.id for place in greater))
    assert _members(lesser[0]) == tuple(_ids(size))
    net.heal()
    net.run(30_000, until=net.formed)
    for place in net.running:
        assert place.node is not None
        assert place.node.ring.ids == tuple(_ids(size))
        assert place.node.me.ring == ("ready" if place in greater else "joining")


def test_an_operator_removes_the_dead_only() -> None:
    net = cluster(3)
    node = net.places["n1:1"].node
    assert node is not None
    assert node.remove("n7") == "there is no member 'n7'"
    assert node.remove("n2") == "'n2' is alive: stop it first, or let it leave for good"
    net.kill(net.places["n2:1"])
    net.run(30_000)
    assert node.remove("n2") == ""
    net.run(5_000)
    assert all(_members(place) == ("n1", "n3") for place in net.running)


# --- cost ----------------------------------------------------------------------------------------


def test_a_quiet_cluster_costs_two_messages_per_heartbeat() -> None:
    net = cluster(7)
    net.run(60_000)
    before = sum(place.sent.total() for place in net.running)
    net.run(300_000)
    sent = sum(place.sent.total() for place in net.running) - before
    each = sent / 7 / 300
    assert each == pytest.approx(2 / 3, rel=0.15)


def test_the_same_seed_gives_the_same_run() -> None:
    def story(seed: int) -> list[object]:
        net = cluster(5, seed)
        net.loss = 0.1
        net.kill(net.places["n2:1"])
        net.run(60_000)
        return [(p.id, p.changes, p.sent) for p in net.places.values()]

    assert story(7) == story(7)
    assert story(7) != story(8)
