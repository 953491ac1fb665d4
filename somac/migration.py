"""What a new version of a program would do to the memory of the old one (`soma migrate --check`).

Pure: from two compiled programs to findings. What breaks leaves stored data unread or read wrongly;
what asks for a stop is safe as long as no node of the old version runs beside one of the new; the
rest can be rolled out node by node, and back (`somart.cluster.identity` decides that on the bus).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from somart.cluster.identity import difference, digests_of
from somart.memory.properties import rules_of

if TYPE_CHECKING:
    from somart.cell import Cell
    from somart.spec import ProgramSpec

Weight = Literal["breaks", "stop", "adds"]

_STRONG = "strong"
_FRESH = "back up the old cluster, restore into a fresh one that runs the new version"
_BOTH = "keep both for one version, and copy in `on init()`"
_STOP = "stop all nodes, then start them with the new version"


@dataclass(frozen=True, slots=True)
class Finding:
    """One difference: how much it matters, what it is, and what to do about it (may be empty)."""

    weight: Weight
    text: str
    hint: str = ""


@dataclass(frozen=True, slots=True)
class _Programs:
    old: ProgramSpec
    new: ProgramSpec

    def kept(self, slot: Any) -> bool:
        """Whether what is in a slot outlives its process: on a disk, or on other nodes."""
        return rules_of(slot.props).persistent or slot.shared

    def has_disk(self) -> bool:
        """Whether the old version stores anything: machines are stored then, too."""
        slots = (slot for cell in _cells(self.old).values() for slot in cell.soma_slots.values())
        return any(rules_of(slot.props).persistent for slot in slots)


def compare(old: ProgramSpec, new: ProgramSpec) -> tuple[Finding, ...]:
    """The differences that concern memory: what breaks first, then in the order of the cells."""
    programs = _Programs(old, new)
    found = [*_compared_cells(programs), *_compared_variants(programs), *_first_log(programs)]
    refused = difference(digests_of(old), digests_of(new))
    if refused is not None and all(one.weight == "adds" for one in found):
        found.append(Finding("stop", f"nodes of both would not talk to each other: {refused}"))
    order: tuple[Weight, ...] = ("breaks", "stop", "adds")
    return tuple(sorted(found, key=lambda one: order.index(one.weight)))


def _cells(spec: ProgramSpec) -> dict[str, type[Cell]]:
    return {cell.soma_path: cell for cell in spec.all_cells if cell.soma_kind != "test"}


def _compared_cells(programs: _Programs) -> Iterator[Finding]:
    old, new = _cells(programs.old), _cells(programs.new)
    for path, cell in old.items():
        if path in new:
            yield from _compared_scale(path, cell, new[path])
            yield from _compared_slots(programs, path, cell, new[path])
            yield from _compared_machines(programs, path, cell, new[path])
        else:
            yield from _lost_cell(programs, path, cell)
    for path, cell in new.items():
        if path not in old and (cell.soma_slots or cell.soma_machines):
            yield Finding("adds", f"cell '{path}' is new")


def _lost_cell(programs: _Programs, path: str, cell: type[Cell]) -> Iterator[Finding]:
    for slot in cell.soma_slots.values():
        if programs.kept(slot):
            yield Finding(
                "breaks",
                f"cell '{path}' is gone: what is in its slot '{slot.name}' would be orphaned",
                f"to rename a cell {_BOTH}",
            )
    for machine in cell.soma_machines.values():
        if machine.shared or programs.has_disk():
            yield Finding(
                "breaks",
                f"cell '{path}' is gone: instances of its machine '{machine.name}' would be "
                "orphaned",
                "keep the cell until none is needed any more",
            )


# --- scale ---------------------------------------------------------------------------------------


def _compared_scale(path: str, old: type[Cell], new: type[Cell]) -> Iterator[Finding]:
    before, after = old.soma_scale, new.soma_scale
    if before is None or after is None:
        if before is not None:
            yield Finding(
                "breaks", f"'{path}' is no longer scaled: each node would go its own way", _FRESH
            )
        elif after is not None:
            yield Finding(
                "stop",
                f"'{path}' is scaled now: its memory was each node's own until now",
                "start with the node whose data shall count, and join others with --discard-local",
            )
        return
    if before.consistency != after.consistency:
        strong = _STRONG in (before.consistency, after.consistency)
        text = f"consistency of '{path}': {before.consistency} is {after.consistency} now"
        yield Finding("breaks" if strong else "stop", text, _FRESH if strong else _STOP)
    if before.shard != after.shard:
        text = f"shard of '{path}': {before.shard or 'none'} is {after.shard or 'none'} now"
        yield Finding("breaks", f"{text}: keys would lie on the wrong nodes", _FRESH)
    for name in ("replicas", "tolerance"):
        one, other = getattr(before, name), getattr(after, name)
        if one != other:
            yield Finding("stop", f"{name} of '{path}': {one} is {other} now", _STOP)


def _first_log(programs: _Programs) -> Iterator[Finding]:
    """A log is founded with its cluster (decision 013)."""
    old, new = (
        {path: c.soma_scale for path, c in _cells(spec).items() if c.soma_scale is not None}
        for spec in (programs.old, programs.new)
    )
    if not old or any(scale.consistency == _STRONG for scale in old.values()):
        return
    for path, scale in new.items():
        if scale.consistency == _STRONG and path not in old:
            text = f"'{path}' is the first strong cell: a cluster that runs has no log for it"
            yield Finding("breaks", text, _FRESH)
            return


# --- slots ---------------------------------------------------------------------------------------


def _compared_slots(
    programs: _Programs, path: str, old: type[Cell], new: type[Cell]
) -> Iterator[Finding]:
    added = [name for name in new.soma_slots if name not in old.soma_slots]
    for name, slot in old.soma_slots.items():
        if not programs.kept(slot):
            continue
        after = new.soma_slots.get(name)
        if after is None:
            yield _lost_slot(path, slot, [new.soma_slots[other] for other in added])
        else:
            yield from _changed_slot(programs, path, slot, after)
    for name in added:
        if programs.kept(new.soma_slots[name]):
            yield Finding("adds", f"slot '{name}' of '{path}' is new")


def _lost_slot(path: str, slot: Any, added: list[Any]) -> Finding:
    alike = next((one.name for one in added if _same_type(one, slot)), None)
    hint = "keep it until nothing in it is needed any more"
    if alike is not None:
        hint = f"if '{alike}' is its new name, {_BOTH}"
    return Finding(
        "breaks", f"slot '{slot.name}' of '{path}' is gone: what is in it would be orphaned", hint
    )


def _changed_slot(programs: _Programs, path: str, old: Any, new: Any) -> Iterator[Finding]:
    where = f"slot '{old.name}' of '{path}'"
    if not _same_type(old, new) and not _holds_any(old.type_text, new.type_text):
        yield Finding(
            "breaks",
            f"{where}: {old.type_text} is {new.type_text} now, and what is stored stays as it is",
            f"give the new type to a slot with another name; {_BOTH}",
        )
    if not programs.kept(new):
        yield Finding(
            "breaks",
            f"{where} is no longer kept: what is in it would be orphaned",
            "leave its properties, or empty it first",
        )
        return
    before, after = _properties(old), _properties(new)
    for prop in sorted(before ^ after):
        verb = "gone" if prop in before else "new"
        yield Finding("stop", f"{where}: [{prop}] is {verb}", _STOP)


def _properties(slot: Any) -> set[str]:
    return {
        f"{prop.name}({', '.join(map(str, prop.args))})" if prop.args else prop.name
        for prop in slot.props
    }


def _plain(type_text: str) -> str:
    return "".join(type_text.split())


def _same_type(one: Any, other: Any) -> bool:
    return _plain(one.type_text) == _plain(other.type_text)


def _holds_any(old: str, new: str) -> bool:
    """Whether a container of the same kind now takes any value."""
    kind, _, rest = _plain(new).partition("<")
    before, _, inner = _plain(old).partition("<")
    key, comma, _ = inner.rpartition(",")
    return kind == before and rest == f"{key}{comma}Any>"


# --- machines ------------------------------------------------------------------------------------


def _compared_machines(
    programs: _Programs, path: str, old: type[Cell], new: type[Cell]
) -> Iterator[Finding]:
    for name, machine in old.soma_machines.items():
        if not (machine.shared or programs.has_disk()):
            continue
        after = new.soma_machines.get(name)
        if after is None:
            yield Finding(
                "breaks",
                f"machine '{name}' of '{path}' is gone: its instances would be orphaned",
                "keep it until none is needed any more",
            )
        else:
            yield from _changed_machine(f"machine '{name}' of '{path}'", machine, after)
    for name in new.soma_machines:
        if name not in old.soma_machines:
            yield Finding("adds", f"machine '{name}' of '{path}' is new")


def _changed_machine(where: str, old: Any, new: Any) -> Iterator[Finding]:
    for state in old.states:
        if state not in new.states:
            yield Finding(
                "breaks",
                f"{where}: instances in state '{state}' would be orphaned",
                f"keep '{state}' with an arrow out of it until no instance is left there",
            )
    if old.initial != new.initial:
        text = f"{where}: instances begin in '{new.initial}' now, in '{old.initial}' before"
        yield Finding("stop", text, _STOP)
    for state in new.states:
        if state not in old.states:
            yield Finding("adds", f"{where}: state '{state}' is new")
    before, after = (
        {(arrow.source, arrow.target): None for arrow in machine.arrows} for machine in (old, new)
    )
    for source, target in before:
        if (source, target) not in after and {source, target} <= {*new.states, "*"}:
            stuck = not any(one in (source, "*") for one, _ in after) and source != "*"
            hint = f"instances in '{source}' would stay there for ever" if stuck else ""
            yield Finding("stop", f"{where}: {source} -> {target} is gone", hint or _STOP)
    for source, target in after:
        if (source, target) not in before:
            yield Finding("adds", f"{where}: {source} -> {target} is new")


# --- variants ------------------------------------------------------------------------------------


def _compared_variants(programs: _Programs) -> Iterator[Finding]:
    """Stored values of a variant that is gone match no arm."""
    stored = [
        _plain(slot.type_text)
        for cell in _cells(programs.old).values()
        for slot in cell.soma_slots.values()
        if programs.kept(slot)
    ]
    for variant, kind in programs.old.variants.items():
        if variant not in programs.new.variants and any(str(kind) in text for text in stored):
            yield Finding(
                "breaks",
                f"variant '{variant}' of '{kind}' is gone: stored values of it match no arm",
                "keep it until no value of it is stored any more",
            )
