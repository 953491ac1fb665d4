"""Advice that the reference does not list (codes `A…`): on stderr, outside the tally."""

from __future__ import annotations

from collections.abc import Iterator

from ..frontend import nodes as n
from ..frontend.builtins import BUILTINS
from ..frontend.diagnostics import Diagnostic
from ..frontend.names import nearest
from ..frontend.program import sections
from .calls import Names
from .context import Body, Context, advice
from .scopes import bodies
from .structure import duplicate_handlers
from .sumtypes import states
from .targets import calls, literal_targets

TEMPLATE_FILLERS = ("render", "render_each")
TRACED = frozenset(["Transition", "Think", "ToolCall", "Approval"])  # what `trace()` lists


def advise(context: Context) -> Iterator[Diagnostic]:
    """All advice: about cells first, then about bodies in order."""
    yield from duplicate_handlers(context.program)
    for cell in context.program.all_cells:
        yield from _handlers(cell)
    machines = [m for c in context.program.all_cells for m in sections(c, n.Machine)]
    known = {state for machine in machines for state in states(machine)}
    families: set[str] = set()
    for body in bodies(context):
        nodes = context.nodes(body.root)
        yield from _families(context, nodes, families)
        if not body.native:  # there, string literals are not interpolated
            yield from _holes(context, body, nodes)
        if body.invariant:
            yield from _invariant(context, body)
        if not body.native:
            yield from _divisions(nodes)
            yield from _lost_pairs(nodes)
        yield from _patterns(context, nodes)
        if known:
            yield from _targets(nodes, known)


def _handlers(cell: n.Cell) -> Iterator[Diagnostic]:
    for handler in sections(cell, n.Handler):
        info = BUILTINS.get(handler.name)
        if info is None or info.lambda_only or not info.supported:
            continue
        if len(handler.params) >= info.min_args:
            yield advice(
                "A304",
                f"handler '{handler.name}' of cell '{cell.name}' has the name of a builtin:"
                " calls in Soma code reach the builtin",
                handler,
                f"rename `on {handler.name}`, or reach it by"
                f' delegate("{cell.name}", "{handler.name}", …)',
            )


def _families(
    context: Context, nodes: tuple[n.Node, ...], families: set[str]
) -> Iterator[Diagnostic]:
    for name, _, node in calls(nodes):
        info = BUILTINS.get(name)
        if info is None or info.supported or name in context.handler_names:
            continue
        if name not in families:
            families.add(name)
            yield advice(
                "A305",
                f"'{name}' belongs to the family of {info.family}, which this version does not"
                " carry out: a call is a run-time error",
                node,
                f"do without `{name}`, or catch the error: `try {{ {name}(…) }}`",
            )


def _holes(context: Context, body: Body, nodes: tuple[n.Node, ...]) -> Iterator[Diagnostic]:
    templates = _templates(nodes)
    for node in nodes:
        if not isinstance(node, n.Hole) or id(node) in templates:
            continue
        if node.expr is None:
            if node.error is not None and node.text.strip():
                yield advice(
                    "A302",
                    f"'{{{node.text}}}' is no expression ({node.error}): it stays literal text",
                    node,
                    "write an expression between the braces, or leave it as text",
                )
            continue
        found = next(_unknown(context, body, node.expr), None)
        if found is not None:
            yield advice(
                "A301",
                f"'{{{node.text}}}' stays literal text: {found.message}",
                node,
                "bind the name before this string, or leave it for `render`",
                found.hint,
            )


def _templates(nodes: tuple[n.Node, ...]) -> set[int]:
    """The holes of strings handed to `render`: they are filled later."""
    return {
        id(part)
        for name, args, _ in calls(nodes)
        if name in TEMPLATE_FILLERS
        for arg in args
        if isinstance(arg, n.Str)
        for part in arg.parts
        if isinstance(part, n.Hole)
    }


def _unknown(context: Context, body: Body, node: n.Node) -> Iterator[Diagnostic]:
    names = Names(context, body)
    return (d for d in names.judge(node, None) if d.code in ("E201", "E202"))


def _invariant(context: Context, body: Body) -> Iterator[Diagnostic]:
    for found in _unknown(context, body, body.root):
        yield advice(
            "A307",
            f"invariant of cell '{body.cell.name}' cannot be evaluated: {found.message}",
            body.root,
            f"use the slots of cell '{body.cell.name}', `_slot_len`, `_slot_name` or `_key`",
            found.hint,
        )


def _divisions(nodes: tuple[n.Node, ...]) -> Iterator[Diagnostic]:
    for node in nodes:
        if isinstance(node, n.Assign) and _divides(node):
            yield advice(
                "A303",
                f"'{_shown(node)}' truncates when both sides are Int," " unlike '/' elsewhere",
                node,
                f"write `{node.name} = idiv({node.name}, …)` when whole numbers are meant",
            )


def _shown(node: n.Assign) -> str:
    return f"{node.name} /= …" if node.op == "/=" else f"{node.name} = {node.name} / …"


def _divides(node: n.Assign) -> bool:
    if node.op == "/=":
        return not isinstance(node.value, n.Float)
    value = node.value
    return (
        node.op == "="
        and isinstance(value, n.Binary)
        and value.op == "/"
        and isinstance(value.left, n.Name)
        and value.left.name == node.name
        and not isinstance(value.right, n.Float)
    )


def _lost_pairs(nodes: tuple[n.Node, ...]) -> Iterator[Diagnostic]:
    for node in nodes:
        if not isinstance(node, n.Assign) or node.op != "=" or not isinstance(node.value, n.Pipe):
            continue
        left, right = node.value.left, node.value.right
        if (
            isinstance(left, n.Name)
            and left.name == node.name
            and isinstance(right, n.Call)
            and right.name == "with"
            and len(right.args) > 2
        ):
            yield advice(
                "A310",
                f"'{node.name} = {node.name} |> with(…)' stores its first pair only",
                node,
                f"write `{node.name} = with({node.name}, …)`, which stores them all",
            )


def _patterns(context: Context, nodes: tuple[n.Node, ...]) -> Iterator[Diagnostic]:
    variants = context.program.variants
    known = variants.keys() | TRACED
    for node in nodes:
        if isinstance(node, n.VariantPattern) and node.name not in known:
            near = nearest(node.name, variants)
            yield advice(
                "A308",
                f"pattern '{node.name}' matches nothing: no `cell type` declares this variant",
                node,
                f"write `{near}`" if near else f"declare variant '{node.name}' in a `cell type`",
                f"did you mean '{near}'?" if near else None,
            )


def _targets(nodes: tuple[n.Node, ...], known: set[str]) -> Iterator[Diagnostic]:
    for state, node in literal_targets(nodes):
        if state not in known:
            near = nearest(state, known)
            yield advice(
                "A306",
                f"no state machine has a state '{state}': this transition is always refused",
                node,
                f'write "{near}"' if near else f"add `… -> {state}` to a state machine",
                f"did you mean '{near}'?" if near else None,
            )
