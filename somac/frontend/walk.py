"""Walks syntax trees: the children of a node, and all nodes below one, in source order.

Which fields of a class can hold nodes is worked out once per class, from its annotations, so that
a walk looks at nothing else. Trees are finite and their depth is limited by the parser; the walk
itself needs no recursion.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

from .nodes import Node

_PLAIN = frozenset({"str", "int", "float", "bool", "None", "tuple", "Span"})
_WORD = re.compile(r"\w+")


_CHILD_FIELDS: dict[type[Node], tuple[str, ...]] = {}


def child_fields(kind: type[Node]) -> tuple[str, ...]:
    """The fields of a node class that can hold nodes, in source order."""
    known = _CHILD_FIELDS.get(kind)
    if known is None:
        known = _CHILD_FIELDS[kind] = _find_child_fields(kind)
    return known


def _find_child_fields(kind: type[Node]) -> tuple[str, ...]:
    return tuple(
        name
        for name, written in kind.kinds.items()
        if name != "span" and any(w not in _PLAIN for w in _WORD.findall(written))
    )


def children(node: Node) -> list[Node]:
    """The nodes directly below a node; pairs such as record fields give their node part."""
    found: list[Node] = []
    kind = type(node)
    for name in _CHILD_FIELDS.get(kind) or child_fields(kind):
        value = getattr(node, name)
        if isinstance(value, Node):
            found.append(value)
        elif type(value) is tuple:
            _gather(value, found)
    return found


def _gather(items: tuple[object, ...], found: list[Node]) -> None:
    for item in items:
        if isinstance(item, Node):
            found.append(item)
        elif type(item) is tuple:
            _gather(item, found)


def walk(node: Node, enter: Callable[[Node], bool] | None = None) -> Iterator[Node]:
    """The node and all nodes below it, parents first, in source order.

    A node for which `enter` is false is yielded, and those below it are left out.
    """
    stack = [node]
    while stack:
        top = stack.pop()
        yield top
        if enter is None or enter(top):
            below = children(top)
            if below:
                below.reverse()
                stack.extend(below)
