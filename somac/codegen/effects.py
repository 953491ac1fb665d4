"""What a routine may do: wait (then it is `async def`), write (then `try` needs a savepoint), reach
outside (then it may wait for more than memory).

A fixpoint over the call graph; each answer holds for a whole subtree, lambdas included.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from ..frontend import nodes as n
from ..frontend.builtins import HIGHER_ORDER
from ..frontend.program import handlers_of, machine_cell, sections
from .routines import (
    SLOT_METHODS,
    SLOT_WRITES,
    BuiltinCall,
    HandlerCall,
    LocalCall,
    Routine,
    Routines,
    pipe_parts,
    slot_target,
)
from .tree import walk


class Effect(NamedTuple):
    """What evaluating something may do."""

    waits: bool
    writes: bool
    outside: bool = False
    """It may wait for time, the network or another program."""


NOTHING = Effect(False, False)


def union(effects: Iterable[Effect]) -> Effect:
    """The effect of all of them together."""
    waits = writes = outside = False
    for one in effects:
        waits, writes, outside = waits or one.waits, writes or one.writes, outside or one.outside
    return Effect(waits, writes, outside)


def effect_of(routine: Routine) -> Effect:
    """What calling a routine may do, as far as it is known by now."""
    return Effect(routine.is_async, routine.writes, routine.outside)


class Effects:
    """Computes `is_async`, `writes` and `outside` of every routine."""

    def __init__(self, routines: Routines) -> None:
        self.routines = routines
        self.lambdas = NOTHING  # what the lambdas that are kept as values may do
        self._known: dict[int, Effect] = {}
        changed = True
        while changed:
            self._known.clear()
            changed = self._round()
        self._known.clear()

    def _round(self) -> bool:
        changed = False
        for routine in self.routines:
            effect = self.of(routine, routine.body)
            if effect != effect_of(routine):
                routine.is_async, routine.writes, routine.outside = effect
                changed = True
            lambdas = union((self.lambdas, self._kept_lambdas(routine)))
            if lambdas != self.lambdas:
                self.lambdas = lambdas
                changed = True
        return changed

    def _kept_lambdas(self, routine: Routine) -> Effect:
        """What the lambdas of a routine that are kept as values may do."""
        direct = self._direct(routine)
        return union(
            self.of(routine, node.body)
            for node in walk(routine.body)
            if isinstance(node, n.Lambda) and id(node) not in direct
        )

    def _direct(self, routine: Routine) -> set[int]:
        """Lambdas written as arguments of a call: the builtin knows that they wait."""
        return {
            id(argument)
            for node in walk(routine.body)
            if isinstance(node, n.Call) and node.name in HIGHER_ORDER
            for argument in node.args
        }

    def of(self, routine: Routine, node: n.Node) -> Effect:
        """The effect of evaluating a subtree."""
        found = self._known.get(id(node))
        if found is None:
            effects = (self.single(routine, inner) for inner in walk(node))
            found = self._known[id(node)] = union(effects)
        return found

    def single(self, routine: Routine, node: n.Node) -> Effect:
        """The effect of one node's own operation, without its operands."""
        if isinstance(node, n.Call):
            return self._call(routine, node, node.name, node.args)
        if isinstance(node, n.Pipe):
            parts = pipe_parts(node)
            if parts is None or isinstance(node.right, n.Call):
                return self._piped(routine, node, parts)
            return self._call(routine, *parts)
        if isinstance(node, n.Field | n.Method):
            return self._slot(routine, node)
        if isinstance(node, n.Emit):
            return self.emit(routine.cell, node.name)
        if isinstance(node, n.Name) and routine.bare and routine.scopes.var(node) is None:
            return self._bare_slot(routine, node)
        return NOTHING

    def _piped(
        self,
        routine: Routine,
        node: n.Pipe,
        parts: tuple[n.Node, str, tuple[n.Expr, ...]] | None,
    ) -> Effect:
        """A pipe into a call: the call node inside does not know of the piped argument."""
        return NOTHING if parts is None else self._call(routine, *parts)

    def _bare_slot(self, routine: Routine, node: n.Name) -> Effect:
        found = self.routines.find_slot(routine.cell, node.name)
        return Effect(found is not None and self.routines.shares(*found), False)

    def _slot(self, routine: Routine, node: n.Field | n.Method) -> Effect:
        found = slot_target(self.routines, routine, node.target)
        if found is None:
            return NOTHING
        return Effect(self.routines.shares(*found), SLOT_METHODS.get(node.name) in SLOT_WRITES)

    def _call(self, routine: Routine, node: n.Node, name: str, args: tuple[n.Expr, ...]) -> Effect:
        target = self.routines.call(routine, node, name, args)
        if isinstance(target, HandlerCall):
            return effect_of(target.routine)
        if isinstance(target, LocalCall):
            return self.lambdas._replace(writes=True)
        if isinstance(target, BuiltinCall):
            return self._builtin(routine, target, name, args)
        return NOTHING

    def _builtin(
        self, routine: Routine, target: BuiltinCall, name: str, args: tuple[n.Expr, ...]
    ) -> Effect:
        effect = target.builtin.effect
        if effect == "async":
            return Effect(True, True, True)
        if effect == "context":
            return self.context(routine.cell, name, args)
        written_here = any(isinstance(a, n.Lambda) for a in args[1:])
        if name in HIGHER_ORDER and len(args) > 1 and not written_here:
            return self.lambdas._replace(writes=self._may_hold_lambda(args))
        return NOTHING

    def single_builtin(
        self, routine: Routine, target: BuiltinCall, name: str, args: tuple[n.Expr, ...]
    ) -> bool:
        """Whether a higher-order builtin has to await its lambda."""
        if any(isinstance(a, n.Lambda) and self.of(routine, a.body)[0] for a in args):
            return True
        return self._builtin(routine, target, name, args)[0]

    def _may_hold_lambda(self, args: tuple[n.Expr, ...]) -> bool:
        """Whether a lambda made elsewhere may be among the arguments; literals are none."""
        return len(args) > 1 and isinstance(args[-1], n.Name | n.Call | n.Field | n.Method)

    # --- operations of the cell ---

    def context(self, cell: n.Cell, name: str, args: tuple[n.Expr, ...]) -> Effect:
        """`transition`, `get_status`, `next_id`, `publish`, `delegate` …"""
        if name == "delegate":
            return self.delegate(args)
        if name in ("transition", "get_status", "valid_transitions"):
            return self._machine(cell, moves=name == "transition")
        return Effect(False, True)

    def _machine(self, cell: n.Cell, *, moves: bool) -> Effect:
        """Using the machines that `cell` sees."""
        owner = machine_cell(self.routines.program, cell)
        if owner is None:
            return Effect(False, moves)
        bodies = [
            self.routines.others[id(body)]
            for machine in sections(owner, n.Machine)
            for arrow in machine.transitions
            for body in (arrow.guard, arrow.effect)
            if body is not None and moves
        ]
        reached = union(map(effect_of, bodies))
        return Effect(bool(sections(owner, n.Scale)) or reached.waits, moves, reached.outside)

    def emit(self, cell: n.Cell, name: str) -> Effect:
        """Every other cell that has the handler takes part."""
        found = union(
            effect_of(routine)
            for routine in self.routines.handlers.values()
            if routine.name == name and routine.cell is not cell
        )
        return found._replace(writes=True)

    def delegate(self, args: tuple[n.Expr, ...]) -> Effect:
        """The one handler when both names are literals, else any."""
        names = [a.value for a in args[:2] if isinstance(a, n.Str)]
        routines = list(self.routines.handlers.values())
        if len(names) == 2:
            routines = [r for r in routines if r.name == names[1] and r.cell.name == names[0]]
        return union(map(effect_of, routines))._replace(writes=True)


def receivers(routines: Routines, cell: n.Cell, name: str) -> list[n.Cell]:
    """The cells that an emit from `cell` reaches."""
    return [c for c in routines.program.live if c is not cell and name in handlers_of(c)]
