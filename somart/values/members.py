"""Fields and methods of ordinary values (core §3.10, builtins §15)."""

from __future__ import annotations

from collections.abc import Sequence

from ..errors import type_error
from .kinds import Value
from .text import debug, text


def field(v: Value, name: str) -> Value:
    """`v.name`. Properties of Maps hide entries of the same name."""
    kind = type(v)
    if kind is dict:
        return v.get(name) if name not in _MAP_PROPERTIES else _map_property(v, name)
    if kind is list:
        return _list_field(v, name)
    if kind is str:
        return len(v) if name in ("length", "len") else None
    raise type_error(f"cannot access field '{name}' on {debug(v)}")


def entry(v: Value, name: str) -> Value:
    """`v.name` for names that no property has: most likely an entry of a Map."""
    try:
        return v.get(name)
    except AttributeError:
        return field(v, name)


_MAP_PROPERTIES = frozenset({"keys", "values", "length", "len", "size"})


def _map_property(v: dict[str, Value], name: str) -> Value:
    if name == "keys":
        return list(v)
    return list(v.values()) if name == "values" else len(v)


def _list_field(v: list[Value], name: str) -> Value:
    if name in ("length", "len"):
        return len(v)
    if name == "first":
        return v[0] if v else None
    if name == "last":
        return v[-1] if v else None
    return None


def method(v: Value, name: str, args: Sequence[Value] = (), target: str | None = None) -> Value:
    """`v.name(args)`. `target` is the source text of v when it is a plain name, for the error."""
    kind = type(v)
    if kind is dict and name in ("get", "has", "keys", "values"):
        return _map_method(v, name, args)
    if kind is list and name in ("get", "len", "length"):
        return list_item(v, args[0]) if name == "get" and args else _list_size(v, name)
    if kind is str and name in ("len", "length"):
        return len(v)
    if kind is str and name == "split" and args:
        return split(v, args[0]) if type(args[0]) is str else None
    if target is not None:
        raise type_error(f"'{target}' is not a memory slot (no storage backend)")
    raise type_error(f"no method '{name}' on {debug(v)}")


def _map_method(v: dict[str, Value], name: str, args: Sequence[Value]) -> Value:
    if name == "get":
        return v.get(text(args[0])) if args else None
    if name == "has":
        return bool(args) and text(args[0]) in v
    return list(v) if name == "keys" else list(v.values())


def _list_size(v: list[Value], name: str) -> int | None:
    return None if name == "get" else len(v)


def list_item(v: list[Value], index: Value) -> Value:
    """The item at an index from 0; `()` when out of range, negative or no Int."""
    if type(index) is int and 0 <= index < len(v):
        return v[index]
    return None


def split(s: str, separator: str) -> list[Value]:
    """The pieces between separators; an empty one splits at every character, ends included."""
    return s.split(separator) if separator else ["", *s, ""]
