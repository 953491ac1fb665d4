"""The syntax tree as indented text, for debugging (`soma ast`)."""

from __future__ import annotations

from dataclasses import fields

from .nodes import Node

_UNSHOWN = frozenset(("span", "name_span", "error"))


def dump(node: Node) -> str:
    """One line per node: its class, its place and its plain attributes, children indented."""
    lines: list[str] = []
    _node(node, "", 0, lines)
    return "\n".join(lines)


def _node(node: Node, label: str, depth: int, lines: list[str]) -> None:
    plain: list[str] = []
    nested: list[tuple[str, object]] = []
    for attribute in fields(node):
        value = getattr(node, attribute.name)
        if attribute.name in _UNSHOWN or value is None or value == ():
            continue
        if _holds_node(value):
            nested.append((attribute.name, value))
        else:
            plain.append(f"{attribute.name}={value!r}")
    place = f" @{node.span.line}:{node.span.column}" if node.span.source.path else ""
    head = f"{label}: " if label else ""
    text = f"{head}{type(node).__name__}{place} {' '.join(plain)}".rstrip()
    lines.append("  " * depth + text)
    for name, value in nested:
        _value(value, name, depth + 1, lines)


def _value(value: object, label: str, depth: int, lines: list[str]) -> None:
    if isinstance(value, Node):
        _node(value, label, depth, lines)
    elif isinstance(value, tuple) and _holds_node(value):
        lines.append("  " * depth + f"{label}:")
        for item in value:
            _value(item, "", depth + 1, lines)
    else:
        head = f"{label}: " if label else ""
        lines.append("  " * depth + f"{head}{value!r}")


def _holds_node(value: object) -> bool:
    if isinstance(value, tuple):
        return any(_holds_node(item) for item in value)
    return isinstance(value, Node)
