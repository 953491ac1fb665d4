"""Who votes in a group of production nodes: dead voters go by a committed change only."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import pytest
from programs import program
from scripted import Stage

from somart.cluster.config import ClusterConfig
from somart.cluster.members import REMOVED
from somart.cluster.origins import member_of
from somart.cluster.status import group_of
from somart.simulate.history import ERROR, OK

pytestmark = pytest.mark.slow

FORGET_MS = 60_000
CONFIG = ClusterConfig(forget_ms=FORGET_MS)
Script = Callable[[Stage], Awaitable[None]]


def play(script: Script) -> None:
    spec, _ = program("strong")
    Stage(spec, 3, seed=5, config=CONFIG).direct(script)


async def three_voters(stage: Stage) -> tuple[str, ...]:
    """A group that works; gives their identities."""
    await stage.until(lambda: all(len(stage.voters(m)) == 3 for m in stage.machines))
    assert (await stage.ask(stage.machines[1], "write", "k", 1)).status == OK
    return stage.voters(stage.machines[0])


def shown(stage: Stage, number: int) -> object:
    """The summary of the status that a node shows."""
    member = stage.member(stage.machines[number])
    consensus = group_of(member.core, member.engine.service, 50)["consensus"]
    assert isinstance(consensus, dict)
    return consensus["summary"]


@pytest.mark.parametrize("victim", [0, 2])
def test_a_voter_that_is_dead_for_long_gives_up_its_vote(victim: int) -> None:
    async def script(stage: Stage) -> None:
        voters = await three_voters(stage)
        dead = stage.machines[victim]
        rest = [machine for machine in stage.machines if machine is not dead]
        dead.crash()
        await stage.wait(CONFIG.dead_ms + FORGET_MS - 5_000)
        assert [len(stage.voters(machine)) for machine in rest] == [3, 3], "it keeps its place"
        assert (await stage.ask(rest[0], "write", "k", 2)).status == OK
        left = voters[:victim] + voters[victim + 1 :]
        await stage.until(lambda: all(stage.voters(m) == left for m in rest), 30_000)
        assert (await stage.ask(rest[1], "read", "k")).result == 2
        dead.start()  # with its data, by which it is known: it learns that it was removed
        await stage.until(lambda: all(len(stage.voters(m)) == 3 for m in rest), 60_000)

    play(script)


def test_without_a_majority_nobody_is_removed() -> None:
    async def script(stage: Stage) -> None:
        voters = await three_voters(stage)
        alone, *others = stage.machines
        for machine in others:
            machine.crash()
        await stage.wait(5 * (CONFIG.dead_ms + FORGET_MS))
        assert stage.voters(alone) == voters
        known = stage.member(alone).membership.members
        assert all(one.state.status != REMOVED for one in known.values())
        assert stage.member(alone).membership.remove("n3") == ""
        await stage.wait(10_000)
        assert stage.voters(alone) == voters, "an order is not a majority"
        refused = await stage.ask(alone, "write", "k", 2)
        assert (refused.status, str(refused.result)[:9]) == (ERROR, "no quorum")
        assert refused.ended - refused.began < 5_000
        others[0].start()
        await stage.until(lambda: stage.leader() is not None)
        assert (await stage.ask(others[0], "read", "k")).result == 1
        await stage.until(lambda: stage.voters(alone) == voters[:2], 30_000)

    play(script)


def test_a_wiped_voter_comes_back_as_another() -> None:
    async def script(stage: Stage) -> None:
        voters = await three_voters(stage)
        wiped = stage.machines[2]
        wiped.wipe()
        wiped.start()
        await stage.until(lambda: len(set(stage.voters(wiped)) - set(voters)) == 1)
        await stage.until(lambda: len(stage.voters(wiped)) == 3)
        assert stage.voters(wiped)[:2] == voters[:2]
        assert member_of(stage.voters(wiped)[2]) == "n3"
        assert (await stage.ask(wiped, "read", "k")).result == 1

    play(script)


def test_the_status_says_how_many_may_fail() -> None:
    async def script(stage: Stage) -> None:
        await three_voters(stage)
        assert [shown(stage, number) for number in range(3)] == ["3 of 50, tolerates 1"] * 3
        stage.machines[2].crash()
        await stage.until(lambda: shown(stage, 0) == "3 of 50, tolerates 0")

    play(script)
