"""Checks that many builtins share: argument counts, and what counts as a function."""

from __future__ import annotations

from types import FunctionType, MethodType

from ..errors import type_error
from ..values.kinds import Lambda, Value

Args = tuple[Value, ...]


def need(args: Args, count: int, message: str) -> None:
    """Raise the builtin's own error when arguments are missing; surplus ones are ignored."""
    if len(args) < count:
        raise type_error(message)


def is_function(v: Value) -> bool:
    """Whether a higher-order builtin accepts `v`: a Lambda, or a plain Python function."""
    return type(v) in (Lambda, FunctionType, MethodType)
