"""Outside effects in transactions that may run again: advice A311.

A transaction on the memory of a cell with `consistency: strong` runs again when another node was
first. What it wrote is discarded then; what it sent out of the program is not. So is told of each
handler and block of such cells, and of others that use such memory, which builtin of that kind it
may reach, on whatever way.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from ..frontend import nodes as n
from ..frontend.builtins import BUILTINS, IRREVOCABLE
from ..frontend.diagnostics import Diagnostic
from ..frontend.frozen import Frozen
from ..frontend.program import LIVE_KINDS, handlers_of, machine_cell, sections
from .context import Body, Context, advice
from .properties import implied_properties
from .scopes import bodies
from .targets import calls, literal_text

MACHINE_CALLS = frozenset({"transition", "get_status", "valid_transitions"})
FIX = (
    "make it harmless to repeat: send along what the receiver knows a repetition by; or do it after"
    " the commit: record it in a slot, from where an `every` of a cell without `scale` takes it"
)


class Step(Frozen):
    """A node of a body that leads to another one."""

    node: n.Node
    body: Body
    way: str


def check_irrevocable(context: Context) -> Iterator[Diagnostic]:
    """One advice for each block that may run again, and each builtin that it may reach."""
    cells = tuple(cell for cell in context.program.all_cells if is_strong(cell))
    if cells:
        graph = _Graph(context, cells)
        if graph.sites:
            for body in bodies(context):
                yield from _about(graph, body)


def is_strong(cell: n.Cell) -> bool:
    """Whether the cell's memory is that of the log."""
    return any(
        next((e.value for e in scale.entries if e.key == "consistency"), "strong") == "strong"
        for scale in sections(cell, n.Scale)
    )


def _about(graph: _Graph, body: Body) -> Iterator[Diagnostic]:
    root = body.root
    if body.cell.kind not in LIVE_KINDS or not isinstance(root, n.Handler | n.Every | n.After):
        return
    reached = graph.reached(body)
    if not any(id(b.root) in graph.strong for b, _ in reached):
        return
    told: set[str] = set()
    for other, first in reached:
        for name, site in graph.sites.get(id(other.root), ()):
            if name not in told:
                told.add(name)
                yield _advice(body, name, site, first)


def _advice(body: Body, name: str, site: n.Node, first: Step | None) -> Diagnostic:
    root = body.root
    who = f"handler '{root.name}'" if isinstance(root, n.Handler) else f"`{_keyword(root)}`"
    way = ""
    if first is not None:
        file = "" if site.span.source is root.span.source else f"{site.span.source.path}, "
        way = f" ({file}line {site.span.line}, by {first.way})"
    return advice(
        "A311",
        f"{who} of cell '{body.cell.name}' reaches '{name}'{way} before its commit: after a"
        " conflict with another node it runs again, and does that again",
        site if first is None else first.node,
        FIX,
    )


def _keyword(timer: n.Node) -> str:
    return "every" if isinstance(timer, n.Every) else "after"


class _Graph:
    """Which bodies there are, and what each may reach by itself.

    `sites` are calls of irrevocable builtins and `strong` the bodies that use strong memory or
    belong to its cells, both by the id of a body's root.
    """

    def __init__(self, context: Context, cells: Iterable[n.Cell]) -> None:
        self.context = context
        self.program = context.program
        self.cells = {id(cell) for cell in cells}
        self.sites: dict[int, list[tuple[str, n.Node]]] = {}
        self.strong: set[int] = set()
        self._bodies = {id(body.root): body for body in bodies(context)}
        self._steps: dict[int, list[Step]] = {}
        for body in self._bodies.values():
            self._look_at(body)

    def reached(self, body: Body) -> list[tuple[Body, Step | None]]:
        """A body and all that it may run, nearest first, each with the first step that leads there
        (None: nothing does, it is the body itself)."""
        found: dict[int, tuple[Body, Step | None]] = {id(body.root): (body, None)}
        queue = [body]
        for current in queue:
            for step in self._steps[id(current.root)]:
                if id(step.body.root) not in found:
                    first = found[id(current.root)][1] or step
                    found[id(step.body.root)] = (step.body, first)
                    queue.append(step.body)
        return list(found.values())

    # --- one body --------------------------------------------------------------------------------

    def _look_at(self, body: Body) -> None:
        key = id(body.root)
        nodes = self.context.nodes(body.root)
        steps = self._steps[key] = []
        sites = []
        for name, args, node in calls(nodes):
            if name in body.bound or name in self.program.variants:
                continue
            if not self._is_builtin(body, name, args):
                found = self.context.find_handler(body.cell, name)
                if found is not None:
                    steps += self._into((found[1],), node, f"`{name}`")
            elif name in IRREVOCABLE:
                sites.append((name, node))
            else:
                steps += self._context_call(body, name, args, node)
        for node in nodes:
            if isinstance(node, n.Emit):
                steps += self._into(self._receivers(body, node.name), node, f"`emit {node.name}`")
        if sites:
            self.sites[key] = sites
        if self._uses_strong(body, nodes):
            self.strong.add(key)

    def _is_builtin(self, body: Body, name: str, args: tuple[n.Node, ...]) -> bool:
        info = BUILTINS.get(name)
        if info is None or len(args) < info.min_args:
            return False
        if info.lambda_only and not any(isinstance(arg, n.Lambda) for arg in args):
            return self.context.find_handler(body.cell, name) is None
        return info.supported or self.context.find_handler(body.cell, name) is None

    def _context_call(
        self, body: Body, name: str, args: tuple[n.Node, ...], node: n.Node
    ) -> Iterator[Step]:
        if name == "delegate":
            yield from self._into(self._delegates(args), node, "`delegate`")
        elif name == "transition":
            owner = machine_cell(self.program, body.cell)
            for machine in sections(owner, n.Machine) if owner is not None else ():
                for arrow in machine.transitions:
                    parts = [part for part in (arrow.guard, arrow.effect) if part is not None]
                    yield from self._into(parts, node, "`transition`")

    def _into(self, roots: Iterable[n.Node], node: n.Node, way: str) -> Iterator[Step]:
        for root in roots:
            body = self._bodies.get(id(root))
            if body is not None:
                yield Step(node, body, way)

    def _delegates(self, args: tuple[n.Node, ...]) -> Iterator[n.Handler]:
        """The one handler when both names are literals; what is computed may be any."""
        if len(args) < 2:
            return
        cell_name, name = literal_text(args[0]), literal_text(args[1])
        for cell in self.program.all_cells:
            if cell_name in (None, cell.name):
                for handler in handlers_of(cell).values():
                    if name in (None, handler.name):
                        yield handler

    def _receivers(self, body: Body, name: str) -> Iterator[n.Handler]:
        for cell in self.program.all_cells:
            if cell is not body.cell and (handler := self.context.handlers(cell).get(name)):
                yield handler

    # --- strong memory ---------------------------------------------------------------------------

    def _uses_strong(self, body: Body, nodes: tuple[n.Node, ...]) -> bool:
        if id(body.cell) in self.cells:
            return True
        if any(self._is_strong_slot(body, node) for node in nodes):
            return True
        owner = machine_cell(self.program, body.cell)
        if owner is None or id(owner) not in self.cells:
            return False
        return any(name in MACHINE_CALLS and name not in body.bound for name, _, _ in calls(nodes))

    def _is_strong_slot(self, body: Body, node: n.Node) -> bool:
        target = node.target if isinstance(node, n.Field | n.Method) else None
        if not isinstance(target, n.Name) or target.name in body.bound:
            return False
        if target.name not in self.context.slot_names:
            return False
        found = self.program.find_slot(body.cell, target.name)
        if found is None or id(found[0]) not in self.cells:
            return False
        slot = found[1]
        names = {prop.name for prop in slot.properties}
        names.update(implied_properties(slot, self.context.properties))
        return not names & {"ephemeral", "local"}
