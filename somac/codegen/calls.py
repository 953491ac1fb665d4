"""Calls and pipes (builtins §1.3 with the mends)."""

from __future__ import annotations

from collections.abc import Sequence

from ..frontend import nodes as n
from ..frontend.builtins import HIGHER_ORDER, suggest
from ..frontend.program import machine_cell
from . import kinds as k
from .access import Access
from .kinds import INTS, SpecialKinds
from .literals import string
from .lowering import ATOM, Ex
from .routines import (
    BuiltinCall,
    HandlerCall,
    LocalCall,
    Unknown,
    VariantCall,
    pipe_parts,
    slot_target,
)
from .shapes import list_of
from .tree import walk

_BAD_PIPE = "pipe (|>) right side must be a function call"
_COUNTS = {
    "transition": (2, "transition(id, target_state) requires 2 args"),
    "get_status": (1, "get_status(id) requires 1 arg"),
    "valid_transitions": (1, "valid_transitions(id) requires 1 arg"),
    "next_id": (0, ""),
    "publish": (2, "publish(stream_name, data) requires 2 args"),
    "delegate": (2, "delegate(cell_name, signal_name, ...args) requires at least 2 args"),
}


class Calls(Access):
    """What is called, and how its arguments get there."""

    def call(self, node: n.Call) -> Ex:
        return self.call_of(node, node.name, node.args)

    def pipe(self, node: n.Pipe) -> Ex:
        parts = pipe_parts(node)
        if parts is None:
            return self._odd_pipe(node)
        self.out.span = node.right.span
        callee, name, args = parts
        return self.call_of(callee, name, args, piped=True)

    def _odd_pipe(self, node: n.Pipe) -> Ex:
        if isinstance(node.right, n.Field):
            found = slot_target(self.routines, self.routine, node.right.target)
            if found is not None:
                return self.slot_operation(found, node.right.name, (node.left,))
        return self.after(self.operands((node.left,)), self.type_error(_BAD_PIPE))

    def call_of(self, node: n.Node, name: str, args: tuple[n.Expr, ...], piped: bool = False) -> Ex:
        """A call by name; `node` is the one that carries the name."""
        target = self.routines.call(self.routine, node, name, args)
        no_pipe = isinstance(target, BuiltinCall) and not target.builtin.pipe
        if piped and (no_pipe or isinstance(target, VariantCall)):
            target = Unknown(name, None)
        if isinstance(target, BuiltinCall):
            if not target.builtin.supported:
                error = f"unsupported({string(name)}, {string(target.builtin.family)})"
                return self.after(self.operands(args), self.fail(error))
            return self.builtin_call(BuiltinCall(target.builtin, piped), name, args)
        if isinstance(target, HandlerCall):
            return self.handler_call(target, name, args)
        if isinstance(target, LocalCall):
            return self._local_call(target, name, args, piped)
        if isinstance(target, VariantCall):
            return self._variant(target, name, args)
        error = string(name)
        if target.suggestion is not None and not piped:
            error += f", {string(target.suggestion)}"
        return self.after(self.operands(args), self.fail(f"undefined_function({error})"))

    def _local_call(self, target: LocalCall, name: str, args: Sequence[n.Expr], piped: bool) -> Ex:
        values = self.operands(args)
        var, named = target.var.py, string(name)
        known = self.kinds.variable(target.var) == k.LAMBDA
        meant = "" if known else self._meant(name, piped)
        if len(values) != 1:
            error = f"ops.uncallable({var}, {named}, {len(values)}{meant})"
            return self.after(values, self.fail(error))
        text = f"{self.use('ops')}.call({var}, {values[0].text}, {named}{meant})"
        return self.awaited(text, self.effects.lambdas.waits)

    def _meant(self, name: str, piped: bool) -> str:
        """The argument with what the error of an unknown function suggests; none after a pipe."""
        near = None if piped else suggest(name, self.routines.program.handlers)
        return f", meant={string(near)}" if near is not None else ""

    def handler_call(self, target: HandlerCall, name: str, args: Sequence[n.Expr]) -> Ex:
        routine = target.routine
        values = self.operands(args)
        if len(values) != len(routine.params):
            error = f"wrong_arity({string(name)}, {len(routine.params)}, {len(values)})"
            return self.after(values, self.fail(error))
        method = self.routines.names.of(routine.cell).handlers[name]
        listed = ", ".join(v.text for v in values)
        kinds = self.kinds
        if (
            isinstance(kinds, SpecialKinds)
            and kinds.routine is routine
            and kinds.fits([v.kind for v in values])
        ):
            text = f"self.{special_method(method)}({listed})"
            return self.awaited(text, routine.is_async, kinds.result or k.ANY)
        text = f"{self.cell_path(routine.cell)}.{method}({listed})"
        kind = routine.result if routine.result == k.UNIT else routine.result or k.ANY
        return self.awaited(text, routine.is_async, k.ANY if kind == k.UNIT else kind)

    # --- variants and records ---

    def _variant(self, target: VariantCall, name: str, args: Sequence[n.Expr]) -> Ex:
        decl, values = target.info.decl, self.operands(args)
        expected = len(decl.types)
        if len(values) != expected:
            noun = "argument" if expected == 1 else "arguments"
            message = f"variant '{name}' takes {expected} {noun}, got {len(values)}"
            return self.after(values, self.type_error(message))
        head = f"{self.use('Variant')}({string(target.info.type_name)}, {string(name)}"
        listed = ", ".join(v.text for v in values) + ("," if len(values) == 1 else "")
        return Ex(f"{head}, ({listed}))", k.VARIANT)

    def record(self, node: n.Record) -> Ex:
        """A record is a Map that begins with `_type`; a struct variant's name makes a variant."""
        info = self.routines.program.variants.get(node.name)
        values = self.operands([value for _, value in node.fields])
        names = [name for name, _ in node.fields]
        items = [f"{string(f)}: {v.text}" for f, v in zip(names, values, strict=True)]
        if info is None or info.decl.shape != "struct":
            return Ex("{" + ", ".join([f'"_type": {string(node.name)}', *items]) + "}", k.ANY)
        for name, _ in info.decl.fields:
            if name not in names:
                message = f"variant '{node.name}' missing field '{name}'"
                return self.after(values, self.type_error(message))
        fields = "{" + ", ".join(items) + "}"
        head = f"{self.use('Variant')}({string(info.type_name)}, {string(node.name)}"
        return Ex(f"{head}, fields={fields})", k.VARIANT)

    # --- builtins ---

    def builtin_call(self, target: BuiltinCall, name: str, args: tuple[n.Expr, ...]) -> Ex:
        if target.builtin.effect == "context":
            return self._context_call(name, args)
        if name == "list":
            return self._list(args)
        if name == "map" and not self._may_map(args):
            return self._map_display(args)
        if name in HIGHER_ORDER:
            return self._higher_order(target, name, args)
        values = self.operands(args)
        if name == "len" and values[0].kind in (k.STRING, k.LIST, k.MAP):
            return Ex(f"len({values[0].text})", k.NAT)
        if name == "to_string" and len(values) == 1:
            return Ex(self.text_of(values[0]), k.STRING)
        kind = self.kinds.builtin(self.routine, target, name, args)
        listed = ", ".join(v.text for v in values)
        return self.awaited(
            f"{self.use('std')}.{std_name(name)}({listed})",
            target.builtin.effect == "async",
            kind,
        )

    def _list(self, args: tuple[n.Expr, ...]) -> Ex:
        """`list(xs, a)` appends to a List, unless its first argument is written as one."""
        values = self.operands(args)
        listed = ", ".join(v.text for v in values)
        written = args and (
            isinstance(args[0], n.ListLit)
            or (isinstance(args[0], n.Call) and args[0].name == "list")
        )
        if len(args) < 2 or written or values[0].kind not in (k.ANY, k.NONE, k.LIST):
            return Ex(f"[{listed}]", k.LIST)
        if values[0].kind == k.LIST:
            return Ex(f"[*{listed}]", k.LIST)
        return Ex(f"{self.use('std')}.list({listed})", k.LIST)

    def _may_map(self, args: Sequence[n.Expr]) -> bool:
        """Whether `map(…)` may be the higher-order one, or must fail for an odd count."""
        if not args or len(args) % 2:
            return bool(args)
        if self.kind(args[0]) not in (k.ANY, k.NONE, k.LIST):
            return False
        return self.kind(args[1]) in (k.ANY, k.NONE, k.LAMBDA)

    def _map_display(self, args: Sequence[n.Expr]) -> Ex:
        values = self.operands(args)
        keys = [self.text_of(v) for v in values[::2]]
        if len(set(keys)) < len(keys):
            listed = ", ".join(v.text for v in values)
            return Ex(f"{self.use('std')}.map({listed})", k.MAP)
        items = [f"{key}: {v.text}" for key, v in zip(keys, values[1::2], strict=True)]
        return Ex("{" + ", ".join(items) + "}", k.MAP)

    def _higher_order(self, target: BuiltinCall, name: str, args: tuple[n.Expr, ...]) -> Ex:
        waits = self.effects.single_builtin(self.routine, target, name, args)
        kind = self.kinds.builtin(self.routine, target, name, args)
        literal = [a for a in args[1:] if isinstance(a, n.Lambda)]
        if name != "reduce" and len(args) == 2 and literal and not waits:
            inline = self._comprehension(target, name, args[0], literal[0])
            if inline is not None:
                return inline
        values = self.operands(args)
        listed = ", ".join(v.text for v in values)
        if name != "map" and not (values and values[0].kind == k.LIST and literal):
            listed += self._meant(name, target.piped)
        suffix = "_async" if waits else ""
        return self.awaited(f"{self.use('std')}.{name}{suffix}({listed})", waits, kind)

    def _comprehension(
        self, target: BuiltinCall, name: str, items: n.Expr, body: n.Lambda
    ) -> Ex | None:
        """`[e for x in xs]` and its like, when the lambda is one expression.

        What may be no List is looked at first; for `map` it must be one, since other operands make
        a Map.
        """
        proven = self.kind(items) == k.LIST
        if not proven and (name == "map" or self.kind(items) not in (k.ANY, k.NONE)):
            return None
        if isinstance(body.body, n.Block) or needs_statements(body.body):
            return None
        inner = self.routine.scopes.functions[id(body)]
        if inner.copies or any(isinstance(i, n.Lambda) for i in walk(body.body)):
            return None  # a lambda inside must see its own item
        source = self.expr(items)
        if ":=" in source.text:  # which Python forbids in what a comprehension goes over
            source = self.spill(source, "items")
        with self.out.capture() as lines:
            outer, self.function = self.function, inner
            value = self.expr(body.body)
            self.function = outer
        if lines or "await " in value.text:
            return self._mapped(target, name, source, body)
        over = source.at(1)
        if over == "[]":  # mypy would ask for the type of its items
            over = f"list[{self.use('Value')}]()"
        if not proven:
            meant = self._meant(name, target.piped)
            over = f"{self.use('std')}.items({string(name)}, {source.text}{meant})"
        param = self.routine.scopes.variables[id(body)].py
        return self._generated(name, param, over, value, self.kind(items))

    def _generated(self, name: str, param: str, over: str, value: Ex, kind: str) -> Ex:
        """The comprehension or generator expression of a higher-order builtin."""
        loop = f"for {param} in {over}"
        before = self.filtered.get(over)
        if before is not None and before[0] == param:
            loop = before[1]  # its condition has no effect: no list in between
        if name == "map":
            if value.text == param and before is None:
                return Ex(f"list({over})", kind if kind == k.LIST else k.LIST)
            return Ex(f"[{value.text} {loop}]", list_of(value.kind))
        condition = self.truth(value)
        if name == "filter":
            loop = f"{loop} if {condition.at(1)}"
            if condition.pure:
                self.filtered[f"[{param} {loop}]"] = (param, loop)
            return Ex(f"[{param} {loop}]", kind if kind == k.LIST else k.LIST)
        if name == "find":
            return Ex(f"next(({param} {loop} if {condition.at(1)}), None)")
        if name == "count":
            return Ex(f"sum(1 {loop} if {condition.at(1)})", k.NAT)
        return Ex(f"{name}({condition.text} {loop})", k.BOOL)

    def _mapped(self, target: BuiltinCall, name: str, source: Ex, body: n.Lambda) -> Ex:
        source = self.spill(source, "items")
        meant = "" if name == "map" or source.kind == k.LIST else self._meant(name, target.piped)
        kind = {"map": k.LIST, "filter": k.LIST, "count": k.NAT, "find": k.ANY}.get(name, k.BOOL)
        called = f"{self.use('std')}.{name}"
        return Ex(f"{called}({source.text}, {self.expr(body).text}{meant})", kind)

    # --- the cell's own operations ---

    def _context_call(self, name: str, args: tuple[n.Expr, ...]) -> Ex:
        values = self.operands(args)
        needed, message = _COUNTS[name]
        if len(values) < needed:
            return self.after(values, self.type_error(message))
        kept = values if name == "delegate" else values[:needed]
        waits = self.effects.context(self.routine.cell, name, args)[0]
        listed = ", ".join(v.text for v in kept)
        kinds = {"get_status": k.STRING, "valid_transitions": k.LIST, "next_id": k.INT}
        suffix = "_async" if waits else ""
        ex = self.awaited(
            f"{self.cell_object()}.{name}{suffix}({listed})", waits, kinds.get(name, k.ANY)
        )
        if name == "publish":
            ex = Ex(ex.text, k.UNIT)
        return self.before(ex, values[needed:]) if len(kept) < len(values) else ex

    def cell_object(self) -> str:
        """Test cells have no machines of their own: they use the program's only one."""
        if self.routine.cell.kind != "test":
            return "self"
        owner = machine_cell(self.routines.program, self.routine.cell)
        return self.cell_path(owner) if owner is not None else "self"

    def argument_list(self, values: Sequence[Ex]) -> str:
        return ", ".join(v.text for v in values)


def needs_statements(node: n.Node) -> bool:
    """Whether an expression cannot stay one in Python; asked before it is lowered in vain."""
    return any(
        isinstance(inner, n.Match | n.Try | n.Propagate)
        or (isinstance(inner, n.Block) and len(inner.statements) != 1)
        for inner in walk(node)
    )


def special_method(method: str) -> str:
    """The version of a handler for arguments of the declared kinds."""
    return f"_{method.strip('_')}_checked"


def std_name(name: str) -> str:
    """A builtin's name in `somart.std`."""
    return f"{name}_" if name in ("with",) else name


def is_number(ex: Ex) -> bool:
    return ex.kind in INTS or ex.kind == k.FLOAT


__all__ = ["ATOM", "Calls", "std_name"]
