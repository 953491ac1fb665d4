"""Lists (builtins §5). Every function gives a new list and leaves its argument as it was."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..errors import type_error, undefined_function
from ..values.kinds import Value, operator_kind
from ..values.numbers import as_int
from ..values.text import text
from .arguments import need

_SORTABLE = (int, float, str)


def list_(*args: Value) -> list[Value]:
    """`list(a, b)`; a List as first of several arguments is extended by the others.

    Where the first argument is itself written `list(…)` or `[…]`, the compiler builds the nested
    list and does not call this.
    """
    if len(args) >= 2 and type(args[0]) is list:
        return [*args[0], *args[1:]]
    return list(args)


def push(*args: Value) -> list[Value]:
    """The list with the other arguments appended."""
    return list_(*args)


def append(xs: Value, *items: Value) -> list[Value]:
    """`x = append(x, a)`, the only place where it is a function: Lists have it (builtins §1.6)."""
    if type(xs) is not list:
        raise undefined_function("append")
    return [*xs, *items]


def nth(*args: Value) -> Value:
    """The item at an index from 0, `()` when out of range."""
    need(args, 2, "nth(list, index)")
    xs, index = args[:2]
    if type(xs) is not list:
        raise type_error("nth: first argument must be a list")
    if type(index) is not int:
        raise type_error("nth: index must be Int")
    return xs[index] if 0 <= index < len(xs) else None


def range_(*args: Value) -> list[Value]:
    """The Ints from a to b-1."""
    need(args, 2, "range expects (start, end)")
    try:
        return list(range(*range_bounds(args[0], args[1])))
    except OverflowError:
        raise type_error("range: more items than a List can hold") from None


def range_bounds(start: Value, end: Value) -> tuple[int, int]:
    """The bounds of a `range`: Floats truncated, what is no number is 0."""
    return _bound(start), _bound(end)


def _bound(v: Value) -> int:
    if type(v) is int:
        return v
    return as_int(v) if type(v) is float else 0


def reverse(xs: Value, *_: Value) -> list[Value]:
    if type(xs) is not list:
        raise type_error("reverse expects a list")
    return xs[::-1]


def sort(*args: Value) -> list[Value]:
    """Stable order of numbers or of texts; `"desc"` turns it round.

    Lists of one other kind keep their order. Raises for mixed kinds, which have no order.
    """
    xs = args[0]
    if type(xs) is not list:
        raise type_error('sort(list) or sort(list, "desc")')
    descending = len(args) > 1 and args[1] == "desc"
    kinds = {type(x) for x in xs}
    if len(kinds) > 1 and kinds != {int, float}:
        raise _mixed_kinds(xs)
    if not kinds <= set(_SORTABLE):
        return list(xs)
    key: Callable[[Any], Any] | None = _nan_last if float in kinds else None
    return sorted(xs, key=key, reverse=descending)


def _nan_last(x: float) -> tuple[bool, float]:
    return x != x, x


def _mixed_kinds(xs: list[Value]) -> Exception:
    first = xs[0]
    numbers = (int, float)
    other = next(
        x
        for x in xs
        if type(x) is not type(first) and not (type(x) in numbers and type(first) in numbers)
    )
    return type_error(f"sort: cannot order {operator_kind(first)} and {operator_kind(other)}")


def flatten(xs: Value, *_: Value) -> list[Value]:
    """One level of nesting removed."""
    if type(xs) is not list:
        return []
    flat: list[Value] = []
    for x in xs:
        if type(x) is list:
            flat.extend(x)
        else:
            flat.append(x)
    return flat


def zip_(*args: Value) -> list[Value]:
    """Maps `left`, `right` of the items at equal places."""
    need(args, 2, "zip expects (list, list)")
    xs, ys = args[:2]
    if type(xs) is not list or type(ys) is not list:
        return []
    return [{"left": x, "right": y} for x, y in zip(xs, ys, strict=False)]


def enumerate_(xs: Value, *_: Value) -> list[Value]:
    """Maps `index`, `value`."""
    if type(xs) is not list:
        return []
    return [{"index": i, "value": x} for i, x in enumerate(xs)]


def distinct(*args: Value) -> list[Value]:
    """First occurrences, of items or of the values of a field; equal are those of equal text."""
    xs = args[0]
    if type(xs) is not list:
        return []
    if len(args) > 1:
        name = text(args[1])
        xs = [x.get(name) if type(x) is dict else x for x in xs]
    return _first_of(xs)


def _first_of(xs: list[Value]) -> list[Value]:
    found: dict[str, Value] = {}
    for x in xs:
        found.setdefault(text(x), x)
    return list(found.values())


def top(*args: Value) -> Value:
    """The first n items; all when n is negative."""
    need(args, 2, "top expects (list, n)")
    xs, n = args[0], as_int(args[1])
    if type(xs) is not list:
        return xs
    return xs[:n] if n >= 0 else list(xs)


def bottom(*args: Value) -> Value:
    """The last n items in their order; all when n is negative."""
    need(args, 2, "bottom expects (list, n)")
    xs, n = args[0], as_int(args[1])
    if type(xs) is not list:
        return xs
    return xs[max(len(xs) - n, 0) :] if n >= 0 else list(xs)
