"""The static rules of `[native]` handlers (core §6). `run` refuses a program that breaks them."""

from __future__ import annotations

from collections.abc import Iterator

from ..frontend import nodes as n
from ..frontend.builtins import NATIVE, NATIVE_SHARED
from ..frontend.diagnostics import Diagnostic, Severity
from ..frontend.program import Program, handlers_of, sections, slots_of
from ..frontend.walk import walk
from .context import Context
from .targets import calls

NOTE = "  → [native] handlers can only use Int, Float, Bool and numeric operations"


def native_errors(program: Program) -> tuple[Diagnostic, ...]:
    """Why `[native]` handlers of a program cannot be compiled; empty when they can."""
    return tuple(
        finding
        for cell in program.all_cells
        for handler in sections(cell, n.Handler)
        if "native" in handler.annotations
        for finding in _handler(cell, handler, program)
    )


def check_native(context: Context) -> Iterator[Diagnostic]:
    """The same, as a pass."""
    yield from native_errors(context.program)


def _handler(cell: n.Cell, handler: n.Handler, program: Program) -> Iterator[Diagnostic]:
    nodes = tuple(walk(handler, lambda node: not isinstance(node, n.Str)))
    reasons = dict(_calls(cell, nodes))
    reasons |= {id(node): reason for node in nodes if (reason := _reason(node))}
    bound = {p.name for p in handler.params}
    bound |= {node.name for node in nodes if isinstance(node, (n.Let, n.Assign, n.For))}
    slots = {s for c in program.all_cells for s in slots_of(c)} - bound
    seen: set[str] = set()
    for node in nodes:
        reason = reasons.get(id(node)) or _slot_use(node, slots)
        if reason is not None and reason not in seen:
            seen.add(reason)
            yield Diagnostic(
                "E220",
                Severity.ERROR,
                f"handler '{handler.name}' is marked [native] but {reason}\n{NOTE}",
                node.span,
                fix=f"remove [native] from `on {handler.name}` of cell '{cell.name}', or move this"
                " part into an ordinary handler",
            )


def _calls(cell: n.Cell, nodes: tuple[n.Node, ...]) -> Iterator[tuple[int, str]]:
    own = handlers_of(cell)
    for name, _, node in calls(nodes):
        if name in NATIVE or name in NATIVE_SHARED:
            continue
        if name not in own or "native" not in own[name].annotations:
            yield id(node), f"calls non-native function '{name}'"


_REFUSED: dict[type, str] = {
    n.Match: "uses match expression (not allowed in native handlers)",
    n.Emit: "uses 'emit' (signals not allowed in native handlers)",
    n.Try: "uses try expression (not allowed in native handlers)",
    n.Record: "uses record literal (not allowed in native handlers)",
    n.Propagate: "uses '?' (not allowed in native handlers)",
    n.Require: "uses 'require' (not allowed in native handlers)",
}


def _reason(node: n.Node) -> str | None:
    return _REFUSED.get(type(node))


def _slot_use(node: n.Node, slots: set[str]) -> str | None:
    target = node.target if isinstance(node, (n.Field, n.Method)) else None
    if isinstance(target, n.Name) and target.name in slots:
        return f"uses memory slot '{target.name}' (not allowed in native handlers)"
    return None
