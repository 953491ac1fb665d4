"""What a routine may do: wait (then it is `async def`) or write (then `try` needs a savepoint).

A fixpoint over the call graph; each answer holds for a whole subtree, lambdas included.
"""

from __future__ import annotations

from ..frontend import nodes as n
from ..frontend.builtins import HIGHER_ORDER
from ..frontend.program import handlers_of, sections
from .routines import (
    SLOT_METHODS,
    SLOT_WRITES,
    BuiltinCall,
    HandlerCall,
    LocalCall,
    Routine,
    Routines,
    machine_cell,
    pipe_parts,
    slot_target,
)
from .tree import walk

NOTHING = (False, False)
Effect = tuple[bool, bool]  # may wait, may write


class Effects:
    """Computes `is_async` and `writes` of every routine."""

    def __init__(self, routines: Routines) -> None:
        self.routines = routines
        self.lambdas_wait = False  # some lambda that is kept as a value awaits
        self._known: dict[int, Effect] = {}
        changed = True
        while changed:
            self._known.clear()
            changed = self._round()
        self._known.clear()

    def _round(self) -> bool:
        changed = False
        for routine in self.routines:
            waits, writes = self.of(routine, routine.body)
            if (waits, writes) != (routine.is_async, routine.writes):
                routine.is_async, routine.writes = waits, writes
                changed = True
            if not self.lambdas_wait and self._keeps_waiting_lambda(routine):
                self.lambdas_wait = changed = True
        return changed

    def _keeps_waiting_lambda(self, routine: Routine) -> bool:
        return any(
            isinstance(node, n.Lambda)
            and self.of(routine, node.body)[0]
            and id(node) not in self._direct(routine)
            for node in walk(routine.body)
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
            waits = writes = False
            for inner in walk(node):
                one = self.single(routine, inner)
                waits, writes = waits or one[0], writes or one[1]
            found = self._known[id(node)] = (waits, writes)
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
        return (found is not None and self.routines.shares(*found), False)

    def _slot(self, routine: Routine, node: n.Field | n.Method) -> Effect:
        found = slot_target(self.routines, routine, node.target)
        if found is None:
            return NOTHING
        return self.routines.shares(*found), SLOT_METHODS.get(node.name) in SLOT_WRITES

    def _call(self, routine: Routine, node: n.Node, name: str, args: tuple[n.Expr, ...]) -> Effect:
        target = self.routines.call(routine, node, name, args)
        if isinstance(target, HandlerCall):
            return target.routine.is_async, target.routine.writes
        if isinstance(target, LocalCall):
            return self.lambdas_wait, True
        if isinstance(target, BuiltinCall):
            return self._builtin(routine, target, name, args)
        return NOTHING

    def _builtin(
        self, routine: Routine, target: BuiltinCall, name: str, args: tuple[n.Expr, ...]
    ) -> Effect:
        effect = target.builtin.effect
        if effect == "async":
            return True, True
        if effect == "context":
            return self.context(routine.cell, name, args)
        written_here = any(isinstance(a, n.Lambda) for a in args[1:])
        if name in HIGHER_ORDER and len(args) > 1 and not written_here:
            return self.lambdas_wait, self._may_hold_lambda(args)
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
            return self.machine_waits(cell, moves=name == "transition"), name == "transition"
        return False, True

    def machine_waits(self, cell: n.Cell, *, moves: bool) -> bool:
        """Whether using the machines that `cell` sees may wait."""
        owner = machine_cell(self.routines.program, cell)
        if owner is None:
            return False
        if sections(owner, n.Scale):
            return True
        bodies = [
            body
            for machine in sections(owner, n.Machine)
            for arrow in machine.transitions
            for body in (arrow.guard, arrow.effect)
            if body is not None
        ]
        return moves and any(self.routines.others[id(body)].is_async for body in bodies)

    def emit(self, cell: n.Cell, name: str) -> Effect:
        """Every other cell that has the handler takes part."""
        waits = any(
            routine.is_async
            for routine in self.routines.handlers.values()
            if routine.name == name and routine.cell is not cell
        )
        return waits, True

    def delegate(self, args: tuple[n.Expr, ...]) -> Effect:
        """The one handler when both names are literals, else any."""
        names = [a.value for a in args[:2] if isinstance(a, n.Str)]
        routines = list(self.routines.handlers.values())
        if len(names) == 2:
            routines = [r for r in routines if r.name == names[1] and r.cell.name == names[0]]
        return any(r.is_async for r in routines), True


def receivers(routines: Routines, cell: n.Cell, name: str) -> list[n.Cell]:
    """The cells that an emit from `cell` reaches."""
    return [c for c in routines.program.live if c is not cell and name in handlers_of(c)]
