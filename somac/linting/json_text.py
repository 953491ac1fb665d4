"""Rules on `to_json` and `from_json` around storage, which keeps values as they are."""

from __future__ import annotations

from collections.abc import Iterator

from ..frontend import nodes as n
from .findings import WARNING, Lint, Place

WRITES = ("set", "put", "append", "push")


def redundant_to_json(place: Place) -> Iterator[Lint]:
    """`slot.set(k, to_json(v))`, also by a pipe: slots keep lists, maps and records."""
    for node in place.nodes:
        slot = place.slot_call(node, *WRITES)
        if slot is None or not isinstance(node, n.Method) or not node.args:
            continue
        if _converts(place, node.args[-1], "to_json"):
            yield Lint(
                "redundant_to_json",
                WARNING,
                node.args[-1].span.line,
                f"redundant to_json(): slot '{slot}' keeps values of every kind as they are",
                f"pass the value itself to {slot}.{node.name}()",
            )


def redundant_from_json(place: Place) -> Iterator[Lint]:
    """`from_json(slot.get(k))`, also by a pipe or with a default."""
    for node in place.nodes:
        value = _converted(place, node, "from_json")
        if isinstance(value, n.Binary) and value.op == "??":
            value = value.left
        slot = place.slot_call(value, "get") if value is not None else None
        if slot is not None:
            yield Lint(
                "redundant_from_json",
                WARNING,
                node.span.line,
                f"redundant from_json(): {slot}.get() gives back the value that was stored",
                f"use {slot}.get() as it is",
            )


def _converts(place: Place, node: n.Node, builtin: str) -> bool:
    return _converted(place, node, builtin) is not None


def _converted(place: Place, node: n.Node, builtin: str) -> n.Expr | None:
    """What `builtin(value)`, `value |> builtin()` or `value |> builtin` converts."""
    if isinstance(node, n.Call) and place.calls(node, builtin) and len(node.args) == 1:
        return node.args[0]
    if isinstance(node, n.Pipe):
        right = node.right
        if isinstance(right, n.Name) and right.name == builtin and builtin not in place.bound:
            return node.left
        if isinstance(right, n.Call) and place.calls(right, builtin) and not right.args:
            return node.left
    return None
