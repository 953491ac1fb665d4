"""The routines of a program: every body that becomes a Python method, and what its calls mean."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ..check.backends import Backends
from ..check.properties import implied_properties, property_table
from ..frontend import nodes as n
from ..frontend.builtins import BUILTINS, NATIVE, NATIVE_SHARED, Builtin, suggest
from ..frontend.program import Program, VariantInfo, handlers_of, sections, slots_of
from .names import ProgramNames
from .scopes import Resolver, Scopes, Var

if TYPE_CHECKING:
    from .native_kinds import NativeKinds


@dataclass(eq=False)
class Routine:
    """A handler, timer, guard, effect, invariant, assertion or property.

    `bare` is the mode of guards: slot names are Maps, `==` is loose (system §2.3).
    """

    cell: n.Cell
    name: str
    params: tuple[str, ...]
    body: n.Node
    handler: n.Handler | None = None
    bare: bool = False
    scopes: Scopes = field(init=False)
    is_async: bool = False
    writes: bool = False
    outside: bool = False
    result: str = ""

    @property
    def native(self) -> bool:
        return self.handler is not None and "native" in self.handler.annotations

    @property
    def types(self) -> dict[str, str]:
        """Declared types of parameters by name."""
        handler = self.handler
        return {p.name: p.type.name for p in handler.params} if handler is not None else {}


# --- what a call means ---------------------------------------------------------------------------


@dataclass(frozen=True)
class LocalCall:
    var: Var


@dataclass(frozen=True)
class VariantCall:
    info: VariantInfo


@dataclass(frozen=True)
class BuiltinCall:
    builtin: Builtin
    piped: bool = False


@dataclass(frozen=True, eq=False)
class HandlerCall:
    routine: Routine


@dataclass(frozen=True)
class Unknown:
    name: str
    suggestion: str | None


Target = LocalCall | VariantCall | BuiltinCall | HandlerCall | Unknown


class Routines:
    """All routines of a program, resolved."""

    def __init__(self, program: Program) -> None:
        self.program = program
        self.names = ProgramNames(program)
        self._properties = property_table(program)
        self._backends = Backends(program)
        self.handlers: dict[tuple[int, str], Routine] = {}
        self._slots: dict[int, dict[str, n.Slot]] = {}  # by id of the cell
        self.others: dict[int, Routine] = {}  # by id of the node that holds the body
        self.natives: dict[Routine, NativeKinds] = {}  # found when they are first asked for
        for cell in program.all_cells:
            for name, handler in handlers_of(cell).items():
                params = tuple(p.name for p in handler.params)
                routine = Routine(cell, name, params, handler.body, handler)
                self.handlers[id(cell), name] = routine
            for routine in _other_routines(cell):
                self.others[id(routine.body)] = routine
        for routine in self:  # once all are known: a hole of a string may call a later one
            self._resolve(routine)

    def __iter__(self) -> Iterator[Routine]:
        yield from self.handlers.values()
        yield from self.others.values()

    def _resolve(self, routine: Routine) -> None:
        def known(node: n.Node, before_dot: bool) -> bool:
            if isinstance(node, n.Call):
                return not isinstance(self._global_call(routine, node.name, node.args), Unknown)
            name = getattr(node, "name", "")
            if before_dot and self.find_slot(routine.cell, name) is not None:
                return True
            return name in self.program.variants

        routine.scopes = Resolver(known).resolve(routine.params, routine.body)

    def implied(self, slot: n.Slot) -> tuple[str, ...]:
        """The properties of a slot that others, or a backend of the program, imply."""
        implied = implied_properties(slot, self._properties)
        names = (*(prop.name for prop in slot.properties), *implied)
        free = not any(self._properties.excludes("persistent", name) for name in names)
        if free and "persistent" not in names and self._backends.persist(names):
            return (*implied, "persistent")
        return implied

    def shares(self, cell: n.Cell, slot: n.Slot) -> bool:
        """Whether the slot is one of the cluster's (docs/architecture.md)."""
        if not sections(cell, n.Scale):
            return False
        names = (*(prop.name for prop in slot.properties), *self.implied(slot))
        return "ephemeral" not in names and "local" not in names

    def find_slot(self, cell: n.Cell, name: str) -> tuple[n.Cell, n.Slot] | None:
        own = self._slots.get(id(cell))
        if own is None:
            own = self._slots[id(cell)] = slots_of(cell)
        if name in own:
            return cell, own[name]
        found = self.program.slots.get(name)
        return found[0] if found else None

    def find_handler(self, cell: n.Cell, name: str) -> Routine | None:
        """Own cell, then interior siblings' parents are not searched: top-level source order."""
        own = self.handlers.get((id(cell), name))
        if own is not None:
            return own
        found = self.program.handlers.get(name)
        return self.handlers[id(found[0][0]), name] if found else None

    # --- calls ---

    def call(self, routine: Routine, node: n.Node, name: str, args: tuple[n.Expr, ...]) -> Target:
        """What a plain call means (builtins §1.3 with the mends); `node` carries the name."""
        var = routine.scopes.var(node)
        return LocalCall(var) if var is not None else self._global_call(routine, name, args)

    def _global_call(self, routine: Routine, name: str, args: tuple[n.Expr, ...]) -> Target:
        info = self.program.variants.get(name)
        if info is not None and info.decl.shape == "tuple":
            return VariantCall(info)
        builtin = self.builtin(routine, name, args)
        if builtin is not None:
            return BuiltinCall(builtin)
        found = self.find_handler(routine.cell, name)
        if found is not None:
            return HandlerCall(found)
        if name in BUILTINS and BUILTINS[name].lambda_only and len(args) >= 2:
            return BuiltinCall(BUILTINS[name])  # the second argument may turn out to be a lambda
        return Unknown(name, suggest(name, self.program.handlers))

    def builtin(self, routine: Routine, name: str, args: tuple[n.Expr, ...]) -> Builtin | None:
        if routine.native:
            found = NATIVE.get(name) or (BUILTINS.get(name) if name in NATIVE_SHARED else None)
            return found
        found = BUILTINS.get(name)
        if found is None or len(args) < found.min_args:
            return None
        if found.lambda_only and not any(isinstance(a, n.Lambda) for a in args):
            return None
        if not found.supported and self.find_handler(routine.cell, name) is not None:
            return None  # what is left out hides nothing
        return found


def pipe_parts(node: n.Pipe) -> tuple[n.Node, str, tuple[n.Expr, ...]] | None:
    """Callee node, its name and all arguments of a pipe; None when the right side is no call."""
    if isinstance(node.right, n.Call):
        return node.right, node.right.name, (node.left, *node.right.args)
    if isinstance(node.right, n.Name):
        return node.right, node.right.name, (node.left,)
    return None


def _other_routines(cell: n.Cell) -> Iterator[Routine]:
    for machine in sections(cell, n.Machine):
        for arrow in machine.transitions:
            names = ("_from", "_to", "_id")
            if arrow.guard is not None:
                yield Routine(cell, "guard", names, arrow.guard, bare=True)
            if arrow.effect is not None:
                yield Routine(cell, "effect", names, arrow.effect)
    for memory in sections(cell, n.Memory):
        for expr in memory.invariants:
            yield Routine(cell, "invariant", ("_slot_len", "_slot_name", "_key"), expr)
    timers: tuple[n.Every | n.After, ...] = (*sections(cell, n.Every), *sections(cell, n.After))
    for timer in timers:
        yield Routine(cell, type(timer).__name__.lower(), (), timer.body)
    for rules in sections(cell, n.Rules):
        for rule in rules.rules:
            if isinstance(rule, n.Assert):
                yield Routine(cell, "assert", (), rule.value)
            elif isinstance(rule, n.PropertyTest):
                yield Routine(cell, "property", (rule.variable,), rule.ensures)


# --- slots ---------------------------------------------------------------------------------------

SLOT_METHODS = {
    **{
        name: name
        for name in [
            "get",
            "set",
            "delete",
            "has",
            "append",
            "len",
            "keys",
            "values",
            "list",
            "backend",
        ]
    },
    "put": "set",
    "remove": "delete",
    "contains": "has",
    "push": "append",
    "size": "len",
    "count": "len",
    "all": "list",
    "entries": "list",
}
SLOT_ARGUMENTS = {"get": 1, "set": 2, "delete": 1, "has": 1, "append": 1}
SLOT_WRITES = frozenset({"set", "delete", "append"})


def slot_target(
    routines: Routines, routine: Routine, target: n.Expr
) -> tuple[n.Cell, n.Slot] | None:
    """The slot that stands before a dot, unless a local hides it (mend 3)."""
    if not isinstance(target, n.Name) or routine.scopes.var(target) is not None:
        return None
    return routines.find_slot(routine.cell, target.name)


def declared_slots(cell: n.Cell) -> dict[str, n.Slot]:
    return slots_of(cell)
