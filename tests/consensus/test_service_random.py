"""Transfers between accounts under random faults: exact sums, no doublets, honest errors."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from service_cluster import World

from somart.consensus.service import Failure, ServiceConfig
from somart.consensus.state import Outcome

ACCOUNTS = tuple(f"k{number}" for number in range(5))
Answers = dict[int, Outcome | Failure]


def add(world: World, name: str, number: int, answers: Answers) -> None:
    """Adds one to an account, and notes the number under a key of its own."""
    account = world.rng.choice(ACCOUNTS)

    def body(seen: dict[object, int]) -> dict[object, int]:
        return {account: seen[account] + 1, f"mark{number}": 1}

    def done(answer: Outcome | Failure) -> None:
        assert number not in answers, "answered twice"
        answers[number] = answer

    keys = [("bank", account), ("bank", f"mark{number}")]
    world.transact(name, keys, body, done)  # type: ignore[arg-type]


def shake(world: World, steps: int, answers: Answers) -> None:
    rng, names = world.rng, list(world.nodes)
    actions: list[tuple[float, Callable[[], object]]] = [
        (0.10, lambda: world.isolate(*rng.sample(names, rng.randint(1, len(names) - 1)))),
        (0.15, world.cut.clear),
        (0.10, lambda: world.crash(rng.choice(names))),
        (0.20, lambda: [n.start() for n in world.nodes.values() if not n.up]),
        (0.05, lambda: setattr(world, "loss", rng.choice((0.0, 0.0, 0.1, 0.3)))),
    ]
    for number in range(steps):
        world.run(rng.randint(1, 150))
        pick = rng.random()
        for share, action in actions:
            if pick < share:
                action()
                break
            pick -= share
        name = rng.choice(names)
        if world.nodes[name].up:
            add(world, name, number, answers)


@pytest.mark.parametrize("seed", range(25))
@pytest.mark.slow
def test_sums_are_exact_and_errors_are_honest(seed: int) -> None:
    world = World(("a", "b", "c", "d", "e")[: 3 + seed % 3], seed)
    answers: Answers = {}
    shake(world, 150, answers)
    world.cut.clear()
    world.loss = 0.0
    for node in world.nodes.values():
        if not node.up:
            node.start()
    world.run(15_000)
    tables = [node.tables.rows.get("bank", {}) for node in world.nodes.values()]
    assert all(rows == tables[0] for rows in tables)
    revisions = {node.service.state.revision for node in world.nodes.values()}
    assert len(revisions) == 1
    marks = {int(key[4:]) for key in map(str, tables[0]) if key.startswith("mark")}
    assert sum(int(tables[0][a][0]) for a in ACCOUNTS if a in tables[0]) == len(marks)
    for number, answer in answers.items():
        if isinstance(answer, Outcome):
            assert (number in marks) == (not answer.refused)
        elif answer.definite:
            assert number not in marks
    assert len(marks) > 10


def test_a_restarted_group_goes_on_where_it_was() -> None:
    world = World(("a", "b", "c"), 5)
    answers: Answers = {}
    world.run(2_000)
    for number in range(120):
        add(world, "abc"[number % 3], number, answers)
        world.run(40)
    applied = [a for a in answers.values() if isinstance(a, Outcome) and not a.refused]
    assert len(applied) > 60
    for name in world.nodes:
        world.crash(name)
    for node in world.nodes.values():
        node.start()
    world.run(3_000)
    rows = world.nodes["a"].tables.rows["bank"]
    assert sum(int(rows[a][0]) for a in ACCOUNTS) == len(applied)


def test_without_a_quorum_a_write_is_refused_for_certain() -> None:
    world = World(("a", "b", "c"), 1, ServiceConfig())
    world.run(2_000)
    world.crash("b")
    world.crash("c")
    world.run(2_000)
    answers: Answers = {}
    begin = world.now
    add(world, "a", 1, answers)
    world.until(lambda: bool(answers), 6_000)
    answer = answers[1]
    assert isinstance(answer, Failure)
    assert answer.definite
    assert world.now - begin < 5_000


def test_reads_wait_for_what_was_acknowledged_before() -> None:
    world = World(("a", "b", "c"), 3)
    world.run(2_000)
    answers: Answers = {}
    seen: list[tuple[int, int]] = []
    for number in range(60):
        add(world, "abc"[number % 3], number, answers)
        world.run(world.rng.randint(1, 60))
        good = sum(isinstance(a, Outcome) and not a.refused for a in answers.values())
        node = world.nodes["abc"[(number + 1) % 3]]

        def ready(failure: Failure | None, node: object = node, good: int = good) -> None:
            assert failure is None
            rows = node.tables.rows.get("bank", {})  # type: ignore[attr-defined]
            seen.append((good, sum("mark" in str(key) for key in rows)))

        node.service.read(ready, world.now)
        node.drive()
    world.run(2_000)
    assert len(seen) == 60
    assert all(marks >= good for good, marks in seen)
