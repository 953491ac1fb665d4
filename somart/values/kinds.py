"""The kinds that Python does not have, and the names of all kinds (core §3.1)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

Value = Any
"""A Soma value: int, float, str, bool, None, list, dict with str keys, Lambda or Variant."""


class Lambda:
    """`param => body`; `fn` takes the argument and returns the value (or an awaitable of it)."""

    __slots__ = ("fn", "param")

    def __init__(self, param: str, fn: Callable[[Value], Value]) -> None:
        self.param = param
        self.fn = fn

    def __call__(self, argument: Value) -> Value:
        return self.fn(argument)

    def __repr__(self) -> str:
        return f"<lambda({self.param})>"


class Variant:
    """A value of a sum type; `items` for tuple shape, `fields` for struct shape, else a unit.

    Equality is the language's (core §3.4): same type, same variant, payload strictly equal.
    """

    __slots__ = ("fields", "items", "name", "type_name")

    def __init__(
        self,
        type_name: str,
        name: str,
        items: tuple[Value, ...] | None = None,
        fields: dict[str, Value] | None = None,
    ) -> None:
        self.type_name = type_name
        self.name = name
        self.items = items
        self.fields = fields

    def __eq__(self, other: object) -> bool:
        from .compare import equals_strictly

        return isinstance(other, Variant) and equals_strictly(self, other)

    def __hash__(self) -> int:
        return hash((self.type_name, self.name))

    def __repr__(self) -> str:
        from .text import text

        return text(self)


_TYPE_NAMES: dict[type, str] = {
    int: "Int",
    float: "Float",
    str: "String",
    bool: "Bool",
    list: "List",
    dict: "Map",
    Lambda: "Lambda",
    Variant: "Variant",
    type(None): "Unit",
}


def type_name(v: Value) -> str:
    """The kind as `type_of` names it."""
    name = _TYPE_NAMES.get(type(v), "Unit")
    if name == "Int" and not -0x8000000000000000 <= v <= 0x7FFFFFFFFFFFFFFF:
        return "BigInt"
    return name


def operator_kind(v: Value) -> str:
    """The kind as errors of operators name it."""
    name = type_name(v)
    return {"Lambda": "Function", "Unit": "Null"}.get(name, name)
