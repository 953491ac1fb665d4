"""The proof that a cell fits the memory that its `scale` declares (§5.7)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from ..frontend import nodes as n
from ..frontend.diagnostics import Diagnostic
from ..frontend.program import sections
from .context import Context, error, proven, warning
from .expression_cost import Meter

RUNTIME_BYTES = 16 * 1024 * 1024
HANDLER_BYTES = 8 * 1024 * 1024  # stack and values of one activation chain
ENTRIES = 10_000
KEY_BYTES = 256
VALUE_BYTES = 4096
ENTRY_OVERHEAD = 64
INSTANCES = 10_000
INSTANCE_BYTES = 256
REASONS_SHOWN = 3

_SIZE = re.compile(r"(\d+)(Ki|Mi|Gi|Ti|K|M|G|T|B)?")
_UNITS = {
    **{unit: 1024**i for i, unit in enumerate(("Ki", "Mi", "Gi", "Ti"), 1)},
    **{unit: 1000**i for i, unit in enumerate("KMGT", 1)},
    **{"B": 1, "": 1},
}


@dataclass
class Peak:
    """The most memory that a cell may need, by part, and what has no bound."""

    slots: int = 0
    handler: int = 0
    state: int = 0
    runtime: int = 0
    reasons: list[str] = field(default_factory=list)

    @property
    def total(self) -> int:
        return self.bounded + self.handler

    @property
    def bounded(self) -> int:
        """The part that does not depend on handlers."""
        return self.slots + self.state + self.runtime

    def add(self, other: Peak) -> None:
        self.slots += other.slots
        self.handler += other.handler
        self.state += other.state
        self.runtime += other.runtime
        self.reasons += other.reasons


def check_budget(cell: n.Cell, context: Context) -> Iterator[Diagnostic]:
    """The verdict on a declared budget, then the one that includes the interior."""
    entry = _declared(cell)
    if entry is None:
        return
    budget = size_in_bytes(entry.value)
    if budget is None:
        yield error(
            "E165",
            "other",
            f"scale: memory size '{entry.value}' in cell '{cell.name}' is not a size",
            entry,
            f"write the memory of cell '{cell.name}' as a whole number with Ki, Mi, Gi or Ti"
            ' (or K, M, G, T): "8Gi"',
        )
        return
    peak = peak_of(cell)
    name = cell.name
    yield _verdict(cell, entry, peak, budget, name, name)
    children = [c for s in sections(cell, n.Interior) for c in s.cells]
    if children:
        for child in children:
            peak.add(peak_of(child))
        yield _verdict(
            cell, entry, peak, budget, f"{name} (aggregate with interior)", f"{name} (aggregate)"
        )


def _declared(cell: n.Cell) -> n.ScaleEntry | None:
    entries = [e for s in sections(cell, n.Scale) for e in s.entries if e.key == "memory"]
    return entries[-1] if entries else None


def declared_bytes(cell: n.Cell) -> int | None:
    """The budget of a cell; None when it declares none, or no size."""
    entry = _declared(cell)
    return None if entry is None else size_in_bytes(entry.value)


def size_in_bytes(value: int | str) -> int | None:
    """A size such as `8Gi` or `64M`; None when it does not parse."""
    found = _SIZE.fullmatch(str(value).strip())
    return int(found[1]) * _UNITS[found[2] or ""] if found else None


def size_text(size: int) -> str:
    """A size as the reports print it: `8.00 GiB`, `12 B`."""
    for unit, power in (("GiB", 3), ("MiB", 2), ("KiB", 1)):
        if size >= 1024**power:
            return f"{size / 1024**power:.2f} {unit}"
    return f"{size} B"


def peak_of(cell: n.Cell) -> Peak:
    """The peak of one cell, without its interior."""
    peak = Peak(runtime=RUNTIME_BYTES, handler=HANDLER_BYTES)
    for memory in sections(cell, n.Memory):
        peak.slots += sum(_slot_bytes(slot) for slot in memory.slots)
    for machine in sections(cell, n.Machine):
        peak.state += _amount(machine.properties, "max_instances", INSTANCES) * INSTANCE_BYTES
    for handler in sections(cell, n.Handler):
        meter = Meter()
        peak.handler = max(peak.handler, meter.cost(handler.body) + HANDLER_BYTES)
        peak.reasons += meter.reasons
    return peak


def handler_peaks(cell: n.Cell) -> dict[str, int]:
    """The peak of each handler, by name."""
    handlers = sections(cell, n.Handler)
    return {handler.name: Meter().cost(handler.body) + HANDLER_BYTES for handler in handlers}


def _slot_bytes(slot: n.Slot) -> int:
    element = _amount(slot.properties, "max_element_bytes", VALUE_BYTES)
    value = _amount(slot.properties, "max_value_bytes", element)
    key = _amount(slot.properties, "max_key_bytes", KEY_BYTES)
    return _amount(slot.properties, "capacity", ENTRIES) * (key + value + ENTRY_OVERHEAD)


def _amount(properties: tuple[n.Property, ...], name: str, default: int) -> int:
    for prop in properties:
        if prop.name == name and prop.args and isinstance(prop.args[0], n.Int):
            return prop.args[0].value
    return default


def _verdict(
    cell: n.Cell, entry: n.ScaleEntry, peak: Peak, budget: int, proof_name: str, open_name: str
) -> Diagnostic:
    declared = size_text(budget)
    if peak.reasons:
        shown = [f"      → {reason}" for reason in peak.reasons[:REASONS_SHOWN]]
        more = len(peak.reasons) - len(shown)
        shown += [f"      → … ({more} more)"] if more else []
        message = (
            f"advisory: cell '{open_name}' declares budget {declared}; bounded portion is"
            f" {size_text(peak.bounded)}, but the following handlers call unbounded builtins so"
            " the proof is incomplete:"
        )
        fix = f"bound these calls in cell '{cell.name}', or take the budget as an estimate"
        found = warning("W196", "\n".join((message, *shown)), entry, fix)
        return found
    if peak.total > budget:
        return error(
            "E195",
            "other",
            f"budget exceeded in cell '{cell.name}': proven peak {size_text(peak.total)}"
            f" > declared budget {declared}",
            entry,
            f"raise `memory` in the scale of '{cell.name}', or bound its slots with `capacity`"
            " and `max_value_bytes`",
        )
    breakdown = (
        f"    breakdown: slots {size_text(peak.slots)} + max-handler {size_text(peak.handler)}"
        f" + state {size_text(peak.state)} + runtime {size_text(peak.runtime)}"
    )
    message = (
        f"✓ budget proven for cell '{proof_name}': peak ≤ {size_text(peak.total)}"
        f" ≤ declared {declared}\n{breakdown}"
    )
    return proven("N197", message, entry)
