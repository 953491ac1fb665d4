"""One node by hand: what it answers, and what it thinks after it did not run."""

from __future__ import annotations

from random import Random

from somart.cluster.config import ClusterConfig
from somart.cluster.members import Died, Superseded, Suspected, first_record
from somart.cluster.membership import Membership
from somart.cluster.messages import Alive, Gossip, Heartbeat, Join, MemberState, ProbeRequest
from somart.cluster.outputs import Dial, Drop, Send, Undial


class _Clock:
    def __init__(self) -> None:
        self.now = 1_000_000

    def monotonic(self) -> int:
        return self.now

    def wall(self) -> int:
        return 0


def _other(id: str, status: str = "alive", incarnation: int = 1) -> MemberState:
    return MemberState(id, f"{id}:1", "", incarnation, status, "ready", f"boot-{id}", 1, 0)


def _alone(*others: MemberState) -> tuple[Membership, _Clock]:
    clock = _Clock()
    record = first_record("me", "me:1", "", founder=True)
    node = Membership(record, ClusterConfig(), clock, Random(1), known=others)
    for other in others:
        node.link_up(other.id)
        node.receive(other.id, Join(other))
    node.established = True
    node.take()
    return node, clock


def _sent(node: Membership, to: str) -> list[object]:
    outputs, _ = node.take()
    return [o.message for o in outputs if isinstance(o, Send) and o.to == to]


def _answers(node: Membership, to: str) -> list[tuple[int, str]]:
    return [(m.number, m.subject) for m in _sent(node, to) if isinstance(m, Alive)]


def _run(node: Membership, clock: _Clock, ms: int) -> None:
    end = clock.now + ms
    while node.due() <= end:
        clock.now = max(clock.now, node.due())
        node.tick()
    clock.now = end


def test_a_probe_is_answered_with_its_number() -> None:
    node, _ = _alone(_other("a"))
    node.receive("a", Heartbeat(77, []))
    assert _answers(node, "a") == [(77, "me")]


def test_a_probe_is_carried_on_and_its_answer_back() -> None:
    node, _ = _alone(_other("a"), _other("b"))
    node.receive("a", ProbeRequest(5, "b", []))
    [probe] = [m for m in _sent(node, "b") if isinstance(m, Heartbeat)]
    node.receive("b", Alive(probe.number, "b", []))
    assert _answers(node, "a") == [(5, "b")]
    node.receive("b", Alive(probe.number, "b", []))  # a doublet
    assert _sent(node, "a") == []


def test_probes_by_order_of_others_are_bounded() -> None:
    node, _ = _alone(_other("a"), _other("b"))
    for number in range(1_000):
        node.receive("a", ProbeRequest(number, "b", []))
    assert len(_sent(node, "b")) == 256


def test_who_is_thought_gone_is_told_so_and_that_we_are_here() -> None:
    node, clock = _alone(_other("a", "dead"))
    clock.now += ClusterConfig().gossip_ms  # it was told when it said its name
    node.receive("a", Gossip([]))
    assert _sent(node, "a") == [Gossip([node.members["a"].state, node.me])]
    node.receive("a", Heartbeat(1, []))
    [alive] = _sent(node, "a")
    assert isinstance(alive, Alive)
    assert alive.gossip[0] == node.members["a"].state
    node.receive("a", Gossip([_other("a", incarnation=2)]))
    assert node.members["a"].state.status == "alive"
    assert node.live() == ("a", "me")


def test_a_rumour_of_my_death_is_refuted_by_a_new_incarnation() -> None:
    node, _ = _alone(_other("a"))
    rumour = node.me
    for status in ("suspect", "dead", "left"):
        rumour = MemberState(
            "me", "me:1", "", node.me.incarnation, status, "ready", node.me.boot, 1, 0
        )
        node.receive("a", Gossip([rumour]))
        assert (node.me.status, node.me.incarnation) == ("alive", rumour.incarnation + 1)
        assert node.me.ring == "ready"


def test_who_was_taken_out_of_the_ring_joins_anew() -> None:
    node, _ = _alone(_other("a"))
    removed = MemberState("me", "me:1", "", 1, "removed", "ready", node.me.boot, 1, 1)
    node.receive("a", Gossip([removed]))
    assert (node.me.status, node.me.ring) == ("alive", "joining")
    assert node.me.joined == node.me.incarnation == 2
    assert node.me.expelled == 1
    assert "me" in node.ring.ids


def test_a_node_that_slept_suspects_nobody_for_what_it_missed() -> None:
    node, clock = _alone(_other("a"), _other("b"))
    _run(node, clock, 3_100)  # a probe is under way
    node.take()
    clock.now += 60_000
    node.tick()
    _, changes = node.take()
    assert not [change for change in changes if isinstance(change, Suspected)]


def test_a_node_that_slept_gives_suspects_their_time() -> None:
    node, clock = _alone(_other("a"), _other("b", "suspect"))
    clock.now += 60_000
    node.tick()
    _, changes = node.take()
    assert not [change for change in changes if isinstance(change, Died)]
    died: list[object] = []
    woken = clock.now
    while not died:
        _run(node, clock, 1_000)
        node.receive("a", Gossip([]))
        died = [change for change in node.take()[1] if isinstance(change, Died)]
    assert died == [Died("b")]
    assert clock.now - woken >= node.config.dead_ms


def test_who_is_heard_is_no_suspect_though_it_does_not_answer() -> None:
    """The path to it is cut, the path back is not, and there is nobody to ask."""
    node, clock = _alone(_other("a"))
    for _ in range(60):
        _run(node, clock, 1_000)
        node.receive("a", Gossip([]))
    assert not [change for change in node.take()[1] if isinstance(change, Suspected)]


def test_a_silent_link_is_dropped_with_its_member() -> None:
    node, clock = _alone(_other("a"))
    _run(node, clock, 40_000)
    outputs, changes = node.take()
    assert [change for change in changes if isinstance(change, Died)] == [Died("a")]
    assert [output for output in outputs if isinstance(output, Drop)] == [
        Drop("a", "no sign of life")
    ]
    node.link_down("a")
    _run(node, clock, 2_000)
    outputs, _ = node.take()
    assert [output for output in outputs if isinstance(output, Dial)] == [Dial("a:1")]
    node.link_up("a", "a:1")
    assert Undial("a:1") in node.take()[0]


def test_a_superseded_node_is_silent_and_does_not_say_that_its_id_left() -> None:
    node, clock = _alone(_other("a"))
    for incarnation in (2, 9):
        rival = MemberState("me", "x:1", "", incarnation, "alive", "ready", "rival", 1, 0)
        node.receive("a", Gossip([rival]))
    outputs, changes = node.take()
    assert changes[-1] == Superseded(rival)
    assert Drop("a", "superseded by the process at x:1") in outputs
    node.leave()
    _run(node, clock, 30_000)
    assert node.take() == ([], [])


def test_a_leaving_node_says_goodbye_once_and_then_nothing() -> None:
    node, clock = _alone(_other("a"), _other("b"))
    node.leave()
    outputs, _ = node.take()
    told = [o.to for o in outputs if isinstance(o, Send) and o.message == Gossip([node.me])]
    assert told == ["a", "b"]
    assert node.me.status == "left"
    node.leave()
    _run(node, clock, 30_000)
    node.receive("a", Heartbeat(1, []))
    assert node.take() == ([], [])


def test_who_does_not_refute_its_death_is_told_of_it_now_and_then() -> None:
    node, clock = _alone(_other("a"))
    node.receive("a", Gossip([_other("a", "suspect")]))
    told = []
    for _ in range(20):  # as many copies of one message
        node.receive("a", Gossip([]))
        told += [m for m in _sent(node, "a") if isinstance(m, Gossip)]
    assert len(told) == 1
    _run(node, clock, ClusterConfig().gossip_ms)
    node.take()
    node.receive("a", Gossip([]))
    assert any(isinstance(m, Gossip) for m in _sent(node, "a"))
