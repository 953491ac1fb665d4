"""The number of the paper: fifty members commit with 24 dead and refuse, definitely, with 25."""

from __future__ import annotations

import pytest
from fault_plan import agree
from history_clients import Clients
from service_cluster import World

from somart.consensus.core import RaftConfig
from somart.consensus.service import ServiceConfig
from somart.simulate.histories import FAIL, OK

NAMES = tuple(f"n{number:02}" for number in range(50))


def outcomes(clients: Clients, since: int) -> list[str]:
    """What became of the calls that began since."""
    return [
        call.outcome for calls in clients.calls.values() for call in calls if call.began >= since
    ]


def work(world: World, clients: Clients, calls: int) -> list[str]:
    """Calls on nodes that are up, one after the other, to their end."""
    world.run(1)
    began = world.now
    alive = [node for node in world.nodes.values() if node.up]
    for _ in range(calls):
        clients.one(world.rng.choice(alive))
        world.run(10)
    world.until(lambda: not clients.waiting, 12_000)
    late = [call for calls in clients.calls.values() for call in calls if call.outcome == FAIL]
    assert all(call.ended - call.began < 5_000 for call in late), "nobody is left hanging"
    return outcomes(clients, began)


@pytest.mark.slow
def test_fifty_members() -> None:
    config = ServiceConfig(log_entries=100, kept_entries=20)
    world = World(NAMES, 26, config, RaftConfig())
    clients = Clients(world)
    world.until(lambda: world.leader() is not None)
    assert set(work(world, clients, 40)) == {OK}
    victims = world.rng.sample(NAMES, 25)
    for name in victims[:24]:
        world.crash(name)
    world.until(lambda: world.leader() is not None)
    world.run(3_000)
    assert set(work(world, clients, 60)) == {OK}, "26 of 50 are a quorum"
    world.crash(victims[24])
    told = work(world, clients, 1)
    assert OK not in told
    world.run(2_500)
    assert world.leader() is None, "25 of 50 are none"
    told = work(world, clients, 60)
    assert set(told) == {FAIL}, "refused for certain"
    world.nodes[victims[0]].start()
    world.until(lambda: world.leader() is not None)
    world.run(3_000)
    assert set(work(world, clients, 40)) == {OK}
    world.heal()
    world.run(5_000)
    assert set(work(world, clients, 40)) == {OK}
    clients.judge()
    agree(world)  # those that were dead have all of it
