"""Columns of rows: how the query functions read, order and add the values of a field.

Numbers compare as numbers; Strings that all read as numbers do too, other Strings compare as text.
Rows that are no Maps, or lack the field, have `()` there, which counts as 0 among numbers and comes
first among texts.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..ops import add
from ..values.kinds import Value
from ..values.numbers import parse_float, parse_int

Key = Callable[[Value], Any]


def cell(row: Value, field: str) -> Value:
    """The value of a field in a row, `()` if there is none."""
    return row.get(field) if type(row) is dict else None


def number(v: Value) -> int | float | None:
    """The number that a value is, or denotes as a text; None if it is none."""
    kind = type(v)
    if kind is int or kind is float:
        return v  # type: ignore[no-any-return]
    if kind is str:
        n = parse_int(v)
        return parse_float(v) if n is None else n
    return int(v) if kind is bool else None


def key_for(values: list[Value]) -> Key:
    """How to order these values among each other, ascending."""
    if any(type(v) is str and number(v) is None for v in values):
        return _text_key
    return _number_key


def _number_key(v: Value) -> tuple[bool, float]:
    x = number(v) or 0
    return x != x, x  # NaN last


def _text_key(v: Value) -> tuple[int, float, str]:
    if type(v) is str:
        return 2, 0, v
    x = number(v)
    if x is None:
        return 0, 0, ""
    return (1, x, "") if x == x else (1, float("inf"), "")


def total(values: list[Value]) -> int | float:
    """The sum in order; Int if all numbers are Ints, what is no number adds nothing."""
    result: int | float = 0
    for v in values:
        result = add(result, number(v) or 0)
    return result
