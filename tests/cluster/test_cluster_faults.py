"""Real faults of machines: full disks, cut networks, and a restart of all nodes under load."""

from __future__ import annotations

import json
import random
import secrets
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from machines import Network, run
from processes import Cluster, Node, until

pytestmark = pytest.mark.slow

MakeCluster = Callable[[str], Cluster]
MakeDisk = Callable[[Path, int], None]


# --- a full disk ---------------------------------------------------------------------------------


def test_a_full_disk_costs_no_acknowledged_write(cluster: MakeCluster, disk: MakeDisk) -> None:
    nodes = cluster("eventual")
    one = nodes.grow()
    two = nodes.add()
    disk(two.data, 3)
    two.start("--join", one.bus)
    two.wait_ready()
    acknowledged = [key for key in map(str, range(60)) if fill(two, key) == 200]
    assert len(acknowledged) < 60
    assert two.request("GET", "/__soma/health").status == 200
    assert one.request("POST", "/put/meanwhile/1").status == 200
    until(lambda: set(one.get("/filled")) >= set(acknowledged), "n1 has all of them")
    refused = {str(n) for n in range(60)} - set(acknowledged)
    assert not refused & set(one.get("/filled")), "n1 has what n2 said it did not keep"

    run("mount", "-o", "remount,size=64m", str(two.data))
    until(lambda: fill(two, "after") == 200, "n2 writes again")
    until(lambda: two.get("/look/meanwhile")["result"] == 1, "n2 has caught up")
    until(lambda: "after" in one.get("/filled"), "n1 hears from n2 again")
    two.kill()


def fill(node: Node, key: str) -> int:
    return node.request("POST", f"/fill/{key}", {"text": "x" * 200_000}).status


# --- a cut network -------------------------------------------------------------------------------


def spread(nodes: Cluster, network: Network, tmp_path: Path) -> list[Node]:
    """Three nodes on machines of their own, that see each other."""
    secret = tmp_path / "secret"
    secret.write_text(secrets.token_hex(16), encoding="utf-8")
    made: list[Node] = []
    for _ in range(3):
        try:
            space, address = network.machine()
        except OSError as error:
            pytest.skip(f"no network namespaces here: {error}")
        node = nodes.add(namespace=space, address=address, port=8080)
        joining = ["--join", made[0].bus] if made else []
        node.start("--host", address, "--cluster-secret-file", str(secret), *joining)
        node.wait_ready()
        made.append(node)
    return made


def status(node: Node, secret: Path) -> dict[str, Any]:
    """As `somac cluster status` shows it: the page is for the node's own machine."""
    words = ["cluster", "status", node.bus, "--json", "--secret-file", str(secret)]
    command = [sys.executable, "-m", "somac", *words]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30)
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def members(node: Node, secret: Path) -> dict[str, str]:
    return {one["id"]: one["status"] for one in status(node, secret)["members"]}


def voters(node: Node, secret: Path) -> list[str]:
    return sorted(status(node, secret)["consensus"]["voters"])


def test_partition_and_heal_of_eventual_memory(
    cluster: MakeCluster, network: Network, tmp_path: Path
) -> None:
    nodes = cluster("eventual")
    one, two, three = spread(nodes, network, tmp_path)
    secret = tmp_path / "secret"
    one.request("POST", "/hit/page")
    until(lambda: three.get("/hits_of/page")["result"] == 1, "n3 has the hit")
    network.cut(one, three)
    network.cut(two, three)
    until(lambda: members(one, secret)["n3"] == "dead", "n3 is dead to n1")
    until(lambda: members(three, secret)["n1"] == "dead", "n1 is dead to n3")
    for node in (one, two, three):  # both sides go on
        assert node.request("POST", "/hit/page").status == 200
        assert node.request("POST", f"/put/{node.name}/1").status == 200
    until(lambda: one.get("/hits_of/page")["result"] == 3, "n1 has what n2 wrote")
    assert three.get("/hits_of/page")["result"] == 2
    network.cut(one, three, healed=True)
    network.cut(two, three, healed=True)
    for node in (one, two, three):
        until(lambda node=node: node.get("/hits_of/page")["result"] == 4, f"{node.name} has 4")
        for key in ("n1", "n2", "n3"):
            until(lambda n=node, k=key: n.get(f"/look/{k}")["result"] == 1, "all notes")


def test_partition_and_heal_of_strong_memory(
    cluster: MakeCluster, network: Network, tmp_path: Path
) -> None:
    nodes = cluster("strong")
    one, two, three = spread(nodes, network, tmp_path)
    until(lambda: voters(one, tmp_path / "secret") == ["n1", "n2", "n3"], "the three vote")
    until(lambda: three.request("POST", "/hit/page").status == 200, "n3 reaches the leader")
    network.cut(one, three)
    network.cut(two, three)
    until(lambda: three.request("POST", "/hit/page").status == 503, "n3 refuses")
    refused = three.request("POST", "/hit/page")
    assert refused.body["definite"] is True
    assert three.request("GET", "/hits_of/page").status == 503
    ready = three.request("GET", "/__soma/ready")
    assert (ready.status, ready.body["reason"].partition(":")[0]) == (503, "no leader is known")
    counted = two.get("/hits_of/page")["result"]
    assert one.request("POST", "/hit/page").status == 200
    assert two.get("/hits_of/page")["result"] == counted + 1
    network.cut(one, three, healed=True)
    network.cut(two, three, healed=True)
    until(lambda: three.request("GET", "/hits_of/page").status == 200, "n3 is back")
    assert three.get("/hits_of/page")["result"] == counted + 1


# --- a rolling restart ---------------------------------------------------------------------------


class Load:
    """Clients that hit counters on all nodes, and send again only what was surely not done."""

    def __init__(self, nodes: Cluster) -> None:
        self.nodes = nodes
        self.done: dict[str, int] = {}
        self.retried = 0
        self.failures: list[str] = []
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._client, args=(n,)) for n in range(4)]

    def _client(self, number: int) -> None:
        rng, key = random.Random(number), f"c{number}"
        while not self._stop.is_set():
            self._hit(key, rng)

    def _hit(self, key: str, rng: random.Random) -> None:
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            node = rng.choice(self.nodes.nodes)
            try:
                answer = node.request("POST", f"/hit/{key}")
            except ConnectionRefusedError:
                self._pause()
                continue
            except OSError as error:
                self.failures.append(f"{node.name}: {error!r}")
                return
            if answer.status == 200:
                self.done[key] = self.done.get(key, 0) + 1
                return
            if not (answer.status in (409, 503) and answer.body.get("definite")):
                self.failures.append(f"{node.name}: {answer.status} {answer.body}")
                return
            self._pause()
        self.failures.append(f"{key}: nobody took it for 20 s")

    def _pause(self) -> None:
        self.retried += 1
        self._stop.wait(0.05)

    def __enter__(self) -> Load:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()


@pytest.mark.parametrize("consistency", ["eventual", "strong"])
def test_a_rolling_restart_under_load_loses_no_answer(
    cluster: MakeCluster, consistency: str
) -> None:
    nodes = cluster(consistency)
    nodes.of(5)
    until(lambda: all(n.request("POST", "/hit/warm").status == 200 for n in nodes.nodes), "warm")
    with Load(nodes) as load:
        for node in list(nodes.nodes):
            before = sum(load.done.values())
            assert node.stop() == 0
            node.start()
            node.wait_ready()
            nodes.settle()
            until(lambda before=before: sum(load.done.values()) > before + 5, "clients go on")
    assert load.failures == []
    for node in nodes.nodes:
        for key, count in load.done.items():
            until(
                lambda n=node, k=key, c=count: n.get(f"/hits_of/{k}")["result"] == c,
                f"{node.name} counts {count} for {key}",
            )
