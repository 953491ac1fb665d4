"""What runs when a piece of a program runs: who can call whom, without running anything.

Handlers call each other by name, by `delegate` and by `emit`. They also run what nobody writes down
as a call: a transition runs the guards and effects of the arrows that it may take, and a write to a
slot runs the invariants of its block.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property

from ..check.targets import calls, literal_text
from ..frontend import nodes as n
from ..frontend.builtins import BUILTINS
from ..frontend.program import Program, handlers_of, machine_cell, sections
from ..frontend.walk import walk
from .bodies import all_bodies

WRITES = frozenset({"set", "put", "delete", "remove", "append", "push"})


@dataclass(frozen=True, eq=False)
class Piece:
    """What runs as one, under the name by which the report calls it; `params` are a handler's."""

    cell: n.Cell
    name: str
    root: n.Node
    params: tuple[str, ...] = ()


@dataclass(frozen=True)
class Call:
    """A call of one piece by another; both by number."""

    caller: int
    callee: int
    args: tuple[n.Node, ...]


class CallGraph:
    """The pieces of all cells of a program but its tests, and the calls between them."""

    def __init__(self, program: Program) -> None:
        self.program = program
        self.pieces: list[Piece] = []
        self._of_node: dict[int, int] = (
            {}
        )  # by the identity of a handler, or of the block of another body
        self._invariants: dict[int, list[int]] = {}
        self._arrows: dict[int, dict[str, list[int]]] = {}  # by machine, then by target
        self.cells = [cell for cell in program.all_cells if cell.kind != "test"]
        for cell in self.cells:
            self._add_cell(cell)

    @cached_property
    def calls(self) -> tuple[Call, ...]:
        return tuple(
            Call(caller, callee, args)
            for caller, piece in enumerate(self.pieces)
            for callee, args in self._reached(piece)
        )

    def called_from(self, start: int) -> list[int]:
        """The pieces that run, now or later, when one runs: it, and others in order."""
        seen, todo = {start}, [start]
        while todo:
            new = self._callees[todo.pop()] - seen
            seen |= new
            todo += new
        return sorted(seen)

    @cached_property
    def _callees(self) -> list[set[int]]:
        found: list[set[int]] = [set() for _ in self.pieces]
        for call in self.calls:
            found[call.caller].add(call.callee)
        return found

    def _add_cell(self, cell: n.Cell) -> None:
        for body in all_bodies(cell):
            owner = body.handler if body.handler is not None else body.block
            self._of_node[id(owner)] = self._add(Piece(cell, body.name, body.block, body.params))
        for machine in sections(cell, n.Machine):
            by_target = self._arrows[id(machine)] = {}
            for arrow in machine.transitions:
                if arrow.guard is not None or arrow.effect is not None:
                    self._add_arrow(cell, arrow, by_target.setdefault(arrow.target, []))
        for memory in sections(cell, n.Memory):
            names = ", ".join(slot.name for slot in memory.slots)
            self._invariants[id(memory)] = [
                self._add(Piece(cell, f"invariant of {names}", rule)) for rule in memory.invariants
            ]

    def _add_arrow(self, cell: n.Cell, arrow: n.Transition, found: list[int]) -> None:
        if arrow.guard is not None:
            name = f"guard of {arrow.source} -> {arrow.target}"
            found.append(self._add(Piece(cell, name, arrow.guard)))
        if arrow.effect is not None:
            found.append(self._of_node[id(arrow.effect)])

    def _add(self, piece: Piece) -> int:
        self.pieces.append(piece)
        return len(self.pieces) - 1

    # --- what a piece can run --------------------------------------------------------------------

    def _reached(self, piece: Piece) -> Iterator[tuple[int, tuple[n.Node, ...]]]:
        for name, args, _ in calls(walk(piece.root)):
            if name == "delegate" and len(args) >= 2:
                for found in self._delegated(*args[:2]):
                    yield self._of_node[id(found)], args[2:]
            elif name == "transition" and len(args) >= 2:
                yield from ((at, ()) for at in self._crossed(piece.cell, args[1]))
            elif not _is_builtin(name, args):
                target = self.program.find_handler(piece.cell, name)
                if target is not None and id(target[1]) in self._of_node:
                    yield self._of_node[id(target[1])], args
        for node in walk(piece.root):
            if isinstance(node, n.Emit):
                for cell in self.cells:
                    handler = handlers_of(cell).get(node.name)
                    if cell is not piece.cell and handler is not None:
                        yield self._of_node[id(handler)], node.args
            elif isinstance(node, n.Method) and node.name in WRITES:
                yield from ((at, ()) for at in self._checked(piece.cell, node.target))

    def _delegated(self, cell: n.Node, signal: n.Node) -> Iterator[n.Handler]:
        """The handlers that `delegate` can mean: all of those whose names are not computed away."""
        owner, name = literal_text(cell), literal_text(signal)
        for other in self.cells:
            if owner in (None, other.name):
                yield from (h for h in handlers_of(other).values() if name in (None, h.name))

    def _crossed(self, cell: n.Cell, target: n.Node) -> Iterator[int]:
        """Guards and effects of the arrows that a transition can take, whatever the state is."""
        name = literal_text(target)
        if name is None and isinstance(target, n.Name) and target.name[:1].isupper():
            name = target.name
        owner = machine_cell(self.program, cell)
        for machine in sections(owner, n.Machine) if owner is not None else ():
            by_target = self._arrows[id(machine)]
            for found in by_target.values() if name is None else [by_target.get(name, [])]:
                yield from found

    def _checked(self, cell: n.Cell, target: n.Node) -> Iterable[int]:
        """The invariants that a write to a slot is held against."""
        if not isinstance(target, n.Name):
            return
        found = self.program.find_slot(cell, target.name)
        for memory in sections(found[0], n.Memory) if found is not None else ():
            if found is not None and any(slot is found[1] for slot in memory.slots):
                yield from self._invariants.get(id(memory), ())


def _is_builtin(name: str, args: tuple[n.Node, ...]) -> bool:
    builtin = BUILTINS.get(name)
    if builtin is None or len(args) < builtin.min_args:
        return False
    return not builtin.lambda_only or any(isinstance(arg, n.Lambda) for arg in args)
