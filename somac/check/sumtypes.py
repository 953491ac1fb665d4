"""Sum types: clashes, matches that forget a variant, machines tied to a type (core §3.11)."""

from __future__ import annotations

from collections.abc import Iterator

from ..frontend import nodes as n
from ..frontend.diagnostics import Diagnostic
from ..frontend.names import nearest
from ..frontend.program import sections
from .context import Context, error
from .targets import literal_targets


def variants_by_type(context: Context) -> dict[str, list[str]]:
    """The variant names of each sum type, in order of declaration."""
    table: dict[str, list[str]] = {}
    for cell in context.program.all_cells:
        if cell.kind == "type":
            names = [v.name for s in sections(cell, n.Variants) for v in s.variants]
            if names:
                table.setdefault(cell.name, []).extend(names)
    return table


def check_sum_types(context: Context) -> Iterator[Diagnostic]:
    """The program-wide findings: clashes, then matches, then machines."""
    types = variants_by_type(context)
    if types:
        yield from _clashes(context, types)
        for cell in context.program.live:
            for handler in sections(cell, n.Handler):
                for node in context.nodes(handler):
                    if isinstance(node, n.Match):
                        yield from _exhaustive(node, context, types)
    for cell in context.program.live:
        for machine in sections(cell, n.Machine):
            if machine.type is not None:
                yield from _machine(cell, machine, machine.type, context, types)


def _clashes(context: Context, types: dict[str, list[str]]) -> Iterator[Diagnostic]:
    owners: dict[str, list[str]] = {}
    for type_name, names in types.items():
        for name in dict.fromkeys(names):
            owners.setdefault(name, []).append(type_name)
    for name, declared in owners.items():
        if len(declared) > 1:
            yield error(
                "E180",
                "other",
                f"variant '{name}' is declared in multiple sum types: {', '.join(declared)}",
                context.program.variants[name].decl,
                f"rename variant '{name}' in `cell type {declared[-1]}`",
            )


def _exhaustive(
    match: n.Match, context: Context, types: dict[str, list[str]]
) -> Iterator[Diagnostic]:
    covered: set[str] = set()
    owners: set[str | None] = set()
    for arm in match.arms:
        if arm.guard is not None:
            return
        for pattern in arm.patterns:
            if not isinstance(pattern, n.VariantPattern):
                return
            info = context.program.variants.get(pattern.name)
            owners.add(pattern.type_name or (info.type_name if info else None))
            covered.add(pattern.name)
    owner = owners.pop() if len(owners) == 1 else None
    if owner is None or owner not in types:
        return
    missing = [f"`{v}`" for v in dict.fromkeys(types[owner]) if v not in covered]
    if missing:
        word = "variant" if len(missing) == 1 else "variants"
        yield error(
            "E181",
            "other",
            f"non-exhaustive match on '{owner}': missing {word} {', '.join(missing)}",
            match,
            f"add an arm for {', '.join(missing)} of '{owner}', or `_ -> …`",
        )


def _machine(
    cell: n.Cell,
    machine: n.Machine,
    type_name: str,
    context: Context,
    types: dict[str, list[str]],
) -> Iterator[Diagnostic]:
    names = types.get(type_name)
    if names is None:
        near = nearest(type_name, types)
        remedy = f"write `state {machine.name}: {near}`" if near else "declare it"
        message = f"state machine '{machine.name}' annotated with unknown type '{type_name}'"
        fix = f"{remedy}, or `cell type {type_name} {{ variants {{ … }} }}`"
        yield error("E182", "other", message, machine, fix)
        return
    fix = f"add the state to `cell type {type_name}`, or use one of {', '.join(names)}"
    if machine.initial not in names:
        message = (
            f"state '{machine.initial}' is not a variant of '{type_name}'"
            f" (declared variants: {', '.join(names)})"
        )
        yield error("E183", "other", message, machine, fix)
    for arrow in machine.transitions:
        for role, state in (("source", arrow.source), ("target", arrow.target)):
            if state not in names and state != "*":
                message = f"transition {role} '{state}' is not a variant of '{type_name}'"
                yield error("E183", "other", message, arrow, fix)
    others = {s for m in sections(cell, n.Machine) if m is not machine for s in states(m)}
    for handler in sections(cell, n.Handler):
        for state, node in literal_targets(context.nodes(handler)):
            if state not in names and state not in others:
                message = (
                    f"handler '{handler.name}' transitions to '{state}',"
                    f" which is not a variant of '{type_name}'"
                )
                yield error("E183", "other", message, node, fix)


def states(machine: n.Machine) -> set[str]:
    """All states of a machine."""
    names = {machine.initial}
    for arrow in machine.transitions:
        names |= {arrow.source, arrow.target}
    return names - {"*"}
