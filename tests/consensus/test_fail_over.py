"""From a leader's death to the next write that is accepted: 2 s by default, half a second with the
fast profile, whatever the moment and however the vote splits."""

from __future__ import annotations

import pytest
from service_cluster import World

from somac.manifest import PROFILES
from somart.cluster.boot import raft_config
from somart.cluster.config import ClusterConfig
from somart.consensus.service import Failure, ServiceConfig
from somart.consensus.state import Outcome

NAMES = ("a", "b", "c", "d", "e")
DEATHS = 100


def fail_over(profile: str, seed: int) -> int:
    """How many ms a write waits that is sent to another node when the leader dies."""
    raft = raft_config(ClusterConfig().adjusted(PROFILES[profile]))
    world = World(NAMES[: 3 + 2 * (seed % 2)], seed, ServiceConfig(), raft)
    world.delay_ms, world.disk_ms = 4, 10
    world.until(lambda: world.leader() is not None)
    world.run(2_000 + world.rng.randrange(1_000))
    leader = world.leader()
    assert leader is not None
    answers: list[tuple[int, Outcome | Failure]] = []
    world.crash(leader.name)
    began = world.now
    other = world.rng.choice([node for node in world.nodes.values() if node.up])
    world.transact(
        other.name,
        [("count", "k")],
        lambda seen: {"k": 1},
        lambda answer: answers.append((world.now, answer)),
    )
    world.until(lambda: bool(answers))
    [(at, answer)] = answers
    assert isinstance(answer, Outcome)
    assert not answer.refused
    return at - began


@pytest.mark.parametrize(("profile", "most"), [("normal", 2_000), ("fast", 500)])
@pytest.mark.slow
def test_a_dead_leader_is_soon_replaced(profile: str, most: int) -> None:
    times = sorted(fail_over(profile, seed) for seed in range(DEATHS))
    assert times[-1] <= most
    assert times[DEATHS // 2] < most * 3 // 5, "with margin"


def test_a_split_vote_is_tried_again_sooner_than_a_leader_is_given_up() -> None:
    world = World(("a", "b", "c"), 1)
    world.until(lambda: world.leader() is not None)
    leader = world.leader()
    assert leader is not None
    world.crash(leader.name)
    world.delay_ms = 1
    one, other = (node.service.raft for node in world.nodes.values() if node.up)
    world.run(10)
    one.deadline = other.deadline = world.now + 2 * world.raft.election_ms
    world.until(lambda: one.role.value == other.role.value == "candidate")
    term = one.term
    assert max(one.deadline, other.deadline) < world.now + world.raft.election_ms
    world.until(lambda: world.leader() is not None)
    assert max(one.term, other.term) > term
