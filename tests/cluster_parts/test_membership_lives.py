"""Lives of a node: restarts, wiped and moved data, other nodes at its address, and doubles."""

from __future__ import annotations

import pytest
from tiny_network import TinyNetwork, cluster

from somart.cluster.members import Died, Identity, Returned, Superseded
from somart.cluster.messages import Gossip


@pytest.mark.parametrize("after", [10, 5_000, 40_000])
@pytest.mark.parametrize("wipe", [False, True])
def test_a_node_takes_its_place_again(after: int, wipe: bool) -> None:
    net = cluster(3)
    for place in net.running:
        net.do(place, place.life, lambda node: node.ready())
    net.run(10_000)
    victim = net.places["n2:1"]
    assert victim.node is not None
    before = victim.node.me
    net.kill(victim)
    net.run(after)
    net.start("n2", seeds=["n1:1"], wipe=wipe)
    net.run(30_000, until=net.formed)
    net.run(1_000)
    me = victim.node.me
    assert (me.incarnation, me.boot) > (before.incarnation, before.boot)
    assert me.incarnation > before.incarnation or wipe
    assert me.ring == ("joining" if wipe else "ready")  # wiped: it has to be given its data
    assert net.places["n1:1"].of(Returned)[-1][1].member.id == "n2"
    assert all(p.node.ring.ids == ("n1", "n2", "n3") for p in net.running if p.node)
    net.run(60_000)
    assert net.formed()


def test_a_founder_that_lost_its_data_is_given_them_by_those_who_dial_it() -> None:
    net = cluster(3)
    founder = net.places["n1:1"]
    net.run(5_000)
    net.kill(founder)
    net.start("n1")  # a second life, so that the third is clearly the earlier one's junior
    net.run(5_000)
    net.kill(founder)
    net.start("n1", wipe=True, founder=True)
    net.run(20_000, until=net.formed)
    net.run(1_000)
    assert founder.node is not None
    me = founder.node.me
    assert (me.ring, me.incarnation, me.joined) == ("joining", 3, 3)
    assert net.places["n2:1"].node is not None
    assert net.places["n2:1"].node.members["n1"].state == me


def test_a_restarted_node_finds_its_cluster_without_seeds() -> None:
    net = cluster(4)
    net.run(5_000)
    for id in ("n1", "n3"):
        net.kill(net.places[f"{id}:1"])
    net.start("n1")
    net.start("n3")
    net.run(15_000, until=net.formed)


def test_a_whole_cluster_restarts_without_seeds() -> None:
    net = cluster(5)
    net.run(5_000)
    for place in net.running:
        net.kill(place)
    net.run(100_000)
    for number in range(5, 0, -1):
        net.start(f"n{number}")
    net.run(30_000, until=net.formed)


def test_a_node_comes_back_at_another_address() -> None:
    net = cluster(3)
    net.run(5_000)
    net.kill(net.places["n2:1"])
    net.run(20_000)
    net.start("n2", address="n2:9")
    del net.places["n2:1"]
    net.run(30_000, until=net.formed)
    for place in net.running:
        assert place.node is not None
        assert place.node.members["n2"].state.address == "n2:9"
        assert "n2:1" not in place.dialling


def test_another_node_at_the_same_address_is_another_member() -> None:
    net = cluster(3)
    net.run(5_000)
    place = net.places["n3:1"]
    net.kill(place)
    net.run(1_000)
    net.start("x1", seeds=["n1:1"], address="n3:1", wipe=True)
    expected = {"n1": "alive", "n2": "alive", "n3": "dead", "x1": "alive"}
    net.run(40_000, until=lambda: all(p.statuses() == expected for p in net.running))
    assert "n3:1" not in net.places["n1:1"].dialling  # x1 lives there, and has a link
    assert net.places["n1:1"].node is not None
    assert net.places["n1:1"].node.ring.ids == ("n1", "n2", "n3", "x1")


def test_rolling_restarts_lose_nobody() -> None:
    net = cluster(5)
    for number in range(1, 6):
        net.leave(net.places[f"n{number}:1"])
        net.run(2_000)
        net.start(f"n{number}")
        net.run(30_000, until=net.formed)
    assert all(not place.of(Died) for place in net.running)


def test_a_late_word_of_an_earlier_life_is_refuted() -> None:
    net = cluster(3)
    place = net.places["n2:1"]
    assert place.node is not None
    earlier = place.node.me
    ghost = type(earlier)("n2", "n2:1", "", 9, "alive", "ready", "ghost", 1, 0)
    net.do(net.places["n1:1"], 1, lambda node: node.receive("n3", Gossip([ghost])))
    net.run(30_000)
    assert net.formed()
    assert place.node.me.incarnation == 10
    assert not place.node.superseded


def test_identity_is_given_out_before_it_is_used() -> None:
    net = TinyNetwork()
    place = net.start("n1", founder=True)
    assert place.changes[0][1] == Identity(place.node.me) if place.node else False
    assert place.record is not None
    assert place.record.incarnation == 1
    net.kill(place)
    net.start("n1")
    assert place.record.incarnation == 2


# --- doubles -------------------------------------------------------------------------------------


def test_a_second_process_with_a_members_id_is_refused_while_the_first_is_alive() -> None:
    net = cluster(3)
    net.run(5_000)
    original = net.places["n2:1"]
    double = net.start("n2", seeds=["n1:1"], address="copy:1")
    net.run(60_000)
    assert double.links == {}
    assert set(double.refusals) == {"the id 'n2' is in use by another process"}
    for id in ("n1", "n3"):
        place = net.places[f"{id}:1"]
        notes = [note for note in place.notes if "second process" in note]
        assert notes == ["cluster: refused a second process with the id 'n2'"]
        assert place.links["n2"] is original
        assert not place.of(Died)
        assert place.node is not None
        assert place.node.members["n2"].state.address == "n2:1"


def test_a_double_is_refused_by_the_node_itself() -> None:
    net = TinyNetwork()
    first = net.start("n1", founder=True)
    double = net.start("n1", seeds=["n1:1"], address="copy:1")
    net.run(10_000)
    assert double.links == first.links == {}
    assert "cluster: refused a second process with the id 'n1'" in first.notes


def test_a_restart_is_let_in_when_the_link_of_the_last_life_is_still_up() -> None:
    """Power failure: nobody closed the old connection."""
    net = cluster(3)
    net.run(5_000)
    old = net.places["n2:1"]
    net.pause(old, 10_000_000)
    new = net.start("n2", seeds=["n1:1"], address="copy:1")
    net.run(20_000, until=lambda: set(new.links) == {"n1", "n3"})
    net.run(10_000)
    for place in (net.places["n1:1"], net.places["n3:1"]):
        assert place.links["n2"] is new
        assert place.statuses()["n2"] == "alive"
        assert not place.of(Died)


def test_of_two_processes_that_met_late_the_earlier_one_stops() -> None:
    """A double was let in on the other side of a partition."""
    net = cluster(4)
    net.run(5_000)
    old, near = net.places["n4:1"], net.places["n1:1"]
    far = [net.places["n2:1"], net.places["n3:1"]]
    net.cut([old, near], far)
    net.run(40_000)
    double = net.start("n4", seeds=["n2:1"], address="copy:1")
    net.cut([double], [old, near])
    net.run(20_000)
    assert set(double.links) == {"n2", "n3"}
    net.heal()
    net.run(60_000)
    assert old.node is not None
    assert double.node is not None
    assert [p.node.superseded for p in (old, double, near)] == [True, False, False]  # type: ignore[union-attr]
    assert len(old.of(Superseded)) == 1
    assert any("this node stops" in note for note in old.notes)
    assert set(double.links) == {"n1", "n2", "n3"}
    assert near.statuses()["n4"] == "alive"
