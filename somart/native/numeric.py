"""Numbers in `[native]` handlers (core §6): kinds are static, integers of any size."""

from __future__ import annotations

import math
from typing import TypeVar

from ..errors import type_error
from ..std import lists
from ..std.numeric import ceil, exp, floor, log, log10, power, round_, sqrt
from ..std.randomness import unit
from ..values.arithmetic import divide_floats, modulo_floats
from ..values.arithmetic import truncated_quotient as int_div
from ..values.arithmetic import truncated_remainder as int_mod
from ..values.kinds import Value
from ..values.numbers import I64_MAX, I64_MIN, int_to_float

__all__ = [
    "abs_",
    "as_bool",
    "as_float",
    "as_int",
    "ceil",
    "clamp",
    "cos",
    "div",
    "exp",
    "float_div",
    "float_mod",
    "floor",
    "int_div",
    "int_mod",
    "log",
    "log10",
    "max_",
    "min_",
    "mod",
    "nth",
    "pow_",
    "random",
    "range_",
    "round_",
    "sin",
    "sqrt",
]

N = TypeVar("N", int, float)
Item = TypeVar("Item")

float_div = divide_floats
float_mod = modulo_floats


def div(a: float, b: float) -> float:
    """`a / b`: truncating for Ints, IEEE when a side is a Float."""
    if type(a) is int and type(b) is int:
        return int_div(a, b)
    return divide_floats(as_float(a), as_float(b))


def mod(a: float, b: float) -> float:
    """`a % b`, with the sign of the left operand."""
    if type(a) is int and type(b) is int:
        return int_mod(a, b)
    return modulo_floats(as_float(a), as_float(b))


def as_int(v: Value) -> int:
    """A value stored in an Int variable: Floats are truncated (saturating at 64 bits)."""
    if type(v) is int:
        return v
    if type(v) is not float:
        return 1 if v is True else 0
    if not math.isfinite(v):
        return 0 if v != v else (I64_MAX if v > 0 else I64_MIN)
    return min(max(int(v), I64_MIN), I64_MAX)


def as_float(v: Value) -> float:
    """A value stored in a Float variable: Ints are widened."""
    if type(v) is float:
        return v
    return int_to_float(v) if type(v) is int else float(v is True)


def as_bool(v: Value) -> bool:
    """A condition: a Bool, or an Int other than 0."""
    return bool(v)


def abs_(v: N) -> N:
    return abs(v)


def min_(a: N, b: N) -> N:
    return b if b < a else a


def max_(a: N, b: N) -> N:
    return b if b > a else a


def clamp(v: N, low: N, high: N) -> N:
    return min_(max_(v, low), high)


def pow_(a: float, b: float) -> float:
    """Always a Float."""
    return power(as_float(a), as_float(b))


def sin(v: float) -> float:
    x = as_float(v)
    return math.sin(x) if math.isfinite(x) else math.nan


def cos(v: float) -> float:
    x = as_float(v)
    return math.cos(x) if math.isfinite(x) else math.nan


def random(*_: Value) -> float:
    """A Float in [0, 1)."""
    return unit()


def nth(xs: list[Item], i: int) -> Item:
    """The item at an index from 0."""
    if 0 <= i < len(xs):
        return xs[i]
    raise type_error(f"nth: index {i} out of range for list of length {len(xs)}")


def range_(a: int, b: int) -> list[int]:
    """The Ints from a to b-1, where they are not counted by a `for`."""
    return lists.range_(as_int(a), as_int(b))
