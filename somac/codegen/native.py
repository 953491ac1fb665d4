"""`[native]` handlers as straight Python: kinds are static, so operators are Python's (core §6).

A handler becomes two methods: the public one converts its arguments to the declared kinds, the
private one does the work and is what other native handlers call.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from ..frontend import nodes as n
from . import kinds as k
from .literals import docstring, string
from .lowering import DROP, NOT, PRODUCT, RETURN, SIGN, SUM, Dest, Ex, ModuleContext
from .native_builtins import NativeBuiltins
from .native_kinds import SCALARS, combined, native_kinds
from .native_signs import NATURAL, POSITIVE, Signs
from .routines import HandlerCall, Routine, Routines
from .scopes import Var
from .tree import walk
from .unused import mark_unused
from .writer import Writer

_IMPURE = frozenset(
    """random read_file read_stdin write_str buffer buffer_f hashmap strbuf buf_set buf_set_f hm_set
    hm_inc sb_push sb_push_int sb_push_char sb_finish""".split()  # noqa: SIM905
)
_ZERO = {k.INT: "0", k.FLOAT: "0.0", k.BOOL: "False", k.STRING: '""'}
MEMO_SIZE = 1 << 18  # results kept for each recursive handler


class NativeLowering(NativeBuiltins):
    """Lowers one native handler."""

    def __init__(
        self, module: ModuleContext, routine: Routine, writer: Writer, method: str
    ) -> None:
        super().__init__(module, routine, writer)
        self.public = method
        self.native = native_kinds(module.routines, routine)
        self.signs = Signs(self.native)

    def write(self, note: str) -> None:
        """Both methods; the decorator of the public one has been written."""
        variables = [v for v in self.function.variables if v.origin == "param"]
        params = [v.py for v in variables]
        inner = native_method(self.routines, self.routine)
        listed = ", ".join(["self", *(f"{p}: Value" for p in params)])
        self.use("Value")
        with self.out.suite(f"def {self.public}({listed}) -> Value:"):
            self.out.add(docstring(note))
            passed = ", ".join(self._argument_of(v) for v in variables)
            self.out.add(f"return self.{inner}({passed})")
        self.out.blank()
        if self._memoised():
            self.out.add(f"@{self.use('lru_cache')}(maxsize={MEMO_SIZE})  # noqa: B019")
        typed = [f"{v.py}: {self._parameter_type(v)}" for v in variables]
        result = self._native_type(self.native.result)
        with self.out.suite(f"def {inner}({', '.join(['self', *typed])}) -> {result}:"):
            start, body = len(self.out.lines), self.routine.body
            if isinstance(body, n.Block):
                self.block(body.statements, RETURN)
            mark_unused(self.out.lines, start, self.routine.scopes)

    def _argument_of(self, var: Var) -> str:
        """What comes from outside, as the parameter's type has it."""
        kind = self.native.variables[var]
        if kind == k.LIST:
            helper = {"Int": "as_ints", "Float": "as_floats"}.get(self._item(var), "as_list")
        elif kind == k.STRING:
            helper = "as_text"
        else:
            return self.converted(Ex(var.py), kind)
        return f"{self.use('native')}.{helper}({var.py})"

    def _item(self, var: Var) -> str:
        """The declared type of a parameter's items, "" for none."""
        handler = self.routine.handler
        types = [p.type for p in handler.params if p.name == var.name] if handler else []
        return types[-1].args[0].name if types and types[-1].args else ""

    def _parameter_type(self, var: Var) -> str:
        kind = self.native.variables[var]
        item = {"Int": "int", "Float": "float"}.get(self._item(var), "")
        return f"list[{item}]" if kind == k.LIST and item else self._native_type(kind)

    def _native_type(self, kind: str) -> str:
        text = k.PYTHON_TYPES.get(kind, "None" if kind == k.UNIT else "Value")
        if "Value" in text:
            self.use("Value")
        return text

    def _memoised(self) -> bool:
        """Pure recursion is remembered, so that naive exponential recursion ends (core §6)."""
        kinds = self.native.variables
        params = [v for v in self.function.variables if v.origin == "param"]
        scalar = all(kinds[v] in SCALARS for v in params) and self.native.result in SCALARS
        return scalar and bool(params) and _pure_recursion(self.routines, self.routine)

    # --- kinds and conversions ---

    def kind(self, node: n.Node) -> str:
        return self.native.expr(node)

    def _variable(self, var: Var) -> str:
        return self.native.variables.get(var, k.INT)

    # --- expressions ---

    def name(self, node: n.Name) -> Ex:
        var = self.routine.scopes.var(node)
        if var is None:
            return super().name(node)
        return Ex(var.py, self._variable(var), constant=var.writes <= 1, pure=var.writes <= 1)

    def literal(self, node: n.Node) -> Ex:
        ex = super().literal(node)
        return Ex(ex.text, k.INT, ex.level, True, True) if ex.kind == k.NAT else ex

    def compare(self, op: str, left: Ex, right: Ex, node: n.Binary) -> Ex:
        left = self._multiple_test(node, left)
        return replace(self._compared(op, left, right), pure=True)

    def _multiple_test(self, node: n.Binary, left: Ex) -> Ex:
        """`a % b == 0` does not depend on the sign of a, so Python's remainder will do."""
        inner = node.left
        zero = isinstance(node.right, n.Int) and node.right.value == 0 and node.op in ("==", "!=")
        if not (zero and isinstance(inner, n.Binary) and inner.op == "%"):
            return left
        if self.kind(inner.left) != k.INT or self.signs.of(inner.right) != POSITIVE:
            return left
        with self.out.capture() as lines:
            a, b = self.operands((inner.left, inner.right))
        return left if lines else Ex(f"{a.at(PRODUCT)} % {b.at(SIGN)}", k.INT, PRODUCT)

    def truth(self, ex: Ex) -> Ex:
        return ex

    def unary(self, node: n.Unary) -> Ex:
        operand = self.expr(node.operand)
        if node.op == "!":
            return Ex(f"not {operand.at(NOT)}", k.BOOL, NOT)
        return Ex(f"-{operand.at(SIGN)}", operand.kind, SIGN)

    def arithmetic(self, op: str, left: Ex, right: Ex, node: n.Binary | None = None) -> Ex:
        kind = combined(op, left.kind, right.kind)
        if kind == k.STRING:
            return Ex(f"{self.native_text(left)} + {self.native_text(right)}", kind, SUM)
        if op in "+-*":
            level = PRODUCT if op == "*" else SUM
            return Ex(f"{left.at(level)} {op} {right.at(level + 1)}", kind, level)
        known = left.kind == right.kind == kind and kind in (k.INT, k.FLOAT)
        if known and kind == k.INT and node is not None:
            signs = self.signs.of(node.left), self.signs.of(node.right)
            return self._whole(op, left, right, signs)
        prefix = {k.INT: "int_", k.FLOAT: "float_"}[kind] if known else ""
        helper = prefix + ("div" if op == "/" else "mod")
        text = f"{self.use('native')}.{helper}({left.text}, {right.text})"
        if not known:
            text = self.converted(Ex(text), kind)
        return Ex(text, kind)

    def _whole(self, op: str, left: Ex, right: Ex, signs: tuple[int, int]) -> Ex:
        """A quotient or remainder of Ints; Python's agree when nothing is negative."""
        if signs[0] >= NATURAL and signs[1] == POSITIVE:
            python = "//" if op == "/" else "%"
            return Ex(f"{left.at(PRODUCT)} {python} {right.at(SIGN)}", k.INT, PRODUCT)
        helper = "int_div" if op == "/" else "int_mod"
        return Ex(f"{self.use('native')}.{helper}({left.text}, {right.text})", k.INT)

    def native_text(self, ex: Ex) -> str:
        if ex.kind == k.STRING:
            return ex.at(SUM + 1)
        return f"{self.use('native')}.to_string({ex.text})"

    def handler_call(self, target: HandlerCall, name: str, args: Sequence[n.Expr]) -> Ex:
        routine = target.routine
        if not routine.native or len(args) != len(routine.params):
            return super().handler_call(target, name, args)
        callee = native_kinds(self.routines, routine)
        params = [v for v in routine.scopes.function.variables if v.origin == "param"]
        values = self.operands(args)
        listed = ", ".join(
            self.convert(v, callee.variables[p]).text for v, p in zip(values, params, strict=True)
        )
        path = self.cell_path(routine.cell)
        text = f"{path}.{native_method(self.routines, routine)}({listed})"
        return Ex(text, callee.result)

    # --- statements ---

    def _return(self, node: n.Return, dest: Dest) -> bool:
        ex = self.convert(self.expr(node.value), self.native.result)
        return self.deliver(ex, RETURN)

    def deliver_expr(self, node: n.Node, dest: Dest) -> bool:
        if dest.kind != "return":
            return super().deliver_expr(node, dest)
        return self.deliver(self.convert(self.expr(node), self.native.result), dest)

    def deliver(self, ex: Ex, dest: Dest) -> bool:
        if dest.kind == "return" and ex.kind == k.UNIT and self.native.result in _ZERO:
            super().deliver(ex, DROP)  # a path without a value: unit in the result's kind
            ex = Ex(_ZERO[self.native.result], self.native.result)
        return super().deliver(ex, dest)

    def _store(self, var: Var | None, value: n.Expr) -> bool:
        ex = self.expr(value)
        if var is None or not var.reads:
            return self.deliver(ex, DROP)
        self.out.add(f"{var.py} = {self.convert(ex, self._variable(var)).text}")
        return False

    def _assign(self, node: n.Assign, dest: Dest) -> bool:
        var = self.routine.scopes.var(node)
        if node.op == "=":
            return self._store(var, node.value)
        if var is None:
            return super()._assign(node, dest)
        op, kind = node.op[0], self._variable(var)
        right = self.expr(node.value)
        if op in "+-*" and right.kind == kind and kind in (k.INT, k.FLOAT, k.STRING):
            self.out.add(f"{var.py} {op}= {right.text}")
            return False
        if op in "/%" and right.kind == kind == k.INT:
            signs = self.signs.target(node, var), self.signs.of(node.value)
            ex = self._whole(op, Ex(var.py, kind), right, signs)
        else:
            ex = self.arithmetic(op, Ex(var.py, kind), right)
        self.out.add(f"{var.py} = {self.convert(ex, kind).text}")
        return False

    def _iterable(self, node: n.Expr) -> str:
        if isinstance(node, n.Call) and node.name == "range" and len(node.args) >= 2:
            low, high = (self.convert(v, k.INT) for v in self.operands(node.args[:2]))
            return f"range({high.text})" if low.text == "0" else f"range({low.text}, {high.text})"
        return self.expr(node).text

    def _loop_type(self, var: Var | None) -> None:
        return None


def native_method(routines: Routines, routine: Routine) -> str:
    """The method that does the work of a native handler."""
    public = routines.names.of(routine.cell).handlers[routine.name]
    return f"_{public.strip('_')}_native"


def _pure_recursion(routines: Routines, routine: Routine) -> bool:
    """Whether the handler reaches itself, and nothing on the way has an effect."""
    pending, seen, recursive = [routine], {routine}, False
    while pending:
        current = pending.pop()
        for node in walk(current.body):
            if not isinstance(node, n.Call):
                continue
            if node.name in _IMPURE:
                return False
            target = routines.call(current, node, node.name, node.args)
            if isinstance(target, HandlerCall):
                recursive = recursive or target.routine is routine
                if target.routine not in seen:
                    seen.add(target.routine)
                    pending.append(target.routine)
    return recursive


__all__ = ["NativeLowering", "native_method", "string"]
