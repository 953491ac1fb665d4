"""Equality and order of values (core §3.4, with lists and maps compared by structure)."""

from __future__ import annotations

from ..errors import SomaError, type_error
from .kinds import Value, Variant, operator_kind
from .text import debug


def equal(a: Value, b: Value) -> bool:
    """Soma's `==` without its errors: unlike kinds are unequal; Int and Float mix."""
    ka, kb = type(a), type(b)
    if ka is not kb:
        return _is_number(ka) and _is_number(kb) and bool(a == b)  # exact between int and float
    if ka is list:
        return _equal_lists(a, b)
    if ka is dict:
        return _equal_maps(a, b)
    if ka is Variant:
        return equals_strictly(a, b)
    return bool(a == b)


# Loops, not all(map(…)): nesting then costs Python frames, which are limited, and no C stack.
def _equal_lists(a: list[Value], b: list[Value]) -> bool:
    if len(a) != len(b):
        return False
    for x, y in zip(a, b, strict=True):  # noqa: SIM110
        if not equal(x, y):
            return False
    return True


def _equal_maps(a: dict[str, Value], b: dict[str, Value]) -> bool:
    if len(a) != len(b):
        return False
    for key, x in a.items():  # noqa: SIM110
        if key not in b or not equal(x, b[key]):
            return False
    return True


def equals_strictly(a: Value, b: Value) -> bool:
    """Equality of payloads of variants: as `equal`, but 2 and 2.0 differ."""
    if type(a) is not type(b):
        return False
    if type(a) is Variant:
        return (
            a.type_name == b.type_name
            and a.name == b.name
            and _same_payload(a.items, b.items)
            and _same_payload(a.fields, b.fields)
        )
    if type(a) is list:
        return _same_payload(a, b)
    if type(a) is dict:
        return _same_payload(a, b)
    return bool(a == b)


def _same_payload(a: Value, b: Value) -> bool:
    if a is None or b is None:
        return a is b
    if len(a) != len(b):
        return False
    if isinstance(a, dict):
        if a.keys() != b.keys():
            return False
        a, b = a.values(), [b[key] for key in a]
    for x, y in zip(a, b, strict=True):  # noqa: SIM110
        if not equals_strictly(x, y):
            return False
    return True


def _is_number(kind: type) -> bool:
    return kind is int or kind is float


def order(a: Value, b: Value) -> int | None:
    """-1, 0 or 1; None where order is always false (Unit, NaN).

    Raises the errors of core §3.4 for kinds without an order.
    """
    ka, kb = type(a), type(b)
    if (_is_number(ka) and _is_number(kb)) or (ka is str and kb is str):
        return None if a != a or b != b else (a > b) - (a < b)
    if a is None or b is None:
        return None
    if ka is bool and kb is bool:
        raise type_error("cannot order booleans")
    if ka is Variant and kb is Variant:
        raise type_error("cannot order variants")
    raise incomparable(a, b)


def incomparable(a: Value, b: Value) -> SomaError:
    """The error of comparing two kinds that do not compare."""
    ka, kb = type(a), type(b)
    if ka is float and kb is not int:
        return type_error(f"expected Float, got {debug(b)}")
    if kb is float and ka is not int:
        return type_error(f"expected Float, got {debug(a)}")
    return type_error(f"cannot compare {operator_kind(a)} and {operator_kind(b)}")


def comparable(a: Value, b: Value) -> bool:
    """Whether `==` of two values is allowed."""
    ka, kb = type(a), type(b)
    if ka is kb:
        return ka in (int, str, float, bool, list, dict, Variant, type(None))
    return (_is_number(ka) and _is_number(kb)) or a is None or b is None
