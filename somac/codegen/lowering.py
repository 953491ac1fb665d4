"""The ground on which one routine is lowered: expressions, destinations, temporaries, imports."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field

from ..frontend import nodes as n
from . import kinds as k
from .effects import Effects
from .fresh import Freshness
from .increments import increments_of
from .kinds import Kinds
from .literals import string
from .mangle import Namer
from .routines import Routine, Routines
from .scopes import Function, Var
from .writer import Line, Writer

# How tightly a Python expression holds together; parentheses go where an operand is looser.
LOOSE, OR, AND, NOT, COMPARE, SUM, PRODUCT, SIGN, AWAIT, ATOM = range(10)


@dataclass(frozen=True, slots=True)
class Ex:
    """A Python expression. `constant` ones may move past effects, `pure` ones be dropped.

    `error` is what an expression raises that can do nothing else; `inverse` is the opposite of a
    condition where Python has a plainer form than `not …`.
    """

    text: str
    kind: str = k.ANY
    level: int = ATOM
    constant: bool = False
    pure: bool = False
    error: str = ""
    inverse: str = ""
    inverse_level: int = COMPARE

    def at(self, level: int) -> str:
        """The text, in parentheses when it is looser than the place allows."""
        return self.text if self.level >= level else f"({self.text})"


UNIT = Ex("None", k.UNIT, constant=True, pure=True)


@dataclass(frozen=True, slots=True)
class Dest:
    """Where a value goes: nowhere, out of the function, or into a Python variable."""

    kind: str  # "drop", "return" or "into"
    name: str = ""


DROP = Dest("drop")
RETURN = Dest("return")


def into(name: str) -> Dest:
    return Dest("into", name)


@dataclass
class ModuleContext:
    """What the routines of one module share."""

    routines: Routines
    effects: Effects
    kinds: Kinds
    imports: set[str] = field(default_factory=set)  # names of the runtime that are used


class Base(ABC):
    """State and helpers of the lowering of one routine; subclasses add constructs."""

    def __init__(self, module: ModuleContext, routine: Routine, writer: Writer) -> None:
        self.module = module
        self.routines = module.routines
        self.effects = module.effects
        self.kinds = module.kinds
        self.routine = routine
        self.out = writer
        self.function: Function = routine.scopes.function
        self.fresh = Freshness(routine)
        self.increments = increments_of(self.routines, self.effects, routine)
        self.annotated: set[Var] = set()
        self.filtered: dict[str, tuple[str, str]] = {}  # comprehensions that only filter
        self.loops = 0
        self.in_async = routine.is_async

    @abstractmethod
    def expr(self, node: n.Node) -> Ex:
        """Lowers an expression; what it needs beforehand is written out."""

    @abstractmethod
    def deliver_expr(self, node: n.Node, dest: Dest) -> bool:
        """Lowers an expression to a destination; True when control does not go on."""

    @abstractmethod
    def block(self, statements: Sequence[n.Stmt], dest: Dest) -> bool:
        """Lowers statements, the last one's value to the destination."""

    # --- names ---

    @property
    def namer(self) -> Namer:
        return self.function.namer

    def use(self, name: str) -> str:
        """A name of the runtime; the module will import it."""
        self.module.imports.add(name.split(".")[0])
        return name

    def temp(self, hint: str) -> str:
        """A new local name that no variable has."""
        inner, outer = self.namer, self.routine.scopes.function.namer
        name = inner.fresh(f"_{hint}")
        while inner is not outer and name in outer.taken:
            name = inner.fresh(f"_{hint}")
        outer.taken.add(name)
        return name

    # --- pieces ---

    def kind(self, node: n.Node) -> str:
        return self.kinds.expr(self.routine, node)

    def fail(self, error: str) -> Ex:
        """An expression that raises."""
        self.use(error.split("(")[0])
        return Ex(f"{self.use('ops')}.fail({error})", error=error)

    def type_error(self, message: str) -> Ex:
        return self.fail(f"type_error({string(message)})")

    def awaited(self, text: str, waits: bool, kind: str = k.ANY) -> Ex:
        return Ex(f"await {text}", kind, AWAIT) if waits else Ex(text, kind)

    def deliver(self, ex: Ex, dest: Dest) -> bool:
        """Writes what brings a value to its destination; True when control does not go on."""
        if ex.error:
            self.out.add(f"raise {ex.error}")
            return True
        if dest.kind == "drop":
            if not ex.pure:
                self.out.add(ex.text)
            return False
        if ex.kind == k.UNIT and not ex.pure:
            self.out.add(ex.text)
            ex = UNIT
        if dest.kind == "return":
            self.out.add(f"return {ex.text}")
            return True
        self.out.add(f"{dest.name} = {ex.text}")
        return False

    def spill(self, ex: Ex, hint: str) -> Ex:
        """The value in a temporary, so that what follows cannot change it."""
        if ex.constant or ex.text in ("[]", "{}"):
            return ex
        if ex.kind == k.UNIT:
            self.deliver(ex, DROP)
            return UNIT
        name = self.temp(hint)
        self.out.add(f"{name} = {ex.text}")
        return Ex(name, ex.kind, constant=True, pure=True)

    def operands(self, nodes: Sequence[n.Node]) -> list[Ex]:
        """Lowers operands in order: those before one that needs statements are kept first."""
        lowered: list[tuple[list[Line], Ex]] = []
        for node in nodes:
            with self.out.capture() as lines:
                ex = self.expr(node)
            lowered.append((lines, ex))
        last = max((i for i, (lines, _) in enumerate(lowered) if lines), default=-1)
        found: list[Ex] = []
        for i, (lines, ex) in enumerate(lowered):
            self.out.lines.extend(lines)
            found.append(self.spill(ex, "value") if i < last else ex)
        return found

    def value_text(self, ex: Ex) -> str:
        """As an argument; a call that yields nothing in Python is run first."""
        return ex.text
