"""How the cells of an `interior` fit together, by their face declarations (§4.2, §4.3)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ..frontend import nodes as n
from ..frontend.diagnostics import Diagnostic
from ..frontend.program import handlers_of, sections
from .context import Context, error, warning
from .structure import signatures


def check_interior(cell: n.Cell, context: Context) -> Iterator[Diagnostic]:
    """Duplicate cells, lost signals, unmatched awaits and handlers, types that differ."""
    for interior in sections(cell, n.Interior):
        yield from _duplicates(interior.cells)
        yield from _lost(interior.cells)
        yield from _unmatched(interior.cells)
        yield from _mismatched(interior.cells)


def _duplicates(cells: Sequence[n.Cell]) -> Iterator[Diagnostic]:
    seen: set[str] = set()
    for cell in cells:
        if cell.name in seen:
            message = f"duplicate cell name '{cell.name}' in same scope"
            fix = f"rename the second cell '{cell.name}'"
            yield error("E112", "duplicate_cell", message, cell, fix)
        seen.add(cell.name)


def _lost(cells: Sequence[n.Cell]) -> Iterator[Diagnostic]:
    received = {name for cell in cells for name in handlers_of(cell)}
    received |= {s.name for cell in cells for s in signatures(cell, "await")}
    for cell in cells:
        for signal in signatures(cell, "signal"):
            if signal.name not in received:
                yield warning(
                    "W133",
                    f"signal '{signal.name}' emitted by '{cell.name}' has no handler"
                    " (signal will be lost)",
                    signal,
                    f"add `on {signal.name}(…)` to a cell beside '{cell.name}'",
                )


def _unmatched(cells: Sequence[n.Cell]) -> Iterator[Diagnostic]:
    emitted = {s.name for cell in cells for s in signatures(cell, "signal")}
    for cell in cells:
        for waiting in signatures(cell, "await"):
            if waiting.name not in emitted:
                message = (
                    f"unmatched await: cell '{cell.name}' awaits signal '{waiting.name}'"
                    " but no sibling emits it"
                )
                fix = (
                    f"declare `signal {waiting.name}(…)` in the face of a cell beside '{cell.name}'"
                )
                yield error("E130", "other", message, waiting, fix)
        for handler in handlers_of(cell).values():
            if handler.name not in emitted:
                message = (
                    f"unmatched handler: cell '{cell.name}' handles signal '{handler.name}'"
                    " but no sibling emits it"
                )
                fix = (
                    f"declare `signal {handler.name}(…)` in the face of a cell beside '{cell.name}'"
                )
                yield error("E131", "other", message, handler, fix)


def _mismatched(cells: Sequence[n.Cell]) -> Iterator[Diagnostic]:
    for emitter in cells:
        for signal in signatures(emitter, "signal"):
            expected = _types(signal.params)
            for cell in cells:
                if cell is emitter:
                    continue
                receivers: list[n.Signature | n.Handler] = [
                    s for s in signatures(cell, "await") if s.name == signal.name
                ]
                handler = handlers_of(cell).get(signal.name)
                receivers.extend([handler] if handler else [])
                if any(_types(r.params) != expected for r in receivers):
                    message = (
                        f"signal type mismatch: signal '{signal.name}' has incompatible"
                        " parameter types between emitter and handler"
                    )
                    fix = (
                        f"give '{signal.name}' in cell '{cell.name}' the parameters"
                        f" ({', '.join(expected)}) that '{emitter.name}' declares"
                    )
                    yield error("E132", "other", message, receivers[0], fix)


def _types(params: Sequence[n.Param]) -> list[str]:
    return [type_text(p.type) for p in params]


def type_text(ref: n.TypeRef) -> str:
    """A type as written: `Map<String, Int>`."""
    if not ref.args:
        return ref.name
    return f"{ref.name}<{', '.join(type_text(a) for a in ref.args)}>"
