"""Modules, cells and their sections as source text."""

from __future__ import annotations

import re
from collections.abc import Iterable

from .. import nodes as n
from .expressions import ExpressionPrinter, number_text, quoted

_UNITS = (("d", 86_400_000), ("h", 3_600_000), ("min", 60_000), ("s", 1000), ("ms", 1))
_BARE_OPTION = re.compile(r"\[[^\[\]\"]*\]|[A-Za-z0-9_.%-]+")


def module_text(module: n.Module) -> str:
    """The whole text. Protocols follow the cells."""
    parts = ["\n".join(_use(u) for u in module.uses)] if module.uses else []
    parts += [cell_text(cell) for cell in module.cells]
    parts += [_protocol(p) for p in module.protocols]
    return "\n\n".join(parts) + "\n" if parts else ""


def _use(use: n.Use) -> str:
    return f"use {quoted(use.text)}" if use.text is not None else f"use {'::'.join(use.parts)}"


def cell_text(cell: n.Cell, indent: int = 0) -> str:
    """One cell, its first line unindented."""
    kind = "" if cell.kind == "cell" else f"{cell.kind} "
    params = f"<{', '.join(cell.type_params)}>" if cell.type_params else ""
    options = ", ".join(f"{key}: {_option(value)}" for key, value in cell.agent_options)
    head = f"cell {kind}{cell.name}{params}{f' [{options}]' if options else ''}"
    return _braces(head, [_section(s, indent + 1) for s in cell.sections], indent)


def _option(value: str) -> str:
    return value if _BARE_OPTION.fullmatch(value) else quoted(value)


def _braces(head: str, entries: Iterable[str], indent: int) -> str:
    inner, outer = "\n" + "    " * (indent + 1), "\n" + "    " * indent
    body = "".join(inner + entry for entry in entries)
    return f"{head} {{{body}{outer}}}" if body else f"{head} {{}}"


def _section(section: n.Section, indent: int) -> str:
    match section:
        case n.Handler():
            return _handler(section, indent)
        case n.Memory(slots, invariants):
            entries = [_slot(s) for s in slots]
            entries += [f"invariant {_expr(e, indent + 1)}" for e in invariants]
            return _braces("memory", entries, indent)
        case n.Machine():
            return _machine(section, indent)
        case n.Face(declarations):
            return _braces("face", [_face_item(d, indent + 1) for d in declarations], indent)
        case n.Rules(rules, bare):
            if bare:
                return ("\n" + "    " * indent).join(_rule(r, indent) for r in rules)
            return _braces("rules", [_rule(r, indent + 1) for r in rules], indent)
        case n.Every(milliseconds, body) | n.After(milliseconds, body):
            word = "every" if isinstance(section, n.Every) else "after"
            return f"{word} {_duration(milliseconds)} {ExpressionPrinter(indent).block(body)}"
        case n.Interior(cells):
            return _braces("interior", [cell_text(c, indent + 1) for c in cells], indent)
        case n.Runtime(entries):
            return _runtime(entries, indent)
        case _:
            return _plain_section(section, indent)


def _plain_section(section: n.Section, indent: int) -> str:
    match section:
        case n.Scale(entries):
            return _braces("scale", [_scale_entry(e) for e in entries], indent)
        case n.Cost(entries):
            return _braces("cost", [f"{k}: {_amount(v)}" for k, v in entries], indent)
        case n.Variants(variants):
            return _braces("variants", [_variant(v) for v in variants], indent)
    raise AssertionError(f"not a section: {type(section).__name__}")


def _expr(expr: n.Expr, indent: int) -> str:
    return ExpressionPrinter(indent).expr(expr)


def _type(type_: n.TypeRef) -> str:
    args = ", ".join(_type(a) for a in type_.args)
    return f"{type_.name}<{args}>" if args else type_.name


def _params(params: tuple[n.Param, ...]) -> str:
    return ", ".join(f"{p.name}: {_type(p.type)}" for p in params)


def _handler(handler: n.Handler, indent: int) -> str:
    returns = f" -> {_type(handler.returns)}" if handler.returns else ""
    notes = f" [{', '.join(handler.annotations)}]" if handler.annotations else ""
    head = f"on {handler.name}({_params(handler.params)}){returns}{notes}"
    body = handler.body
    statements = ExpressionPrinter(indent + 1).statements(body.statements)
    return _braces(head, statements, indent)


def _slot(slot: n.Slot) -> str:
    return f"{slot.name}: {_type(slot.type)}{_properties(slot.properties)}"


def _properties(properties: tuple[n.Property, ...]) -> str:
    return f" [{', '.join(_property(p) for p in properties)}]" if properties else ""


def _property(prop: n.Property) -> str:
    args = ", ".join(_expr(a, 0) for a in prop.args)
    return f"{prop.name}({args})" if args else prop.name


def _machine(machine: n.Machine, indent: int) -> str:
    type_ = f": {machine.type}" if machine.type else ""
    head = f"state {machine.name}{type_}{_properties(machine.properties)}"
    entries = [f"initial: {machine.initial}"] if machine.explicit_initial else []
    entries += [_transition(t, indent + 1) for t in machine.transitions]
    return _braces(head, entries, indent)


def _transition(transition: n.Transition, indent: int) -> str:
    printer = ExpressionPrinter(indent + 1)
    entries = []
    if transition.guard is not None:
        entries.append(f"guard {{ {printer.expr(transition.guard)} }}")
    if transition.effect is not None:
        entries.append(f"effect {printer.block(transition.effect)}")
    arrow = f"{transition.source} -> {transition.target}"
    return _braces(arrow, entries, indent) if entries else arrow


def _face_item(item: n.Signature | n.Given | n.Promise, indent: int) -> str:
    printer = ExpressionPrinter(indent)
    match item:
        case n.Promise(value, text):
            if text and isinstance(value, n.Str):
                return f"promise {_expr(value, indent)}"
            shown = printer.constraint(value)
            return f"promise ({shown})" if shown.startswith('"') else f"promise {shown}"
        case n.Given(name, type_, constraints):
            where = ", ".join(printer.constraint(c) for c in constraints)
            clause = f" where {{ {where} }}" if where else ""
            return f"given {name}: {_type(type_)}{clause}"
        case n.Signature():
            return _signature(item)


def _signature(item: n.Signature) -> str:
    returns = f" -> {_type(item.returns)}" if item.returns else ""
    text = f"{item.kind} {item.name}({_params(item.params)}){returns}"
    if item.capabilities:
        shown = (f"{key}: {', '.join(map(quoted, texts))}" for key, texts in item.capabilities)
        text += f" [{', '.join(shown)}]"
    return text if item.description is None else f"{text} {quoted(item.description)}"


def _runtime(entries: tuple[n.Emit | n.Connect | n.Start | n.Stmt, ...], indent: int) -> str:
    """Runs of plain statements are printed together, so that none continues its neighbour."""
    printer = ExpressionPrinter(indent + 1)
    texts: list[str] = []
    run: list[n.Stmt] = []
    for entry in entries:
        if not isinstance(entry, n.Connect | n.Start):
            run.append(entry)
            continue
        texts += printer.statements(tuple(run))
        run.clear()
        texts.append(
            f"start {entry.cell}"
            if isinstance(entry, n.Start)
            else f"connect {entry.cell}.{entry.signal} -> {entry.target}"
        )
    return _braces("runtime", texts + printer.statements(tuple(run)), indent)


def _rule(rule: n.Rule, indent: int) -> str:
    match rule:
        case n.NameRule("mutex_group", names):
            return f"mutex_group {names[0]}"
        case n.NameRule(kind, names):
            return f"{kind} [{', '.join(names)}]"
        case n.CheckRule(body):
            return f"check {ExpressionPrinter(indent).block(body)}"
        case n.NativeRule(text):
            return f"native {quoted(text)}"
        case n.Assert(value):
            return f"assert {_expr(value, indent)}"
        case n.PropertyTest():
            count = f" count {rule.count}" if rule.count is not None else ""
            variable = f"{rule.variable}: {rule.type} in {rule.low}..{rule.high}"
            ensures = _expr(rule.ensures, indent)
            return f"property {quoted(rule.name)} forall {variable}{count} ensures {ensures}"


def _scale_entry(entry: n.ScaleEntry) -> str:
    bare = isinstance(entry.value, int) or entry.key in ("shard", "consistency")
    return f"{entry.key}: {entry.value if bare else quoted(str(entry.value))}"


def _amount(value: int | float) -> str:
    return number_text(value) if isinstance(value, float) else str(value)


def _duration(milliseconds: int) -> str:
    unit, size = next((u, s) for u, s in _UNITS if milliseconds % s == 0)
    return f"{milliseconds // size}{unit}"


def _variant(variant: n.VariantDecl) -> str:
    if variant.shape == "tuple":
        return f"{variant.name}({', '.join(_type(t) for t in variant.types)})"
    if variant.shape == "struct":
        inside = ", ".join(f"{name}: {_type(t)}" for name, t in variant.fields)
        return f"{variant.name} {{ {inside} }}" if inside else f"{variant.name} {{}}"
    return variant.name


def _protocol(protocol: n.Protocol) -> str:
    entries = []
    if protocol.roles:
        entries.append("roles: " + ", ".join(f"{a} = {b}" for a, b in protocol.roles))
    for m in protocol.messages:
        entries.append(f"{m.sender} -> {m.receiver}: {m.name}({', '.join(m.args)})")
    return _braces(f"protocol {protocol.name}", entries, 0)
