"""The explorer: published counts of states, shortest traces, and the limit."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

import pytest

from somac.verify.explorer import explore

Commit = tuple[tuple[str, ...], str, frozenset[int], frozenset[tuple[str, int]]]


def two_phase(managers: int) -> Commit:
    """The beginning of Lamport's TwoPhase: managers work, the coordinator has heard nothing."""
    return ("working",) * managers, "init", frozenset(), frozenset()


def two_phase_steps(state: Commit) -> Iterator[tuple[str, Commit]]:
    """The actions of TwoPhase.tla ("Consensus on Transaction Commit", Gray and Lamport)."""
    managers, coordinator, heard, messages = state
    commit, abort = ("commit", -1), ("abort", -1)

    def with_manager(number: int, what: str) -> tuple[str, ...]:
        return (*managers[:number], what, *managers[number + 1 :])

    if coordinator == "init":
        if len(heard) == len(managers):
            yield "commit", (managers, "committed", heard, messages | {commit})
        yield "abort", (managers, "aborted", heard, messages | {abort})
    for number, status in enumerate(managers):
        vote = ("prepared", number)
        if coordinator == "init" and vote in messages:
            yield f"hear {number}", (managers, coordinator, heard | {number}, messages)
        if status == "working":
            prepared = with_manager(number, "prepared")
            yield f"prepare {number}", (prepared, coordinator, heard, messages | {vote})
            yield f"refuse {number}", (with_manager(number, "aborted"), *state[1:])
        if commit in messages:
            yield f"obey {number}", (with_manager(number, "committed"), *state[1:])
        if abort in messages:
            yield f"give up {number}", (with_manager(number, "aborted"), *state[1:])


def disagree(state: Commit) -> list[str]:
    return ["agreement"] if {"committed", "aborted"} <= set(state[0]) else []


@pytest.mark.parametrize(
    ("managers", "states"), [(3, 288), pytest.param(5, 8832, marks=pytest.mark.slow)]
)
def test_two_phase_commit_has_the_published_number_of_states(managers: int, states: int) -> None:
    found = explore([two_phase(managers)], two_phase_steps, disagree)
    assert (found.states, found.complete, dict(found.broken)) == (states, True, {})


def steps_of_numbers(number: int) -> Iterator[tuple[str, int]]:
    yield "add", number + 1
    yield "double", number * 2


def test_a_trace_is_a_shortest_one_and_names_the_actions() -> None:
    found = explore([1], steps_of_numbers, lambda n: ["ten"] if n == 10 else [], limit=100)
    trace = found.broken["ten"]
    assert trace[0] == ("", 1)
    assert len(trace) == 5  # 1 2 4 5 10
    for (_, before), (action, after) in pairwise(trace):
        assert (action, after) in steps_of_numbers(before)


def test_an_initial_state_may_break_a_property() -> None:
    assert explore([7], lambda n: [], lambda n: ["odd"]).broken == {"odd": [("", 7)]}


def test_a_search_that_meets_its_limit_says_so() -> None:
    found = explore([1], steps_of_numbers, limit=50)
    assert not found.complete
    assert found.limit_message == (
        f"stopped after {found.states} states: what lies beyond is not examined"
    )
    assert not explore([1], lambda n: []).limit_message
