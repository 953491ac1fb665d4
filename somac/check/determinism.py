"""`[deterministic]` handlers may not read clocks, randomness, models, networks or files (§4.2)."""

from __future__ import annotations

from collections.abc import Iterator

from ..frontend import nodes as n
from ..frontend.diagnostics import Diagnostic
from ..frontend.program import sections
from .context import Context, error
from .targets import calls

_NAMES = {
    "reads wall-clock time": "now now_ms timestamp today date_now",
    "reads a non-deterministic source": "random rand uuid next_id",
    "calls the LLM (output is not a function of the prompt)": "think think_json",
    "performs network I/O": "http_get http_post http_put http_patch http_delete fetch fetch_json",
    "performs file I/O": "read_file write_file append_file delete_file",
    "invokes another cell (state outside this handler)": "delegate",
}
REASONS = {name: why for why, names in _NAMES.items() for name in names.split()}
MUTATING = frozenset({"set", "delete", "append", "clear", "push"})


def check_determinism(cell: n.Cell, context: Context) -> Iterator[Diagnostic]:
    """One error for each forbidden call."""
    for handler in sections(cell, n.Handler):
        if "deterministic" not in handler.annotations:
            continue
        for name, why, node in _forbidden(context.nodes(handler)):
            yield error(
                "E190",
                "other",
                f"handler '{handler.name}' is [deterministic] but calls '{name}' — {why}",
                node,
                f"pass what '{name}' yields to handler '{handler.name}' of cell '{cell.name}' as a"
                " parameter, or remove [deterministic]",
            )


def _forbidden(nodes: tuple[n.Node, ...]) -> Iterator[tuple[str, str, n.Node]]:
    named = {id(node): (name, REASONS[name]) for name, _, node in calls(nodes) if name in REASONS}
    for node in nodes:
        if id(node) in named:
            yield (*named[id(node)], node)
        elif isinstance(node, n.Emit):
            yield "emit", "raises a signal (cross-cell effect)", node
        elif isinstance(node, n.Method) and node.name in MUTATING:
            yield f".{node.name}", "mutates persistent storage", node
