"""A request with an Idempotency-Key is carried out once, whatever happens to nodes and clients."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import trio
from processes import Answer, Cluster, Node, build, until

from somart import App, Cell, ManifestSpec, ProgramSpec, Prop, SlotDecl, Value, handler
from somart.engines.standalone import StandaloneEngine
from somart.errors import CONFLICT, DEPOSED, NO_QUORUM, UNAVAILABLE, UNKNOWN, SomaError
from somart.idempotency import KEPT_MS, LARGEST_ANSWER, NEAR, Answers
from somart.memory.properties import SlotRules
from somart.serve.log import ServerLog
from somart.serve.message import Request, Response
from somart.serve.site import Site, SiteOptions

BANK = """
cell Bank {
    memory { accounts: Map<String, Int> [persistent] }
    scale { replicas: 3, consistency: strong }
    on deposit(account: String, amount: Int) {
        accounts.set(account, (accounts.get(account) ?? 0) + amount)
        return map("balance", accounts.get(account))
    }
    on balance(account: String) { return accounts.get(account) ?? 0 }
}
"""


class Purse(Cell):
    """Counts what it is given."""

    soma_name = "Purse"
    total = SlotDecl("total", "Map<String, Int>", (Prop("persistent"),))

    @handler("give", "amount")
    def give(self, amount: Value) -> Value:
        self.total.set("all", (self.total.get("all") or 0) + amount)
        if amount == 13:
            raise SomaError("unlucky")
        if amount == 99:
            return "x" * (LARGEST_ANSWER + 1)
        return self.total.get("all")

    @handler("show")
    def show(self) -> Value:
        return {"_status": 201, "X-Seen": "yes", "_body": self.total.get("all")}


PURSE = ProgramSpec(name="purse", cells=(Purse,), manifest=ManifestSpec(name="purse"))


class Clock:
    """Stands still until told otherwise."""

    now = 1_000_000

    def __call__(self) -> int:
        return self.now


class Purses:
    """A site of the program on a data directory, asked without a server."""

    def __init__(self, folder: Path | None, clock: Clock) -> None:
        self.engine = StandaloneEngine(folder, clock=clock)
        answers = Answers(PURSE, self.engine)
        self.app = App(PURSE, self.engine)
        log = ServerLog(False, False)
        self.site = Site(self.app, Purse, SiteOptions(), log, answers=answers)
        self.site.open()

    def ask(self, target: str, key: str | None = None, body: bytes = b"") -> Response:
        headers = {} if key is None else {b"idempotency-key": key.encode()}
        request = Request("POST" if body else "GET", target, headers, body)
        return trio.run(self.site.respond, request, True)

    def total(self) -> Value:
        with self.app.transaction():
            return self.app.Purse.total.get("all")  # type: ignore[attr-defined]


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def purses(clock: Clock, tmp_path: Path) -> Iterator[Purses]:
    found = Purses(tmp_path, clock)
    yield found
    found.app.close()


# --- one node ------------------------------------------------------------------------------------


def test_a_repeated_request_gets_the_first_answer(purses: Purses) -> None:
    first = purses.ask("/give/5", "one")
    again = purses.ask("/give/5", "one")
    assert (first.status, first.body) == (again.status, again.body) == (200, b'{"result": 5}')
    assert ("Idempotent-Replayed", "true") in again.headers
    assert purses.total() == 5
    assert purses.ask("/give/5", "two").body == b'{"result": 10}'
    assert purses.ask("/give/5").body == b'{"result": 15}'


def test_status_and_headers_are_kept(purses: Purses) -> None:
    first, again = (purses.ask("/show", "one") for _ in range(2))
    assert first.status == again.status == 201
    assert ("X-Seen", "yes") in again.headers


@pytest.mark.parametrize(
    ("target", "body"), [("/give/6", b""), ("/show", b""), ("/give/5", b'{"amount": 5}')]
)
def test_a_key_belongs_to_one_request(purses: Purses, target: str, body: bytes) -> None:
    purses.ask("/give/5", "one")
    answer = purses.ask(target, "one", body)
    assert answer.status == 422
    assert b"this Idempotency-Key was used for another request" in answer.body
    assert purses.total() == 5


@pytest.mark.parametrize("key", ["", " ", "k" * 256, "a\x7fb", "schlüssel"])
def test_what_is_no_key(purses: Purses, key: str) -> None:
    answer = purses.ask("/give/5", key)
    assert answer.status == 400
    assert b"Idempotency-Key: 1 to 255 printable ASCII characters" in answer.body
    assert purses.total() is None


def test_a_handler_that_fails_leaves_no_answer(purses: Purses) -> None:
    for _ in range(2):
        assert purses.ask("/give/13", "one").status == 500
    assert purses.total() is None
    assert purses.ask("/give/99", "big").status == 500
    assert purses.total() is None


def test_answers_survive_a_restart(tmp_path: Path, clock: Clock) -> None:
    for replayed in (False, True):
        purses = Purses(tmp_path, clock)
        answer = purses.ask("/give/5", "one")
        assert answer.body == b'{"result": 5}'
        assert (("Idempotent-Replayed", "true") in answer.headers) == replayed
        purses.app.close()


def test_answers_are_forgotten_after_a_day(purses: Purses, clock: Clock) -> None:
    purses.ask("/give/5", "one")
    clock.now += KEPT_MS - 1
    assert purses.ask("/give/5", "one").body == b'{"result": 5}'
    clock.now += 1
    assert purses.ask("/give/5", "one").body == b'{"result": 10}'
    clock.now += KEPT_MS
    purses.engine.sweep()
    assert not purses.engine.table(NEAR, SlotRules()).entries


def test_errors_say_whether_anything_has_happened() -> None:
    for kind in (CONFLICT, NO_QUORUM, UNAVAILABLE, DEPOSED):
        assert SomaError("no", kind).definite is True
    assert SomaError("perhaps", UNKNOWN).definite is False
    assert SomaError("no such thing").definite is None


# --- three nodes ---------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(BANK, tmp_path_factory.mktemp("bank"))


def deposit(node: Node, key: str, amount: int = 5) -> Answer:
    body = {"account": "a", "amount": amount}
    return node.request("POST", "/deposit", body, Idempotency_Key=key)


def leader_of(nodes: list[Node]) -> Node:
    found: list[str] = []

    def led() -> bool:
        found[:] = {str(node.status()["leader"]) for node in nodes}
        return len(found) == 1 and any(node.name == found[0] for node in nodes)

    until(led, "one leader")
    return next(node for node in nodes if node.name == found[0])


def retried(node: Node, key: str, amount: int = 5) -> Answer:
    """As a client does it: again, until there is an answer."""
    answers: list[Answer] = []

    def answered() -> bool:
        try:
            answers.append(deposit(node, key, amount))
        except OSError:
            return False
        return answers[-1].status == 200

    until(answered, f"{node.name} answers")
    return answers[-1]


@pytest.mark.slow
def test_answers_outlive_the_leader_and_a_restart(package: Path, tmp_path: Path) -> None:
    with Cluster(package, tmp_path) as cluster:
        nodes = list(cluster.of(3))
        until(lambda: len(nodes[0].status()["consensus"]["voters"]) == 3, "three voters")
        leader = leader_of(nodes)
        assert retried(leader, "first").body == {"balance": 5}

        with ThreadPoolExecutor(9) as pool:  # one key, on all nodes at once
            racing = list(pool.map(lambda n: retried(nodes[n % 3], "raced", 7).body, range(9)))
        assert racing == [{"balance": 12}] * 9

        leader.kill()
        others = [node for node in nodes if node is not leader]
        began = time.monotonic()
        retried(others[1], "next", 0)
        assert time.monotonic() - began < 4, "2 s, and as much for a machine that is busy"
        answer = retried(others[0], "first")
        assert answer.body == {"balance": 5}
        assert answer.headers["Idempotent-Replayed"] == "true"
        assert deposit(others[1], "first", 6).status == 422
        assert retried(others[1], "second").body == {"balance": 17}

        leader.start()
        leader.wait_ready()
        assert retried(leader, "second").body == {"balance": 17}
        assert leader.get("/balance/a") == {"result": 17}


@pytest.mark.slow
def test_errors_of_a_minority_say_whether_anything_has_happened(
    package: Path, tmp_path: Path
) -> None:
    """Two of three nodes die: what was on its way may have happened, what comes later has not."""
    with Cluster(package, tmp_path) as cluster:
        nodes = list(cluster.of(3))
        until(lambda: len(nodes[0].status()["consensus"]["voters"]) == 3, "three voters")
        leader = leader_of(nodes)
        others = [node for node in nodes if node is not leader]
        assert retried(leader, "before").body == {"balance": 5}
        for node in others:
            node.kill()
        unsure = deposit(leader, "during")
        assert (unsure.status, unsure.body["definite"]) == (504, False)
        begin = time.monotonic()
        refused = leader.request("POST", "/deposit", {"account": "b", "amount": 1})
        assert time.monotonic() - begin < 5.0
        assert (refused.status, refused.body["definite"]) == (503, True)
        for node in others:
            node.start()
            node.wait_ready()
        expected = retried(leader, "during").body
        assert expected == {"balance": 10}
        assert retried(others[0], "during").body == expected
