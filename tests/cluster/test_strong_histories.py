"""Real processes under real faults: what clients of strong memory were told has an explanation.

Each test lets clients work, brings a fault about, heals it, and reads everything on every node. The
histories of registers, transfers, lists and lifecycles are judged by the checkers that judge those
of the simulator (docs/histories.md); when one has no explanation, they are left beside the nodes.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest
from history_load import Load
from machines import Network, full
from processes import Cluster, Node, build
from strong_faults import (
    PROGRAM,
    cut,
    killed,
    leader_of,
    muted,
    on_machines,
    others,
    start_all,
    stopped,
    with_clocks,
)

pytestmark = pytest.mark.slow

MakeDisk = Callable[[Path, int], None]
ENOUGH = 120
"""Calls that happen before, during and after a fault."""


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(PROGRAM.read_text(encoding="utf-8"), tmp_path_factory.mktemp("histories"))


@pytest.fixture
def cluster(package: Path, tmp_path: Path) -> Iterator[Cluster]:
    with Cluster(package, tmp_path) as made:
        yield made


@contextmanager
def judged(nodes: Sequence[Node], folder: Path) -> Iterator[Load]:
    """Clients work before the block, during it, and after it; then all is read, and judged."""
    with Load(nodes) as load:
        load.go_on(ENOUGH, "before the fault")
        yield load
        load.go_on(ENOUGH // len(nodes), "after the fault, on each node", *nodes)
    load.read_all()
    wrong = load.verdict(folder / "histories")
    print(load.outcomes(), load.refused, load.now() / 1e9)
    assert not wrong, f"histories are in {folder / 'histories'}\n" + "\n".join(wrong)
    assert {status for status, _ in load.refused} <= {409, 500, 503, 504}, load.refused


def test_a_leader_that_is_killed(cluster: Cluster, tmp_path: Path) -> None:
    nodes = [cluster.add() for _ in range(3)]
    start_all(nodes)
    leader = leader_of(nodes)
    with judged(nodes, tmp_path) as load, killed(leader):
        load.go_on(ENOUGH, "without the leader")


def test_a_leader_that_stands_still(cluster: Cluster, tmp_path: Path) -> None:
    nodes = [cluster.add() for _ in range(3)]
    start_all(nodes)
    leader = leader_of(nodes)
    with judged(nodes, tmp_path) as load, stopped(leader):
        deposed(leader, nodes, load)


def test_a_leader_without_room_on_its_disk(
    cluster: Cluster, disk: MakeDisk, tmp_path: Path
) -> None:
    nodes = [cluster.add() for _ in range(3)]
    disk(nodes[0].data, 2)
    start_all(nodes)
    assert leader_of(nodes) is nodes[0]
    with judged(nodes, tmp_path) as load, full(nodes[0].data):
        deposed(nodes[0], nodes, load)
    nodes[0].kill()  # before its disk goes


def test_leaders_that_are_cut_off(cluster: Cluster, network: Network, tmp_path: Path) -> None:
    """The first one in both directions; nobody hears the second one, which hears all."""
    nodes = on_machines(cluster, network, 3, tmp_path)
    start_all(nodes)
    with judged(nodes, tmp_path) as load:
        for fault in (cut, muted):
            leader = leader_of(nodes)
            with fault(network, [leader], others(nodes, [leader])):
                deposed(leader, nodes, load)
            load.go_on(5, "on the former leader", leader)


def deposed(leader: Node, nodes: Sequence[Node], load: Load) -> None:
    """Clients feel that something is wrong with the leader, and go on under another one."""
    load.trouble(leader)
    leader_of(others(nodes, [leader]))
    load.go_on(ENOUGH, "under the next leader")


def test_wall_clocks_that_jump(cluster: Cluster, tmp_path: Path) -> None:
    nodes = [cluster.add() for _ in range(3)]
    try:
        clocks = with_clocks(nodes, tmp_path)
    except OSError as error:
        pytest.skip(str(error))
    start_all(nodes)
    with judged(nodes, tmp_path) as load:
        for seconds in (300, -420):
            for node in nodes:
                clocks[node.name].jump(seconds)
                ahead = node.request("POST", "/clock").body["result"] / 1000 - time.time()
                assert abs(ahead - seconds) < 60, "the clock has jumped"
                load.go_on(ENOUGH // 6, "with clocks that differ", *nodes)
