"""Numbers for `next_id`: never the same twice, whatever is lost, repeated, cut off or restarted."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from random import Random

import pytest
from cluster_cells import ManualClock, Node
from hypothesis import example, given, settings
from hypothesis import strategies as st

from somart import SomaError
from somart.cluster.config import ClusterConfig
from somart.cluster.ids import LAST_ID, REGION, REGION_FIRST, TABLE, Ids
from somart.cluster.messages import IdBlock, IdRequest, Message
from somart.cluster.outputs import Send
from somart.cluster.replica import SystemRows

COUNTER = "Shop.#next_id"


class Paper:
    """A ledger that can be set on fire: what was not flushed is lost."""

    def __init__(self) -> None:
        self.rows: dict[str, str] = {}
        self.used = 0
        self.tickets = 0
        self.waiting: list[tuple[int, SystemRows, int]] = []
        self.told: list[tuple[int, Callable[[bool], None]]] = []

    def record(self, rows: SystemRows) -> int:
        self.tickets += 1
        self.waiting.append((self.tickets, rows, 0))
        return self.tickets

    def commit(self, used: int) -> None:
        self.tickets += 1
        self.waiting.append((self.tickets, {}, used))

    def on_durable(self, ticket: int, told: Callable[[bool], None]) -> None:
        self.told.append((ticket, told))

    def flush(self) -> None:
        for _, rows, used in self.waiting:
            self.used = used or self.used
            for (table, key), value in rows.items():
                assert table == TABLE
                if value is None:
                    self.rows.pop(key, None)
                else:
                    self.rows[key] = str(value)
        self._end(True)

    def fail(self) -> None:
        self._end(False)

    def burn(self) -> None:
        """A crash: nobody is told."""
        self.waiting.clear()
        self.told.clear()

    def _end(self, ok: bool) -> None:
        self.waiting.clear()
        told, self.told = self.told, []
        for _, call in told:
            call(ok)


class Peer:
    """A node that does nothing but count."""

    def __init__(self, name: str, clock: ManualClock) -> None:
        self.name = name
        self.clock = clock
        self.paper = Paper()
        self.boot = 0
        self.last = 0
        self.start()

    def start(self) -> None:
        self.boot += 1
        self.paper.burn()
        self.ids = Ids(ClusterConfig(id_block=4), self.clock, self.paper)
        self.last = self.paper.used
        self.ids.restore(self.paper.rows, {COUNTER: self.last}, self.boot, alone=False)

    def next_id(self) -> int:
        self.last = self.ids.after(COUNTER, self.last)
        self.paper.commit(self.last)
        self.ids.used(COUNTER, self.last)
        return self.last

    def handler(self, rng: Random, meanwhile: Callable[[], None]) -> list[int]:
        """A handler that takes some ids while messages arrive, and fails at times."""
        last, found = self.last, []
        for _ in range(rng.randrange(1, 8)):
            last = self.ids.after(COUNTER, last)
            found.append(last)
            if rng.random() < 0.3:
                meanwhile()
        if rng.random() < 0.3:
            return []
        self.last = last
        self.paper.commit(last)
        self.ids.used(COUNTER, last)
        return found


class Net:
    """Messages between peers, in disorder."""

    def __init__(self, count: int, rng: Random) -> None:
        self.clock = ManualClock()
        self.rng = rng
        self.peers = {name: Peer(name, self.clock) for name in "abcdefg"[:count]}
        self.wire: list[tuple[str, str, Message]] = []
        self.peers["a"].ids.found()
        self.peers["a"].paper.flush()
        self.link_all()

    def link_all(self) -> None:
        for peer in self.peers.values():
            peer.ids.peers([other for other in self.peers if other != peer.name])

    def collect(self) -> None:
        for peer in self.peers.values():
            for output in peer.ids.take():
                assert isinstance(output, Send)
                self.wire.append((peer.name, output.to, output.message))

    def deliver(self) -> None:
        """One message, not the first, and perhaps not for the last time."""
        self.collect()
        if self.wire:
            index = self.rng.randrange(len(self.wire))
            sender, to, message = self.wire[index]
            if self.rng.random() < 0.8:
                del self.wire[index]
            self.peers[to].ids.receive(sender, message)

    def settle(self) -> None:
        """Until nobody has anything to say."""
        while True:
            for peer in self.peers.values():
                peer.paper.flush()
            self.collect()
            if not self.wire:
                return
            while self.wire:
                sender, to, message = self.wire.pop(0)
                self.peers[to].ids.receive(sender, message)


def test_the_founder_counts_as_a_single_node_does() -> None:
    net = Net(1, Random(0))
    assert [net.peers["a"].next_id() for _ in range(20)] == list(range(1, 21))


def test_others_get_blocks_of_the_frontier_and_a_region_of_their_own() -> None:
    net = Net(3, Random(0))
    net.settle()
    a, b, c = net.peers.values()
    found = [peer.next_id() for _ in range(3) for peer in (a, b, c)]
    assert len(set(found)) == 9
    assert max(found) < 64
    assert b.ids.supplied
    assert c.ids.supplied


def test_a_node_that_is_cut_off_goes_on_in_its_region() -> None:
    net = Net(2, Random(0))
    net.settle()
    b = net.peers["b"]
    found = [b.next_id() for _ in range(50)]
    assert len(set(found)) == 50
    assert found[0] < REGION_FIRST <= found[-1] <= LAST_ID


def test_a_node_without_any_ids_says_that_it_is_joining() -> None:
    peer = Peer("b", ManualClock())
    assert not peer.ids.supplied
    with pytest.raises(SomaError, match="still joining"):
        peer.next_id()


def test_a_repeated_answer_is_taken_once_and_a_repeated_request_gets_other_ids() -> None:
    net = Net(2, Random(0))
    net.collect()
    asked = [(s, t, m) for s, t, m in net.wire if isinstance(m, IdRequest) and not m.region]
    net.wire.clear()
    a, b = net.peers["a"], net.peers["b"]
    for _ in range(2):
        for sender, _, message in asked:
            a.ids.receive(sender, message)
    a.paper.flush()
    net.collect()
    blocks = [m for _, _, m in net.wire if isinstance(m, IdBlock)]
    assert len({m.first for m in blocks}) == len(blocks)
    for block in (*blocks, *blocks):
        b.ids.receive("a", block)
    net.wire.clear()
    found = [b.next_id() for _ in range(4)]
    assert len(set(found)) == 4


def test_a_block_is_not_sent_before_it_is_stored() -> None:
    net = Net(2, Random(0))
    net.collect()
    for sender, to, message in net.wire:
        net.peers[to].ids.receive(sender, message)
    net.wire.clear()
    net.collect()
    assert net.wire == []
    net.peers["a"].paper.fail()
    net.collect()
    assert net.wire == []


def test_regions_of_joiners_of_joiners_do_not_meet() -> None:
    spans: list[tuple[int, int]] = []
    clock = ManualClock()
    giver = Peer("a", clock)
    giver.ids.found()
    for index in range(60):
        taker = Peer(f"n{index}", clock)
        taker.ids.peers(["giver"])
        for output in taker.ids.take():
            assert isinstance(output, Send)
            giver.ids.receive(taker.name, output.message)
        giver.paper.flush()
        for output in giver.ids.take():
            assert isinstance(output, Send)
            taker.ids.receive("giver", output.message)
        taker.paper.flush()
        text = taker.paper.rows.get("region")
        if text is None:
            break
        first, last = map(int, text.strip("[]").split(","))
        spans.append((first, last))
        if index % 2:
            giver = taker
    assert len(spans) > 25
    assert spans[0] == (LAST_ID - REGION + 1, LAST_ID)


def test_a_handler_under_way_goes_on_behind_what_it_has_taken() -> None:
    net = Net(2, Random(0))
    net.settle()
    b = net.peers["b"]
    taken = [b.next_id(), b.next_id()]
    last = b.last
    for _ in range(30):  # through the block into the region, then the frontier answers
        last = b.ids.after(COUNTER, last)
        taken.append(last)
        if last >= REGION_FIRST:
            net.settle()
    assert len(set(taken)) == len(taken)
    assert taken[-1] < REGION_FIRST


def test_who_leaves_for_good_hands_the_frontier_over() -> None:
    net = Net(3, Random(0))
    net.settle()
    a, b, c = net.peers.values()
    first = [peer.next_id() for peer in (a, b, c)]
    a.ids.hand_over(["c", "b", "unlinked"])
    net.settle()
    del net.peers["a"]
    net.link_all()
    found = first + [peer.next_id() for _ in range(10) for peer in (b, c)]
    net.clock.now += 10_000
    for _ in range(4):
        b.ids.tick()
        c.ids.tick()
        net.settle()
        net.clock.now += 10_000
    found += [peer.next_id() for _ in range(3) for peer in (b, c)]
    assert len(set(found)) == len(found)
    assert sum(number >= REGION_FIRST for number in found) < 20
    assert max(b.next_id(), c.next_id()) < REGION_FIRST


def test_a_node_with_ids_of_its_own_pushes_the_frontier() -> None:
    clock = ManualClock()
    net = Net(1, Random(0))
    joiner = Peer("z", clock)
    joiner.ids.restore({}, {COUNTER: 1_000}, 1, alone=True)
    joiner.last = 1_000
    net.peers["z"] = joiner
    net.link_all()
    net.settle()
    assert joiner.next_id() == 1_001
    assert net.peers["a"].next_id() > 1_001


def test_a_full_disk_does_not_set_the_region_back() -> None:
    net = Net(2, Random(0))
    net.settle()
    b = net.peers["b"]
    taken = [b.next_id() for _ in range(30)]
    assert taken[-1] >= REGION_FIRST
    b.paper.fail()
    net.settle()  # a block of the frontier comes, and is stored with those of the region
    found: list[int] = []
    for _ in range(2):
        b.start()
        found += [b.next_id() for _ in range(30)]
        b.paper.flush()
    assert len(set(found)) == len(found)


@pytest.mark.slow
@settings(max_examples=60, deadline=None)
@given(st.integers(0, 1 << 30), st.integers(2, 5))
@example(16827515, 2)  # a block came after a full disk: stored without the end of the one before
def test_no_id_is_ever_given_out_twice(seed: int, count: int) -> None:
    rng = Random(seed)
    net = Net(count, rng)
    durable: list[int] = []
    pending: dict[str, list[int]] = {name: [] for name in net.peers}
    for _ in range(150):
        peer = net.peers[rng.choice(sorted(net.peers))]
        step = rng.randrange(10)
        if step < 4:
            try:
                pending[peer.name] += peer.handler(rng, net.deliver)
            except SomaError:
                continue
        elif step < 6:
            peer.paper.flush()
            durable += pending[peer.name]
            pending[peer.name] = []
        elif step == 6 and rng.random() < 0.5:
            peer.paper.fail()  # a full disk: memory goes back to what is stored
            peer.last = peer.paper.used
            pending[peer.name] = []
        elif step == 6:
            peer.start()
            pending[peer.name] = []
            peer.ids.peers([other for other in net.peers if other != peer.name])
        elif step == 7:
            net.clock.now += rng.randrange(5_000)
            peer.ids.tick()
        if step > 7:
            net.deliver()
    assert len(durable) == len(set(durable))


@pytest.mark.slow
def test_an_engine_counts_on_after_a_restart(tmp_path: Path) -> None:
    node = Node("a", tmp_path)
    node.engine.ids.found()
    assert [node.call("fresh") for _ in range(70)] == list(range(1, 71))
    node.close()
    again = Node("a", tmp_path)
    again.engine.ids.found()
    assert again.call("fresh") == 71
    again.close()
