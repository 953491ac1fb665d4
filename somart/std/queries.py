"""Query functions over lists of maps (builtins §8). All keep the order of rows."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

from ..errors import type_error
from ..ops import div, trunc_div
from ..values.kinds import Value
from ..values.numbers import as_float
from ..values.text import text
from .arguments import need
from .columns import cell, key_for, number, total

Row = Value

_EPSILON = 2.2e-16

_ORDERS: dict[str, Callable[[Any, Any], bool]] = {
    ">": operator.gt,
    ">=": operator.ge,
    "<": operator.lt,
    "<=": operator.le,
}


def filter_by(*args: Value) -> Value:
    """`filter_by(rows, field, op, value)`; without op it is `==`."""
    if not args or type(args[0]) is not list:
        raise type_error("filter_by expects (list, field, op, value)")
    rows = args[0]
    if len(args) < 3:
        return rows
    field = text(args[1])
    op, wanted = (text(args[2]), args[3]) if len(args) > 3 else ("==", args[2])
    holds = _comparison(op, wanted)
    return [r for r in rows if type(r) is dict and field in r and holds(r[field])]


def _comparison(op: str, wanted: Value) -> Callable[[Value], bool]:
    if op in ("==", "="):
        return lambda v: _same(v, wanted)
    if op == "!=":
        return lambda v: not _same(v, wanted)
    if op in _ORDERS:
        compare = _ORDERS[op]
        return lambda v: _ordered(compare, v, wanted)
    known = "use >, >=, <, <=, ==, !="
    raise type_error(f"filter_by: unknown operator '{op}' ({known})")


def _same(v: Value, wanted: Value) -> bool:
    if type(v) is float or type(wanted) is float:
        x, y = as_float(v), as_float(wanted)
        return x == y or abs(x - y) < _EPSILON
    return text(v) == text(wanted)


def _ordered(compare: Callable[[Any, Any], bool], v: Value, wanted: Value) -> bool:
    x, y = number(v), number(wanted)
    if type(v) is str and type(wanted) is str and (x is None or y is None):
        return compare(v, wanted)
    return compare(x or 0, y or 0)


def sort_by(*args: Value) -> Value:
    """Rows in the order of a field; `"desc"` turns it round, rows that tie keep their order."""
    if not args or type(args[0]) is not list:
        raise type_error("sort_by expects (list, field)")
    rows = args[0]
    if len(args) < 2:
        return rows
    field = text(args[1])
    key = key_for([cell(r, field) for r in rows])
    descending = len(args) > 2 and args[2] == "desc"
    return sorted(rows, key=lambda r: key(cell(r, field)), reverse=descending)


def _groups(rows: list[Row], field: str) -> dict[str, list[Row]]:
    groups: dict[str, list[Row]] = {}
    for r in rows:
        known = type(r) is dict and field in r
        groups.setdefault(text(r[field]) if known else "unknown", []).append(r)
    return groups


def group_by(*args: Value) -> Value:
    """A Map from the text of a field to its rows, in order of first appearance."""
    need(args, 2, "group_by expects (list, field)")
    return _groups(args[0], text(args[1])) if type(args[0]) is list else {}


def agg(*args: Value) -> list[Value]:
    """One row a group, with the count and the aggregates asked for as `"column:function"`."""
    need(args, 3, 'agg expects (list, group_field, "col:func", ...)')
    if type(args[0]) is not list:
        return []
    field = text(args[1])
    specs = [spec.split(":", 1) for spec in map(text, args[2:]) if ":" in spec]
    results: list[Value] = []
    for name, rows in _groups(args[0], field).items():
        result: dict[str, Value] = {field: name, "count": len(rows)}
        for column, function in specs:
            values = [r[column] for r in rows if type(r) is dict and column in r]
            result[f"{column}_{function}"] = _aggregate(function, values)
        results.append(result)
    return results


def _aggregate(function: str, values: list[Value]) -> Value:
    if function == "count":
        return len(values)
    if function not in ("sum", "avg", "min", "max"):
        return None
    if not values:
        return 0
    if function == "sum":
        return total(values)
    if function == "avg":
        return _mean(values)
    chosen = (min if function == "min" else max)(values, key=key_for(values))
    return chosen if type(chosen) is str and number(chosen) is None else number(chosen) or 0


def _mean(values: list[Value]) -> int | float:
    """The average; of Ints it is an Int, truncated, as programs expect of `agg`."""
    sum_ = total(values)
    return trunc_div(sum_, len(values)) if type(sum_) is int else sum_ / len(values)


def sum_by(*args: Value) -> int | float:
    need(args, 2, "sum_by expects (list, field)")
    if type(args[0]) is not list:
        return 0
    field = text(args[1])
    return total([cell(r, field) for r in args[0]])


def avg_by(*args: Value) -> int | float | None:
    """The mean over all rows, missing fields as 0; an integral one is an Int."""
    need(args, 2, "avg_by expects (list, field)")
    rows, field = args[0], text(args[1])
    if type(rows) is not list or not rows:
        return None
    mean = div(total([cell(r, field) for r in rows]), len(rows))
    return int(mean) if type(mean) is float and mean.is_integer() else mean


def min_by(*args: Value) -> Row:
    """The row with the smallest value; the first one on ties."""
    return _extreme_row(args, min)


def max_by(*args: Value) -> Row:
    """The row with the largest value; the first one on ties."""
    return _extreme_row(args, max)


def _extreme_row(args: tuple[Value, ...], choose: Callable[..., Row]) -> Row:
    need(args, 2, "min_by/max_by expects (list, field)")
    rows, field = args[0], text(args[1])
    if type(rows) is not list or not rows:
        return None
    key = key_for([cell(r, field) for r in rows])
    return choose(rows, key=lambda r: key(cell(r, field)))


def count_by(*args: Value) -> int:
    """How many rows have this text in a field."""
    need(args, 3, "count_by expects (list, field, value)")
    if type(args[0]) is not list:
        return 0
    field, wanted = text(args[1]), text(args[2])
    rows = [r for r in args[0] if type(r) is dict and field in r]
    return sum(1 for r in rows if text(r[field]) == wanted)


def pluck(*args: Value) -> list[Value]:
    """The values of one field, `()` where it is missing."""
    need(args, 2, "map_by expects (list, field)")  # the reference has this name
    field = text(args[1])
    return [cell(r, field) for r in args[0]] if type(args[0]) is list else []


def select(*args: Value) -> list[Value]:
    """Rows with only these fields, in this order."""
    need(args, 2, "select expects (list, field1, field2, ...)")
    if type(args[0]) is not list:
        return []
    fields = [text(name) for name in args[1:]]
    return [_only(r, fields) for r in args[0]]


def _only(row: Row, fields: list[str]) -> Row:
    return {f: row[f] for f in fields if f in row} if type(row) is dict else row


def inner_join(*args: Value) -> list[Value]:
    """Rows of a, each with the fields it lacks from the first row of b with an equal key."""
    a, partners, key = _join_operands(args, "join expects (list, list, key)")
    pairs = [(r, _partner(r, partners, key)) for r in a]
    return [_united(r, partner) for r, partner in pairs if partner]


def left_join(*args: Value) -> list[Value]:
    """As `inner_join`; rows without a partner stay as they are."""
    a, partners, key = _join_operands(args, "left_join expects (list, list, key)")
    return [_united(r, _partner(r, partners, key) or {}) for r in a]


def _join_operands(
    args: tuple[Value, ...], message: str
) -> tuple[list[Row], dict[str, dict[str, Value]], str]:
    need(args, 3, message)
    a, b, key = args[0], args[1], text(args[2])
    if type(a) is not list or type(b) is not list:
        raise type_error(message)
    partners: dict[str, dict[str, Value]] = {}
    for row in b:
        if type(row) is dict and key in row:
            partners.setdefault(text(row[key]), row)
    return a, partners, key


def _partner(row: Row, partners: dict[str, dict[str, Value]], key: str) -> dict[str, Value] | None:
    if type(row) is not dict or key not in row:
        return None
    return partners.get(text(row[key]))


def _united(row: Row, partner: dict[str, Value]) -> dict[str, Value]:
    own = row if type(row) is dict else {}
    return own | {k: v for k, v in partner.items() if k not in own}


def join(*args: Value) -> str | list[Value]:
    """The texts of a list joined by a separator; with two lists and a key, `inner_join`."""
    need(args, 1, "join expects a list")
    if len(args) >= 3 and type(args[0]) is list and type(args[1]) is list:
        return inner_join(*args)
    xs = args[0]
    if type(xs) is list:
        return (text(args[1]) if len(args) > 1 else "").join([text(x) for x in xs])
    need(args, 2, "join expects a list")
    return text(xs)
