"""Who runs a timer: one effect per due time, and none lost when leadership moves."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from somart.cluster.leadership import CATCH_UP_MS, Leadership, next_due
from somart.cluster.schedules import Schedules
from somart.engines.consensus import Fence
from somart.spec import ScaleSpec, TimerInfo
from somart.timers import LATER, RUN, SKIP, Timer


class Wall:
    def __init__(self) -> None:
        self.now = 1_000_000

    def monotonic(self) -> int:
        return self.now

    def wall(self) -> int:
        return self.now


def timer(kind: str, consistency: str | None, milliseconds: int = 1_000) -> Timer:
    scale = None if consistency is None else ScaleSpec(replicas=3, consistency=consistency)
    cell: Any = type("Made", (), {"soma_scale": scale})()
    return Timer(cell, TimerInfo(kind, milliseconds, "_every_1"), "Made._every_1")


class Node:
    """A leadership with made-up consensus and membership."""

    def __init__(self) -> None:
        self.clock = Wall()
        self.leader = "a"
        self.leads = True
        self.ticks: dict[str, tuple[int, int]] = {}
        self.raft = SimpleNamespace(term=4)
        self.service = SimpleNamespace(leads=True)
        context = SimpleNamespace(linked={}, send=None, wake=lambda: None)
        schedules = Schedules("a", lambda: self.leader)
        core: Any = SimpleNamespace(schedules=schedules, context=context)
        engine: Any = SimpleNamespace(fence=self.fence)
        self.gate = Leadership(core, engine, self.clock)

    def fence(self) -> Fence:
        return Fence(self.ticks, self.service.leads, self.raft.term)


def test_a_cell_without_scale_runs_its_blocks_on_every_node() -> None:
    node = Node()
    node.leader, node.service.leads = "b", False
    assert node.gate.judge(timer("every", None)) == RUN


@pytest.mark.parametrize("consistency", ["eventual", "causal"])
def test_without_consensus_the_lowest_live_id_runs_them(consistency: str) -> None:
    node = Node()
    assert node.gate.judge(timer("every", consistency)) == RUN
    node.leader = "0"
    assert node.gate.judge(timer("every", consistency)) == SKIP


def test_an_after_waits_until_this_node_leads() -> None:
    node = Node()
    node.leader = "0"
    block = timer("after", "eventual")
    assert node.gate.judge(block) == LATER
    node.leader = "a"
    assert node.gate.judge(block) == RUN
    node.gate.finished(block)
    assert node.gate.judge(block) == SKIP


def test_ticks_lie_on_a_grid_and_each_due_time_is_served_once() -> None:
    node = Node()
    block = timer("every", "strong")
    node.clock.now += 320
    first = node.gate.judge(block)
    assert first.run
    assert first.tick == ("Made._every_1", 1_000_000, 4, 0)
    node.clock.now -= 320
    node.ticks["Made._every_1"] = (1_000_000, 4)
    early = node.gate.judge(block)
    assert (early.run, early.then) == (False, 1_000)
    node.clock.now += 1_250
    second = node.gate.judge(block)
    assert second.tick is not None
    assert (second.tick.due, second.tick.since, second.then) == (1_001_000, 1_000_000, 750)


def test_leaders_whose_clocks_differ_mean_the_same_due_times() -> None:
    old, new = Node(), Node()
    old.clock.now, new.clock.now = 1_000_010, 1_000_900
    block = timer("every", "strong")
    first, again = old.gate.judge(block).tick, new.gate.judge(block).tick
    assert first is not None
    assert again is not None
    assert first.due == again.due == 1_000_000


def test_the_last_due_time_of_a_rare_schedule_is_made_up_however_late() -> None:
    hour = 3_600_000
    assert next_due(last=10 * hour, now=11 * hour + 5 * CATCH_UP_MS, interval=hour) == 11 * hour
    assert next_due(last=10 * hour, now=14 * hour - 1, interval=hour) == 13 * hour
    assert next_due(last=10 * hour + 7, now=10 * hour + 8, interval=hour) == 11 * hour


def test_a_new_leader_makes_up_what_was_missed_in_order() -> None:
    node = Node()
    node.ticks["Made._every_1"] = (1_000_000, 3)
    node.clock.now += 3_500
    served = []
    while (verdict := node.gate.judge(timer("every", "strong"))).run:
        assert verdict.tick is not None
        node.ticks["Made._every_1"] = verdict.tick[1:3]
        served.append(verdict.tick.due)
    assert served == [1_001_000, 1_002_000, 1_003_000]


def test_what_is_older_than_the_bound_is_not_made_up() -> None:
    node = Node()
    node.ticks["Made._every_1"] = (1_000_000, 3)
    node.clock.now += 10 * CATCH_UP_MS + 10
    verdict = node.gate.judge(timer("every", "strong"))
    assert verdict.tick is not None
    assert node.clock.now - CATCH_UP_MS < verdict.tick.due <= node.clock.now
    assert (verdict.tick.due - 1_000_000) % 1_000 == 0


def test_who_does_not_lead_the_log_runs_nothing_fenced() -> None:
    node = Node()
    node.service.leads = False
    assert not node.gate.judge(timer("every", "strong")).run
    assert node.gate.judge(timer("after", "strong")) == LATER


def test_a_fenced_after_runs_once_for_all_that_were_up() -> None:
    node = Node()
    block = timer("after", "strong")
    node.clock.now += 5
    verdict = node.gate.judge(block)
    assert verdict.tick is not None
    node.ticks["Made._every_1"] = verdict.tick[1:3]
    assert node.gate.judge(block) == SKIP
