"""Sequential objects: what one client alone would see. Linearizability is judged against them."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any, Protocol

from .histories import FAIL, Call, HistoryError

State = Any
"""Hashable, and never changed in place."""


class Model(Protocol):
    """An object and its operations."""

    def initial(self, given: Any) -> State:
        """The state before all calls; `given` is the `initial` of the history."""

    def step(self, state: State, operation: tuple[Any, ...]) -> tuple[State, Any]:
        """The state after an operation, and its result. Raises HistoryError for an unknown one."""

    def observes(self, operation: tuple[Any, ...], result: Any) -> bool:
        """Whether with that result it changes no state whatever."""

    def part(self, operation: tuple[Any, ...]) -> Hashable:
        """The object that it is about: objects are independent of each other."""


def _unknown(operation: tuple[Any, ...]) -> HistoryError:
    return HistoryError(f"no such operation: {operation[0]}")


class Registers:
    """`read key`, `write key value`, `cas key old new` (true if it took place)."""

    def initial(self, given: Any) -> State:
        return given

    def step(self, state: State, operation: tuple[Any, ...]) -> tuple[State, Any]:
        match operation:
            case ("read", _):
                return state, state
            case ("write", _, value):
                return value, None
            case ("cas", _, old, new):
                return (new, True) if state == old else (state, False)
        raise _unknown(operation)

    def observes(self, operation: tuple[Any, ...], result: Any) -> bool:
        return operation[0] == "read" or (operation[0] == "cas" and result is False)

    def part(self, operation: tuple[Any, ...]) -> Hashable:
        key: Hashable = operation[1]
        return key


class KeySets:
    """`add set key` and `remove set key` (true if that changed it), `has set key`, `keys set`."""

    def initial(self, given: Any) -> State:
        return frozenset(given or ())

    def step(self, state: State, operation: tuple[Any, ...]) -> tuple[State, Any]:
        match operation:
            case ("add", _, key):
                return state | {key}, key not in state
            case ("remove", _, key):
                return state - {key}, key in state
            case ("has", _, key):
                return state, key in state
            case ("keys", _):
                return state, tuple(sorted(state))
        raise _unknown(operation)

    def observes(self, operation: tuple[Any, ...], result: Any) -> bool:
        return operation[0] in ("has", "keys") or result is False

    def part(self, operation: tuple[Any, ...]) -> Hashable:
        key: Hashable = operation[1]
        return key


class Store:
    """`transact steps`: a transaction on several keys, all of them one object. A step is
    `("r", key)`, `("w", key, value)` or `("add", key, number)`; the result is what the steps
    gave: what was read or added to, nothing for `w`. Integers, 0 where nothing was written."""

    def initial(self, given: Any) -> State:
        return tuple(sorted(given or ()))

    def step(self, state: State, operation: tuple[Any, ...]) -> tuple[State, Any]:
        if operation[0] != "transact":
            raise _unknown(operation)
        values = dict(state)
        given: list[Any] = []
        for what, key, *rest in operation[1]:
            before = values.get(key, 0)
            given.append(None if what == "w" else before)
            if what == "w":
                values[key] = rest[0]
            elif what == "add":
                values[key] = before + rest[0]
            elif what != "r":
                raise _unknown((what,))
        return tuple(sorted(values.items())), tuple(given)

    def observes(self, operation: tuple[Any, ...], result: Any) -> bool:
        return all(step[0] == "r" for step in operation[1])

    def part(self, operation: tuple[Any, ...]) -> Hashable:
        return None


class Lifecycles:
    """`move instance from to` (true if the instance was in `from`), `status instance`."""

    def initial(self, given: Any) -> State:
        return given

    def step(self, state: State, operation: tuple[Any, ...]) -> tuple[State, Any]:
        match operation:
            case ("move", _, source, target):
                return (target, True) if state == source else (state, False)
            case ("status", _):
                return state, state
        raise _unknown(operation)

    def observes(self, operation: tuple[Any, ...], result: Any) -> bool:
        return operation[0] == "status" or result is False

    def part(self, operation: tuple[Any, ...]) -> Hashable:
        instance: Hashable = operation[1]
        return instance


MODELS: dict[str, Model] = {
    "registers": Registers(),
    "key sets": KeySets(),
    "store": Store(),
    "lifecycles": Lifecycles(),
}


def two_ways_out(calls: tuple[Call, ...], initial: Any) -> list[str]:
    """Instances that left a state more often than they can have come into it: two outgoing edges
    from one state. Weaker than linearizability, and plain to read."""
    left: dict[tuple[Any, Any], list[Any]] = {}
    entered: dict[tuple[Any, Any], int] = {}
    for call in calls:
        if call.operation[0] != "move" or call.outcome == FAIL or call.result is False:
            continue
        _, instance, source, target = call.operation
        entered[instance, target] = entered.get((instance, target), 0) + 1
        if call.happened:
            left.setdefault((instance, source), []).append(target)
    return [
        f"{instance} left {source} {len(targets)} times, for {' and '.join(map(str, targets))}"
        for (instance, source), targets in left.items()
        if len(targets) > entered.get((instance, source), 0) + (source == initial)
    ]
