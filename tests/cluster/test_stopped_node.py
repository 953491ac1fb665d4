"""A node that is stopped for 20 s, with the intervals of operation: a heartbeat every 3 s, dead
after 15. `test_cluster_life.py` does the same ten times faster."""

from __future__ import annotations

import signal
import threading
import time
from pathlib import Path

import pytest
from processes import Cluster, Node, build, until

pytestmark = pytest.mark.slow

PROGRAM = """
cell Pages {
    memory { hits: Map<String, Int> [persistent] }
    scale { replicas: 3, consistency: eventual }
    on hit(key: String) { hits.set(key, (hits.get(key) ?? 0) + 1)  "ok" }
    on hits_of(key: String) { hits.get(key) ?? 0 }
}
"""
USUAL = '[package]\nname = "nodes"\n'
STOPPED_SECONDS, DEAD_SECONDS, PATIENCE = 20.0, 15.0, 90.0
SLACK = 1.0
"""A sign of life may have been under way when the node was stopped."""


def test_a_node_stopped_for_20_s_is_dead_comes_back_and_nothing_is_lost(tmp_path: Path) -> None:
    package = build(PROGRAM, tmp_path / "built", USUAL)
    with Cluster(package, tmp_path) as cluster:
        one, two, three = cluster.of(3)
        acknowledged, pause = 0, threading.Event()

        def go_on(*nodes: Node) -> None:
            nonlocal acknowledged
            for node in nodes:
                assert node.request("POST", "/hit/page").status == 200
                acknowledged += 1

        def others_see(status: str) -> bool:
            go_on(one, three)
            pause.wait(0.2)
            return one.sees()["n2"] == three.sees()["n2"] == status

        go_on(one, two, three)
        two.signal(signal.SIGSTOP)
        stopped = time.monotonic()
        until(lambda: others_see("suspect"), "n2 is suspected", PATIENCE)
        until(lambda: others_see("dead"), "n2 is dead", PATIENCE)
        assert time.monotonic() - stopped > DEAD_SECONDS - SLACK
        until(lambda: time.monotonic() - stopped > STOPPED_SECONDS and others_see("dead"), "20 s")

        two.signal(signal.SIGCONT)
        until(lambda: others_see("alive"), "n2 has refuted its death", PATIENCE)
        go_on(one, two, three)
        for node in (one, two, three):
            until(
                lambda node=node: node.get("/hits_of/page")["result"] == acknowledged,
                f"{node.name} counts {acknowledged}",
                PATIENCE,
            )
        for node in (one, three):
            assert "cluster: node 'n2' removed (no heartbeat for 15s)" in node.log
            assert "cluster: node 'n2' is back" in node.log
        assert "removed" not in two.log  # it blames nobody for the time that it missed
