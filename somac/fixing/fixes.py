"""What can be repaired without asking: missing face handlers, contradicting properties and
duplicate signals (spec 3 §10). Each fix is a message and the edits of the source that it means.

Only the main file is edited; what is wrong in an imported file is repaired there.
"""

from __future__ import annotations

from collections.abc import Iterator

from ..check.faces import KINDS_OF_AGENT
from ..check.interior import type_text
from ..check.properties import PropertyTable, property_table
from ..check.structure import signatures
from ..frontend import nodes as n
from ..frontend.frozen import Frozen
from ..frontend.lexer import Scan, Token, scan
from ..frontend.program import LIVE_KINDS, Program, handlers_of, sections
from .edits import Edit
from .layout import Layout


class Fix(Frozen):
    """One repair: `message` says in the past tense what it did, `kind` is check's JSON kind."""

    kind: str
    message: str
    line: int
    edits: tuple[Edit, ...]


def find_fixes(program: Program) -> tuple[Fix, ...]:
    """All repairs of the main file of a program, in source order of the cells."""
    scanned = scan(program.source.text)
    table = property_table(program)
    found: list[Fix] = []
    for cell in program.all_cells:
        if cell.kind in LIVE_KINDS and cell.span.source is program.source:
            found.extend(_duplicate_signals(cell, scanned))
            found.extend(_contradictions(cell, table, scanned))
            found.extend(_missing_handlers(cell))
    return tuple(found)


# --- handlers that a face promises ----------------------------------------------------------------


def _missing_handlers(cell: n.Cell) -> Iterator[Fix]:
    kinds = KINDS_OF_AGENT if cell.kind == "agent" else ("signal",)
    known = set(handlers_of(cell))
    layout = Layout(cell)
    for declared in signatures(cell, *kinds):
        if declared.kind == "await" or declared.name in known:
            continue
        known.add(declared.name)
        params = ", ".join(f"{p.name}: {type_text(p.type)}" for p in declared.params)
        head = f"on {declared.name}({params})"
        yield Fix(
            "missing_handler",
            f"added handler: {head} {{ ... }}",
            declared.span.line,
            (layout.section(head, 'return map("status", "ok")'),),
        )


# --- signals declared twice -----------------------------------------------------------------------


def _duplicate_signals(cell: n.Cell, scanned: Scan) -> Iterator[Fix]:
    seen: set[str] = set()
    for declared in signatures(cell, "signal", "await"):
        if declared.name in seen:
            yield Fix(
                "duplicate_signal",
                f"removed duplicate {declared.kind}: {declared.name}",
                declared.span.line,
                (_without_line(scanned.text, declared.span.start, declared.span.end),),
            )
        seen.add(declared.name)


def _without_line(text: str, start: int, end: int) -> Edit:
    """Deletes a declaration, with its line when nothing else stands there."""
    line_start = text.rfind("\n", 0, start) + 1
    line_end = text.find("\n", end)
    line_end = len(text) if line_end < 0 else line_end + 1
    before, after = text[line_start:start], text[end:line_end]
    if not before.strip() and not after.strip():
        return Edit(line_start, line_end)
    if not after.strip():  # something stands before it: the blank between goes with it
        return Edit(line_start + len(before.rstrip()), end)
    return Edit(start, end + len(after) - len(after.lstrip(" \t")))


# --- properties that cannot stand together --------------------------------------------------------


def _contradictions(cell: n.Cell, table: PropertyTable, scanned: Scan) -> Iterator[Fix]:
    for memory in sections(cell, n.Memory):
        for slot in memory.slots:
            dropped = _to_drop(slot, table)
            kept = next((p for p in slot.properties if all(p is not d for d in dropped)), None)
            for prop in dropped:
                leading = kept is not None and prop.span.start < kept.span.start
                yield Fix(
                    "property_contradiction",
                    f"removed property: {prop.name} from slot '{slot.name}'",
                    prop.span.line,
                    _without_property(prop, leading, scanned),
                )


def _to_drop(slot: n.Slot, table: PropertyTable) -> list[n.Property]:
    """The properties to drop until none excludes another: `ephemeral` first, else the second."""
    kept = list(slot.properties)
    dropped = []
    while pair := _first_pair(kept, table):
        loser = next((p for p in pair if p.name == "ephemeral"), pair[1])
        kept = [p for p in kept if p is not loser]
        dropped.append(loser)
    return dropped


def _first_pair(
    properties: list[n.Property], table: PropertyTable
) -> tuple[n.Property, n.Property] | None:
    for i, first in enumerate(properties):
        for second in properties[i + 1 :]:
            if table.excludes(first.name, second.name):
                return first, second
    return None


def _without_property(prop: n.Property, leading: bool, scanned: Scan) -> tuple[Edit, ...]:
    """Deletes a property and the comma between it and those that stay; comments stay, too."""
    text, tokens = scanned.text, scanned.tokens
    start, end = prop.span.start, prop.span.end
    beside = scanned.token_at(end) if leading else scanned.token_at(start) - 1
    if scanned.word(beside) != ",":
        return (Edit(start, end),)
    comma = tokens[beside]
    if not leading:
        joined = not text[comma.end : start].strip()
        return (Edit(comma.start, end),) if joined else (_only(comma), Edit(start, end))
    if text[end : comma.start].strip():
        return Edit(start, end), _only(comma)
    rest = text[comma.end :]
    return (Edit(start, comma.end + len(rest) - len(rest.lstrip(" \t"))),)


def _only(token: Token) -> Edit:
    return Edit(token.start, token.end)
