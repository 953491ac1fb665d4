"""What a `[native]` handler is called with becomes what its parameters declare (core §6)."""

from __future__ import annotations

from ..errors import type_error
from ..values.kinds import Value
from ..values.text import debug, text
from .numeric import as_float, as_int


def as_list(v: Value) -> list[Value]:
    """A List as it is. Raises SomaError for other kinds."""
    if type(v) is not list:
        raise type_error(f"expected List, got {debug(v)}")
    return v


def as_ints(v: Value) -> list[int]:
    """A `List<Int>`; items of other kinds are converted like Int variables."""
    items = as_list(v)
    if all(type(item) is int for item in items):
        return items
    return [as_int(item) for item in items]


def as_floats(v: Value) -> list[float]:
    """A `List<Float>`; items of other kinds are converted like Float variables."""
    items = as_list(v)
    if all(type(item) is float for item in items):
        return items
    return [as_float(item) for item in items]


def as_text(v: Value) -> str:
    """A String; other values are their text."""
    return v if type(v) is str else text(v)
