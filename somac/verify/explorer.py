"""Explores the states of a small system, given as a function from a state to what may follow.

States are hashable values, tuples as a rule. The search is breadth first, so a trace has the fewest
steps. Only one number per state is kept besides the states: the one that it was found from.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Mapping
from dataclasses import dataclass
from typing import Generic, TypeVar

S = TypeVar("S", bound=Hashable)

Successors = Callable[[S], Iterable[tuple[str, S]]]
Trace = list[tuple[str, S]]


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
            if following not in found:
                found[following] = number
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
