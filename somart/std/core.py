"""Printing, conversions and kinds (builtins §2)."""

from __future__ import annotations

import sys

from ..errors import type_error
from ..values.jsontext import from_json as _from_json
from ..values.jsontext import to_json as _to_json
from ..values.kinds import Value, type_name
from ..values.numbers import as_int, int_to_float, parse_float, string_to_int
from ..values.text import text


def print_(*values: Value) -> Value:
    """`print(a, b, …)`: the texts joined by a blank, on standard output; yields `()`."""
    sys.stdout.write(" ".join([text(v) for v in values]) + "\n")
    return None


def to_string(v: Value, *_: Value) -> str:
    return text(v)


def to_int(v: Value, *_: Value) -> int | None:
    """The Int of a number, a numeric String or a Bool; `()` for everything else."""
    kind = type(v)
    if kind is int:
        return v  # type: ignore[no-any-return]
    if kind is str:
        return string_to_int(v)
    return as_int(v) if kind is float or kind is bool else None


def to_float(v: Value, *_: Value) -> float | None:
    """The Float of a number or a numeric String; `()` for everything else, Bools too."""
    kind = type(v)
    if kind is float:
        return v  # type: ignore[no-any-return]
    if kind is int:
        return int_to_float(v)
    return parse_float(v) if kind is str else None


def to_json(v: Value, *_: Value) -> str:
    return _to_json(v)


def from_json(v: Value, *_: Value) -> Value:
    return _from_json(v)


def type_of(v: Value, *_: Value) -> str:
    return type_name(v)


def is_type(*args: Value) -> bool:
    """Whether a Map is the record of that name; not a check of basic kinds."""
    if len(args) < 2:
        raise type_error("is_type expects (value, type_name)")
    record, name = args[:2]
    return type(record) is dict and type(name) is str and record.get("_type") == name
