"""Maps (builtins §6). Every function gives a new map."""

from __future__ import annotations

from ..errors import type_error
from ..values.kinds import Value
from ..values.text import text
from .arguments import need


def make_map(*args: Value) -> dict[str, Value]:
    """`map(k, v, …)`: keys by their text; a repeated key keeps its place, takes the last value."""
    if len(args) % 2:
        raise type_error(
            f"map() requires an even number of arguments (key-value pairs), got {len(args)}"
        )
    made: dict[str, Value] = {}
    for i in range(0, len(args), 2):
        made[text(args[i])] = args[i + 1]
    return made


def with_(*args: Value) -> dict[str, Value]:
    """A copy with entries set."""
    if not args or type(args[0]) is not dict:
        raise type_error("with expects (map, key, value)")
    changed = dict(args[0])
    for i in range(1, len(args) - 1, 2):
        changed[text(args[i])] = args[i + 1]
    return changed


def without(*args: Value) -> dict[str, Value]:
    """A copy without some entries."""
    if not args or type(args[0]) is not dict:
        raise type_error("without expects (map, keys...)")
    gone = {text(key) for key in args[1:]}
    return {key: value for key, value in args[0].items() if key not in gone}


def merge(*args: Value) -> Value:
    """Both maps in one; the second wins, keys of the first keep their place."""
    need(args, 2, "merge expects (map1, map2)")
    a, b = args[:2]
    return {**a, **b} if type(a) is dict and type(b) is dict else a
