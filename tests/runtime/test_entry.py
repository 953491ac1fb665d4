"""Words of the command line, and the handler that `run` chooses (core §4.1)."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest

from somart import Cell, ProgramSpec, Value, handler
from somart.entry import Entry, choose_entry, parse_argument


@pytest.mark.parametrize(
    ("word", "value"),
    [
        ("5", 5),
        ("+5", 5),
        ("-5", -5),
        ("007", 7),
        ("0000000000000000000000007", 7),
        ("9223372036854775807", 9223372036854775807),
        ("9223372036854775808", 9223372036854775808.0),
        ("12345678901234567890", 12345678901234567890.0),
        ("2.5", 2.5),
        ("1e3", 1000.0),
        (".5", 0.5),
        ("5.", 5.0),
        ("inf", math.inf),
        ("-Infinity", -math.inf),
        ("true", True),
        ("false", False),
        ("True", "True"),
        ("1_000", "1_000"),
        (" 5", " 5"),
        ("0x1", "0x1"),
        ("٣", "٣"),
        ("", ""),
        ("e3", "e3"),
        ("9" * 5000, math.inf),
    ],
)
def test_words_become_values(word: str, value: object) -> None:
    got = parse_argument(word)
    assert got == value
    assert type(got) is type(value)


def test_nan_is_a_float() -> None:
    assert math.isnan(parse_argument("nan"))


def cell_with(name: str, kind: str = "cell", **handlers: int) -> type[Cell]:
    """A cell whose handlers take so many parameters."""

    def method(name: str, count: int) -> Callable[..., Value]:
        @handler(name, *(f"p{index}" for index in range(count)))
        def body(self: Cell, *args: Value) -> Value:
            return name

        return body

    parts = {handler_name: method(handler_name, n) for handler_name, n in handlers.items()}
    return type(name, (Cell,), {"soma_name": name, "soma_kind": kind, **parts})


A = cell_with("A", first=2, other=1, none=0)
R = cell_with("R", helper=1, run=0, two=2)
Q = cell_with("Q", request=3, one=1)
T = cell_with("T", kind="type", run=0)


@pytest.mark.parametrize(
    ("cells", "args", "signal", "entry"),
    [
        ([A, Q, R], [], None, Entry("R", "run", ())),
        ([A, Q], [], None, Entry("Q", "request", ())),
        ([A], [], None, Entry("A", "none", ())),
        ([T, A], [], None, Entry("A", "none", ())),
        ([A, R], ["helper", 1], None, Entry("R", "helper", (1,))),
        ([A, R], ["other"], None, Entry("A", "other", ())),
        ([A, R], ["x"], None, Entry("R", "helper", ("x",))),
        ([A, R], [1], None, Entry("R", "helper", (1,))),
        ([A, R], [1, "x"], None, Entry("R", "two", (1, "x"))),
        ([A, R], [1, 2, 3], None, Entry("R", "run", (1, 2, 3))),
        ([A], [1, 2, 3], None, Entry("A", "none", (1, 2, 3))),
        ([A, R], [1], "zap", Entry("R", "zap", (1,))),
        ([A, R], ["first", 1], "first", Entry("A", "first", ("first", 1))),
        ([T], [], None, None),
    ],
)
def test_the_handler_that_run_calls(
    cells: list[type[Cell]], args: list[object], signal: str | None, entry: Entry | None
) -> None:
    assert choose_entry(ProgramSpec("p", tuple(cells)), args, signal) == entry
