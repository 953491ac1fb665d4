"""The class of a cell: declarations as data, a method per handler (docs/architecture.md)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import count

from somart.values.text import float_text

from ..frontend import nodes as n
from ..frontend.printer import expr_text
from ..frontend.program import handlers_of, sections
from .calls import special_method
from .kinds import PYTHON_TYPES, Kinds, SpecialKinds, special_kinds
from .literals import docstring, floating, string, tuple_of
from .lowering import RETURN, ModuleContext, into
from .mangle import Namer
from .native import NativeLowering
from .routines import Routine
from .statements import RoutineLowering
from .unused import mark_unused
from .writer import Writer


class CellWriter:
    """Writes one class; interior cells are classes before it."""

    def __init__(self, module: ModuleContext, writer: Writer, cell: n.Cell) -> None:
        self.module = module
        self.out = writer
        self.cell = cell
        self.names = module.routines.names.of(cell)

    def write(self) -> None:
        """The class statement with all that is in it."""
        self._use("Cell")
        self.out.span = self.cell.span
        with self.out.suite(f"class {self.names.class_name}(Cell):"):
            self.out.add(docstring(f"cell {'.'.join(self.names.path)} — {place(self.cell)}"))
            self.out.blank()
            self._facts()
            self._slots()
            self._machines()
            self._invariants()
            for name, handler in handlers_of(self.cell).items():
                self._handler(name, handler)
            self._timers()
            self._guards()
            self._checks()

    def _use(self, name: str) -> str:
        self.module.imports.add(name)
        return name

    # --- declarations ---

    def _facts(self) -> None:
        cell = self.cell
        self.out.add(f"soma_name = {string(cell.name)}")
        if len(self.names.path) > 1:
            self.out.add(f"soma_path = {string('.'.join(self.names.path))}")
        if cell.kind != "cell":
            self.out.add(f"soma_kind = {string(cell.kind)}")
        children = [c for i in sections(cell, n.Interior) for c in i.cells]
        if children:
            listed = [self.module.routines.names.of(c).class_name for c in children]
            self.out.add(f"soma_children = {tuple_of(listed)}")
        awaits = [
            string(d.name)
            for face in sections(cell, n.Face)
            for d in face.declarations
            if isinstance(d, n.Signature) and d.kind == "await"
        ]
        if awaits:
            self.out.add(f"soma_awaits = {tuple_of(awaits)}")
        self._scale()
        self._runtime()
        with self.out.suite("if TYPE_CHECKING:"):
            self._use("App")
            self.out.add("app: App")
        self.out.blank()

    def _scale(self) -> None:
        entries = [e for s in sections(self.cell, n.Scale) for e in s.entries]
        if not sections(self.cell, n.Scale):
            return
        values: dict[str, str] = {}  # of two entries with the same key the last one counts
        for entry in entries:
            text = str(entry.value)
            if entry.key in ("shard", "consistency", "memory", "disk"):
                text = string(text)
            values[entry.key] = text
        listed = [f"{key}={text}" for key, text in values.items()]
        self.out.add(f"soma_scale = {self._use('ScaleSpec')}({', '.join(listed)})")

    def _runtime(self) -> None:
        found = sections(self.cell, n.Runtime)
        bare = any(not section.cells for section in sections(self.cell, n.Interior))
        if not found and not bare:  # an interior without cells makes `run` show the state, too
            return
        entries = [text for s in found for e in s.entries if (text := self._runtime_entry(e))]
        self.out.add(f"soma_runtime = {tuple_of(entries) if entries else '()'}")

    def _runtime_entry(self, entry: n.Node) -> str | None:
        if isinstance(entry, n.Emit):
            args = [data(a) for a in entry.args]
            listed = f", {tuple_of(args)}" if args else ""
            return f"{self._use('RuntimeEmit')}({string(entry.name)}{listed})"
        if isinstance(entry, n.Connect):
            listed = ", ".join(string(t) for t in (entry.cell, entry.signal, entry.target))
            return f"{self._use('RuntimeConnect')}({listed})"
        if isinstance(entry, n.Start):
            return f"{self._use('RuntimeStart')}({string(entry.cell)})"
        return None

    def _slots(self) -> None:
        for memory in sections(self.cell, n.Memory):
            for slot in memory.slots:
                self.out.span = slot.span
                if self.cell_slot(slot):
                    self._slot(slot)

    def cell_slot(self, slot: n.Slot) -> bool:
        """Of slots that share a name the last declaration counts."""
        same = [s for m in sections(self.cell, n.Memory) for s in m.slots if s.name == slot.name]
        return same[-1] is slot

    def _slot(self, slot: n.Slot) -> None:
        parts = [string(slot.name), string(type_text(slot.type))]
        props = [self._prop(p) for p in slot.properties]
        props += [f"{self._use('Prop')}({string(p)})" for p in self.module.routines.implied(slot)]
        if props:
            parts.append(tuple_of(props))
        if self.module.routines.shares(self.cell, slot):
            parts.append("shared=True")
        name = self.names.slots[slot.name]
        self.out.add(f"{name} = {self._use('SlotDecl')}({', '.join(parts)})")

    def _prop(self, prop: n.Property) -> str:
        listed = ", ".join([string(prop.name), *(data(a) for a in prop.args)])
        return f"{self._use('Prop')}({listed})"

    def _machines(self) -> None:
        number = 0
        written: set[str] = set()
        for machine in sections(self.cell, n.Machine):
            self.out.span = machine.span
            arrows = []
            for arrow in machine.transitions:
                parts = [string(arrow.source), string(arrow.target)]
                number += 1
                if arrow.guard is not None:
                    parts.append(f'guard="_guard_{number}"')
                if arrow.effect is not None:
                    parts.append(f'effect="_effect_{number}"')
                arrows.append(f"{self._use('Arrow')}({', '.join(parts)})")
            if machine.name in written:
                continue
            written.add(machine.name)
            parts = [string(machine.name), string(machine.initial), tuple_of(arrows)]
            if machine.properties:
                parts.append(f"props={tuple_of([self._prop(p) for p in machine.properties])}")
            if sections(self.cell, n.Scale):
                parts.append("shared=True")
            name = self.names.machines[machine.name]
            self.out.add(f"{name} = {self._use('MachineDecl')}({', '.join(parts)})")

    # --- methods ---

    def _method(
        self, name: str, params: Sequence[str], routine: Routine, note: str, result: str = "Value"
    ) -> None:
        """One method; `params` are annotated already."""
        self._use("Value")
        head = "async def" if routine.is_async else "def"
        listed = ", ".join(["self", *params])
        with self.out.suite(f"{head} {name}({listed}) -> {result}:"):
            if note:
                self.out.add(docstring(note))
            self._body(routine)

    def _body(self, routine: Routine, kinds: Kinds | None = None) -> None:
        module = self.module
        if kinds is not None:
            module = replace(module, kinds=kinds)
        start = len(self.out.lines)
        lowering = RoutineLowering(module, routine, self.out)
        lowering.begin()
        if isinstance(routine.body, n.Block):
            lowering.block(routine.body.statements, RETURN)
        else:
            self.out.span = routine.body.span
            lowering.deliver_expr(routine.body, RETURN)
        mark_unused(self.out.lines, start, routine.scopes)

    def _decorate(self, text: str, span: n.Node) -> None:
        self.out.blank()
        self.out.span = span.span
        self.out.add(text)

    def _handler(self, name: str, handler: n.Handler) -> None:
        routine = self.module.routines.handlers[id(self.cell), name]
        names = [v.py for v in routine.scopes.function.variables if v.origin == "param"]
        record = ["record=True"] if "record" in handler.annotations else []
        memory = ["memory_only=True"] if routine.is_async and not routine.outside else []
        params = (string(p.name) for p in handler.params)
        listed = ", ".join([string(name), *params, *record, *memory])
        self._decorate(f"@{self._use('handler')}({listed})", handler)
        shown = ", ".join(f"{p.name}: {type_text(p.type)}" for p in handler.params)
        note = f"on {name}({shown}) — {place(handler)}"
        method = self.names.handlers[name]
        if routine.native:
            NativeLowering(self.module, routine, self.out, method).write(note)
            return
        special = special_kinds(self.module.kinds, routine)
        if special is None:
            self._method(method, [f"{p}: Value" for p in names], routine, note)
        else:
            self._two_versions(method, routine, note, special)

    def _two_versions(
        self, method: str, routine: Routine, note: str, special: SpecialKinds
    ) -> None:
        """A hot handler: arguments of the declared kinds go to a version on Python's operators."""
        self._use("Value")
        word = "async def" if routine.is_async else "def"
        listed = ", ".join(["self", *(f"{v.py}: Value" for v in special.assumed)])
        passed = ", ".join(v.py for v in special.assumed)
        checks = [f"type({v.py}) is {PYTHON_TYPES[kind]}" for v, kind in special.assumed.items()]
        fast = special_method(method)
        wait = "await " if routine.is_async else ""
        with self.out.suite(f"{word} {method}({listed}) -> Value:"):
            self.out.add(docstring(note))
            with self.out.suite(f"if {' and '.join(checks)}:"):
                self.out.add(f"return {wait}self.{fast}({passed})")
            self._body(routine)
        self.out.blank()
        typed = [f"{v.py}: {PYTHON_TYPES[kind]}" for v, kind in special.assumed.items()]
        with self.out.suite(f"{word} {fast}({', '.join(['self', *typed])}) -> Value:"):
            self._body(routine, special)

    def _invariants(self) -> None:
        number = 0
        for memory in sections(self.cell, n.Memory):
            listed = ", ".join(string(slot.name) for slot in memory.slots)
            for expr in memory.invariants if memory.slots else ():  # else nothing can break it
                number += 1
                source = string(expr_text(expr))
                self._decorate(f"@{self._use('invariant')}({listed}, source={source})", expr)
                params = ["_slot_len: int", "_slot_name: str", "_key: str"]
                routine = self.module.routines.others[id(expr)]
                self._method(f"_invariant_{number}", params, routine, "")

    def _timers(self) -> None:
        """In source order: so they are announced, and run when they are due together (§3)."""
        numbers = {"every": count(1), "after": count(1)}
        for timer in self.cell.sections:
            if isinstance(timer, n.Every | n.After):
                word = "every" if isinstance(timer, n.Every) else "after"
                self._decorate(f"@{self._use(word)}({milliseconds(timer)})", timer)
                routine = self.module.routines.others[id(timer.body)]
                name = f"_{word}_{next(numbers[word])}"
                self._method(name, (), routine, f"{word} — {place(timer)}")

    def _guards(self) -> None:
        number = 0
        params = ["_from: str", "_to: str", "_id: str"]
        for machine in sections(self.cell, n.Machine):
            for arrow in machine.transitions:
                number += 1
                title = f"{arrow.source} -> {arrow.target} — {place(arrow)}"
                for word, body in (("guard", arrow.guard), ("effect", arrow.effect)):
                    if body is not None:
                        self.out.blank()
                        self.out.span = body.span
                        routine = self.module.routines.others[id(body)]
                        self._method(f"_{word}_{number}", params, routine, f"{word} of {title}")

    # --- test cells ---

    def _checks(self) -> None:
        if self.cell.kind != "test":
            return
        rules = [r for s in sections(self.cell, n.Rules) for r in s.rules]
        asserts, properties = count(1), count(1)
        for rule in rules:  # in source order, in which they are reported
            if isinstance(rule, n.Assert):
                self._assert(next(asserts), rule)
            elif isinstance(rule, n.PropertyTest):
                self._property(next(properties), rule)

    def _assert(self, number: int, rule: n.Assert) -> None:
        routine = self.module.routines.others[id(rule.value)]
        value, source = rule.value, string(assert_text(rule.value))
        comparison = isinstance(value, n.Binary) and value.op in ("==", "!=", "<", ">", "<=", ">=")
        op = f", op={string(value.op)}" if comparison and isinstance(value, n.Binary) else ""
        self._decorate(f"@{self._use('test_assert')}({source}{op})", rule)
        if not (comparison and isinstance(value, n.Binary)):
            self._method(f"_assert_{number}", (), routine, "")
            return
        self._use("Value")
        head = "async def" if routine.is_async else "def"
        with self.out.suite(f"{head} _assert_{number}(self) -> tuple[Value, Value]:"):
            lowering = RoutineLowering(self.module, routine, self.out)
            left, right = lowering.operands((value.left, value.right))
            self.out.add(f"return {left.text}, {right.text}")

    def _property(self, number: int, rule: n.PropertyTest) -> None:
        parts = [string(rule.name), string(rule.variable), str(rule.low), str(rule.high)]
        if rule.count is not None:
            parts.append(f"count={rule.count}")
        if rule.type != "Int":
            parts.append(f"type_name={string(rule.type)}")
        routine = self.module.routines.others[id(rule.ensures)]
        name = routine.scopes.function.variables[0].py
        self._decorate(f"@{self._use('test_property')}({', '.join(parts)})", rule)
        self._method(f"_property_{number}", (f"{name}: Value",), routine, "")


# --- data ----------------------------------------------------------------------------------------


def place(node: n.Node) -> str:
    """Where a node stands, for documentation: `app.cell:9`."""
    return f"{node.span.source.path.rsplit('/', 1)[-1]}:{node.span.line}"


def milliseconds(timer: n.Every | n.After) -> str:
    return f"{timer.milliseconds:_}"


def type_text(ref: n.TypeRef) -> str:
    """A type as it is written."""
    args = ", ".join(type_text(a) for a in ref.args)
    return f"{ref.name}<{args}>" if args else ref.name


def data(node: n.Node) -> str:
    """A literal as data; names count as Strings (core §5.2)."""
    if isinstance(node, n.Duration):
        return str(node.milliseconds)
    if isinstance(node, n.Float | n.Percent):
        return floating(node.value)
    if isinstance(node, n.Int | n.Bool):
        return str(node.value)
    if isinstance(node, n.Str):
        return string(node.value)
    return string(node.name) if isinstance(node, n.Name) else "None"


def assert_text(node: n.Node) -> str:
    """An asserted expression as `soma test` re-prints it (core §4.3)."""
    if isinstance(node, n.Binary):
        return f"{assert_text(node.left)} {node.op} {assert_text(node.right)}"
    if isinstance(node, n.Call):
        return f"{node.name}({', '.join(assert_text(a) for a in node.args)})"
    if isinstance(node, n.Name):
        return node.name
    if isinstance(node, n.Bool):
        return "true" if node.value else "false"
    if isinstance(node, n.Int):
        return str(node.value) if -(2**63) <= node.value < 2**63 else "?"
    if isinstance(node, n.Float):
        return float_text(node.value).removesuffix(".0")
    if isinstance(node, n.Str):
        return f'"{node.value}"'
    if isinstance(node, n.Unary) and node.op == "-":
        return f"0 - {assert_text(node.operand)}"
    return "?" if isinstance(node, n.Unit | n.Duration | n.Percent) else "..."


__all__ = ["CellWriter", "Namer", "into"]
