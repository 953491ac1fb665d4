"""The Python names of everything that a program declares, decided once for all its modules."""

from __future__ import annotations

from dataclasses import dataclass, field

from ..frontend import nodes as n
from ..frontend.program import Program, handlers_of, sections, slots_of
from .mangle import CELL_ATTRIBUTES, Namer, attribute_name, class_name, module_name


@dataclass
class CellNames:
    """One cell's class, module and attributes."""

    cell: n.Cell
    path: tuple[str, ...]
    top: n.Cell
    class_name: str
    module: str
    handlers: dict[str, str] = field(default_factory=dict)
    slots: dict[str, str] = field(default_factory=dict)
    machines: dict[str, str] = field(default_factory=dict)
    namer: Namer = field(default_factory=Namer)


class ProgramNames:
    """Look-up by cell; cells are told apart by identity, for names may repeat."""

    def __init__(self, program: Program) -> None:
        self.classes = Namer()
        self.modules = Namer()
        self.cells: dict[int, CellNames] = {}
        for cell in program.cells:
            self._add(cell, (cell.name,), cell)

    def of(self, cell: n.Cell) -> CellNames:
        return self.cells[id(cell)]

    def _add(self, cell: n.Cell, path: tuple[str, ...], top: n.Cell) -> None:
        name = self.classes.fresh(class_name(path))
        module = self.cells[id(top)].module if cell is not top else ""
        module = module or self.modules.fresh(module_name(name))
        self.cells[id(cell)] = _attributes(CellNames(cell, path, top, name, module))
        for interior in sections(cell, n.Interior):
            for child in interior.cells:
                self._add(child, (*path, child.name), top)


def _attributes(names: CellNames) -> CellNames:
    namer = names.namer = Namer(CELL_ATTRIBUTES)
    for handler in handlers_of(names.cell):
        names.handlers[handler] = namer.fresh(attribute_name(handler))
    for slot in slots_of(names.cell):
        names.slots[slot] = _member(namer, slot, "slot")
    for machine in sections(names.cell, n.Machine):
        if machine.name not in names.machines:
            names.machines[machine.name] = _member(namer, machine.name, "machine")
    return names


def _member(namer: Namer, name: str, kind: str) -> str:
    """A slot or machine named like a handler says what it is: `jobs_slot`."""
    wanted = attribute_name(name)
    return namer.fresh(wanted if wanted not in namer.taken else f"{wanted.rstrip('_')}_{kind}")
