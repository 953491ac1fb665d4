"""The checker of transactions by cycles: each of Adya's anomalies by hand, and stores at work."""

from __future__ import annotations

from random import Random
from typing import Any

import pytest

from somart.simulate.graphs import shortest_cycle, strong_components
from somart.simulate.histories import FAIL, OK, UNKNOWN, Call, History, HistoryError
from somart.simulate.judging import judge
from somart.simulate.serializability import check_appends, check_registers


def tx(
    number: int, steps: list[tuple[Any, ...]], began: int = 0, ended: int = 100, outcome: str = OK
) -> Call:
    """A transaction whose reads are written as `("r", key, what it gave)`."""
    asked = tuple(step[:2] if step[0] == "r" else step for step in steps)
    result = tuple(step[2] if step[0] == "r" else None for step in steps)
    return Call(number, ("transact", asked), began, ended, outcome, result)


def a(key: str, element: int) -> tuple[Any, ...]:
    return ("append", key, element)


def r(key: str, *elements: int) -> tuple[Any, ...]:
    return ("r", key, elements)


# By the name of the anomaly: transactions on lists.
LISTS: dict[str, list[Call]] = {
    "": [tx(1, [r("x"), a("x", 1)]), tx(2, [r("x", 1), a("y", 2)]), tx(3, [r("y", 2), r("x", 1)])],
    "G0": [
        tx(1, [a("x", 1), a("y", 1)]),
        tx(2, [a("x", 2), a("y", 2)]),
        tx(3, [r("x", 1, 2)]),
        tx(4, [r("y", 2, 1)]),
    ],
    "G1a": [tx(1, [a("x", 1)], outcome=FAIL), tx(2, [r("x", 1)])],
    "G1b": [tx(1, [a("x", 1), a("x", 2)]), tx(2, [r("x", 1)]), tx(3, [r("x", 1, 2)])],
    "G1c": [tx(1, [a("x", 1), r("y", 2)]), tx(2, [a("y", 2), r("x", 1)])],
    "G-single": [tx(1, [a("x", 1), a("y", 1)]), tx(2, [r("x", 1), r("y")]), tx(3, [r("y", 1)])],
    "G2": [
        tx(1, [r("x"), a("y", 1)]),
        tx(2, [r("y"), a("x", 1)]),
        tx(3, [r("x", 1), r("y", 1)]),
    ],
    "incompatible order": [
        tx(1, [a("x", 1)]),
        tx(2, [a("x", 2)]),
        tx(3, [r("x", 1, 2)]),
        tx(4, [r("x", 2)]),
    ],
    "duplicate": [tx(1, [a("x", 1)]), tx(2, [r("x", 1, 1)])],
    # Serializable, but not in real time:
    "G-single, against real time": [tx(1, [a("x", 1)], 0, 10), tx(2, [r("x")], 20, 30)],
    "G0, against real time": [
        tx(1, [a("x", 1)], 0, 10),
        tx(2, [a("x", 2)], 20, 30),
        tx(3, [r("x", 2, 1)], 20, 40),
    ],
    "G1c, against real time": [tx(1, [r("x", 1)], 0, 10), tx(2, [a("x", 1)], 20, 30)],
}


@pytest.mark.parametrize("name", LISTS)
def test_each_anomaly_of_lists_is_named(name: str) -> None:
    found = [anomaly.name for anomaly in check_appends(LISTS[name])]
    assert name in found if name else not found
    if name.endswith("real time"):
        assert not check_appends(LISTS[name], real_time=False)


def test_an_anomaly_shows_its_cycle() -> None:
    [found] = check_appends(LISTS["G-single"])
    assert str(found).splitlines()[0] in ("G-single: wr rw", "G-single: rw wr")
    assert len(found.cycle) == 2


def test_an_acknowledged_element_that_nobody_sees_was_lost() -> None:
    calls = [tx(1, [a("x", 1)], 0, 10), tx(2, [a("x", 2)], 20, 30), tx(3, [r("x", 1)], 40, 50)]
    assert [anomaly.name for anomaly in check_appends(calls)] == ["G-single, against real time"]


def test_what_is_unknown_counts_once_it_was_seen() -> None:
    unknown = tx(1, [a("x", 1)], 0, 5, UNKNOWN)
    assert not check_appends([unknown, tx(2, [r("x")], 10, 20), tx(3, [r("x", 1)], 30, 40)])
    back = [unknown, tx(2, [r("x", 1)], 10, 20), tx(3, [r("x")], 30, 40)]
    assert check_appends(back)


def w(key: str, value: int) -> tuple[Any, ...]:
    return ("w", key, value)


def q(key: str, value: int) -> tuple[Any, ...]:
    return ("r", key, value)


REGISTERS: dict[str, list[Call]] = {
    "": [tx(1, [q("x", 0), w("x", 1)]), tx(2, [q("x", 1), w("x", 2)]), tx(3, [q("x", 1)])],
    "lost update": [tx(1, [q("x", 0), w("x", 1)]), tx(2, [q("x", 0), w("x", 2)])],
    "G1a": [tx(1, [q("x", 0), w("x", 1)], outcome=FAIL), tx(2, [q("x", 1)])],
    "G-single": [
        tx(1, [q("x", 0), q("y", 0), w("x", 1), w("y", 1)]),
        tx(2, [q("x", 1), q("y", 0)]),
    ],
    "G2": [
        tx(1, [q("x", 0), q("y", 0), w("x", 1)]),
        tx(2, [q("x", 0), q("y", 0), w("y", 1)]),
    ],
    "G-single, against real time": [
        tx(1, [q("x", 0), w("x", 1)], 0, 10),
        tx(2, [q("x", 0)], 20, 30),
    ],
}


@pytest.mark.parametrize("name", REGISTERS)
def test_each_anomaly_of_registers_is_named(name: str) -> None:
    found = [anomaly.name for anomaly in check_registers(REGISTERS[name], 0)]
    assert name in found if name else not found


def test_the_order_of_a_register_goes_on_over_what_is_unknown() -> None:
    calls = [
        tx(1, [q("x", 0), w("x", 1)], 0, 5, UNKNOWN),
        tx(2, [q("x", 1), w("x", 2)], 10, 20),
        tx(3, [q("x", 0)], 30, 40),
    ]
    assert check_registers(calls, 0)
    assert not check_registers(calls[:2], 0)


def test_what_the_checkers_do_not_take() -> None:
    with pytest.raises(HistoryError, match="not a transaction"):
        check_appends([Call(1, ("read", "x"), 0, 1, OK, 1)])
    with pytest.raises(HistoryError, match="no such step"):
        check_appends([tx(1, [w("x", 1)])])
    with pytest.raises(HistoryError, match="twice"):
        check_appends([tx(1, [a("x", 1)]), tx(2, [a("x", 1)])])


def test_any_history_can_be_judged() -> None:
    assert judge(History("list transactions", tuple(LISTS["G0"])))[0].startswith("G0: ww ww")
    assert judge(History("register transactions", tuple(REGISTERS["lost update"]), 0))
    torn = tuple(Call(n, ("move", "i", "new", to), 0, 1, OK, True) for n, to in enumerate("ab"))
    assert len(judge(History("lifecycles", torn, "new"))) == 2
    with pytest.raises(HistoryError, match="no such model: queue"):
        judge(History("queue", ()))


# --- stores --------------------------------------------------------------------------------------


def history(seed: int, snapshot_age: int = 0, validate: bool = True, lists: bool = True) -> Any:
    """Optimistic transactions on a versioned store. With an age, readers see old states; without
    validation, writers do."""
    rng = Random(seed)
    states: list[dict[str, Any]] = [dict.fromkeys("xyz", () if lists else 0)]
    calls: list[Call] = []
    for number in range(1, 120):
        began = number * 10
        reading = rng.random() < 0.5
        age = rng.randrange(snapshot_age + 1) if reading or not validate else 0
        seen = states[max(0, len(states) - 1 - age)]
        keys = rng.sample("xyz", 2)
        steps: list[tuple[Any, ...]] = [("r", key, seen[key]) for key in keys]
        if not reading:
            after = dict(states[-1])
            for key in keys if rng.random() < 0.7 else keys[:1]:
                value = number * 10 + keys.index(key)
                steps.append(a(key, value) if lists else w(key, value))
                after[key] = (*after[key], value) if lists else value
            states.append(after)
        calls.append(tx(number, steps, began, began + rng.randrange(1, 25)))
    return calls


@pytest.mark.parametrize("lists", [True, False])
def test_a_store_that_works_has_no_anomaly(lists: bool) -> None:
    for seed in range(15):
        calls = history(seed, lists=lists)
        assert not (check_appends(calls) if lists else check_registers(calls, 0))


@pytest.mark.parametrize("lists", [True, False])
@pytest.mark.parametrize("validate", [True, False])
def test_old_snapshots_and_missing_validation_are_found(lists: bool, validate: bool) -> None:
    for seed in range(15):
        calls = history(seed, 6, validate, lists)
        found = check_appends(calls) if lists else check_registers(calls, 0)
        assert found, f"seed {seed}"
        if validate:  # readers of consistent old states break nothing but real time
            assert not (check_appends if lists else _registers)(calls, real_time=False)


def _registers(calls: list[Call], real_time: bool) -> Any:
    return check_registers(calls, 0, real_time)


# --- graphs --------------------------------------------------------------------------------------


def test_components_and_cycles() -> None:
    edges = {1: [2], 2: [3], 3: [1, 4], 4: [5], 5: [6, 4], 6: [], 7: [7]}
    assert sorted(map(sorted, strong_components(edges))) == [[1, 2, 3], [4, 5]]
    assert shortest_cycle({1: [2, 3], 2: [3], 3: [1]}, [1, 2, 3]) == [1, 3]


def test_components_agree_with_reachability() -> None:
    for seed in range(40):
        rng = Random(seed)
        edges = {n: rng.sample(range(9), rng.randrange(3)) for n in range(9)}
        reach = {n: {n} for n in edges}
        for _ in edges:
            for node, others in edges.items():
                for other in others:
                    reach[node] |= reach[other]
        expected = {frozenset(m for m in reach[n] if n in reach[m]) for n in edges}
        found = {frozenset(component) for component in strong_components(edges)}
        assert found == {component for component in expected if len(component) > 1}
