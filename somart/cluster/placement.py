"""Which tables of a program are replicated, and to how many nodes (spec 3 §4.2 and §5.8)."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from ..cell import Cell
    from ..spec import ProgramSpec, ScaleSpec

STRONG = "strong"
ANSWERS = "#answers"
"""The strong table of the answers that are kept for repeated requests (`idempotency.py`)."""


class Placement(NamedTuple):
    """Where the keys of a table belong. `copies` None: on every member."""

    cell: str
    consistency: str
    copies: int | None = None
    stamped: bool = False
    """A log: the keys of its records are stamps."""


def placements_of(spec: ProgramSpec) -> dict[str, Placement]:
    """The replicated tables: shared slots with their logs and histories, shared machines."""
    found: dict[str, Placement] = {}
    for cell in spec.all_cells:
        if cell.soma_scale is not None and cell.soma_scale.consistency != STRONG:
            found.update(_placements_of(cell, cell.soma_scale))
    return found


def strong_tables_of(spec: ProgramSpec) -> frozenset[str]:
    """The tables that consensus replicates: those of cells whose consistency is strong, and the
    kept answers."""
    found: dict[str, Placement] = {}
    for cell in spec.all_cells:
        if cell.soma_scale is not None and cell.soma_scale.consistency == STRONG:
            found.update(_placements_of(cell, cell.soma_scale))
    return frozenset({*found, ANSWERS}) if found else frozenset()


def _placements_of(cell: type[Cell], scale: ScaleSpec) -> dict[str, Placement]:
    found: dict[str, Placement] = {}
    for slot in cell.soma_slots.values():
        if slot.shared:
            copies = _copies(scale) if scale.shard == slot.name else None
            base = f"{cell.soma_path}.{slot.name}"
            found[base] = Placement(cell.soma_path, scale.consistency, copies)
            log = found[base]._replace(stamped=True)
            found[f"{base}#log"] = log
            if any(prop.name == "versioned" for prop in slot.props):
                found[f"{base}#versions"] = log
    for machine in cell.soma_machines.values():
        if machine.shared:
            name = f"{cell.soma_path}.#machine.{machine.name}"
            found[name] = Placement(cell.soma_path, scale.consistency)
    return found


def _copies(scale: ScaleSpec) -> int | None:
    """`tolerance + 1`; strong memory is not sharded but held by consensus."""
    return None if scale.consistency == "strong" else scale.tolerance + 1


def counters_of(spec: ProgramSpec) -> list[str]:
    """The tables of the `next_id` counters that all nodes share: those of cells with `scale`."""
    return [f"{cell.soma_path}.#next_id" for cell in spec.all_cells if cell.soma_scale is not None]
