"""Faults at random for a simulated group, and what must hold when they are over."""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Any

from history_clients import Clients
from service_cluster import Node, World

from somart.consensus.core import RaftConfig
from somart.consensus.service import ServiceConfig

NAMES = ("a", "b", "c", "d", "e", "f", "g")
CONFIG = ServiceConfig(
    give_up_ms=1_500, resend_ms=200, log_entries=40, kept_entries=10, chunk_bytes=100
)


RAFT = RaftConfig(election_ms=300, heartbeat_ms=50, window=6, append_bytes=2_000)
LEASES = RaftConfig(
    election_ms=300, heartbeat_ms=50, window=6, lease_reads_assuming_clock_drift_below_ms=20
)


TENSE = RaftConfig(election_ms=40, heartbeat_ms=10, window=3, append_bytes=500)
"""Shorter than many delays: elections without end, several candidates at a time."""


def examine(seed: int, steps: int = 100, raft: RaftConfig | None = None) -> Clients:
    """A group under faults, from the beginning to the judgement."""
    clients = group(seed, raft)
    shake(clients.world, clients, steps)
    settle(clients.world, clients)
    return clients


def group(seed: int, raft: RaftConfig | None = None) -> Clients:
    """The clients of a new group; every fourth seed is tense."""
    raft = raft or (TENSE if seed % 4 == 3 else RAFT)
    return Clients(World(NAMES[: 3 + seed % 5], seed, CONFIG, raft))


def one_fault(world: World) -> None:
    """Something goes wrong, or is mended."""
    rng, names = world.rng, list(world.nodes)
    faults: tuple[tuple[int, Callable[[], object]], ...] = (
        (8, lambda: world.isolate(*rng.sample(names, rng.randint(1, len(names) - 1)))),
        (4, lambda: world.cut.add((rng.choice(names), rng.choice(names)))),
        (4, lambda: _one_way(world, rng.choice(names))),
        (6, lambda: _strand(world)),
        (14, world.cut.clear),
        (8, lambda: world.crash(rng.choice(names))),
        (2, lambda: power_loss(world)),
        (16, world.restart_all),
        (4, lambda: setattr(world, "loss", rng.choice((0.0, 0.0, 0.1, 0.3)))),
        (4, lambda: setattr(world, "doubled", rng.choice((0.0, 0.1, 0.4)))),
        (4, lambda: setattr(world, "delay_ms", rng.choice((2, 8, 8, 60)))),
        (4, lambda: setattr(world, "disk_ms", rng.choice((0, 4, 4, 40)))),
        (3, lambda: _pause(world, rng.choice(names))),
        (4, lambda: _pause_leader(world)),
        (5, lambda: _change(world, rng)),
        (3, lambda: _transfer(world, rng.choice(names))),
    )
    weights = [weight for weight, _ in faults]
    rng.choices([fault for _, fault in faults], weights)[0]()


def power_loss(world: World) -> None:
    """All nodes at once; each may or may not have stored what it was storing."""
    for name in world.nodes:
        world.crash(name)


def _strand(world: World) -> None:
    """The leader keeps a minority and its clients: its log grows by what will be replaced."""
    leader = world.leader()
    if leader is not None:
        others = [name for name in world.nodes if name != leader.name]
        world.isolate(leader.name, *world.rng.sample(others, world.rng.randrange(2)))


def _one_way(world: World, name: str) -> None:
    """A node hears nobody, or nobody hears it."""
    others = [other for other in world.nodes if other != name]
    pairs = [(name, other) for other in others]
    world.cut.update(pairs if world.rng.random() < 0.5 else [(b, a) for a, b in pairs])


def _pause(world: World, name: str) -> None:
    world.nodes[name].paused_until = world.now + world.rng.randrange(50, 1_500)


def _pause_leader(world: World) -> None:
    """So long that others may elect another one."""
    leader = world.leader()
    if leader is not None:
        leader.paused_until = world.now + 4 * world.raft.election_ms


def _change(world: World, rng: Random) -> None:
    leader = world.leader()
    if leader is None:
        return
    if len(world.nodes) < len(NAMES) and rng.random() < 0.4:
        world.add(NAMES[len(world.nodes)])
    names = list(world.nodes)
    voters = tuple(sorted(rng.sample(names, rng.randint(2, len(names)))))
    learners = tuple(name for name in names if name not in voters)
    leader.service.raft.change(voters, learners, world.now)
    leader.drive()


def _transfer(world: World, name: str) -> None:
    leader = world.leader()
    if leader is not None:
        leader.service.raft.transfer(name, world.now)
        leader.drive()


def shake(world: World, clients: Clients, steps: int) -> None:
    """Clients at work on all nodes, and faults."""
    rng = world.rng
    for _ in range(steps):
        world.run(rng.randint(1, 90))
        if rng.random() < 0.28:
            one_fault(world)
        for node in rng.sample(list(world.nodes.values()), 2):
            _call(world, clients, node)


def _call(world: World, clients: Clients, node: Node) -> None:
    """At once, or when a node goes on that stands still: before it hears what has happened."""

    def call() -> None:
        if node.up and world.now >= node.paused_until:
            clients.one(node)

    if world.now < node.paused_until:
        world.later(node.paused_until - world.now, call)
    else:
        call()


def settle(world: World, clients: Clients) -> None:
    """Ends the faults, and judges: the group works again, all agree, the history is explained."""
    world.heal()
    world.delay_ms = world.disk_ms = 4
    for node in world.nodes.values():
        node.paused_until = 0
    clients.finish()
    everyone_votes(world)
    for node in world.nodes.values():
        clients.read_all(node)
    world.until(lambda: not clients.waiting)
    world.run(2_000)
    agree(world)
    clients.judge()


def everyone_votes(world: World) -> None:
    """The group takes a change and a write in good time, else it is stuck."""

    def done() -> bool:
        leader = world.leader()
        if leader is None:
            return False
        raft = leader.service.raft
        if set(raft.configuration.voters) == set(world.nodes) and not raft.configuration.joint:
            return raft.commit == raft.log.last
        raft.change(tuple(world.nodes), (), world.now)
        leader.drive()
        return False

    world.until(done)


def _full(tables: dict[str, Any]) -> dict[str, Any]:
    return {name: rows for name, rows in tables.items() if rows}


def agree(world: World) -> None:
    """All nodes have the same state, in memory and on disk."""

    def caught_up() -> bool:
        return len({n.service.raft.applied for n in world.nodes.values()}) == 1

    world.until(caught_up)
    world.run(1_000)
    first, *others = world.nodes.values()
    for node in others:
        assert _full(node.tables.rows) == _full(first.tables.rows), f"{node.name} differs"
        assert node.service.state.revision == first.service.state.revision
        assert node.service.state.sessions == first.service.state.sessions
        assert node.service.state.keys == first.service.state.keys
    for node in world.nodes.values():
        stored = {
            t: {k: row[1:] for k, row in rows.items()} for t, rows in node.disk.tables.items()
        }
        for table, rows in node.tables.rows.items():
            assert stored.get(table, {}) == rows, f"{table} of {node.name} on disk"
