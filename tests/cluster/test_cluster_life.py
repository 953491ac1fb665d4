"""Real nodes: joining, seeing each other, dying, coming back with and without their disk."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable

import pytest
from processes import Cluster, Node, until

pytestmark = pytest.mark.slow

MakeCluster = Callable[[str], Cluster]


def somac(*words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "somac", *words]
    return subprocess.run(command, capture_output=True, text=True, timeout=30)


def look(node: Node, key: str) -> object:
    return node.request("GET", f"/look/{key}").body.get("result")


def hits(node: Node, key: str) -> object:
    return node.request("GET", f"/hits_of/{key}").body.get("result")


def test_two_nodes_see_each_others_writes_and_themselves(cluster: MakeCluster) -> None:
    nodes = cluster("eventual")
    one, two = nodes.of(2)
    one.request("POST", "/put/a/1")
    two.request("POST", "/put/b/2")
    for node in (one, two):
        until(lambda node=node: (look(node, "a"), look(node, "b")) == (1, 2), "both writes")
    status = two.status()
    assert (status["node"], status["leader"], status["term"]) == ("n2", "n1", None)
    assert {"id", "address", "status"} <= status["members"][0].keys()
    until(lambda: two.status()["phase"] == "distributed", "compared with all")
    assert re.search(r"cluster: node 'n2' \(2 nodes, leader: no\)", two.log)
    assert re.search(r"cluster: node 'n1' \(2 nodes, leader: yes\)", one.log)
    page = one.request("GET", "/__soma/").body
    assert '<meta http-equiv="refresh"' in page
    assert page.count('<tr class="alive">') == 2

    shown = somac("cluster", "status", one.bus)
    assert shown.returncode == 0
    assert re.search(r"^n2 +alive +localhost:\d+ +ready", shown.stdout, re.M), shown.stdout
    as_json = somac("cluster", "status", f"localhost:{one.port}", "--json")
    assert json.loads(as_json.stdout)["node"] == "n1"

    refused = somac("cluster", "remove", one.bus, "n2")
    assert refused.returncode == 1
    assert "'n2' is alive" in refused.stderr
    before = time.monotonic()
    assert two.stop() == 0
    assert time.monotonic() - before < 5
    until(lambda: one.sees()["n2"] == "left", "n2 has left")
    assert somac("cluster", "remove", one.bus, "n2").returncode == 0
    assert one.sees() == {"n1": "alive"}


def test_kill_and_return_with_and_without_the_disk(cluster: MakeCluster) -> None:
    nodes = cluster("eventual")
    one, two, three = nodes.of(3)
    for node in (one, two, three):
        assert node.request("POST", "/hit/page").status == 200
        node.request("POST", f"/put/{node.name}/1")
    until(lambda: hits(two, "page") == 3, "all hits are at n2")
    ids = {node.get("/number")["result"] for node in (one, two, three) for _ in range(3)}
    for wiped in (False, True):
        two.kill()
        if wiped:
            two.wipe()
        one.request("POST", "/hit/page")
        three.request("POST", "/drop/n1")
        three.request("POST", f"/put/wiped-{wiped}/1")
        until(lambda: one.sees()["n2"] == "dead", "n2 is dead")
        two.start("--join", one.bus) if wiped else two.start()
        two.wait_ready()
        expected = 4 + wiped
        until(lambda expected=expected: hits(two, "page") == expected, "n2 counts all hits")
        until(lambda: look(two, "n1") == "nothing", "n2 forgot what was deleted")
        assert look(two, f"wiped-{wiped}") == 1
        assert two.request("POST", "/put/n2/2").status == 200
        until(lambda: look(one, "n2") == 2, "n2 is heard again")
        ids |= {two.get("/number")["result"]}
        nodes.settle()
    assert len(ids) == 11


def test_a_stopped_process_is_dead_and_then_alive_again(cluster: MakeCluster) -> None:
    nodes = cluster("eventual")
    one, two, three = nodes.of(3)
    two.signal(signal.SIGSTOP)  # its links stay open: only silence tells
    one.request("POST", "/hit/page")
    until(lambda: one.sees()["n2"] == three.sees()["n2"] == "dead", "n2 is dead")
    three.request("POST", "/hit/page")
    assert three.status()["phase"] == "partitioned"
    two.signal(signal.SIGCONT)
    two.request("POST", "/hit/page")
    for node in nodes.nodes:
        until(lambda node=node: hits(node, "page") == 3, f"{node.name} counts three")
    nodes.settle()


def test_a_client_reads_its_writes_on_any_node_with_its_token(cluster: MakeCluster) -> None:
    nodes = cluster("causal")
    one, two = nodes.of(2)
    for number in range(20):
        written = one.request("POST", f"/put/k/{number}")
        token = written.headers["Soma-Token"]
        read = two.request("GET", "/look/k", Soma_Token=token)
        assert (read.status, read.body) == (200, {"result": number})
    refused = two.request("GET", "/look/k", Soma_Token="nonsense!")
    assert refused.status == 400
    one.signal(signal.SIGSTOP)
    from_the_future = one_more(token)
    late = two.request("GET", "/look/k", Soma_Token=from_the_future)
    one.signal(signal.SIGCONT)
    assert (late.status, late.body["definite"]) == (503, True)
    assert late.headers["Retry-After"] == "1"


def one_more(token: str) -> str:
    """The token of somebody who has seen one more commit of each node."""
    from base64 import urlsafe_b64decode, urlsafe_b64encode

    import msgspec

    vector = msgspec.msgpack.decode(urlsafe_b64decode(token + "=" * (-len(token) % 4)))
    later = {node: number + 1 for node, number in vector.items()}
    return urlsafe_b64encode(msgspec.msgpack.encode(later)).decode().rstrip("=")


def test_data_of_its_own_are_merged_or_set_aside_by_order_only(cluster: MakeCluster) -> None:
    nodes = cluster("eventual")
    one = nodes.grow()
    one.request("POST", "/put/ours/1")
    for name, order in (("merging", "--merge"), ("discarding", "--discard-local")):
        guest = nodes.add(name=name)
        guest.start()
        guest.wait_ready()
        assert guest.request("POST", f"/put/{name}/7").status == 200
        guest.stop()

        guest.start("--join", one.bus)
        assert guest.process is not None
        assert guest.process.wait(timeout=20) == 1
        assert "brings data of its own, 1 entries (Notes.notes: 1): --merge" in guest.log
        guest.start()  # the refusal has changed nothing
        guest.wait_ready()
        assert look(guest, name) == 7
        guest.stop()

        guest.start("--join", one.bus, order)
        guest.wait_ready()
        until(lambda guest=guest: look(guest, "ours") == 1, "it sees the cluster")
        expected = 7 if order == "--merge" else "nothing"
        until(lambda n=name, e=expected: look(one, n) == e, f"n1 sees {expected}")
        numbers = [node.get("/number")["result"] for node in (one, guest) for _ in range(3)]
        assert len(set(numbers)) == len(numbers)
    assert any((nodes.nodes[-1].data / "set-aside-1").iterdir())


def test_a_node_that_cannot_join_says_so_and_stops_when_told(cluster: MakeCluster) -> None:
    nodes = cluster("eventual")
    lonely = nodes.add()
    lonely.start("--join", "127.0.0.1:9")  # nobody listens there
    until(lambda: "cannot link with 127.0.0.1:9" in lonely.log, "it has tried")
    ready = lonely.request("GET", "/__soma/ready")
    assert (ready.status, ready.body["reason"]) == (503, "joining: no member answers yet")
    before = time.monotonic()
    assert lonely.stop() == 0
    assert time.monotonic() - before < 3


def test_a_node_leaves_for_good(cluster: MakeCluster) -> None:
    nodes = cluster("eventual")
    one, two, _ = nodes.of(3)
    two.request("POST", "/put/last/9")
    told = somac("cluster", "leave", two.bus)
    assert told.returncode == 0, told.stderr
    assert two.process is not None
    assert two.process.wait(timeout=20) == 0
    until(lambda: one.sees().keys() == {"n1", "n3"}, "n2 is no member any more")
    assert look(one, "last") == 9
    two.start("--join", one.bus)  # and may come again
    two.wait_ready()
    assert look(two, "last") == 9
