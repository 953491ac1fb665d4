"""What a face promises to the outside: handlers for its signals, tools and awaits (§4.1-4.3)."""

from __future__ import annotations

from collections.abc import Iterator

from ..frontend import nodes as n
from ..frontend.diagnostics import Diagnostic
from ..frontend.program import handlers_of
from .context import Context, error, warning
from .interior import type_text
from .structure import signatures

KINDS_OF_AGENT = ("signal", "await", "tool")


def check_faces(cell: n.Cell, context: Context) -> Iterator[Diagnostic]:
    """Missing handlers, parameter counts that differ, awaits without a handler."""
    handlers = handlers_of(cell)
    kinds = KINDS_OF_AGENT if cell.kind == "agent" else ("signal", "await")
    for declared in signatures(cell, *kinds):
        handler = handlers.get(declared.name)
        if declared.kind == "await":
            if handler is None:
                yield _unheard(cell, declared)
        elif handler is None:
            yield _missing(cell, declared)
        elif declared.kind == "signal" and len(handler.params) != len(declared.params):
            yield error(
                "E121",
                "param_mismatch",
                f"face contract: signal '{declared.name}' in cell '{cell.name}' declares"
                f" {len(declared.params)} params, handler has {len(handler.params)}",
                handler,
                f"give `on {declared.name}` of cell '{cell.name}' the parameters"
                f" ({_params(declared)})",
            )


def _missing(cell: n.Cell, declared: n.Signature) -> Diagnostic:
    shown = f"{declared.name} (tool)" if declared.kind == "tool" else declared.name
    return error(
        "E120",
        "missing_handler",
        f"face contract: signal '{shown}' declared in cell '{cell.name}' has no handler",
        declared,
        f"add `on {declared.name}({_params(declared)}) {{ … }}` to cell '{cell.name}'",
    )


def _unheard(cell: n.Cell, declared: n.Signature) -> Diagnostic:
    return warning(
        "W122",
        f"cell '{cell.name}' declares await '{declared.name}' but has no handler for it"
        " (will it be delivered via bus?)",
        declared,
        f"add `on {declared.name}({_params(declared)}) {{ … }}` to cell '{cell.name}'",
    )


def _params(declared: n.Signature) -> str:
    return ", ".join(f"{p.name}: {type_text(p.type)}" for p in declared.params)
