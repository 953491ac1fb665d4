"""The checker of linearizability against known histories, a slow reference and faulty stores."""

from __future__ import annotations

from itertools import permutations
from pathlib import Path
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from toy_store import run

from somart.simulate.histories import (
    FAIL,
    OK,
    UNKNOWN,
    Call,
    History,
    HistoryError,
    read_history,
    write_history,
)
from somart.simulate.linearizability import Undecided, check, check_history
from somart.simulate.models import MODELS, Model, two_ways_out

DOCS = Path(__file__).parents[2] / "docs" / "histories.md"
REGISTERS = MODELS["registers"]


def call(text: str, began: int, ended: int | None, result: Any = None, outcome: str = OK) -> Call:
    name, *args = text.split()
    values = [int(arg) if arg.isdigit() else arg for arg in args]
    return Call(0, (name, *values), began, ended, outcome, result)


GOOD: dict[str, list[Call]] = {
    "one after the other": [call("write x 1", 0, 1), call("read x", 2, 3, 1)],
    "a read during a write sees the old value": [
        call("write x 1", 0, 10),
        call("read x", 2, 3, 0),
        call("read x", 4, 5, 1),
    ],
    "calls that share a moment are concurrent": [
        call("write x 1", 0, 5),
        call("read x", 5, 6, 0),
    ],
    "an unknown write may take effect much later": [
        call("write x 1", 0, None, outcome=UNKNOWN),
        call("read x", 10, 11, 0),
        call("read x", 20, 21, 1),
    ],
    "an unknown write may never take effect": [
        call("write x 1", 0, None, outcome=UNKNOWN),
        call("read x", 10, 11, 0),
    ],
    "what failed counts for nothing": [
        call("write x 1", 0, 1, outcome=FAIL),
        call("read x", 2, 3, 0),
    ],
    "a compare-and-set that was too late": [
        call("cas x 0 1", 0, 9, True),
        call("cas x 0 2", 1, 8, False),
        call("read x", 10, 11, 1),
    ],
    "an observer that fits only between two writes": [
        call("write x 1", 0, 100),
        call("write x 2", 0, 100),
        call("read x", 0, 100, 0),
        call("read x", 200, 201, 1),
    ],
}
BAD: dict[str, list[Call]] = {
    "a stale read": [call("write x 1", 0, 1), call("read x", 2, 3, 0)],
    "a value out of nowhere": [call("read x", 2, 3, 7)],
    "back and forth": [
        call("write x 1", 0, 10),
        call("read x", 1, 2, 1),
        call("read x", 3, 4, 0),
    ],
    "what failed was seen": [call("write x 1", 0, 1, outcome=FAIL), call("read x", 2, 3, 1)],
    "two compare-and-sets from one value": [
        call("cas x 0 1", 0, 9, True),
        call("cas x 0 2", 1, 8, True),
    ],
    "an unknown write takes effect once": [
        call("write x 1", 0, None, outcome=UNKNOWN),
        call("read x", 1, 2, 1),
        call("write x 2", 3, 4),
        call("read x", 5, 6, 1),
    ],
}


@pytest.mark.parametrize("name", GOOD)
def test_known_good(name: str) -> None:
    assert check(REGISTERS, GOOD[name], 0) is None


@pytest.mark.parametrize("name", BAD)
def test_known_bad(name: str) -> None:
    found = check(REGISTERS, BAD[name], 0)
    assert found is not None
    assert str(found).startswith("not linearizable: p0 ")


def test_objects_are_judged_one_by_one_and_a_violation_names_the_call() -> None:
    calls = [*GOOD["a read during a write sees the old value"], call("read y", 20, 21, 3)]
    found = check(REGISTERS, calls, 0)
    assert found is not None
    assert found.call.operation == ("read", "y")
    assert found.states == (0,)


def test_the_search_is_bounded() -> None:
    calls = [call(f"write x {n}", 0, 100) for n in range(1, 12)] + [call("read x", 200, 201, 99)]
    with pytest.raises(Undecided):
        check(REGISTERS, calls, 0, most=1_000)


# --- against a reference -------------------------------------------------------------------------


def naive(model: Model, calls: list[Call], initial: Any) -> bool:
    """All orders of all choices of the unknown."""
    sure = [c for c in calls if c.outcome == OK]
    maybe = [c for c in calls if c.outcome == UNKNOWN]
    for chosen in range(1 << len(maybe)):
        taken = sure + [c for n, c in enumerate(maybe) if chosen >> n & 1]
        if any(_fits(model, order, initial) for order in permutations(taken)):
            return True
    return False


def _fits(model: Model, order: tuple[Call, ...], initial: Any) -> bool:
    state = model.initial(initial)
    for position, this in enumerate(order):
        for later in order[position + 1 :]:
            if later.outcome == OK and later.ended is not None and later.ended < this.began:
                return False
        state, result = model.step(state, this.operation)
        if this.outcome == OK and result != this.result:
            return False
    return True


values = st.integers(0, 2)
operations = st.one_of(
    st.just(("read", "x")),
    st.tuples(st.just("write"), st.just("x"), values),
    st.tuples(st.just("cas"), st.just("x"), values, values),
)


@st.composite
def small_calls(draw: st.DrawFn) -> list[Call]:
    found = []
    for number in range(draw(st.integers(1, 6))):
        operation = draw(operations)
        began = draw(st.integers(0, 12))
        outcome = draw(st.sampled_from((OK, OK, OK, UNKNOWN)))
        results = {"read": values, "write": st.none(), "cas": st.booleans()}
        result = draw(results[operation[0]]) if outcome == OK else None
        ended = began + draw(st.integers(0, 8)) if outcome == OK else None
        found.append(Call(number, operation, began, ended, outcome, result))
    return found


@settings(max_examples=300, deadline=None)
@given(small_calls())
@pytest.mark.slow
def test_it_agrees_with_trying_all_orders(calls: list[Call]) -> None:
    assert (check(REGISTERS, calls, 0) is None) == naive(REGISTERS, calls, 0)


# --- stores, good and faulty ---------------------------------------------------------------------


def _registers(rng: Random, number: int) -> tuple[Any, ...]:
    key, what = rng.choice("xy"), rng.random()
    if what < 0.45:
        return ("read", key)
    if what < 0.8:
        return ("write", key, number)
    return ("cas", key, rng.randrange(number), number)


def _key_sets(rng: Random, number: int) -> tuple[Any, ...]:
    what = rng.choice(("add", "remove", "has", "keys"))
    return (what, "s") if what == "keys" else (what, "s", rng.choice("abc"))


def _store(rng: Random, number: int) -> tuple[Any, ...]:
    one, other = rng.sample("abcd", 2)
    if rng.random() < 0.5:
        return ("transact", tuple(("r", key) for key in "abcd"))
    return ("transact", (("add", one, -number), ("add", other, number)))


def _lifecycles(rng: Random, number: int) -> tuple[Any, ...]:
    if rng.random() < 0.4:
        return ("status", rng.choice("ij"))
    source, target = rng.choice(
        (("new", "paid"), ("new", "void"), ("paid", "sent"), ("sent", "new"))
    )
    return ("move", rng.choice("ij"), source, target)


KINDS = {
    "registers": (_registers, 0),
    "key sets": (_key_sets, ()),
    "store": (_store, ()),
    "lifecycles": (_lifecycles, "new"),
}


@pytest.mark.parametrize("kind", KINDS)
def test_a_store_that_works_is_linearizable(kind: str) -> None:
    make, initial = KINDS[kind]
    for seed in range(20):
        calls = run(MODELS[kind], initial, make, seed)
        found = check(MODELS[kind], calls, initial)
        assert found is None, f"seed {seed}: {found}"


@pytest.mark.parametrize("fault", ["stale", "lost", "twice", "failed"])
@pytest.mark.parametrize("kind", KINDS)
def test_a_faulty_store_is_not(kind: str, fault: str) -> None:
    make, initial = KINDS[kind]
    caught = 0
    for seed in range(20):
        calls = run(MODELS[kind], initial, make, seed, calls=200, fault=fault, unknown=0.03)
        caught += check(MODELS[kind], calls, initial) is not None
    assert caught >= 5


@pytest.mark.slow
def test_long_histories_of_many_processes_are_judged_quickly() -> None:
    calls = run(REGISTERS, 0, _registers, 1, calls=3_000, processes=10, unknown=0.005)
    assert check(REGISTERS, calls, 0) is None


def test_an_instance_that_left_a_state_twice() -> None:
    moves = (
        call("move i new paid", 0, 1, True),
        call("move i new void", 0, 1, True),
        call("move j new paid", 0, 1, True),
        call("move j new void", 2, 3, False),
        call("move k new paid", 0, 1, True),
        call("move k paid new", 0, None, outcome=UNKNOWN),
        call("move k new paid", 2, 3, True),
    )
    assert two_ways_out(moves, "new") == ["i left new 2 times, for paid and void"]


# --- the format ----------------------------------------------------------------------------------


def test_the_example_in_the_docs_is_a_linearizable_history() -> None:
    example = DOCS.read_text().split("```json\n")[1].split("```")[0]
    history = read_history(example.splitlines())
    assert len(history.calls) == 5
    assert check_history(history) is None
    assert read_history(write_history(history)) == history


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("{", "line 2: "),
        ("[]", "line 2: not an object"),
        ('{"operation": "read"}', "line 2: `operation`"),
        ('{"operation": ["read", "x"], "outcome": "done"}', "line 2: `outcome`"),
        ('{"operation": ["read", "x"], "outcome": "ok", "began": "1"}', "line 2: times"),
        ('{"operation": ["read", "x"], "outcome": "ok", "began": 1}', "line 2: it ended"),
        (
            '{"operation": ["read", {}], "outcome": "ok", "began": 1, "ended": 1}',
            "objects with keys",
        ),
    ],
)
def test_what_is_no_history(line: str, why: str) -> None:
    with pytest.raises(HistoryError, match=why):
        read_history(['{"history": 1, "model": "registers"}', line])


def test_a_history_begins_with_its_head() -> None:
    for lines in ([], ["", "{}"], ['{"history": 2, "model": "registers"}']):
        with pytest.raises(HistoryError):
            read_history(lines)


def test_operations_that_no_model_knows() -> None:
    for name, model in MODELS.items():
        with pytest.raises(HistoryError, match="no such operation: fly"):
            model.step(model.initial(None), ("fly", "x"))
        history = History(name, ())
        assert check_history(history) is None
