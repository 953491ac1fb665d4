"""What the passes share: the program, the manifest, the property table, and cached walks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property

from ..frontend import nodes as n
from ..frontend.diagnostics import Diagnostic, Severity
from ..frontend.frozen import Frozen
from ..frontend.program import Program, handlers_of, slots_of
from ..frontend.walk import walk
from ..manifest import Manifest
from .properties import PropertyTable, property_table


class Body(Frozen):
    """One body: where it stands, what it binds, and whether it is a `[native]` handler's."""

    cell: n.Cell
    root: n.Node
    bound: frozenset[str]
    native: bool = False
    invariant: bool = False


@dataclass(frozen=True)
class Context:
    """One run of the checker."""

    program: Program
    manifest: Manifest
    bodies: list[Body] = field(default_factory=list, repr=False)  # see `scopes.bodies`
    _walks: dict[int, tuple[n.Node, ...]] = field(default_factory=dict, repr=False)
    _handlers: dict[int, dict[str, n.Handler]] = field(default_factory=dict, repr=False)

    @cached_property
    def properties(self) -> PropertyTable:
        return property_table(self.program)

    @cached_property
    def checkers(self) -> tuple[n.Cell, ...]:
        return tuple(c for c in self.program.cells if c.kind == "checker")

    @cached_property
    def handler_names(self) -> frozenset[str]:
        """The handlers of all cells, those of interiors included."""
        return frozenset(h for cell in self.program.all_cells for h in self.handlers(cell))

    @cached_property
    def slot_names(self) -> frozenset[str]:
        """The slots of all cells, those of interiors included."""
        return frozenset(s for cell in self.program.all_cells for s in slots_of(cell))

    def is_live(self, cell: n.Cell) -> bool:
        """Whether a cell is a plain or agent cell of the top level."""
        return any(cell is live for live in self.program.live)

    def handlers(self, cell: n.Cell) -> dict[str, n.Handler]:
        """`handlers_of`, worked out once per cell."""
        found = self._handlers.get(id(cell))
        if found is None:
            found = self._handlers[id(cell)] = handlers_of(cell)
        return found

    def find_handler(self, cell: n.Cell, name: str) -> tuple[n.Cell, n.Handler] | None:
        """The handler that a call from `cell` reaches: its own, then in source order."""
        own = self.handlers(cell).get(name)
        if own is not None:
            return cell, own
        found = self.program.handlers.get(name)
        return found[0] if found else None

    def nodes(self, root: n.Node) -> tuple[n.Node, ...]:
        """All nodes of a tree; the same tree is walked once."""
        found = self._walks.get(id(root))
        if found is None:
            found = self._walks[id(root)] = tuple(walk(root))
        return found


def error(code: str, kind: str, message: str, node: n.Node, fix: str, **more: str) -> Diagnostic:
    """A counted error at a node; `more` may hold a hint."""
    return Diagnostic(code, Severity.ERROR, message, node.span, kind, fix=fix, **more)  # type: ignore[arg-type]


def warning(code: str, message: str, node: n.Node, fix: str) -> Diagnostic:
    """A warning of the reference, counted in the tally."""
    return Diagnostic(code, Severity.WARNING, message, node.span, fix=fix)


def proven(code: str, message: str, node: n.Node, notes: Sequence[str] = ()) -> Diagnostic:
    """A `✓ …` note, which the tally leaves out."""
    fix = "nothing to do: this is proven"
    return Diagnostic(
        code, Severity.NOTE, message, node.span, fix=fix, notes=tuple(notes), counted=False
    )


def advice(code: str, message: str, node: n.Node, fix: str, hint: str | None = None) -> Diagnostic:
    """Advice of ours, outside the tally (codes `A…`)."""
    return Diagnostic(code, Severity.WARNING, message, node.span, fix=fix, hint=hint, counted=False)
