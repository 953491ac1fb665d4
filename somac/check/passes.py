"""The passes and their order (system reference §4.4)."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from ..frontend import nodes as n
from ..frontend.diagnostics import Diagnostic
from ..frontend.program import Program, sections
from ..manifest import Manifest
from .advice import advise
from .budget import check_budget
from .calls import check_names
from .context import Context
from .cost import check_cost, check_models
from .determinism import check_determinism
from .faces import check_faces
from .interior import check_interior
from .irrevocable import check_irrevocable
from .native import check_native
from .promises import check_custom, check_promises
from .properties import check_slots
from .scale import check_agent, check_scale
from .structure import check_structure
from .sumtypes import check_sum_types

CellPass = Callable[[n.Cell, Context], Iterator[Diagnostic]]


def check_properties(cell: n.Cell, context: Context) -> Iterator[Diagnostic]:
    """The property algebra, on each slot."""
    return check_slots(cell, context.properties)


def check_children(cell: n.Cell, context: Context) -> Iterator[Diagnostic]:
    """The interior, then each of its plain cells by all passes."""
    yield from check_interior(cell, context)
    for interior in sections(cell, n.Interior):
        for child in interior.cells:
            if child.kind == "cell":
                yield from check_cell(child, context)


CELL_PASSES: tuple[CellPass, ...] = (
    check_structure,
    check_properties,
    check_children,
    check_determinism,
    check_cost,
    check_models,
    check_faces,
    check_promises,
    check_custom,
    check_scale,
    check_agent,
    check_budget,
)

PROGRAM_PASSES: tuple[Callable[[Context], Iterator[Diagnostic]], ...] = (
    check_native,
    check_names,
    advise,
    check_irrevocable,
)


def check_cell(cell: n.Cell, context: Context) -> Iterator[Diagnostic]:
    """All findings about one cell."""
    for find in CELL_PASSES:
        yield from find(cell, context)


def check(program: Program, manifest: Manifest) -> tuple[Diagnostic, ...]:
    """All findings about a program, in the order of the reference; advice comes last."""
    context = Context(program, manifest)
    found = list(check_sum_types(context))
    for cell in program.live:
        found.extend(check_cell(cell, context))
    for find in PROGRAM_PASSES:
        found.extend(find(context))
    return tuple(found)
