"""Sharded memory on real nodes: each key lies with its owners only, and is there for everybody."""

from __future__ import annotations

import random
import sqlite3
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from processes import Answer, Cluster, Node, build, until

pytestmark = pytest.mark.slow

PROGRAM = """
cell Shop {
    memory { data: Map<String, Int> [persistent] }
    scale { replicas: 5, shard: data, consistency: CONSISTENCY, tolerance: TOLERANCE }
    on fill(first: Int, count: Int) {
        for n in range(first, first + count) { data.set("key{n}", n) }
        count
    }
    on put(key: String, n: Int) { data.set(key, n)  n }
    on look(key: String) { data.get(key) ?? "nothing" }
    on all() { data.keys }
    on values() { data.values }
    on count() { data.len }
}
"""
KEYS, BATCH = 2_000, 250
SAMPLE = 50


class Client(threading.Thread):
    """Does the same to one node after the other; what may be sent again is no fault."""

    def __init__(self, nodes: Cluster, once: Callable[[Node, int], str]) -> None:
        super().__init__()
        self.nodes, self.once = nodes, once
        self.done = 0
        self.wrong: list[str] = []
        self._over = threading.Event()

    def run(self) -> None:
        choose = random.Random(1)
        while not self._over.wait(0.005):
            node = choose.choice([one for one in self.nodes.nodes if one.name != "n4"])
            try:
                fault = self.once(node, self.done)
            except OSError as error:
                fault = repr(error)
            self.done += 1
            if fault:
                self.wrong.append(f"{node.name}: {fault}")

    def end(self) -> None:
        self._over.set()
        self.join()


def fill(nodes: Cluster) -> dict[str, int]:
    """Starts three nodes; gives what has been written to them."""
    three = nodes.of(3)
    for number, first in enumerate(range(0, KEYS, BATCH)):
        node = three[number % 3]
        assert node.request("POST", f"/fill/{first}/{BATCH}").status == 200
    return {f"key{n}": n for n in range(KEYS)}


def join_under_load(nodes: Cluster, expected: dict[str, int]) -> None:
    """A fourth node joins while clients read and write; adds what they have written."""
    written: dict[str, int] = {}

    def read(node: Node, number: int) -> str:
        wanted = number * 7 % KEYS
        answer = node.request("GET", f"/look/key{wanted}")
        good = answer.body == {"result": wanted} or may_be_sent_again(answer)
        return "" if good else f"key{wanted}: {answer}"

    def write(node: Node, number: int) -> str:
        key = f"new{number // 2}"  # the second time by another node, perhaps
        answer = node.request("POST", f"/put/{key}/{number}")
        if answer.status == 200:
            written[key] = number
        return "" if answer.status == 200 or may_be_sent_again(answer) else f"{key}: {answer}"

    clients = [Client(nodes, read), Client(nodes, write)]
    for client in clients:
        client.start()
    try:
        nodes.grow()
        nodes.settle()
        before = [client.done for client in clients]
        until(
            lambda: all(c.done > b + 20 for c, b in zip(clients, before, strict=True)),
            "clients go on",
        )
    finally:
        for client in clients:
            client.end()
    assert [client.wrong for client in clients] == [[], []]
    assert len(written) > 10
    expected |= written


def may_be_sent_again(answer: Answer) -> bool:
    """Whether the node has said that nothing has happened."""
    return answer.status in (409, 503) and answer.body.get("definite") is True


def at_rest(node: Node) -> bool:
    """Whether nothing is under way, and all that lies there is the node's own."""
    status = node.status()
    rings = {member["ring"] for member in status["members"]}
    return rings == {"ready"} and not status["outbox"] and status["not_own"]["bytes"] == 0


def shows_all(node: Node, expected: dict[str, int]) -> None:
    """A node gives all keys and values, and each of some."""
    assert sorted(node.get("/all")) == sorted(expected)
    assert sorted(node.get("/values")) == sorted(expected.values())
    assert node.get("/count") == {"result": len(expected)}
    for key in random.Random(2).sample(sorted(expected), SAMPLE):
        assert node.get(f"/look/{key}") == {"result": expected[key]}, key


def rows(node: Node) -> int:
    """The keys on a node's disk, once it has ended."""
    with sqlite3.connect(node.data / "soma.db") as database:
        name = dict(database.execute("SELECT name, tbl FROM soma_tables"))["Shop.data"]
        found: int = database.execute(f'SELECT count(*) FROM "{name}"').fetchone()[0]
        return found


def loses_nothing(nodes: Cluster, expected: dict[str, int]) -> None:
    """Each key has another owner."""
    for node in nodes.nodes:
        if node.name != "n2":
            shows_all(node, expected)


def says_who_is_missing(nodes: Cluster, expected: dict[str, int]) -> None:
    """Nobody else has the keys of the dead node: no answer is shorter, and those of the living are
    there."""
    for node in nodes.nodes:
        if node.name == "n2":
            continue
        for path in ("/all", "/values", "/count"):
            answer = node.request("GET", path)
            assert (answer.status, answer.body["definite"]) == (503, True)
            assert "'n2'" in answer.body["error"]
            assert not any(f"'{other}'" in answer.body["error"] for other in ("n1", "n3", "n4"))
        answers = [node.request("GET", f"/look/key{n}") for n in range(40)]
        found = [answer for answer in answers if answer.status == 200]
        assert 0 < len(found) < len(answers)
        assert all("'n2'" in answer.body["error"] for answer in answers if answer not in found)


@pytest.mark.parametrize(
    ("consistency", "tolerance", "after_a_death"),
    [
        ("eventual", 0, says_who_is_missing),
        ("eventual", 1, loses_nothing),
        ("causal", 1, loses_nothing),
    ],
)
def test_a_node_joins_under_load_and_another_dies(
    consistency: str,
    tolerance: int,
    after_a_death: Callable[[Cluster, dict[str, int]], None],
    tmp_path: Path,
) -> None:
    source = PROGRAM.replace("TOLERANCE", str(tolerance)).replace("CONSISTENCY", consistency)
    package = build(source, tmp_path / "built")
    with Cluster(package, tmp_path) as nodes:
        expected = fill(nodes)
        join_under_load(nodes, expected)
        for node in nodes.nodes:
            until(lambda node=node: at_rest(node), f"{node.name} holds what is its own")
        for node in nodes.nodes:
            shows_all(node, expected)
        nodes.nodes[1].kill()
        after_a_death(nodes, expected)
        for node in nodes.nodes:
            node.kill()
        held = [rows(node) for node in nodes.nodes]
        assert sum(held) == (tolerance + 1) * len(expected)
        assert max(held) < 0.75 * len(expected)
