"""What generated code calls for operators whose kinds are known only at run time.

The rules are those of core §3.3-3.13. The first line of each operator is its common case.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, NoReturn

from .errors import (
    SomaError,
    as_soma_error,
    require_failed,
    type_error,
    undefined_function,
    wrong_arity,
)
from .values import I64_MAX, I64_MIN, debug, text
from .values.arithmetic import (
    add_slow,
    divide_ints,
    divide_slow,
    modulo_slow,
    multiply_slow,
    subtract_slow,
    truncated_quotient,
    truncated_remainder,
)
from .values.compare import comparable, equal, incomparable, order
from .values.kinds import Lambda, Value
from .values.members import entry, field, method

__all__ = [
    "add",
    "assign_div",
    "call",
    "constraint",
    "div",
    "ensure",
    "entry",
    "eq",
    "fail",
    "failed",
    "field",
    "ge",
    "gt",
    "in_range",
    "int_div",
    "int_mod",
    "iterate",
    "le",
    "loose_eq",
    "loose_ne",
    "lt",
    "matches",
    "method",
    "mod",
    "mul",
    "ne",
    "neg",
    "not_",
    "propagates",
    "record",
    "sub",
    "succeeded",
    "text",
    "trunc_div",
    "truthy",
    "uncallable",
    "unwrap",
]

# --- arithmetic ----------------------------------------------------------------------------------


def add(a: Value, b: Value) -> Value:
    """`a + b`"""
    kind = type(a)
    if kind is type(b) and (kind is int or kind is str or kind is float):
        return a + b
    return add_slow(a, b)


def sub(a: Value, b: Value) -> Value:
    """`a - b`"""
    kind = type(a)
    if kind is type(b) and (kind is int or kind is float):
        return a - b
    return subtract_slow(a, b)


def mul(a: Value, b: Value) -> Value:
    """`a * b`"""
    kind = type(a)
    if kind is type(b) and (kind is int or kind is float):
        return a * b
    return multiply_slow(a, b)


def div(a: Value, b: Value) -> Value:
    """`a / b`: Ints with an exact quotient stay Int (core §3.3)."""
    if type(a) is int and type(b) is int:
        return int_div(a, b)
    return divide_slow(a, b)


def mod(a: Value, b: Value) -> Value:
    """`a % b`, with the sign of the left operand."""
    if type(a) is int and type(b) is int:
        return a % b if a >= 0 and b > 0 else truncated_remainder(a, b)
    return modulo_slow(a, b)


def neg(v: Value) -> Value:
    """`-v`, which is `0 - v`."""
    return sub(0, v)


def assign_div(a: Value, b: Value) -> Value:
    """`x = x / e`: truncates when both are Ints, so that digit loops end."""
    if type(a) is int and type(b) is int:
        return truncated_quotient(a, b)
    return divide_slow(a, b)


def int_div(a: int, b: int) -> int | float:
    """`a / b` of Ints."""
    if b > 0 and I64_MIN <= a <= I64_MAX and b <= I64_MAX:
        return a / b if a % b else a // b
    return divide_ints(a, b)


def int_mod(a: int, b: int) -> int:
    """`a % b` of Ints."""
    return a % b if a >= 0 and b > 0 else truncated_remainder(a, b)


def trunc_div(a: int, b: int) -> int:
    """The quotient of Ints rounded toward zero, always an Int."""
    return a // b if a >= 0 and b > 0 else truncated_quotient(a, b)


# --- comparison ----------------------------------------------------------------------------------


def eq(a: Value, b: Value) -> bool:
    """`a == b`; unlike kinds are an error, lists and maps compare by structure."""
    kind = type(a)
    if kind is type(b) and (kind is int or kind is str or kind is bool or kind is float):
        return a == b  # type: ignore[no-any-return]
    if comparable(a, b):
        return equal(a, b)
    raise incomparable(a, b)


def ne(a: Value, b: Value) -> bool:
    """`a != b`"""
    kind = type(a)
    if kind is type(b) and (kind is int or kind is str or kind is bool or kind is float):
        return a != b  # type: ignore[no-any-return]
    if comparable(a, b):
        return not equal(a, b)
    raise incomparable(a, b)


def lt(a: Value, b: Value) -> bool:
    """`a < b`; always false when a side is `()`."""
    kind = type(a)
    if kind is type(b) and (kind is int or kind is str or kind is float):
        return a < b  # type: ignore[no-any-return]
    return order(a, b) == -1


def gt(a: Value, b: Value) -> bool:
    """`a > b`"""
    kind = type(a)
    if kind is type(b) and (kind is int or kind is str or kind is float):
        return a > b  # type: ignore[no-any-return]
    return order(a, b) == 1


def le(a: Value, b: Value) -> bool:
    """`a <= b`"""
    kind = type(a)
    if kind is type(b) and (kind is int or kind is str or kind is float):
        return a <= b  # type: ignore[no-any-return]
    return order(a, b) in (-1, 0)


def ge(a: Value, b: Value) -> bool:
    """`a >= b`"""
    kind = type(a)
    if kind is type(b) and (kind is int or kind is str or kind is float):
        return a >= b  # type: ignore[no-any-return]
    return order(a, b) in (0, 1)


def loose_eq(a: Value, b: Value) -> bool:
    """`==` in guards of machines, where unlike kinds are unequal (system §2.3)."""
    return equal(a, b)


def loose_ne(a: Value, b: Value) -> bool:
    """`!=` in guards of machines."""
    return not equal(a, b)


# --- truth ---------------------------------------------------------------------------------------


def truthy(v: Value) -> bool:
    """The one truth rule: false are `false`, `()`, Int 0, `""` and `[]` (core §3.5, rule A)."""
    kind = type(v)
    if kind is bool:
        return v  # type: ignore[no-any-return]
    if kind is int or kind is str or kind is list:
        return bool(v)
    return v is not None


def not_(v: Value) -> bool:
    """`!v`, of a Bool or an Int."""
    if type(v) is bool or type(v) is int:
        return not v
    raise type_error(f"expected Bool, got {debug(v)}")


def constraint(v: Value) -> bool:
    """Whether a constraint of `require` holds: `v == true`, with that comparison's errors."""
    return eq(v, True)


def ensure(v: Value) -> None:
    """`ensure v`: raises `require failed: …` unless it is true."""
    if not truthy(v):
        raise require_failed("ensure postcondition failed")


# --- control -------------------------------------------------------------------------------------


def iterate(v: Value) -> Iterable[Value]:
    """What `for` goes over (core §3.7): items, entries, lines, or the value itself once."""
    kind = type(v)
    if kind is list:
        return v  # type: ignore[no-any-return]
    if kind is dict:
        return [{"key": key, "value": value} for key, value in v.items()]
    if kind is str and "\n" in v:
        lines = [line.removesuffix("\r") for line in v.split("\n")]
        return [line for line in lines if line]
    return (v,)


def matches(v: Value, literal: Value) -> bool:
    """A literal pattern: equal value; unlike kinds do not match, Int and Float do."""
    return equal(v, literal)


def in_range(v: Value, low: int, high: int) -> bool:
    """A range pattern, both ends included; Ints and Floats only."""
    return (type(v) is int or type(v) is float) and low <= v <= high


def call(f: Value, argument: Value, name: str = "", meant: str | None = None) -> Value:
    """`f(argument)` for a variable; `name` is the variable's, `meant` what the error suggests."""
    if type(f) is Lambda:
        return f.fn(argument)
    raise undefined_function(name, meant)


def uncallable(f: Value, name: str, got: int, meant: str | None = None) -> SomaError:
    """The error of a call of a variable with another number of arguments than one."""
    if type(f) is Lambda:
        return wrong_arity(name, 1, got)
    return undefined_function(name, meant)


def propagates(v: Value) -> bool:
    """Whether `v?` returns from the handler: a Map whose `error` is not `()`."""
    return type(v) is dict and v.get("error") is not None


def unwrap(v: Value) -> Value:
    """The value of `v?` when it does not return: the entry `value`, else v itself."""
    return v.get("value", v) if type(v) is dict else v


def succeeded(v: Value) -> Value:
    """The Map of a `try` that went well."""
    return {"value": v, "error": None}


def failed(error: BaseException) -> Value:
    """The Map of a `try` that failed; RecursionError and the like get their Soma text."""
    return {"value": None, "error": str(as_soma_error(error))}


_NO_FIELDS: Final[dict[str, Value]] = {}


def record(name: str, fields: dict[str, Value] = _NO_FIELDS, /, **more: Value) -> Value:
    """`P { a: 1 }`: a Map that begins with `_type`."""
    return {"_type": name, **fields, **more}


def fail(error: SomaError) -> NoReturn:
    """Raise, as an expression."""
    raise error
