"""The algebra of memory properties: contradictions, implications, requirements (§1.2, §1.3)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from ..frontend import nodes as n
from ..frontend.diagnostics import Diagnostic, Severity
from ..frontend.frozen import Frozen
from ..frontend.program import Program, sections

UNITS = (("d", 86_400_000), ("h", 3_600_000), ("min", 60_000), ("s", 1000), ("ms", 1))


class PropertyInfo(Frozen):
    """One property: what it excludes, adds and needs; `group` is its mutex group."""

    name: str
    group: str | None = None
    contradicts: tuple[str, ...] = ()
    implies: tuple[str, ...] = ()
    requires: tuple[str, ...] = ()
    parameterised: bool = False
    promise: str = ""


DURABILITY, CONSISTENCY, MUTABILITY = "durability", "consistency", "mutability"

BUILT_IN: tuple[PropertyInfo, ...] = (
    PropertyInfo("persistent", DURABILITY, ("ephemeral",), promise="data survives restarts"),
    PropertyInfo(
        "ephemeral", DURABILITY, ("persistent", "retain"), promise="data is lost at a restart"
    ),
    PropertyInfo(
        "consistent",
        CONSISTENCY,
        ("eventual", "local"),
        promise="all readers see the same order of writes",
    ),
    PropertyInfo(
        "eventual", CONSISTENCY, ("consistent", "local"), promise="copies converge in the end"
    ),
    PropertyInfo("local", CONSISTENCY, ("consistent", "eventual"), promise="stays on one node"),
    PropertyInfo(
        "immutable",
        MUTABILITY,
        ("evict", "versioned"),
        ("consistent",),
        promise="a key is written once",
    ),
    PropertyInfo("versioned", MUTABILITY, ("immutable",), promise="earlier values are kept"),
    PropertyInfo("ttl", parameterised=True, promise="entries expire after a time"),
    PropertyInfo(
        "retain",
        None,
        ("ephemeral",),
        ("persistent",),
        parameterised=True,
        promise="entries are kept for a time",
    ),
    PropertyInfo("capacity", parameterised=True, promise="at most so many entries"),
    PropertyInfo(
        "evict",
        None,
        ("immutable",),
        (),
        ("capacity",),
        parameterised=True,
        promise="a full slot makes room by this rule",
    ),
    PropertyInfo(
        "replicated",
        None,
        (),
        ("persistent",),
        parameterised=True,
        promise="so many copies are kept",
    ),
    PropertyInfo("encrypted", promise="data is encrypted at rest"),
    PropertyInfo("sampled", promise="reads may be sampled"),
    PropertyInfo("max_key_bytes", promise="the longest key, for the memory budget"),
    PropertyInfo("max_value_bytes", promise="the largest value, for the memory budget"),
    PropertyInfo("max_element_bytes", promise="the largest log entry, for the memory budget"),
    PropertyInfo("max_instances", promise="the most instances of a machine"),
)


@dataclass(frozen=True)
class PropertyTable:
    """All properties that a program may use, by name."""

    by_name: dict[str, PropertyInfo] = field(default_factory=dict)

    def excludes(self, a: str, b: str) -> bool:
        """Whether two properties cannot stand together, by name or by mutex group."""
        if a == b:
            return False
        first, second = self.by_name.get(a), self.by_name.get(b)
        if (first and b in first.contradicts) or (second and a in second.contradicts):
            return True
        return bool(first and second and first.group and first.group == second.group)


def property_table(program: Program) -> PropertyTable:
    """The built-in properties, extended and replaced by the program's `cell property`s."""
    table = {info.name: info for info in BUILT_IN}
    for cell in program.all_cells:
        if cell.kind == "property":
            table[cell.name] = _defined(cell)
    return PropertyTable(table)


def implied_properties(slot: n.Slot, table: PropertyTable) -> tuple[str, ...]:
    """What the written properties imply, in turn as well, and is not written (§1.3 rule 3).

    What contradicts a written property is an error of `check`, and is not added.
    """
    written = [prop.name for prop in slot.properties]
    added: list[str] = []
    queue = list(written)
    while queue:
        info = table.by_name.get(queue.pop(0))
        for name in info.implies if info else ():
            known = name in written or name in added
            if not known and not any(table.excludes(name, other) for other in written):
                added.append(name)
                queue.append(name)
    return tuple(added)


def _defined(cell: n.Cell) -> PropertyInfo:
    rules: dict[str, list[str]] = {}
    for section in sections(cell, n.Rules):
        for rule in section.rules:
            if isinstance(rule, n.NameRule):
                rules.setdefault(rule.kind, []).extend(rule.names)
    groups = rules.get("mutex_group")
    return PropertyInfo(
        cell.name,
        groups[-1] if groups else None,
        tuple(rules.get("contradicts", ())),
        tuple(rules.get("implies", ())),
        tuple(rules.get("requires", ())),
        promise=first_promise(cell) or "",
    )


def first_promise(cell: n.Cell) -> str | None:
    """The first descriptive promise of a cell's faces."""
    for face in sections(cell, n.Face):
        for declaration in face.declarations:
            if isinstance(declaration, n.Promise) and isinstance(declaration.value, n.Str):
                return declaration.value.value
    return None


def check_slots(cell: n.Cell, table: PropertyTable) -> Iterator[Diagnostic]:
    """The findings on the properties of every slot of a cell, slot by slot, rule by rule."""
    for memory in sections(cell, n.Memory):
        for slot in memory.slots:
            yield from _unknown(slot, table)
            yield from _contradictions(slot, table)
            yield from _implications(slot, table)
            yield from _requirements(slot, table)
            yield from _lifetimes(slot)


def _unknown(slot: n.Slot, table: PropertyTable) -> Iterator[Diagnostic]:
    for prop in slot.properties:
        if prop.name not in table.by_name:
            yield Diagnostic(
                "W101",
                Severity.WARNING,
                f"unknown property '{prop.name}' on '{slot.name}'"
                " (not defined in any loaded cell property)",
                prop.span,
                fix=f"remove `{prop.name}` from slot '{slot.name}', or define it:"
                f" `cell property {prop.name} {{ … }}`",
            )


def _contradictions(slot: n.Slot, table: PropertyTable) -> Iterator[Diagnostic]:
    props = slot.properties
    for i, first in enumerate(props):
        for second in props[i + 1 :]:
            if table.excludes(first.name, second.name):
                dropped = "ephemeral" if "ephemeral" in (first.name, second.name) else second.name
                yield Diagnostic(
                    "E101",
                    Severity.ERROR,
                    f"contradictory memory properties on '{slot.name}':"
                    f" {first.name} and {second.name} cannot coexist",
                    second.span,
                    "property_contradiction",
                    fix=f"remove `{dropped}` from the properties of slot '{slot.name}'",
                )


def _implications(slot: n.Slot, table: PropertyTable) -> Iterator[Diagnostic]:
    written = [p.name for p in slot.properties]
    for prop in slot.properties:
        info = table.by_name.get(prop.name)
        for implied in info.implies if info else ():
            if implied in written:
                continue
            if any(table.excludes(implied, other) for other in written):
                yield _invalid(
                    "E102",
                    slot,
                    prop,
                    f"'{prop.name}' implies '{implied}', but '{implied}' contradicts other"
                    " properties on this slot",
                    f"remove `{prop.name}` from slot '{slot.name}', or what excludes `{implied}`",
                )
            else:
                yield Diagnostic(
                    "N102",
                    Severity.NOTE,
                    f"'{prop.name}' on '{slot.name}' implies '{implied}' (added automatically)",
                    prop.span,
                    fix=f"write `{implied}` in the properties of slot '{slot.name}'",
                )


def _requirements(slot: n.Slot, table: PropertyTable) -> Iterator[Diagnostic]:
    written = {p.name for p in slot.properties}
    for prop in slot.properties:
        info = table.by_name.get(prop.name)
        for required in info.requires if info else ():
            if required not in written:
                yield _invalid(
                    "E103",
                    slot,
                    prop,
                    f"'{prop.name}' requires '{required}' but it is not present",
                    f"add `{required}` to the properties of slot '{slot.name}'",
                )


def _lifetimes(slot: n.Slot) -> Iterator[Diagnostic]:
    times = {
        p.name: (p, p.args[0].milliseconds)
        for p in slot.properties
        if p.args and isinstance(p.args[0], n.Duration)
    }
    if "ttl" not in times or "retain" not in times:
        return
    (prop, ttl), (_, retain) = times["ttl"], times["retain"]
    if ttl < retain:
        yield _invalid(
            "E104",
            slot,
            prop,
            f"ttl ({duration_text(ttl)}) is shorter than retain ({duration_text(retain)});"
            " data would expire before retention period ends",
            f"raise `ttl` of slot '{slot.name}' to at least {duration_text(retain)}",
        )


def duration_text(milliseconds: int) -> str:
    """A duration in the largest unit in which it is at least 1: `30d`, `2556.75d`."""
    for unit, size in UNITS:
        if milliseconds >= size:
            return f"{milliseconds / size:.12g}{unit}"
    return f"{milliseconds}ms"


def _invalid(code: str, slot: n.Slot, prop: n.Property, what: str, fix: str) -> Diagnostic:
    message = f"invalid property combination on '{slot.name}': {what}"
    return Diagnostic(code, Severity.ERROR, message, prop.span, "invalid_properties", fix=fix)
