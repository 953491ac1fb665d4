"""Is there an order of the calls, true to real time, that one client alone could have made?

Wing and Gong, Testing and Verifying Concurrent Objects (1993), as refined by Lowe, Testing for
Linearizability (2017): calls take effect just in time, before a return that needs them;
configurations are remembered; independent objects are judged one by one (Horn and Kroening 2015).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from .histories import FAIL, UNKNOWN, Call, History, deadlines
from .models import MODELS, Model, State

MOST_CONFIGURATIONS = 2_000_000


class Undecided(Exception):
    """The search has met too many configurations."""


@dataclass(frozen=True, slots=True)
class Violation:
    """The first call that no order explains, and what there is to choose from."""

    call: Call
    states: tuple[State, ...]
    concurrent: tuple[Call, ...]

    def __str__(self) -> str:
        lines = [f"not linearizable: {self.call}"]
        lines += [f"  the state may have been {state!r}" for state in self.states[:5]]
        lines += [f"  at the same time: {call}" for call in self.concurrent[:8]]
        return "\n".join(lines)


def check_history(history: History) -> Violation | None:
    """Judges a history by its own model. Raises HistoryError for an unknown one, Undecided."""
    return check(MODELS[history.model], history.calls, history.initial)


def check(
    model: Model,
    calls: Iterable[Call],
    initial: Any = None,
    most: int = MOST_CONFIGURATIONS,
) -> Violation | None:
    """The first violation, None if the calls are linearizable. Raises Undecided."""
    parts: dict[Any, list[Call]] = {}
    for call in calls:
        if call.outcome != FAIL:
            parts.setdefault(model.part(call.operation), []).append(call)
    for part in parts.values():
        found = _Search(model, part, most).run(model.initial(initial))
        if found is not None:
            return found
    return None


@dataclass(slots=True)
class _Search:
    """Depth first through configurations: (return that is due, calls ahead of it, state)."""

    model: Model
    calls: Sequence[Call]
    most: int
    due: list[int] = field(default_factory=list)
    """The calls that returned, by the time of their return."""
    pending: list[list[int]] = field(default_factory=list)
    """For each of those the calls that had begun by then and not returned before."""

    def run(self, state: State) -> Violation | None:
        self._prepare()
        seen: dict[tuple[int, int, State], list[int]] = {}
        unknown = sum(1 << n for n, c in enumerate(self.calls) if c.outcome == UNKNOWN)
        met = 0
        stack: list[tuple[int, int, State]] = [(0, 0, state)]
        furthest = -1
        states: list[State] = []
        while stack:
            at, ahead, state = stack.pop()
            if at == len(self.due):
                return None
            ahead = self._absorb(at, ahead, state)
            while at < len(self.due) and ahead >> self.due[at] & 1:
                ahead &= ~(1 << self.due[at])
                at += 1
                ahead = self._absorb(at, ahead, state) if at < len(self.due) else ahead
            if at == len(self.due):
                return None
            # The same with fewer of the unknown calls used up can do all that this one can.
            used = ahead & unknown
            others = seen.setdefault((at, ahead & ~unknown, state), [])
            if any(other & used == other for other in others):
                continue
            others.append(used)
            met += 1
            if met > self.most:
                raise Undecided(f"more than {self.most} configurations")
            if at > furthest:
                furthest, states = at, []
            if at == furthest:
                states.append(state)
            self._push(stack, at, ahead, state)
        return self._violation(furthest, states)

    def _prepare(self) -> None:
        calls, ends = self.calls, deadlines(self.calls)
        kept = [
            n
            for n, call in enumerate(calls)
            if call.outcome != UNKNOWN or not self.model.observes(call.operation, None)
        ]
        returned = sorted((n for n in kept if ends[n] < float("inf")), key=lambda n: ends[n])
        begun = sorted(kept, key=lambda n: calls[n].began)
        position, alive = 0, dict[int, None]()
        for number in returned:
            while position < len(begun) and calls[begun[position]].began <= ends[number]:
                alive[begun[position]] = None
                position += 1
            self.due.append(number)
            self.pending.append(list(alive))
            del alive[number]

    def _absorb(self, at: int, ahead: int, state: State) -> int:
        """What only observes, and observes this state, may take effect here without loss."""
        for number in self.pending[at]:
            call = self.calls[number]
            if ahead >> number & 1 or call.outcome == UNKNOWN:
                continue
            if not self.model.observes(call.operation, call.result):
                continue
            if self.model.step(state, call.operation)[1] == call.result:
                ahead |= 1 << number
        return ahead

    def _push(self, stack: list[tuple[int, int, State]], at: int, ahead: int, state: State) -> None:
        """All calls that may take effect next; the one that is due is tried first."""
        due = self.due[at]
        for number in (*(n for n in reversed(self.pending[at]) if n != due), due):
            call = self.calls[number]
            if ahead >> number & 1 or self.model.observes(call.operation, call.result):
                continue
            after, result = self.model.step(state, call.operation)
            if call.outcome == UNKNOWN:
                if after != state:
                    stack.append((at, ahead | 1 << number, after))
            elif result == call.result:
                stack.append((at, ahead | 1 << number, after))

    def _violation(self, at: int, states: list[State]) -> Violation:
        due = self.due[at]
        others = tuple(self.calls[n] for n in self.pending[at] if n != due)
        return Violation(self.calls[due], tuple(dict.fromkeys(states)), others)
