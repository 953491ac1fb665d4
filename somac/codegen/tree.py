"""Walks over the syntax tree."""

from __future__ import annotations

from collections.abc import Iterator

from ..frontend import nodes as n

_FIELDS: dict[type[n.Node], tuple[str, ...]] = {}


def _field_names(kind: type[n.Node]) -> tuple[str, ...]:
    names = _FIELDS.get(kind)
    if names is None:
        names = _FIELDS[kind] = tuple(name for name in kind.kinds if name != "span")
    return names


def children(node: n.Node) -> Iterator[n.Node]:
    """The nodes directly inside a node, in source order."""
    for name in _field_names(type(node)):
        yield from _nodes_in(getattr(node, name))


def _nodes_in(value: object) -> Iterator[n.Node]:
    if isinstance(value, n.Node):
        yield value
    elif isinstance(value, tuple):
        for item in value:
            yield from _nodes_in(item)


def walk(node: n.Node) -> Iterator[n.Node]:
    """A node and all that is inside it, in source order."""
    pending = [node]
    while pending:
        current = pending.pop()
        yield current
        pending.extend(reversed(list(children(current))))
