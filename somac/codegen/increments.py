"""Additions to an Int in eventual and causal memory, found in what programs write.

`s.set(k, (s.get(k) ?? 0) + e)` reads and overwrites: of two nodes that do it at the same time one
would be forgotten. It becomes `s.add(k, e, 0)`, which does the same on one node and keeps both
additions in a cluster (docs/replication.md). So does the form in statements, `let v = s.get(k) ??
0` and later `s.set(k, v + e)`, as long as nothing can have written in between.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from ..frontend import nodes as n
from ..frontend.program import sections
from ..frontend.walk import walk
from .effects import Effects
from .routines import SLOT_METHODS, Routine, Routines, slot_target
from .scopes import Var

_AMOUNTS = frozenset({"+", "-", "*"})
_CONVERGING = frozenset({"eventual", "causal"})
_OTHERWISE = frozenset({"ttl", "retain", "immutable", "evict"})
"""Properties that make a write depend on more than the value, or on how often a key was read."""
NAMES = {"+": "add", "-": "subtract"}


@dataclass(frozen=True, slots=True)
class Increment:
    """`s.set(key, …)` as an addition; `default` is what `??` gives an absent key."""

    method: str
    amount: n.Expr
    default: n.Int | None


@dataclass(frozen=True, slots=True)
class _Lookup:
    """`s.get(key) ?? default`"""

    slot: n.Slot
    key: n.Expr
    default: n.Int | None


def increments_of(
    routines: Routines, effects: Effects, routine: Routine
) -> Mapping[int, Increment]:
    """The additions of a routine, by the id of the node of `set`."""
    if not any(_converges(cell) for cell in routines.program.all_cells):
        return {}
    return _Finder(routines, effects, routine).find()


def _converges(cell: n.Cell) -> bool:
    return any(
        entry.key == "consistency" and entry.value in _CONVERGING
        for scale in sections(cell, n.Scale)
        for entry in scale.entries
    )


class _Finder:
    """The search in one routine."""

    def __init__(self, routines: Routines, effects: Effects, routine: Routine) -> None:
        self.routines = routines
        self.effects = effects
        self.routine = routine
        self.found: dict[int, Increment] = {}
        self._changing = {
            var
            for node in walk(routine.body)
            if isinstance(node, n.Assign) and (var := routine.scopes.var(node)) is not None
        }

    def find(self) -> Mapping[int, Increment]:
        for node in walk(self.routine.body):
            if isinstance(node, n.Method):
                self._at_once(node)
            elif isinstance(node, n.Block):
                self._in_block(node.statements)
        if isinstance(self.routine.body, tuple):
            self._in_block(self.routine.body)
        return self.found

    # --- in one expression -----------------------------------------------------------------------

    def _at_once(self, node: n.Method) -> None:
        target = self._set(node)
        if target is None or not isinstance(node.args[1], n.Binary):
            return
        slot, key = target
        lookup = self._lookup(node.args[1].left)
        if lookup is not None and lookup.slot is slot and self._same(lookup.key, key):
            self._note(node, node.args[1], lookup.default)

    # --- in several statements -------------------------------------------------------------------

    def _in_block(self, statements: Sequence[n.Stmt]) -> None:
        for index, statement in enumerate(statements):
            if isinstance(statement, n.Let):
                lookup = self._lookup(statement.value)
                var = self.routine.scopes.var(statement)
                if lookup is not None and var is not None and self._fixed(var):
                    self._follow(statements[index + 1 :], lookup, var, {})

    def _follow(
        self,
        statements: Sequence[n.Stmt],
        lookup: _Lookup,
        read: Var,
        sums: Mapping[Var, n.Binary],
    ) -> None:
        """Up to the first statement that may write: what was read is still what is there."""
        sums = dict(sums)
        for statement in statements:
            if isinstance(statement, n.Let):
                self._remember(statement, read, sums)
            elif isinstance(statement, n.ExprStmt) and isinstance(statement.value, n.Method):
                self._overwrite(statement.value, lookup, read, sums)
            elif isinstance(statement, n.If):
                for branch in self._branches(statement):
                    self._follow(branch, lookup, read, sums)
            if self.effects.of(self.routine, statement)[1]:
                return

    def _branches(self, statement: n.If) -> Iterator[Sequence[n.Stmt]]:
        if self.effects.of(self.routine, statement.condition)[1]:
            return
        yield statement.then.statements
        if isinstance(statement.otherwise, n.If):
            yield from self._branches(statement.otherwise)
        elif statement.otherwise is not None:
            yield statement.otherwise.statements

    def _remember(self, statement: n.Let, read: Var, sums: dict[Var, n.Binary]) -> None:
        """`let w = v + e`"""
        var, value = self.routine.scopes.var(statement), statement.value
        if var is not None and self._fixed(var) and self._adds_to(value, read):
            assert isinstance(value, n.Binary)
            sums[var] = value

    def _overwrite(
        self, node: n.Method, lookup: _Lookup, read: Var, sums: Mapping[Var, n.Binary]
    ) -> None:
        target = self._set(node)
        if target is None or target[0] is not lookup.slot or not self._same(lookup.key, target[1]):
            return
        value = node.args[1]
        if isinstance(value, n.Name):
            var = self.routine.scopes.var(value)
            value = sums.get(var, value) if var is not None else value
        if self._adds_to(value, read):
            assert isinstance(value, n.Binary)
            self._note(node, value, lookup.default)

    def _adds_to(self, value: n.Expr, read: Var) -> bool:
        return (
            isinstance(value, n.Binary)
            and isinstance(value.left, n.Name)
            and self.routine.scopes.var(value.left) is read
        )

    # --- parts -----------------------------------------------------------------------------------

    def _note(self, node: n.Method, value: n.Binary, default: n.Int | None) -> None:
        if value.op in NAMES and self._plain(value.right):
            self.found[id(node)] = Increment(NAMES[value.op], value.right, default)

    def _set(self, node: n.Method) -> tuple[n.Slot, n.Expr] | None:
        """The slot and the key of `s.set(k, v)`."""
        if SLOT_METHODS.get(node.name) != "set" or len(node.args) != 2:
            return None
        slot = self._slot(node.target)
        return None if slot is None else (slot, node.args[0])

    def _slot(self, target: n.Expr) -> n.Slot | None:
        """A slot whose additions can be told from its writes."""
        found = slot_target(self.routines, self.routine, target)
        if found is None or not _converges(found[0]) or not self.routines.shares(*found):
            return None
        slot = found[1]
        names = {prop.name for prop in slot.properties} | set(self.routines.implied(slot))
        kinds = [argument.name for argument in slot.type.args]
        if slot.type.name != "Map" or kinds != ["String", "Int"] or names & _OTHERWISE:
            return None
        return slot

    def _lookup(self, node: n.Expr) -> _Lookup | None:
        read: n.Expr = node
        default: n.Int | None = None
        if isinstance(node, n.Binary) and node.op == "??" and isinstance(node.right, n.Int):
            read, default = node.left, node.right
        if not isinstance(read, n.Method) or SLOT_METHODS.get(read.name) != "get":
            return None
        slot = self._slot(read.target)
        if slot is None or len(read.args) != 1 or not self._is_key(read.args[0]):
            return None
        return _Lookup(slot, read.args[0], default)

    def _is_key(self, node: n.Expr) -> bool:
        """A key that is the same wherever it is written."""
        if isinstance(node, n.Name):
            var = self.routine.scopes.var(node)
            return var is not None and var not in self._changing
        return isinstance(node, n.Str) and not any(isinstance(p, n.Hole) for p in node.parts)

    def _same(self, one: n.Expr, other: n.Expr) -> bool:
        if isinstance(one, n.Name) and isinstance(other, n.Name):
            return self.routine.scopes.var(one) is self.routine.scopes.var(other)
        return isinstance(one, n.Str) and isinstance(other, n.Str) and one.value == other.value

    def _plain(self, node: n.Expr) -> bool:
        """An amount without effects, the same before and after the slot is read."""
        if isinstance(node, n.Binary):
            return node.op in _AMOUNTS and self._plain(node.left) and self._plain(node.right)
        if isinstance(node, n.Unary):
            return node.op == "-" and self._plain(node.operand)
        if isinstance(node, n.Name):
            var = self.routine.scopes.var(node)
            return var is not None and var not in self._changing
        return isinstance(node, n.Int)

    def _fixed(self, var: Var) -> bool:
        return var.writes == 1 and var not in self._changing
