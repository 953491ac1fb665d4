"""What `describe` and `props` show: a program's outline as data, the properties as text."""

from __future__ import annotations

from typing import Any

from .check.interior import type_text
from .check.properties import BUILT_IN, PropertyInfo
from .check.sumtypes import states
from .frontend import nodes as n
from .frontend.builtins import BUILTINS
from .frontend.program import Program, handlers_of, sections
from .frontend.walk import walk

BACKENDS = (
    ("memory", "[ephemeral], [local], [ephemeral, local]"),
    (
        "sqlite",
        "[persistent], [persistent, consistent], [persistent, consistent, encrypted],"
        " [persistent, immutable]",
    ),
    ("file", 'chosen by a `cell backend` with native "file"'),
)


def describe(program: Program) -> dict[str, Any]:
    """The outline of a program for tools (system reference §10); keys ascend, values are JSON."""
    outline: dict[str, Any] = _sorted(
        {
            "cells": [_cell(cell) for cell in program.live],
            "file": program.source.path,
            "imports": [source.path for source in program.sources[1:]],
        }
    )
    return outline


def _cell(cell: n.Cell) -> dict[str, Any]:
    found: dict[str, Any] = {
        "name": cell.name,
        "handlers": [_handler(h) for h in handlers_of(cell).values()],
        "memory": [
            _slot(slot, memory) for memory in sections(cell, n.Memory) for slot in memory.slots
        ],
        "state_machines": [_machine(m) for m in sections(cell, n.Machine)],
        "scheduled": [_timer(t) for t in cell.sections if isinstance(t, (n.Every, n.After))],
        "face": _face(cell),
        "kind": "agent" if cell.kind == "agent" else None,
    }
    for scale in sections(cell, n.Scale):
        found["scale"] = {entry.key: entry.value for entry in scale.entries}
    request = handlers_of(cell).get("request")
    if request is not None:
        found["web"] = True
        found["routes"] = _routes(request)
    always = ("name", "handlers", "memory")
    return {key: value for key, value in found.items() if value or key in always}


def _handler(handler: n.Handler) -> dict[str, Any]:
    found: dict[str, Any] = {
        "name": handler.name,
        "params": [{"name": p.name, "type": type_text(p.type)} for p in handler.params],
        "is_public": not handler.name.startswith("_"),
        "line": handler.span.line,
    }
    if handler.annotations:
        found["properties"] = list(handler.annotations)
    return found


def _slot(slot: n.Slot, memory: n.Memory) -> dict[str, Any]:
    return {
        "name": slot.name,
        "type": type_text(slot.type),
        "properties": [property_text(p) for p in slot.properties],
        "invariants": [source_text(rule) for rule in memory.invariants],
    }


def _machine(machine: n.Machine) -> dict[str, Any]:
    arrows = [{"from": t.source, "to": t.target, **_extras(t)} for t in machine.transitions]
    found: dict[str, Any] = {
        "name": machine.name,
        "initial": machine.initial,
        "states": sorted(states(machine)),
        "transitions": arrows,
    }
    if machine.type is not None:
        found["type"] = machine.type
    return found


def _extras(arrow: n.Transition) -> dict[str, Any]:
    found: dict[str, Any] = {}
    if arrow.guard is not None:
        found["guard"] = source_text(arrow.guard)
    if arrow.effect is not None:
        found["effect"] = True
    return found


def _timer(timer: n.Every | n.After) -> dict[str, Any]:
    kind = "every" if isinstance(timer, n.Every) else "after"
    return {"kind": kind, "interval_ms": timer.milliseconds}


def _face(cell: n.Cell) -> dict[str, Any]:
    found: dict[str, Any] = {"signals": [], "promises": promise_texts(cell), "tools": []}
    for face in sections(cell, n.Face):
        for declaration in face.declarations:
            if isinstance(declaration, n.Signature) and declaration.kind != "await":
                found[f"{declaration.kind}s"].append(_signature(declaration))
    if not found["tools"]:
        del found["tools"]
    return found if sections(cell, n.Face) else {}


def promise_texts(cell: n.Cell) -> list[str]:
    """The promises of a cell's faces as they were written, without quotes."""
    declared = [d for face in sections(cell, n.Face) for d in face.declarations]
    values = [d.value for d in declared if isinstance(d, n.Promise)]
    return [value.value if isinstance(value, n.Str) else source_text(value) for value in values]


def _signature(declared: n.Signature) -> dict[str, Any]:
    found: dict[str, Any] = {
        "name": declared.name,
        "params": [{"name": p.name, "type": type_text(p.type)} for p in declared.params],
    }
    if declared.returns is not None:
        found["returns"] = type_text(declared.returns)
    if declared.description is not None:
        found["description"] = declared.description
    return found


def _routes(handler: n.Handler) -> list[str]:
    """The paths that a `request` handler compares with or matches on, in order."""
    paths: dict[str, None] = {}
    for node in walk(handler.body):
        if isinstance(node, n.Binary) and node.op == "==":
            for side in (node.left, node.right):
                if isinstance(side, n.Str) and side.value.startswith("/"):
                    paths[side.value] = None
        elif isinstance(node, n.LiteralPattern) and isinstance(node.value, n.Str):
            if node.value.value.startswith("/"):
                paths[node.value.value] = None
        elif isinstance(node, n.PrefixPattern) and node.prefix.startswith("/"):
            paths[f"{node.prefix}{{{node.rest}}}"] = None
    return list(paths)


def property_text(prop: n.Property) -> str:
    """A property as written: `capacity(500)`."""
    if not prop.args:
        return prop.name
    return f"{prop.name}({', '.join(_argument(a) for a in prop.args)})"


def _argument(arg: n.Node) -> str:
    if isinstance(arg, (n.Duration, n.Percent)):
        return arg.text
    if isinstance(arg, n.Bool):
        return "true" if arg.value else "false"
    return str(getattr(arg, "value", ""))


def source_text(node: n.Node) -> str:
    """The text of a node, as written, on one line."""
    written = node.span.source.text[node.span.start : node.span.end]
    return " ".join(written.split())


def _sorted(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _sorted(value[key]) for key in sorted(value)}
    if isinstance(value, list):
        return [_sorted(item) for item in value]
    return value


def props_text() -> str:
    """The built-in properties and their rules, as `props` prints them (§1.2)."""
    lines = [f"Registered properties ({len(BUILT_IN)} total):", ""]
    for info in BUILT_IN:
        lines.extend(_property_lines(info))
    lines += ["", "Mutex groups:"]
    groups: dict[str, list[str]] = {}
    for info in BUILT_IN:
        if info.group is not None:
            groups.setdefault(info.group, []).append(info.name)
    lines += [f"  {group}: {', '.join(names)}" for group, names in groups.items()]
    lines += ["", "Backends:"]
    lines += [f"  {name}: {matches}" for name, matches in BACKENDS]
    lines += ["", f"Builtins: {len(BUILTINS)}"]
    return "\n".join(lines)


def _property_lines(info: PropertyInfo) -> list[str]:
    lines = [f"  {'●' if info.parameterised else '○'} {info.name}"]
    lines += [f"      promise: {info.promise}"] if info.promise else []
    rules = (
        ("contradicts", info.contradicts),
        ("implies", info.implies),
        ("requires", info.requires),
    )
    lines += [f"      {word}: {', '.join(names)}" for word, names in rules if names]
    lines += [f"      mutex_group: {info.group}"] if info.group else []
    return lines
