"""Arithmetic helpers (builtins §3.1)."""

from __future__ import annotations

import math
from collections.abc import Callable

from ..errors import type_error
from ..values.arithmetic import truncated_quotient
from ..values.kinds import Value
from ..values.numbers import I64_MAX, I64_MIN, as_int, as_number
from ..values.text import number_text
from .arguments import need


def abs_(v: Value, *_: Value) -> Value:
    if type(v) is int:
        if v == I64_MIN:
            raise type_error("abs: integer overflow (i64::MIN has no positive equivalent)")
        return abs(v)
    if type(v) is float:
        return abs(v)
    raise type_error("abs expects a number")


def _to_integer(name: str, v: Value, rounding: Callable[[float], float]) -> int:
    if type(v) is int:
        return v
    if type(v) is not float:
        return 0
    if math.isfinite(v):
        n = int(rounding(v))
        if I64_MIN <= n <= I64_MAX + 1:  # the bound as a double is 2^63
            return min(n, I64_MAX)
    raise type_error(f"{name}: {number_text(v)} is out of integer range")


def _half_away(x: float) -> float:
    """Rounding half away from zero, without the error of adding 0.5 to 0.49999999999999994."""
    whole = math.trunc(x)
    return whole + math.copysign(1, x) if abs(x - whole) >= 0.5 else whole


def round_(v: Value, *_: Value) -> int:
    """Half away from zero, always an Int; a digits argument is ignored."""
    return _to_integer("round", v, _half_away)


def floor(v: Value, *_: Value) -> int:
    return _to_integer("floor", v, math.floor)


def ceil(v: Value, *_: Value) -> int:
    return _to_integer("ceil", v, math.ceil)


def sqrt(v: Value, *_: Value) -> float:
    x = as_number(v)
    return math.sqrt(x) if x >= 0 else math.nan


def _logarithm(x: float, function: Callable[[float], float]) -> float:
    if x > 0:
        return function(x)
    return -math.inf if x == 0 else math.nan


def log(v: Value, *_: Value) -> float:
    """The natural logarithm; -inf at 0, NaN below."""
    return _logarithm(as_number(v), math.log)


def log10(v: Value, *_: Value) -> float:
    return _logarithm(as_number(v), math.log10)


def exp(v: Value, *_: Value) -> float:
    try:
        return math.exp(as_number(v))
    except OverflowError:
        return math.inf


def pow_(*args: Value) -> float:
    """Always a Float; with fewer than two arguments 0.0."""
    return power(as_number(args[0]), as_number(args[1])) if len(args) >= 2 else 0.0


def power(x: float, y: float) -> float:
    """IEEE pow, which Python turns into errors at its edges."""
    try:
        return math.pow(x, y)
    except OverflowError:
        odd = y.is_integer() and y % 2 == 1
        return -math.inf if x < 0 and odd else math.inf
    except ValueError:  # a negative base with a fraction, or zero with a negative exponent
        if x != 0:
            return math.nan
        return math.copysign(math.inf, x) if y.is_integer() and y % 2 == 1 else math.inf


def _extreme(args: tuple[Value, ...], smaller: bool) -> Value:
    a = args[0]
    if len(args) == 1:
        return a
    b = args[1]
    if type(a) is float or type(b) is float:
        x, y = as_number(a), as_number(b)
        if x != x or y != y:
            return y if x != x else x
        a, b = x, y
    elif type(a) is not int or type(b) is not int:
        a, b = _whole(a), _whole(b)
    return b if (b < a) == smaller and a != b else a


def min_(*args: Value) -> Value:
    """The smaller of two values; a third is ignored, a single one is returned unchanged."""
    return _extreme(args, smaller=True)


def max_(*args: Value) -> Value:
    return _extreme(args, smaller=False)


def clamp(*args: Value) -> int | float:
    need(args, 3, "clamp expects (value, min, max)")
    v, low, high = args[:3]
    if float in (type(v), type(low), type(high)):
        return _clamped(as_number(v), as_number(low), as_number(high))
    return _clamped(_whole(v), _whole(low), _whole(high))


def _whole(v: Value) -> int:
    """An Int of any size as it is, *int* of anything else."""
    return v if type(v) is int else as_int(v)


def _clamped(v: float, low: float, high: float) -> float:
    if low > high or low != low or high != high:
        least, most = _bound(low), _bound(high)
        raise type_error(f"clamp: min ({least}) must be <= max ({most})")
    if v < low:
        return low
    return high if v > high else v


def _bound(v: float) -> str:
    return str(v) if type(v) is int else number_text(v)


def idiv(*args: Value) -> int:
    """The quotient rounded toward zero."""
    need(args, 2, "idiv(a, b) requires 2 args")
    return truncated_quotient(_whole(args[0]), _whole(args[1]))
