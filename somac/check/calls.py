"""Names and calls that are certain to fail when they are reached: unknown names, wrong counts.

What stands inside `try { … }` or in a string is left alone: the first may be meant to fail, the
second stays literal text and gets advice. Assertions of test cells are no bodies (see `scopes`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from ..frontend import nodes as n
from ..frontend.builtins import BUILTINS, NATIVE
from ..frontend.diagnostics import Diagnostic, Severity
from ..frontend.names import nearest
from ..frontend.program import handlers_of, slots_of
from ..frontend.walk import walk
from .context import Body, Context
from .scopes import bodies
from .targets import literal_text

SLOT_METHODS: dict[str, int] = {
    **dict.fromkeys(("len", "size", "count", "keys", "values", "list", "all", "entries"), 0),
    **dict.fromkeys(("get", "delete", "remove", "has", "contains", "append", "push"), 1),
    **dict.fromkeys(("set", "put"), 2),
    "backend": 0,
}
NEEDS = {
    "get": "get() requires a key argument",
    "set": "set() requires key and value arguments",
    "delete": "delete() requires a key argument",
    "has": "has() requires a key argument",
    "append": "append() requires a value argument",
}
CANONICAL = {"put": "set", "remove": "delete", "contains": "has", "push": "append"}


def check_names(context: Context) -> Iterator[Diagnostic]:
    """Every certain failure of the program, body by body."""
    for body in bodies(context):
        if not body.invariant:
            yield from Names(context, body).check()


NOTHING = frozenset(["null", "nil", "none", "undefined"])


def outside_strings(node: n.Node) -> bool:
    """Whether a walk should look below a node."""
    return not isinstance(node, (n.Try, n.Str))


def _outside_loops(node: n.Node) -> bool:
    return not isinstance(node, (n.Try, n.Str, n.For, n.While))


def is_builtin(name: str, count: int) -> bool:
    """Whether a call with so many arguments may be a builtin's."""
    info = BUILTINS.get(name)
    return info is not None and count >= info.min_args


def arity(name: str, expected: int, got: int) -> str:
    """The message of a call with a wrong number of arguments (core §3.8)."""
    word = "argument" if expected == 1 else "arguments"
    return f"{name}() expected {expected} {word}, got {got}"


class Names:
    """Looks at one body."""

    def __init__(self, context: Context, body: Body) -> None:
        self.context = context
        self.program = context.program
        self.body = body
        self.settled: set[int] = set()  # nodes that their parents have already judged
        self.handlers_below = context.handler_names

    def check(self) -> Iterator[Diagnostic]:
        yield from self.judge(self.body.root, outside_strings)
        for node in walk(self.body.root, _outside_loops):
            if isinstance(node, (n.Break, n.Continue)):
                word = "break" if isinstance(node, n.Break) else "continue"
                fix = f"move `{word}` into a loop, or leave the handler with `return`"
                yield self._error("E210", f"{word} outside of loop", node, fix)

    def judge(self, root: n.Node, enter: Callable[[n.Node], bool] | None) -> Iterator[Diagnostic]:
        """The findings below a node."""
        for node in walk(root, enter):
            if id(node) not in self.settled:
                judge = JUDGES.get(type(node))
                if judge is not None:
                    yield from judge(self, node)

    def _builtin(self, name: str, count: int) -> bool:
        """Whether a call with so many arguments is a builtin's, which no handler stands in for."""
        return is_builtin(name, count) and (
            BUILTINS[name].supported or name not in self.handlers_below
        )

    # --- names -----------------------------------------------------------------------------------

    def name(self, node: n.Name) -> Iterator[Diagnostic]:
        name = node.name
        if name in self.body.bound:
            return
        variant = self.program.variants.get(name)
        if variant is None:
            yield self._unknown_variable(node, name)
        elif variant.decl.shape != "unit":
            message = f"variant '{name}' takes payload — write a constructor expression"
            yield self._error("E205", message, node, f"write `{shape_of(variant.decl)}`")

    def assign(self, node: n.Assign) -> Iterator[Diagnostic]:
        if node.op != "=" and node.name not in self.body.bound:
            yield self._unknown_variable(node, node.name)
        value = node.value
        if isinstance(value, n.Call) and value.name == "append" and len(value.args) >= 2:
            first = value.args[0]
            if isinstance(first, n.Name) and first.name == node.name:
                self.settled.add(id(value))  # `x = append(x, …)`, builtins §1.6

    def _unknown_variable(self, node: n.Node, name: str) -> Diagnostic:
        hint: str | None
        if name in self.context.slot_names:
            hint = f"a slot is no value: write `{name}.values`, `{name}.get(key)` …"
            fix = f"call an operation of slot '{name}'"
        elif name in BUILTINS or name in self.handlers_below:
            hint = f"a function is no value: call it, `{name}(…)`"
            fix = f"write `{name}(…)`"
        elif name.lower() in NOTHING:
            hint = "the value of nothing is written `()`"
            fix = "write `()`"
        else:
            near = nearest(name, self.body.bound | self.program.variants.keys())
            hint = f"did you mean '{near}'?" if near else None
            fix = f"write `{near}`" if near else f"bind it first: `let {name} = …`"
        fix = f"{fix} in cell '{self.body.cell.name}'"
        return self._error("E201", f"undefined variable: {name}", node, fix, hint)

    def require(self, node: n.Require) -> Iterator[Diagnostic]:
        """A constraint that is just an unknown name passes (core §3.7)."""
        constraint: n.Node = node.constraint
        while isinstance(constraint, n.Not):
            constraint = constraint.operand
        if isinstance(constraint, n.Name):
            self.settled.add(id(constraint))
        yield from ()

    # --- calls -----------------------------------------------------------------------------------

    def pipe(self, node: n.Pipe) -> Iterator[Diagnostic]:
        right = node.right
        self.settled.add(id(right))
        if isinstance(right, n.Call):
            args = (node.left, *right.args)
            yield from self._call(right, right.name, args, piped=True)
        elif isinstance(right, n.Name):
            yield from self._call(right, right.name, (node.left,), piped=True)
        elif not isinstance(right, (n.Method, n.Field)):
            message = "pipe (|>) right side must be a function call"
            fix = "put a call on the right: `value |> name(…)`"
            yield self._error("E206", message, right, fix)

    def call(self, node: n.Call) -> Iterator[Diagnostic]:
        yield from self._call(node, node.name, node.args)

    def _call(
        self, node: n.Node, name: str, args: tuple[n.Node, ...], piped: bool = False
    ) -> Iterator[Diagnostic]:
        if name == "transition" and len(args) >= 2:
            target = args[1]
            if isinstance(target, n.Name) and target.name[:1].isupper():
                self.settled.add(id(target))
        variant = self.program.variants.get(name)
        if variant is not None and variant.decl.shape == "tuple" and not piped:
            yield from self._payload(node, name, len(variant.decl.types), len(args))
        elif name == "delegate" and len(args) >= 2:
            yield from self._delegate(node, args)
        elif self.body.native or name in self.body.bound:
            return  # native.py judges native handlers; a variable may hold a lambda
        elif self._builtin(name, len(args)):
            if piped and not BUILTINS[name].pipe:
                fix = f"write `{name}(…)` with the value as its first argument"
                yield self._error("E202", f"undefined function: {name}", node, fix)
        else:
            yield from self._handler(node, name, len(args))

    def _payload(self, node: n.Node, name: str, takes: int, got: int) -> Iterator[Diagnostic]:
        if takes != got:
            word = "argument" if takes == 1 else "arguments"
            message = f"variant '{name}' takes {takes} {word}, got {got}"
            yield self._error("E205", message, node, f"give variant '{name}' {takes} {word}")

    def _handler(self, node: n.Node, name: str, got: int) -> Iterator[Diagnostic]:
        found = self.context.find_handler(self.body.cell, name)
        if found is not None:
            expected = len(found[1].params)
            if expected != got:
                shown = ", ".join(p.name for p in found[1].params)
                fix = f"call `{name}({shown})` of cell '{found[0].name}' with all its parameters"
                yield self._error("E203", arity(name, expected, got), node, fix)
        elif name not in self.handlers_below:
            yield self._unknown_function(node, name, got)

    def _unknown_function(self, node: n.Node, name: str, got: int) -> Diagnostic:
        info = BUILTINS.get(name)
        near = nearest(name, self.handlers_below | BUILTINS.keys())
        if name in NATIVE:
            hint: str | None = f"'{name}' exists only in [native] handlers"
            fix = f"move the call into a handler marked [native] of cell '{self.body.cell.name}'"
        elif info is not None:
            hint = f"'{name}' takes at least {info.min_args} argument(s), got {got}"
            fix = f"give `{name}` {info.min_args} argument(s)"
        else:
            hint = None
            fix = f"write `{near}(…)`" if near else f"define `on {name}(…)`"
            fix = f"{fix} in cell '{self.body.cell.name}'"
        meant = f" (did you mean '{near}'?)" if near and hint is None else ""
        return self._error("E202", f"undefined function: {name}{meant}", node, fix, hint)

    def _delegate(self, node: n.Node, args: tuple[n.Node, ...]) -> Iterator[Diagnostic]:
        cell_name, name = literal_text(args[0]), literal_text(args[1])
        if cell_name is None or name is None:
            return
        cells = [c for c in self.program.all_cells if c.name == cell_name]
        targets = [h for c in cells if (h := handlers_of(c).get(name))]
        if not targets:
            near = nearest(cell_name, {c.name for c in self.program.all_cells})
            if cells:
                near = nearest(name, {h for c in cells for h in handlers_of(c)})
            message = f"delegate error: no handler found for signal '{name}' in cell '{cell_name}'"
            fix = f"add `on {name}(…)` to cell '{cell_name}'"
            hint = f"did you mean '{near}'?" if near else None
            yield self._error("E207", message, node, fix, hint)
        elif all(len(h.params) != len(args) - 2 for h in targets):
            expected = len(targets[0].params)
            message = f"delegate error: {arity(name, expected, len(args) - 2)}"
            fix = f'pass {expected} argument(s) after "{name}"'
            yield self._error("E203", message, node, fix)

    def emit(self, node: n.Emit) -> Iterator[Diagnostic]:
        if not self.context.is_live(self.body.cell):
            return  # children of an interior emit to each other
        for cell in self.program.live:
            handler = self.context.handlers(cell).get(node.name)
            if handler is None or cell is self.body.cell:
                continue
            if len(handler.params) != len(node.args):
                message = arity(node.name, len(handler.params), len(node.args))
                fix = f"emit what `on {node.name}` of cell '{cell.name}' takes"
                yield self._error("E203", message, node, fix)

    def record(self, node: n.Record) -> Iterator[Diagnostic]:
        variant = self.program.variants.get(node.name)
        if variant is None or variant.decl.shape != "struct":
            return
        given = {name for name, _ in node.fields}
        for name, _ in variant.decl.fields:
            if name not in given:
                message = f"variant '{node.name}' missing field '{name}'"
                fix = f"add `{name}: …` to `{node.name} {{ … }}`"
                yield self._error("E205", message, node, fix)

    # --- slots -----------------------------------------------------------------------------------

    def member(self, node: n.Field | n.Method) -> Iterator[Diagnostic]:
        target = node.target
        if not isinstance(target, n.Name) or target.name in self.body.bound:
            return
        slot = self._slot(target.name)
        if slot is None:
            return
        self.settled.add(id(target))
        got = len(node.args) if isinstance(node, n.Method) else 0
        least = SLOT_METHODS.get(node.name)
        if least is None:
            near = nearest(node.name, SLOT_METHODS)
            message = f"unknown method '{node.name}' on memory slot '{slot.name}'"
            hint = f"did you mean '{near}'?" if near else None
            fix = f"use one of {', '.join(SLOT_METHODS)} on slot '{slot.name}'"
            yield self._error("E204", message, node, fix, hint)
        elif got < least:
            message = NEEDS[CANONICAL.get(node.name, node.name)]
            fix = f"call `{slot.name}.{node.name}` with {least} argument(s)"
            yield self._error("E203", message, node, fix)

    def _slot(self, name: str) -> n.Slot | None:
        if name not in self.context.slot_names:
            return None
        found = self.program.find_slot(self.body.cell, name)
        if found is not None:
            return found[1]
        return next((s for c in self.program.all_cells if (s := slots_of(c).get(name))), None)

    def _error(
        self, code: str, message: str, node: n.Node, fix: str, hint: str | None = None
    ) -> Diagnostic:
        return Diagnostic(code, Severity.ERROR, message, node.span, hint=hint, fix=fix)


def shape_of(decl: n.VariantDecl) -> str:
    """How a variant is constructed: `B(Int, Int)`, `C { x: …, y: … }`."""
    if decl.shape == "tuple":
        return f"{decl.name}({', '.join(t.name for t in decl.types)})"
    if decl.shape == "struct":
        return f"{decl.name} {{ {', '.join(f'{name}: …' for name, _ in decl.fields)} }}"
    return decl.name


JUDGES: dict[type, Callable[..., Iterator[Diagnostic]]] = {
    n.Name: Names.name,
    n.Assign: Names.assign,
    n.Require: Names.require,
    n.Pipe: Names.pipe,
    n.Call: Names.call,
    n.Emit: Names.emit,
    n.Record: Names.record,
    n.Field: Names.member,
    n.Method: Names.member,
}
