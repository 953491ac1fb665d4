"""Arithmetic beyond the fast paths of `somart.ops`: mixed kinds, floats, errors (core §3.3)."""

from __future__ import annotations

import math

from ..errors import SomaError, type_error
from .kinds import Value, operator_kind
from .numbers import I64_MAX, I64_MIN, int_to_float
from .text import debug, text

_PLURALS: dict[type, str] = {str: "strings", list: "lists", bool: "bools"}


def invalid_operands(verb: str, op: str, a: Value, b: Value) -> SomaError:
    """The error of an operator that its operands do not have."""
    ka, kb = type(a), type(b)
    if ka is float:
        return type_error(f"expected Float, got {debug(b)}")
    if kb is float:
        return type_error(f"expected Float, got {debug(a)}")
    if ka is kb and ka in _PLURALS:
        return type_error(f"invalid op for {_PLURALS[ka]}")
    left, right = operator_kind(a), operator_kind(b)
    return type_error(f"cannot {verb} {left} and {right}: {text(a)} {op} {text(b)}")


def float_pair(verb: str, op: str, a: Value, b: Value) -> tuple[float, float]:
    """Both operands as Floats, when one is a Float and the other a number; else an error."""
    ka, kb = type(a), type(b)
    if ka is float:
        if kb is float:
            return a, b
        if kb is int:
            return a, int_to_float(b)
    elif kb is float and ka is int:
        return int_to_float(a), b
    raise invalid_operands(verb, op, a, b)


def add_slow(a: Value, b: Value) -> Value:
    if type(a) is list and type(b) is list:
        return a + b
    x, y = float_pair("add", "+", a, b)
    return x + y


def subtract_slow(a: Value, b: Value) -> Value:
    x, y = float_pair("subtract", "-", a, b)
    return x - y


def multiply_slow(a: Value, b: Value) -> Value:
    x, y = float_pair("multiply", "*", a, b)
    return x * y


def divide_slow(a: Value, b: Value) -> Value:
    x, y = float_pair("divide", "/", a, b)
    return divide_floats(x, y)


def modulo_slow(a: Value, b: Value) -> Value:
    x, y = float_pair("modulo", "%", a, b)
    return modulo_floats(x, y)


def divide_floats(x: float, y: float) -> float:
    """IEEE division: by zero it is infinite, or NaN."""
    if y:
        return x / y
    if x != x or y != y or x == 0:
        return math.nan
    return math.copysign(math.inf, x) * math.copysign(1.0, y)


def modulo_floats(x: float, y: float) -> float:
    """The remainder with the sign of the left operand; NaN by zero and of infinities."""
    if y == 0 or math.isinf(x):
        return math.nan
    return math.fmod(x, y)


def truncated_quotient(a: int, b: int) -> int:
    """The quotient of Ints, rounded toward zero."""
    if a >= 0 and b > 0:
        return a // b
    if b == 0:
        raise type_error("division by zero")
    quotient = abs(a) // abs(b)
    return quotient if (a < 0) == (b < 0) else -quotient


def truncated_remainder(a: int, b: int) -> int:
    """The remainder of Ints, with the sign of the left operand."""
    if a >= 0 and b > 0:
        return a % b
    if b == 0:
        raise type_error("modulo by zero")
    remainder = abs(a) % abs(b)
    return remainder if a >= 0 else -remainder


def divide_ints(a: int, b: int) -> int | float:
    """Exact quotients stay Int, others are Floats; beyond 64 bit they truncate."""
    if b == 0:
        raise type_error("division by zero")
    if I64_MIN <= a <= I64_MAX and I64_MIN <= b <= I64_MAX:
        quotient, remainder = divmod(a, b)
        return a / b if remainder else quotient
    return truncated_quotient(a, b)
