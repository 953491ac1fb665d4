"""A loaded program: the main file and all that it imports, with look-up tables.

The look-up rules are the language's: own cell first, then source order (main file, then imports).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TypeVar

from . import nodes as n
from .frozen import Frozen
from .source import Source

S = TypeVar("S", bound=n.Node)

LIVE_KINDS = ("cell", "agent")


def sections(cell: n.Cell, kind: type[S]) -> tuple[S, ...]:
    """All sections of one kind of a cell, in order."""
    return tuple(s for s in cell.sections if isinstance(s, kind))


def handlers_of(cell: n.Cell) -> dict[str, n.Handler]:
    """The handlers of a cell by name, in order of first declaration; the last definition wins."""
    return {h.name: h for h in sections(cell, n.Handler)}


def slots_of(cell: n.Cell) -> dict[str, n.Slot]:
    return {s.name: s for m in sections(cell, n.Memory) for s in m.slots}


class VariantInfo(Frozen):
    type_name: str
    decl: n.VariantDecl


@dataclass(frozen=True)
class Program:
    """Top-level cells in order: the main file's, then those of imports, each file once."""

    source: Source  # the main file
    sources: tuple[Source, ...]
    cells: tuple[n.Cell, ...]
    protocols: tuple[n.Protocol, ...] = ()

    @cached_property
    def live(self) -> tuple[n.Cell, ...]:
        """Cells that own memory, state and entry points: plain and agent cells."""
        return tuple(c for c in self.cells if c.kind in LIVE_KINDS)

    @cached_property
    def all_cells(self) -> tuple[n.Cell, ...]:
        """Every cell with those of interiors, depth first in source order."""
        found: list[n.Cell] = []

        def walk(cell: n.Cell) -> None:
            found.append(cell)
            for interior in sections(cell, n.Interior):
                for child in interior.cells:
                    walk(child)

        for cell in self.cells:
            walk(cell)
        return tuple(found)

    @cached_property
    def handlers(self) -> dict[str, tuple[tuple[n.Cell, n.Handler], ...]]:
        """Handlers of top-level cells of any kind, by name, in source order."""
        table: dict[str, tuple[tuple[n.Cell, n.Handler], ...]] = {}
        for cell in self.cells:
            for name, handler in handlers_of(cell).items():
                table[name] = (*table.get(name, ()), (cell, handler))
        return table

    @cached_property
    def slots(self) -> dict[str, tuple[tuple[n.Cell, n.Slot], ...]]:
        """Slots of live top-level cells by name, in source order."""
        table: dict[str, tuple[tuple[n.Cell, n.Slot], ...]] = {}
        for cell in self.live:
            for name, slot in slots_of(cell).items():
                table[name] = (*table.get(name, ()), (cell, slot))
        return table

    @cached_property
    def variants(self) -> dict[str, VariantInfo]:
        """Variants of all `cell type`s by bare name; the last declaration wins."""
        table: dict[str, VariantInfo] = {}
        for cell in self.all_cells:
            if cell.kind == "type":
                for block in sections(cell, n.Variants):
                    for decl in block.variants:
                        table[decl.name] = VariantInfo(cell.name, decl)
        return table

    def find_handler(self, cell: n.Cell | None, name: str) -> tuple[n.Cell, n.Handler] | None:
        """The handler that a call of `name` from `cell` reaches: own cell, then source order."""
        if cell is not None and (own := handlers_of(cell).get(name)):
            return cell, own
        found = self.handlers.get(name)
        return found[0] if found else None

    def find_slot(self, cell: n.Cell | None, name: str) -> tuple[n.Cell, n.Slot] | None:
        """The slot that `name.op()` in `cell` means: own, then others' in source order."""
        if cell is not None and (own := slots_of(cell).get(name)):
            return cell, own
        found = self.slots.get(name)
        return found[0] if found else None


def machine_cell(program: Program, cell: n.Cell) -> n.Cell | None:
    """Whose machines `transition` acts on: own, else the only machine of the program (§2.3)."""
    if sections(cell, n.Machine):
        return cell
    owners = [c for c in program.live for _ in sections(c, n.Machine)]
    return owners[0] if len(owners) == 1 else None
