"""The rule `unchecked_get`: `slot.get(k)` yields `()` for a key that is not there.

A value counts as checked when anything in the handler looks whether it is there: `??`, `?`, a
comparison, a condition, `match`, `require`, `ensure`, or `has` on the same slot.
"""

from __future__ import annotations

from collections.abc import Iterator

from ..frontend import nodes as n
from ..frontend.walk import walk
from .findings import WARNING, Lint, Place

NEEDS_A_VALUE = frozenset(["+", "-", "*", "/", "%", "<", ">", "<=", ">="])
ANY_VALUE = frozenset(["to_string", "to_json", "type_of", "is_null", "is_unit"])  # methods


def unchecked_get(place: Place) -> Iterator[Lint]:
    """`slot.get(k).name` or `slot.get(k) + 1`, directly or through a `let`."""
    checked = _checked_names(place)
    asked = {s for node in place.nodes if (s := place.slot_call(node, "has"))}
    needed = list(_needed(place))
    used = {v.name for v in needed if isinstance(v, n.Name)}
    for value in needed:
        slot = place.slot_call(value, "get")
        if slot is not None and slot not in asked:
            yield _lint(slot, value)
    for node in place.nodes:
        if isinstance(node, n.Let) and node.name in used - checked:
            slot = place.slot_call(node.value, "get")
            if slot is not None and slot not in asked:
                yield _lint(slot, node.value)


def _lint(slot: str, node: n.Node) -> Lint:
    return Lint(
        "unchecked_get",
        WARNING,
        node.span.line,
        f"unchecked {slot}.get(): it yields () when the key is not there",
        f"give a default (`{slot}.get(key) ?? …`) or compare with () first",
    )


def _needed(place: Place) -> Iterator[n.Expr]:
    """The expressions that must have a value where they stand."""
    for node in place.nodes:
        if isinstance(node, n.Field | n.Method):
            if node.name not in ANY_VALUE or isinstance(node, n.Field):
                yield node.target
        elif isinstance(node, n.Binary) and node.op in NEEDS_A_VALUE:
            yield from (node.left, node.right)
        elif isinstance(node, n.For):
            yield node.iterable
        elif isinstance(node, n.Unary) and node.op == "-":
            yield node.operand


def _checked_names(place: Place) -> set[str]:
    """Names of which something in the handler asks whether they have a value."""
    found: set[str] = set()
    for node in place.nodes:
        for question in _questions(node):
            found.update(below.name for below in walk(question) if isinstance(below, n.Name))
    return found


def _questions(node: n.Node) -> tuple[n.Node, ...]:
    if isinstance(node, n.Binary) and node.op == "??":
        return (node.left,)
    if isinstance(node, n.Binary) and node.op in ("==", "!="):
        return (node.left, node.right)
    if isinstance(node, n.If | n.IfExpr | n.While | n.Ensure):
        return (node.condition,)
    if isinstance(node, n.Match):
        return (node.subject,)
    if isinstance(node, n.Require):
        return (node.constraint,)
    if isinstance(node, n.Propagate):
        return (node.value,)
    return ()
