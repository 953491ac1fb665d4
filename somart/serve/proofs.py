"""The parts of the dashboard that tell what is proven (spec 3 §8.5): badges, budget, drawings.

What the checker knows comes with the program (`ProgramSpec.evidence`) when it is served from its
source. A built package has its certificate instead: its pages show what the classes tell.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from html import escape
from math import cos, pi, sin
from typing import Any

from ..cell import Cell
from ..machine import MachineDecl
from ..spec import Arrow, Evidence, ProgramSpec

PROOF_STYLE = """
.badge { font-size: .6em; padding: .1rem .5rem; border: 1px solid; border-radius: 1rem }
.PROVEN { color: #2a2 } .FAIL { color: #d22 } .ADVISORY { color: #b80 } .NO { color: #888 }
.bar { display: flex; height: 1rem; background: #8883 } .bar i { display: block }
.slots { background: #48c } .handler { background: #c84 } .state { background: #4a6 }
.runtime { background: #888 }
svg { max-width: 30rem; font: 12px system-ui, sans-serif }
svg circle { fill: #8882; stroke: currentColor } svg .initial { stroke-width: 3 }
svg path { fill: none; stroke: currentColor } svg text { fill: currentColor; text-anchor: middle }
svg .guarded { stroke-dasharray: 5 3 } svg .wildcard { stroke: #c84 }
"""

_PARTS = {
    "slots": "slots",
    "handler": "handler peak",
    "state": "state machine",
    "runtime": "runtime",
}


def proofs(cell: type[Cell], evidence: Evidence | None) -> tuple[str, str]:
    """The badge of a cell and what stands below it: budget, peaks of handlers, results."""
    if evidence is None:
        return "", _results(cell, evidence)
    kind = evidence.badge
    badge = f'<span class="badge {kind}">{kind}</span>'
    return badge, _budget(evidence) + _peaks(evidence) + _results(cell, evidence)


def size_text(size: int) -> str:
    """Bytes as `check` prints them (spec 3 §5.7)."""
    for unit, power in (("GiB", 3), ("MiB", 2), ("KiB", 1)):
        if size >= 1024**power:
            return f"{size / 1024**power:.2f} {unit}"
    return f"{size} B"


def _budget(evidence: Evidence) -> str:
    whole = max(evidence.total, evidence.declared or 0, 1)
    sizes = {part: getattr(evidence, part) for part in _PARTS}
    bars = "".join(
        f'<i class="{part}" style="width: {size / whole:.2%}"></i>' for part, size in sizes.items()
    )
    legend = ", ".join(f"{_PARTS[part]} {size_text(size)}" for part, size in sizes.items())
    declared = "none" if evidence.declared is None else size_text(evidence.declared)
    return (
        f'<h3>Memory budget</h3><div class="bar">{bars}</div>'
        f"<p>{legend}; peak {size_text(evidence.total)}, declared {declared}</p>"
    )


def _peaks(evidence: Evidence) -> str:
    rows = "".join(
        f"<tr><td><code>{escape(name)}</code></td><td>{size_text(peak)}</td></tr>"
        for name, peak in evidence.handlers.items()
    )
    return f"<h3>Handler peaks</h3><table>{rows}</table>" if rows else ""


def _results(cell: type[Cell], evidence: Evidence | None) -> str:
    rows = "".join(
        f"<tr><td>{escape(name)}</td><td>{escape(verdict)}</td></tr>"
        for name, verdict in _verdicts(cell, evidence)
    )
    return f"<h3>Results</h3><table>{rows}</table>" if rows else ""


def _verdicts(cell: type[Cell], evidence: Evidence | None) -> Iterator[tuple[str, str]]:
    if evidence is not None:
        yield "memory budget", _budget_verdict(evidence)
    for rule in cell.soma_invariants.values():
        yield f"invariant: {rule.source}", "checked at runtime"
    for promise in () if evidence is None else evidence.promises:
        yield f"promise: {promise}", "enforced by checker"


def _budget_verdict(evidence: Evidence) -> str:
    if evidence.declared is None:
        return "none declared"
    if evidence.unbounded:
        return "not bounded: " + "; ".join(evidence.unbounded)
    relation = "≤" if evidence.total <= evidence.declared else ">"
    return f"peak {size_text(evidence.total)} {relation} declared {size_text(evidence.declared)}"


# --- machines ------------------------------------------------------------------------------------

_MIDDLE, _RADIUS, _STATE = 150, 110, 24


def drawing(machine: MachineDecl) -> str:
    """A machine as SVG: its states on a circle, the initial one with a thick border, guarded
    transitions dashed, those from any state (`*`) from the middle and in another colour."""
    places = {"*": (float(_MIDDLE), float(_MIDDLE))}
    for index, state in enumerate(machine.states):
        angle = 2 * pi * index / len(machine.states) - pi / 2
        places[state] = (_MIDDLE + _RADIUS * cos(angle), _MIDDLE + _RADIUS * sin(angle))
    arrows = "".join(_arrow(arrow, places) for arrow in machine.arrows)
    wild = any(arrow.source == "*" for arrow in machine.arrows)
    states = "".join(
        _state(name, place, name == machine.initial)
        for name, place in places.items()
        if wild or name != "*"
    )
    head = escape(f"head-{machine.name}")
    return (
        f"<h3>{escape(machine.name)}</h3>"
        f'<svg viewBox="0 0 {2 * _MIDDLE} {2 * _MIDDLE}" role="img" '
        f'aria-label="state machine {escape(machine.name)}"><defs><marker id="{head}" '
        'viewBox="0 0 8 8" refX="8" refY="4" markerWidth="8" markerHeight="8" orient="auto">'
        '<path d="M0 0 8 4 0 8"/></marker></defs>'
        f'<g marker-end="url(#{head})">{arrows}</g>{states}</svg>'
    )


def _state(name: str, place: tuple[float, float], initial: bool) -> str:
    x, y = place
    kind = ' class="initial"' if initial else ""
    radius = _STATE / 3 if name == "*" else _STATE
    return (
        f'<circle{kind} cx="{x:.0f}" cy="{y:.0f}" r="{radius:.0f}"/>'
        f'<text x="{x:.0f}" y="{y + 4:.0f}">{escape(name)}</text>'
    )


def _arrow(arrow: Arrow, places: dict[str, tuple[float, float]]) -> str:
    kinds = ["wildcard"] * (arrow.source == "*") + ["guarded"] * (arrow.guard is not None)
    (x1, y1), (x2, y2) = places[arrow.source], places[arrow.target]
    length = ((x2 - x1) ** 2 + (y2 - y1) ** 2) ** 0.5
    if length == 0:  # a loop, to the upper right
        path = f"M{x1 + 8:.0f} {y1 - 22:.0f} c10 -26 36 -8 16 14"
    else:
        dx, dy = (x2 - x1) / length * _STATE, (y2 - y1) / length * _STATE
        bend = f"{(x1 + x2) / 2 - dy:.0f} {(y1 + y2) / 2 + dx:.0f}"
        path = f"M{x1 + dx:.0f} {y1 + dy:.0f} Q{bend} {x2 - dx:.0f} {y2 - dy:.0f}"
    return f'<path class="{" ".join(kinds)}" d="{path}"/>'


# --- data ----------------------------------------------------------------------------------------


def data_block(spec: ProgramSpec) -> str:
    """All that the page shows of the cells as one JSON array, for programs that read it."""
    text = json.dumps([_data(spec, cell) for cell in spec.live], ensure_ascii=False)
    quoted = text.replace("<", "\\u003c")
    return f'<script type="application/json" id="soma-cells">{quoted}</script>'


def _data(spec: ProgramSpec, cell: type[Cell]) -> dict[str, Any]:
    evidence = spec.evidence.get(cell.soma_name)
    found: dict[str, Any] = {
        "name": cell.soma_name,
        "machines": [
            {
                "name": machine.name,
                "initial": machine.initial,
                "states": list(machine.states),
                "transitions": [
                    {"from": a.source, "to": a.target, "guarded": a.guard is not None}
                    for a in machine.arrows
                ],
            }
            for machine in cell.soma_machines.values()
        ],
        "results": [
            {"name": name, "verdict": verdict} for name, verdict in _verdicts(cell, evidence)
        ],
    }
    if evidence is not None:
        sizes = {part: getattr(evidence, part) for part in _PARTS}
        found["badge"] = evidence.badge
        found["budget"] = {**sizes, "declared": evidence.declared}
        found["handlers"] = dict(evidence.handlers)
    return found
