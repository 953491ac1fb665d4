"""`reduce` with the static kind of its start, which is that of its result (core §6)."""

from __future__ import annotations

from typing import TypeVar, overload

from ..std import higher_order
from ..values import Value

T = TypeVar("T")


@overload
def reduce(xs: Value, start: T, f: Value, /) -> T: ...
@overload
def reduce(*args: Value) -> Value: ...
def reduce(*args: Value) -> Value:
    """`reduce(list, initial, p => e)`: the lambda gets a Map of `acc` and `val`."""
    return higher_order.reduce(*args)
