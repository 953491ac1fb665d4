"""The bodies of a program in which names are looked up, with the names that each binds.

A name counts as known in a body when it is bound anywhere in it: whether every path to a use binds
it is for the run to find out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from ..frontend import nodes as n
from ..frontend.program import sections
from .context import Body, Context

GUARD_NAMES = frozenset({"_id", "_from", "_to"})
INVARIANT_NAMES = frozenset({"_slot_len", "_slot_name", "_key"})


def bodies(context: Context) -> tuple[Body, ...]:
    """All bodies of the program's cells; the assertions of test cells are not among them."""
    if not context.bodies:
        context.bodies.extend(_find(context))
    return tuple(context.bodies)


def _find(context: Context) -> Iterator[Body]:
    slot_names = context.slot_names
    for cell in context.program.all_cells:
        for handler in sections(cell, n.Handler):
            params = frozenset(p.name for p in handler.params)
            bound = params | _binders(context.nodes(handler))
            yield Body(cell, handler, bound, "native" in handler.annotations)
        for timer in (*sections(cell, n.Every), *sections(cell, n.After)):
            yield Body(cell, timer, _binders(context.nodes(timer)))
        for machine in sections(cell, n.Machine):
            for arrow in machine.transitions:
                for part in (arrow.guard, arrow.effect):
                    if part is not None:
                        names = GUARD_NAMES | slot_names | _binders(context.nodes(part))
                        yield Body(cell, part, names)
        for memory in sections(cell, n.Memory):
            for rule in memory.invariants:
                names = INVARIANT_NAMES | slot_names | _binders(context.nodes(rule))
                yield Body(cell, rule, names, invariant=True)


def _binders(nodes: tuple[n.Node, ...]) -> frozenset[str]:
    return frozenset(
        name for node in nodes if (bind := _BINDERS.get(type(node))) and (name := bind(node))
    )


_BINDERS: dict[type, Callable[..., str | None]] = {
    n.Let: lambda node: node.name,
    n.For: lambda node: node.name,
    n.Binding: lambda node: node.name,
    n.Assign: lambda node: node.name if node.op == "=" else None,
    n.Lambda: lambda node: node.param,
    n.PrefixPattern: lambda node: node.rest,
}
