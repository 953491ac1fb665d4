"""What to call a handler with, so that it takes one step of a trace (`verify --emit-tests`).

A handler tells by its text which parameter becomes the id of the instance that it moves. For the
others there are values of their types, those near the literals of the handler among them: one of
these may lead into the branch that is wanted. Whether it does, the running program says.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass

from ..check.targets import literal_text
from ..frontend import nodes as n
from ..frontend.walk import walk
from .moves import Move

VALUES_MAX = 8  # to try for one parameter
_THROUGH = frozenset({"to_string", "to_int", "trim"})  # calls that hand their argument on


@dataclass(frozen=True)
class Entity:
    """Stands for the id of the entity that a trace is about."""

    number: bool = False  # as an Int; an id of the machine is its text


@dataclass(frozen=True)
class Attempt:
    """A handler and, per parameter, the values to try. `entity` is the id that it moves if that is
    fixed by its text."""

    handler: str
    values: tuple[tuple[object, ...], ...]
    entity: str | None = None

    @property
    def text(self) -> str:
        """As Python source: `("close", [[ENTITY], [True, False]])`."""
        lists = ", ".join(f"[{', '.join(map(python, values))}]" for values in self.values)
        return f"({python(self.handler)}, [{lists}])"


def attempt(name: str, move: Move, target: str) -> Attempt | None:
    """How to make a handler do a move to a target; None if its text does not tell which instance
    it moves, or if it is no handler."""
    handler = move.body.handler
    if handler is None:
        return None
    fixed = literal_text(move.instance)
    if isinstance(move.instance, n.Int):
        fixed = str(move.instance.value)
    flow = _origin(move.instance, handler)
    if fixed is None and flow is None:
        return None
    values: list[tuple[object, ...]] = []
    for param in handler.params:
        if isinstance(move.written, n.Name) and move.written.name == param.name:
            values.append((target,))
        elif flow is not None and flow[0] == param.name:
            values.append(tuple(_with_entity(param, flow[1], handler)))
        else:
            found = {python(value): value for value in _values(param, handler)}
            values.append(tuple(found.values())[:VALUES_MAX])
    return Attempt(name, tuple(values), fixed)


def _origin(node: n.Node, handler: n.Handler, depth: int = 4) -> tuple[str, str | None] | None:
    """The parameter that an id comes from, and its field if it is one."""
    if isinstance(node, n.Name):
        if any(param.name == node.name for param in handler.params):
            return node.name, None
        bound = [s for s in walk(handler.body) if isinstance(s, n.Let) and s.name == node.name]
        return _origin(bound[0].value, handler, depth - 1) if len(bound) == 1 and depth else None
    if isinstance(node, n.Call) and node.name in _THROUGH and len(node.args) == 1:
        return _origin(node.args[0], handler, depth)
    if isinstance(node, n.Binary) and node.op == "??":
        return _origin(node.left, handler, depth)
    if isinstance(node, n.Str) and len(node.parts) == 1 and isinstance(node.parts[0], n.Hole):
        inner = node.parts[0].expr
        return _origin(inner, handler, depth) if inner is not None else None
    key = _key(node)
    if key is None:
        return None
    outer = _origin(key[0], handler, depth)
    return (outer[0], key[1]) if outer is not None and outer[1] is None else None


def _key(node: n.Node) -> tuple[n.Node, str] | None:
    """The target and the name of `x.name` or `x.get("name")`."""
    if isinstance(node, n.Field):
        return node.target, node.name
    if isinstance(node, n.Method) and node.name == "get" and node.args:
        name = literal_text(node.args[0])
        return (node.target, name) if name is not None else None
    return None


def _with_entity(param: n.Param, key: str | None, handler: n.Handler) -> Iterator[object]:
    """The entity as an argument: alone, or in the field of a map."""
    if key is None:
        yield Entity(param.type.name == "Int")
        return
    for record in _records(param, handler):
        yield {**record, key: Entity()}


def _values(param: n.Param, handler: n.Handler) -> Iterator[object]:
    """Values of a parameter's type, the most ordinary one first."""
    below = list(walk(handler.body))
    match param.type.name:
        case "Int":
            yield 1
            for node in below:
                if isinstance(node, n.Int):
                    yield from (node.value + 1, node.value, node.value - 1)
            yield 0
        case "Float":
            yield 1.0
            for node in below:
                if isinstance(node, n.Float | n.Int):
                    yield from (float(node.value + 1), float(node.value), float(node.value - 1))
            yield 0.0
        case "Bool":
            yield from (True, False)
        case "String":
            yield "x"
            for node in below:
                yield from _compared_texts(node)
        case "List":
            yield from ([], ["x"], [1])
        case _:
            yield from _records(param, handler)


def _compared_texts(node: n.Node) -> Iterator[str]:
    """The literal texts that a node compares something with."""
    sides: tuple[n.Node, ...] = ()
    if isinstance(node, n.Binary) and node.op in ("==", "!="):
        sides = (node.left, node.right)
    elif isinstance(node, n.LiteralPattern):
        sides = (node.value,)
    elif isinstance(node, n.PrefixPattern):
        yield node.prefix
    elif isinstance(node, n.Call | n.Method):  # contains(x, "a"), x.starts_with("a")
        sides = node.args if node.name in ("contains", "starts_with", "ends_with") else ()
    for side in sides:
        if (text := literal_text(side)) is not None:
            yield text


def _records(param: n.Param, handler: n.Handler) -> Iterator[dict[str, object]]:
    """Maps with the fields that the handler reads of a parameter."""
    keys = [key for node in walk(handler.body) if (key := _key(node)) is not None]
    names = [k for target, k in keys if isinstance(target, n.Name) and target.name == param.name]
    for value in (1, "x", 1.0, True) if names else (1,):
        yield dict.fromkeys(names, value)


def python(value: object) -> str:
    """A value as Python source."""
    if isinstance(value, Entity):
        return "int(ENTITY)" if value.number else "ENTITY"
    if isinstance(value, str):
        return json.dumps(value)  # JSON's escapes are Python's
    if isinstance(value, list):
        return f"[{', '.join(map(python, value))}]"
    if isinstance(value, dict):
        return f"{{{', '.join(f'{python(k)}: {python(v)}' for k, v in value.items())}}}"
    return repr(value)
