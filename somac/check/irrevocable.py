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

    source: Body
    node: n.Node
    way: str


class Lead(Frozen):
    """Where a body comes by a call: its first step on the way there (None: the call is its own)."""

    step: Step | None
    site: n.Node


def check_irrevocable(context: Context) -> Iterator[Diagnostic]:
    """One advice for each block that may run again, and each builtin that it may reach."""
    cells = tuple(cell for cell in context.program.all_cells if is_strong(cell))
    if cells:
        graph = _Graph(context, cells)
        leads = {name: graph.leads(sites) for name, sites in graph.sites.items()}
        strong = graph.leads(graph.strong)
        for body in bodies(context) if leads else ():
            if _begins_a_transaction(body) and id(body.root) in strong:
                for name, found in leads.items():
                    if id(body.root) in found:
                        yield _advice(body, name, found[id(body.root)])


def is_strong(cell: n.Cell) -> bool:
    """Whether the cell's memory is that of the log."""
    return any(
        next((e.value for e in scale.entries if e.key == "consistency"), "strong") == "strong"
        for scale in sections(cell, n.Scale)
    )


def _begins_a_transaction(body: Body) -> bool:
    """Whether it is called from outside or by the clock, or may be."""
    return body.cell.kind in LIVE_KINDS and isinstance(body.root, n.Handler | n.Every | n.After)


def _advice(body: Body, name: str, lead: Lead) -> Diagnostic:
    root, site, first = body.root, lead.site, lead.step
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

    `sites` are the calls of irrevocable builtins, by their names, and `strong` the bodies that use
    strong memory or belong to its cells.
    """

    def __init__(self, context: Context, cells: Iterable[n.Cell]) -> None:
        self.context = context
        self.program = context.program
        self.cells = {id(cell) for cell in cells}
        self.sites: dict[str, list[tuple[Body, n.Node]]] = {}
        self.strong: list[tuple[Body, n.Node]] = []
        self._bodies = {id(body.root) for body in bodies(context)}
        self._back: dict[int, list[Step]] = {}
        for body in bodies(context):
            self._look_at(body)

    def leads(self, sites: Iterable[tuple[Body, n.Node]]) -> dict[int, Lead]:
        """By the root's id, each body that may come to one of these places, by the shortest way."""
        found: dict[int, Lead] = {}
        queue: list[Body] = []
        for body, site in sites:
            if id(body.root) not in found:
                found[id(body.root)] = Lead(step=None, site=site)
                queue.append(body)
        for body in queue:
            for step in self._back.get(id(body.root), ()):
                key = id(step.source.root)
                if key not in found:
                    found[key] = Lead(step=step, site=found[id(body.root)].site)
                    queue.append(step.source)
        return found

    # --- one body --------------------------------------------------------------------------------

    def _look_at(self, body: Body) -> None:
        nodes = self.context.nodes(body.root)
        for name, args, node in calls(nodes):
            if name in body.bound or name in self.program.variants:
                continue
            if not self._is_builtin(body, name, args):
                found = self.context.find_handler(body.cell, name)
                if found is not None:
                    self._step(body, node, (found[1],), f"`{name}`")
            elif name in IRREVOCABLE:
                self.sites.setdefault(name, []).append((body, node))
            elif name == "delegate":
                self._step(body, node, self._delegates(args), "`delegate`")
            elif name == "transition":
                self._step(body, node, self._arrows(body), "`transition`")
        for node in nodes:
            if isinstance(node, n.Emit):
                self._step(body, node, self._receivers(body, node.name), f"`emit {node.name}`")
        if self._uses_strong(body, nodes):
            self.strong.append((body, body.root))

    def _step(self, body: Body, node: n.Node, roots: Iterable[n.Node], way: str) -> None:
        for root in roots:
            if id(root) in self._bodies:
                step = Step(source=body, node=node, way=way)
                self._back.setdefault(id(root), []).append(step)

    def _is_builtin(self, body: Body, name: str, args: tuple[n.Node, ...]) -> bool:
        info = BUILTINS.get(name)
        if info is None or len(args) < info.min_args:
            return False
        if info.lambda_only and not any(isinstance(arg, n.Lambda) for arg in args):
            return self.context.find_handler(body.cell, name) is None
        return info.supported or self.context.find_handler(body.cell, name) is None

    def _arrows(self, body: Body) -> Iterator[n.Node]:
        """Guards and effects of the machines on which a transition acts."""
        owner = machine_cell(self.program, body.cell)
        for machine in sections(owner, n.Machine) if owner is not None else ():
            for arrow in machine.transitions:
                yield from (part for part in (arrow.guard, arrow.effect) if part is not None)

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
