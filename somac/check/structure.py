"""Things declared twice in one cell: slots, signals (§4.2) and handlers (core §2.2)."""

from __future__ import annotations

from collections.abc import Iterator

from ..frontend import nodes as n
from ..frontend.diagnostics import Diagnostic
from ..frontend.program import Program, sections
from .context import Context, advice, error


def signatures(cell: n.Cell, *kinds: str) -> Iterator[n.Signature]:
    """The `signal`, `await` or `tool` declarations of a cell's faces, in order."""
    for face in sections(cell, n.Face):
        for declaration in face.declarations:
            if isinstance(declaration, n.Signature) and declaration.kind in kinds:
                yield declaration


def check_structure(cell: n.Cell, context: Context) -> Iterator[Diagnostic]:
    """`duplicate memory slot`, `duplicate signal`."""
    seen: set[str] = set()
    for memory in sections(cell, n.Memory):
        for slot in memory.slots:
            if slot.name in seen:
                message = f"duplicate memory slot '{slot.name}' in cell '{cell.name}'"
                fix = f"remove or rename the second slot '{slot.name}' of cell '{cell.name}'"
                yield error("E110", "duplicate_slot", message, slot, fix)
            seen.add(slot.name)
    seen = set()
    for signal in signatures(cell, "signal", "await"):
        if signal.name in seen:
            message = f"duplicate signal '{signal.name}' in cell '{cell.name}'"
            fix = f"remove the second `{signal.kind} {signal.name}` from the face of '{cell.name}'"
            yield error("E111", "duplicate_signal", message, signal, fix)
        seen.add(signal.name)


def duplicate_handlers(program: Program) -> tuple[Diagnostic, ...]:
    """Handlers defined twice in one cell: every command warns, the last definition wins."""
    found = []
    for cell in program.all_cells:
        counts: dict[str, int] = {}
        for handler in sections(cell, n.Handler):
            counts[handler.name] = counts.get(handler.name, 0) + 1
            if counts[handler.name] == 2:
                message = (
                    f"duplicate handler '{handler.name}' in cell '{cell.name}'"
                    " (last definition wins)"
                )
                fix = f"rename or remove one `on {handler.name}` of cell '{cell.name}'"
                found.append(advice("A309", message, handler, fix))
    return tuple(found)
