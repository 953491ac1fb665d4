"""`[native]` handlers (core §6)."""

from __future__ import annotations

from .literals import docstring
from .lowering import RETURN, ModuleContext
from .routines import Routine
from .statements import RoutineLowering
from .writer import Writer


class NativeLowering(RoutineLowering):
    def __init__(
        self, module: ModuleContext, routine: Routine, writer: Writer, method: str
    ) -> None:
        super().__init__(module, routine, writer)
        self.method = method

    def write(self, note: str) -> None:
        names = [v.py for v in self.routine.scopes.function.variables if v.origin == "param"]
        listed = ", ".join(["self", *(f"{p}: Value" for p in names)])
        self.use("Value")
        with self.out.suite(f"def {self.method}({listed}) -> Value:"):
            self.out.add(docstring(note))
            self.begin()
            self.block(self.routine.body.statements, RETURN)  # type: ignore[attr-defined]
