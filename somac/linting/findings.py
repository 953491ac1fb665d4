"""What the rules find, and what they know of the place in which they look."""

from __future__ import annotations

from functools import cached_property

from ..frontend import nodes as n
from ..frontend.frozen import Frozen
from ..frontend.program import Program, handlers_of
from ..frontend.walk import walk

WARNING, INFO = "warning", "info"

Scope = n.Handler | n.Every | n.After


class Lint(Frozen):
    """One remark; `severity` is "warning" or "info"."""

    rule: str
    severity: str
    line: int
    message: str
    suggestion: str


class Place:
    """One handler or timer of a cell: its nodes, the names that it binds, the slots it can see."""

    def __init__(self, program: Program, cell: n.Cell, scope: Scope) -> None:
        self.program = program
        self.cell = cell
        self.scope = scope

    @cached_property
    def nodes(self) -> tuple[n.Node, ...]:
        return tuple(walk(self.scope.body))

    @cached_property
    def bound(self) -> frozenset[str]:
        """Names of parameters and locals: they win over slots (mended core §3.8)."""
        params = self.scope.params if isinstance(self.scope, n.Handler) else ()
        names = {p.name for p in params}
        for node in self.nodes:
            if isinstance(node, n.Let | n.For | n.Assign | n.Binding):
                names.add(node.name)
            elif isinstance(node, n.Lambda):
                names.add(node.param)
        return frozenset(names)

    def slot_call(self, node: n.Node, *methods: str) -> str | None:
        """The slot's name when the node is `slot.method(…)` with one of these methods."""
        if not isinstance(node, n.Method) or node.name not in methods:
            return None
        if not isinstance(node.target, n.Name) or node.target.name in self.bound:
            return None
        known = self.program.find_slot(self.cell, node.target.name)
        return node.target.name if known else None

    def calls(self, node: n.Node, name: str) -> bool:
        """Whether the node calls a builtin that no handler of the cell hides."""
        called = isinstance(node, n.Call) and node.name == name
        return called and name not in handlers_of(self.cell)
