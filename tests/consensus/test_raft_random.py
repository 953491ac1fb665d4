"""Random faults: what a quorum has committed is never lost, and nobody disagrees."""

from __future__ import annotations

import pytest
from raft_cluster import Cluster

NAMES = ("a", "b", "c", "d", "e")


def shake(cluster: Cluster, steps: int) -> dict[int, bytes]:
    """Faults and proposals at random; gives what was committed by index."""
    rng, names = cluster.rng, list(cluster.members)
    for step in range(steps):
        cluster.run(rng.randint(10, 400))
        what = rng.random()
        if what < 0.10:
            cluster.isolate(*rng.sample(names, rng.randint(1, len(names) - 1)))
        elif what < 0.20:
            cluster.heal()
        elif what < 0.28:
            cluster.crash(rng.choice(names))
        elif what < 0.40:
            for name in names:
                if not cluster.members[name].up:
                    cluster.restart(name)
        elif what < 0.45:
            cluster.cut.add((rng.choice(names), rng.choice(names)))
        elif what < 0.50:
            cluster.compact(rng.choice(names))
        elif what < 0.54:
            cluster.loss = rng.choice((0.0, 0.0, 0.1, 0.4))
        elif what < 0.58 and (leader := cluster.leader()):
            leader.raft.transfer(rng.choice(names), cluster.now)
            cluster.drive(leader)
        elif what < 0.64 and (leader := cluster.leader()):
            voters = tuple(sorted(rng.sample(names, rng.randint(2, len(names)))))
            learners = tuple(sorted(rng.sample(names, rng.randint(0, 2))))
            leader.raft.change(voters, learners, cluster.now)
            cluster.drive(leader)
        for _ in range(rng.randint(0, 4)):
            cluster.propose(b"%d" % step)
    return {index: entry.data for index, entry in cluster.committed.items()}


@pytest.mark.parametrize("seed", range(40))
@pytest.mark.slow
def test_nothing_committed_is_lost_and_all_agree(seed: int) -> None:
    cluster = Cluster(NAMES[: 3 + seed % 3], seed)
    before = shake(cluster, 60)
    cluster.heal()
    cluster.loss = 0.0
    for name, member in cluster.members.items():
        if not member.up:
            cluster.restart(name)
    cluster.until(lambda: cluster.propose(b"last") is not None)
    cluster.run(20_000)
    leader = cluster.elected()
    voters = leader.raft.configuration.voters
    assert not leader.raft.configuration.joint
    assert {i: e.data for i, e in cluster.committed.items() if i in before} == before
    for name in voters:
        assert cluster.members[name].disk.applied == leader.disk.applied
        assert cluster.members[name].disk.applied_index == leader.raft.commit
    assert b"last" in leader.disk.applied
    assert leader.raft.commit == leader.raft.log.last


@pytest.mark.parametrize("seed", range(10))
def test_a_read_index_is_never_behind_what_was_committed_before(seed: int) -> None:
    cluster = Cluster(NAMES, seed)
    cluster.elected()
    expected: dict[tuple[str, int], int] = {}
    for number in range(1, 200):
        rng = cluster.rng
        if rng.random() < 0.1:
            cluster.isolate(*rng.sample(NAMES, 2))
        if rng.random() < 0.2:
            cluster.heal()
        name = rng.choice(NAMES)
        member = cluster.members[name]
        expected[name, number] = max(cluster.committed, default=0)
        member.raft.read(number, cluster.now)
        cluster.drive(member)
        cluster.propose(b"x")
        cluster.run(rng.randint(1, 100))
    cluster.heal()
    cluster.run(5_000)
    answered = 0
    for (name, number), low in expected.items():
        index = cluster.members[name].reads.get(number, 0)
        assert index == 0 or index >= low
        answered += index > 0
    assert answered > 50
