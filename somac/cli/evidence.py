"""What the checker has found out about a program that is served, for its dashboard (§8.5)."""

from __future__ import annotations

from somart.spec import Evidence

from ..check.budget import declared_bytes, handler_peaks, peak_of
from ..describe import promise_texts
from ..frontend import nodes as n
from ..frontend.program import Program


def evidence_of(program: Program) -> dict[str, Evidence]:
    """Per top-level cell: its memory peak, its budget and its promises."""
    return {cell.name: _evidence(cell) for cell in program.live}


def _evidence(cell: n.Cell) -> Evidence:
    peak = peak_of(cell)
    return Evidence(
        slots=peak.slots,
        handler=peak.handler,
        state=peak.state,
        runtime=peak.runtime,
        declared=declared_bytes(cell),
        unbounded=tuple(peak.reasons),
        handlers=handler_peaks(cell),
        promises=tuple(promise_texts(cell)),
    )
