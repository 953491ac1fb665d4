"""Expressions and patterns as the conditions of a refinement line (§5.4)."""

from __future__ import annotations

from ..frontend import nodes as n

OTHER = "…"


def expression(node: n.Node) -> str:
    """A condition in one line; what has no short form is `…`."""
    if isinstance(node, n.Name):
        return node.name
    if isinstance(node, n.Field):
        return f"{expression(node.target)}.{node.name}"
    if isinstance(node, n.Call):
        return f"{node.name}({', '.join(map(expression, node.args))})"
    if isinstance(node, n.Binary):
        left, right = expression(node.left), expression(node.right)
        return f"_coalesce({left}, {right})" if node.op == "??" else f"{left} {node.op} {right}"
    if isinstance(node, n.Unary):
        return f"{'!' if node.op == '!' else '0 - '}{expression(node.operand)}"
    return literal(node)


def literal(node: n.Node) -> str:
    if isinstance(node, n.Str):
        return f'"{node.value}"'
    if isinstance(node, n.Bool):
        return "true" if node.value else "false"
    if isinstance(node, n.Unit):
        return "()"
    if isinstance(node, n.Int | n.Float):
        return str(node.value)
    if isinstance(node, n.Duration | n.Percent):
        return node.text or OTHER
    return OTHER


def pattern(node: n.Node) -> str:
    """The pattern of a match arm: literals, `_` and names; of others `…`."""
    if isinstance(node, n.Wildcard):
        return "_"
    if isinstance(node, n.Binding):
        return node.name
    if isinstance(node, n.LiteralPattern):
        return literal(node.value)
    if isinstance(node, n.VariantPattern) and node.shape == "unit":
        return node.name
    return OTHER
