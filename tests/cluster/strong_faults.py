"""A group of nodes with strong memory, and faults that come and go while clients are at work."""

from __future__ import annotations

import secrets
import signal
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from machines import Network, WallClock
from processes import Cluster, Node, until

PROGRAM = Path(__file__).parent / "strong_histories.cell"


def all_vote(nodes: Sequence[Node]) -> None:
    """Waits until the nodes are one group that takes writes."""
    voters = sorted(node.name for node in nodes)
    for node in nodes:
        until(lambda n=node: n.status()["consensus"]["voters"] == voters, f"{voters} vote")
        until(lambda n=node: n.request("POST", "/clock").status == 200, f"{node.name} runs")
        until(lambda n=node: n.request("POST", "/status/none").status == 200, f"{node.name} reads")


def leader_of(nodes: Sequence[Node]) -> Node:
    """The one that all of these follow, once it is one of them."""
    found: set[str] = set()

    def known() -> bool:
        found.clear()
        try:
            found.update(str(node.status()["leader"]) for node in nodes)
        except OSError:
            return False
        return len(found) == 1 and not found.isdisjoint(node.name for node in nodes)

    until(known, "one leader")
    return next(node for node in nodes if node.name in found)


def others(nodes: Iterable[Node], away: Sequence[Node]) -> list[Node]:
    return [node for node in nodes if node not in away]


# --- nodes ---------------------------------------------------------------------------------------


def on_machines(cluster: Cluster, network: Network, count: int, folder: Path) -> list[Node]:
    """Nodes, not started yet, that will run on machines of their own, and let this one see all."""
    secret = folder / "secret"
    secret.write_text(secrets.token_hex(16), encoding="utf-8")
    made = []
    for _ in range(count):
        space, address = network.machine()
        options = ("--host", address, "--cluster-secret-file", str(secret))
        everywhere = (*options, "--dashboard-everywhere")
        node = cluster.add(namespace=space, address=address, port=8080, options=everywhere)
        made.append(node)
    return made


def with_clocks(nodes: Iterable[Node], folder: Path) -> dict[str, WallClock]:
    """Gives each node, before it starts, a wall clock of its own; by name. Raises OSError."""
    found = {}
    for node in nodes:
        found[node.name] = clock = WallClock(folder / f"clock-{node.name}")
        node.environment |= clock.environment
    return found


def start_all(nodes: Sequence[Node]) -> None:
    """Starts a new group of these nodes."""
    for node in nodes:
        node.start(*(() if node is nodes[0] else ("--join", nodes[0].bus)))
        node.wait_ready()
    all_vote(nodes)


# --- faults --------------------------------------------------------------------------------------


@contextmanager
def killed(*nodes: Node) -> Iterator[None]:
    """SIGKILL, and a restart afterwards."""
    for node in nodes:
        node.kill()
    yield
    for node in nodes:
        node.start()
    for node in nodes:
        node.wait_ready()


@contextmanager
def stopped(*nodes: Node) -> Iterator[None]:
    """They stand still, and go on afterwards as if nothing had been."""
    for node in nodes:
        node.signal(signal.SIGSTOP)
    try:
        yield
    finally:
        for node in nodes:
            node.signal(signal.SIGCONT)


@contextmanager
def cut(network: Network, some: Sequence[Node], rest: Sequence[Node]) -> Iterator[None]:
    """Nothing gets from these nodes to the rest, nor back."""
    with muted(network, some, rest), muted(network, rest, some):
        yield


@contextmanager
def muted(network: Network, some: Sequence[Node], rest: Sequence[Node]) -> Iterator[None]:
    """What these nodes say does not reach the rest; they hear all."""
    for one in some:
        for other in rest:
            network.mute(one, other)
    yield
    for one in some:
        for other in rest:
            network.mute(one, other, healed=True)
