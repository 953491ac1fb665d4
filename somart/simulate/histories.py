"""What clients asked for and were told, as lines of JSON that any checker can read.

The format is documented in `docs/histories.md`. The checkers of this package judge such histories:
`linearizability` for objects, `serializability` for transactions.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from ..values import Value
from ..values.jsontext import to_json
from .history import ERROR, Operation
from .history import OK as DONE

VERSION = 1
CALLS = "calls"
"""The model of histories that no checker of this package judges: calls of any program."""
OK = "ok"
FAIL = "fail"
"""It has surely not happened (`definite: true`)."""
UNKNOWN = "unknown"
"""It may have happened, may happen later, or never (`definite: false`, or no answer)."""

OUTCOMES = (OK, FAIL, UNKNOWN)


class HistoryError(ValueError):
    """A history that is not in the format; the text names the line."""


@dataclass(frozen=True, slots=True)
class Call:
    """One call of a client. `operation` is a name with arguments, all of them hashable; times are
    integers of one clock for all; `ended` is None while there is no answer."""

    process: int
    operation: tuple[Any, ...]
    began: int
    ended: int | None
    outcome: str
    result: Any = None

    @property
    def happened(self) -> bool:
        """Whether it surely has."""
        return self.outcome == OK

    def __str__(self) -> str:
        name, *args = self.operation
        shown = f"{name}({', '.join(map(repr, args))})"
        told = f"→ {self.result!r}" if self.outcome == OK else self.outcome
        until = "" if self.ended is None else self.ended
        return f"p{self.process} {shown} {told} [{self.began}…{until}]"


@dataclass(frozen=True, slots=True)
class History:
    """Calls on an object of a known kind, in the order in which they began."""

    model: str
    calls: tuple[Call, ...]
    initial: Any = None


def freeze(value: Any) -> Any:
    """The same value with tuples for lists, so that it is hashable.

    Raises HistoryError for an object with keys: none of the models has one.
    """
    if isinstance(value, list | tuple):
        return tuple(map(freeze, value))
    if isinstance(value, dict):
        raise HistoryError("objects with keys are not values of a history")
    return value


def write_history(history: History) -> Iterator[str]:
    """The lines of a history, without line ends."""
    head = {"history": VERSION, "model": history.model, "initial": history.initial}
    yield json.dumps(head)
    for call in history.calls:
        line = {
            "process": call.process,
            "operation": call.operation,
            "began": call.began,
            "ended": call.ended,
            "outcome": call.outcome,
            "result": call.result,
        }
        yield json.dumps(line)


def write_operations(operations: Iterable[Operation]) -> Iterator[str]:
    """The calls of a simulation's clients, in the same form (model `calls`): what they mean only
    the program knows. Each comes from a client of its own, with its number."""
    yield json.dumps({"history": VERSION, "model": CALLS, "initial": None})
    for operation in operations:
        outcome = {DONE: OK, ERROR: FAIL}.get(operation.status, UNKNOWN)
        ended = None if operation.ended < 0 else operation.ended
        name = f"{operation.cell}.{operation.handler}"
        line = {
            "process": operation.number,
            "operation": [name, *map(_plain, operation.args)],
            "began": operation.began,
            "ended": ended,
            "outcome": outcome,
            "result": _plain(operation.result) if outcome == OK else None,
            "node": operation.node,
        }
        if outcome != OK and ended is not None:
            line["error"] = str(operation.result)
        yield json.dumps(line)


def _plain(value: Value) -> Any:
    return json.loads(to_json(value))


def read_history(lines: Iterable[str]) -> History:
    """A history from its lines; empty ones are skipped. Raises HistoryError."""
    numbered = [(n, line) for n, line in enumerate(lines, 1) if line.strip()]
    if not numbered:
        raise HistoryError("line 1: a history begins with a line that names its model")
    head = _object(*numbered[0])
    if head.get("history") != VERSION or not isinstance(head.get("model"), str):
        raise HistoryError(f"line {numbered[0][0]}: not the head of a history of version {VERSION}")
    calls = sorted((_call(*item) for item in numbered[1:]), key=lambda call: call.began)
    return History(head["model"], tuple(calls), freeze(head.get("initial")))


def _object(number: int, line: str) -> dict[str, Any]:
    try:
        found = json.loads(line)
    except ValueError as error:
        raise HistoryError(f"line {number}: {error}") from error
    if not isinstance(found, dict):
        raise HistoryError(f"line {number}: not an object")
    return found


def _call(number: int, line: str) -> Call:
    found = _object(number, line)
    operation, outcome = found.get("operation"), found.get("outcome")
    began, ended = found.get("began"), found.get("ended")
    if not isinstance(operation, list) or not operation or not isinstance(operation[0], str):
        raise HistoryError(f"line {number}: `operation` is a name and its arguments")
    if outcome not in OUTCOMES:
        raise HistoryError(f"line {number}: `outcome` is one of {', '.join(OUTCOMES)}")
    if not isinstance(began, int) or not isinstance(ended, int | None):
        raise HistoryError(f"line {number}: times are integers")
    if (ended is None and outcome == OK) or (ended is not None and ended < began):
        raise HistoryError(f"line {number}: it ended before it began, or never")
    process = found.get("process", 0)
    return Call(process, freeze(operation), began, ended, outcome, freeze(found.get("result")))


def deadlines(calls: Sequence[Call]) -> list[float]:
    """When each call had taken effect at the latest: never for what is unknown."""
    return [
        float("inf") if call.ended is None or call.outcome == UNKNOWN else float(call.ended)
        for call in calls
    ]
