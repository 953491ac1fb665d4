"""A compatible version is rolled out node by node under load; one that does not fit stays out."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from pathlib import Path

import pytest
from processes import Answer, Cluster, Node, build, until

OLD = """
cell Bank {
    memory { accounts: Map<String, Int> [persistent] }
    scale { replicas: 3, consistency: strong }
    on add(name: String, amount: Int) {
        accounts.set(name, (accounts.get(name) ?? 0) + amount)
        return note(name)
    }
    on get(name: String) { return accounts.get(name) ?? 0 }
    on noted() { return count_notes() }
}

cell Audit {
    memory { count: Map<String, Int> [persistent] }
    scale { replicas: 3, consistency: eventual }
    on note(name: String) { count.set("all", (count.get("all") ?? 0) + 1) }
    on count_notes() { return count.get("all") ?? 0 }
}
"""

NEW = (
    OLD.replace(
        "accounts: Map<String, Int> [persistent]",
        "accounts: Map<String, Int> [persistent]\n owners: Map<String, String> [persistent]",
    )
    .replace(
        "on noted()",
        "on own(name: String, owner: String) { owners.set(name, owner)\nowners.append(owner)\n"
        'return remark(name, owner) }\non owner(name: String) { return owners.get(name) ?? "" }\n'
        "on history() { return owners.list() }\non remarks() { return all_remarks() }\non noted()",
    )
    .replace(
        "memory { count:",
        "memory { remarks: Map<String, String> [persistent]\n count:",
    )
    .replace(
        "on count_notes()",
        "on remark(name: String, text: String) { remarks.set(name, text) }\n"
        "on all_remarks() { return remarks.keys() }\non count_notes()",
    )
)


@pytest.fixture(scope="module")
def old(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(OLD, tmp_path_factory.mktemp("old"))


@pytest.fixture(scope="module")
def new(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(NEW, tmp_path_factory.mktemp("new"))


class Adders:
    """One client for each node, that adds 1 again and again until the block ends."""

    def __init__(self, nodes: Sequence[Node]) -> None:
        self.added = [0] * len(nodes)
        self.unclear = [0] * len(nodes)
        self.wrong: list[Answer] = []
        self._stopping = threading.Event()
        self._threads = [
            threading.Thread(target=self._add, args=(number, node))
            for number, node in enumerate(nodes)
        ]

    def __enter__(self) -> Adders:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        for thread in self._threads:
            thread.join()

    def _add(self, number: int, node: Node) -> None:
        turn = 0
        key = f"{node.name}-{turn}"
        while not self._stopping.wait(0.01):
            body = {"name": node.name, "amount": 1}
            try:
                answer = node.request("POST", "/add", body, Idempotency_Key=key)
            except OSError:
                continue  # it is being replaced: the same key again
            if answer.status == 200:
                turn += 1
                key = f"{node.name}-{turn}"
                self.added[number] += 1
            elif answer.status in (409, 503, 504):
                self.unclear[number] += answer.status == 504
            else:
                self.wrong.append(answer)


def own(node: Node, name: str, owner: str) -> None:
    """Writes what only the new version knows."""

    def done() -> bool:
        return node.request("POST", "/own", {"name": name, "owner": owner}).status == 200

    until(done, f"{node.name} writes")


@pytest.mark.slow
def test_under_load_node_by_node(old: Path, new: Path, tmp_path: Path) -> None:
    with Cluster(old, tmp_path) as cluster:
        nodes = cluster.of(3)
        until(lambda: len(nodes[0].status()["consensus"]["voters"]) == 3, "three voters")
        with Adders(nodes) as adders:
            until(lambda: min(adders.added) > 5, "all clients are served")
            for number, node in enumerate(nodes):
                assert node.stop() == 0
                node.package = new
                node.start()
                node.wait_ready()
                own(node, f"k{number}", node.name)
                before = list(adders.added)
                until(
                    lambda before=before: all(
                        now > was for now, was in zip(adders.added, before, strict=True)
                    ),
                    "all clients are served again",
                )
        assert adders.wrong == []
        for node, added in zip(nodes, adders.added, strict=True):
            assert node.get(f"/get/{node.name}") == {"result": added}
        for node in nodes:  # also those that ran the old version while the others wrote
            owners = [node.get(f"/owner/k{n}")["result"] for n in range(3)]
            assert owners == [one.name for one in nodes]
            assert node.get("/history") == owners
            until(lambda node=node: node.get("/remarks") == ["k0", "k1", "k2"], "remarks")
            until(
                lambda node=node: node.get("/noted") == {"result": sum(adders.added)},
                "all is noted",
            )


@pytest.mark.slow
@pytest.mark.parametrize(
    ("change", "said"),
    [
        (("accounts: Map<String, Int>", "accounts: Map<String, Any>"), "slot accounts of Bank"),
        (("replicas: 3, consistency: even", "replicas: 5, consistency: even"), "scale of Audit"),
    ],
)
def test_what_does_not_fit_stays_out(
    change: tuple[str, str], said: str, old: Path, tmp_path: Path
) -> None:
    other = build(OLD.replace(*change), tmp_path / "other")
    with Cluster(old, tmp_path) as cluster:
        (first,) = cluster.of(1)
        stranger = cluster.add(name="stranger")
        stranger.package = other
        stranger.start("--join", first.bus)
        said = f"{said} differs"
        until(lambda: said in stranger.log, "the stranger says why")
        until(lambda: said in first.log, "the member says why")
        assert list(first.sees()) == ["n1"]
