"""Explores the states of a small system, given as a function from a state to what may follow.

States are hashable values, tuples as a rule. The search is breadth first, so a trace has the fewest
steps. Only one number per state is kept besides the states: the one that it was found from.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Generic, TypeVar

S = TypeVar("S", bound=Hashable)

Action = Any  # what a step is called; only compared, and shown in traces
Successors = Callable[[S], Iterable[tuple[Action, S]]]
Trace = list[tuple[Action, S]]


@dataclass(frozen=True)
class Explored(Generic[S]):
    """What an exploration met. `broken` has, for each property that some state breaks, the first
    such state as a trace: pairs of an action and the state after it, an initial one (action "")
    first. `complete` is false when the search stopped at its limit: then nothing is proved."""

    states: int
    complete: bool
    broken: Mapping[Hashable, Trace[S]]

    @property
    def limit_message(self) -> str:
        """What to say of a search that was stopped; empty for a complete one."""
        if self.complete:
            return ""
        return f"stopped after {self.states:,} states: what lies beyond is not examined"


def explore(
    initial: Iterable[S],
    successors: Successors[S],
    breaks: Callable[[S], Iterable[Hashable]] | None = None,
    limit: int = 1_000_000,
) -> Explored[S]:
    """Visits each state that `successors` lead to, at most `limit` of them.

    `breaks` names the properties that a state breaks.
    """
    found = dict.fromkeys(initial, -1)
    queue = list(found)
    broken: dict[Hashable, int] = {}
    complete = True
    for number, state in enumerate(queue):  # grows while it is walked
        if breaks is not None:
            for name in breaks(state):
                broken.setdefault(name, number)
        if len(queue) > limit:
            complete = False
            break
        for _, following in successors(state):
            found.setdefault(following, number)
            if len(found) > len(queue):
                queue.append(following)
    traces = {name: _trace(queue, found, at, successors) for name, at in broken.items()}
    return Explored(len(queue), complete, traces)


def _trace(queue: list[S], found: dict[S, int], at: int, successors: Successors[S]) -> Trace[S]:
    """The way to a state, walked back; the actions are found by taking each step again."""
    trace: Trace[S] = []
    while True:
        state = queue[at]
        came_from = found[state]
        if came_from < 0:
            trace.append(("", state))
            trace.reverse()
            return trace
        steps = successors(queue[came_from])
        trace.append((next(action for action, after in steps if after == state), state))
        at = came_from


@dataclass(frozen=True)
class Unfolded(Generic[S]):
    """All states of a system in the order in which they were found, the initial ones first, and per
    state its steps: an action and the number of the state after it. Without `complete` the search
    stopped at its limit, and the last states have no steps here."""

    states: list[S]
    steps: list[list[tuple[Action, int]]]
    initial: int  # how many states are initial
    complete: bool

    def trace(self, path: Iterable[int]) -> Trace[S]:
        """A path of state numbers as a trace; of several steps between two states, the first."""
        numbers = list(path)
        trace: Trace[S] = [("", self.states[numbers[0]])] if numbers else []
        for before, after in pairwise(numbers):
            action = next(action for action, to in self.steps[before] if to == after)
            trace.append((action, self.states[after]))
        return trace


def unfold(initial: Iterable[S], successors: Successors[S], limit: int = 1_000_000) -> Unfolded[S]:
    """The graph of a system, for questions about its paths; at most about `limit` states."""
    found = {state: number for number, state in enumerate(dict.fromkeys(initial))}
    begun = len(found)
    queue = list(found)
    steps: list[list[tuple[Action, int]]] = []
    for state in queue:  # grows while it is walked
        if len(queue) > limit:
            break
        leaving = []
        for action, following in successors(state):
            number = found.setdefault(following, len(queue))
            if number == len(queue):
                queue.append(following)
            leaving.append((action, number))
        steps.append(leaving)
    complete = len(steps) == len(queue)
    steps += [[] for _ in range(len(queue) - len(steps))]
    return Unfolded(queue, steps, begun, complete)
