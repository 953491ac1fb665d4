"""The static kinds of `[native]` handlers (core §6): by declared type and by first assignment."""

from __future__ import annotations

from ..frontend import nodes as n
from ..frontend.builtins import NATIVE
from . import kinds as k
from .routines import BuiltinCall, HandlerCall, Routine, Routines, pipe_parts
from .scopes import Var
from .tree import walk

_DECLARED = {
    "Int": k.INT,
    "BigInt": k.INT,
    "Float": k.FLOAT,
    "Bool": k.BOOL,
    "String": k.STRING,
    "List": k.LIST,
}
_RESULTS = {
    **dict.fromkeys(("len", "floor", "ceil", "round", "to_int", "str_len", "str_at"), k.INT),
    **dict.fromkeys(("sqrt", "log", "exp", "pow", "random", "to_float", "sin", "cos"), k.FLOAT),
    **dict.fromkeys(("to_string", "read_file"), k.STRING),
    **dict.fromkeys(("map", "filter", "range"), k.LIST),
    "bit_test": k.INT,
    "str_eq": k.BOOL,
    "nth": k.INT,
    "reduce": k.INT,
    "fold": k.INT,
}
_BITS = frozenset("""band bor bxor bnot shl shr bit_set bit_clr bit_next bit_len gcd sqrt_int
    pow_mod""".split())  # noqa: SIM905
SCALARS = frozenset({k.INT, k.FLOAT, k.BOOL, k.STRING})


class NativeKinds:
    """Kinds of one native handler's variables, expressions and result."""

    def __init__(self, routines: Routines, routine: Routine) -> None:
        routines.natives[routine] = self  # before the rest: handlers may call each other
        self.routines = routines
        self.routine = routine
        self.result = k.NONE
        self._guessing = False
        self.variables: dict[Var, str] = {}
        self.float_lists: set[Var] = set()
        self._parameters()
        for node in walk(routine.body):
            self._assigned(node)
        self.result = self._result()

    def _parameters(self) -> None:
        handler = self.routine.handler
        variables = [v for v in self.routine.scopes.function.variables if v.origin == "param"]
        for var, param in zip(variables, handler.params if handler else (), strict=False):
            self.variables[var] = _DECLARED.get(param.type.name, k.ANY)
            if param.type.args and param.type.args[0].name == "Float":
                self.float_lists.add(var)

    def _assigned(self, node: n.Node) -> None:
        var = self.routine.scopes.var(node)
        if var is None or var in self.variables:
            return
        if isinstance(node, n.Let | n.Assign):
            self.variables[var] = self.expr(node.value)
        elif isinstance(node, n.For):
            self.variables[var] = k.INT
        elif isinstance(node, n.Lambda):
            self.variables[var] = k.ANY

    def _result(self) -> str:
        for node in walk(self.routine.body):
            if isinstance(node, n.Return):
                return self.expr(node.value)
        body = self.routine.body
        last = body.statements[-1] if isinstance(body, n.Block) and body.statements else None
        return self._statement(last)

    def _statement(self, node: n.Node | None) -> str:
        if isinstance(node, n.ExprStmt):
            return self.expr(node.value)
        if isinstance(node, n.If):
            return self._statement(node.then.statements[-1] if node.then.statements else None)
        return k.UNIT

    # --- expressions ---

    def expr(self, node: n.Node) -> str:
        """The kind of an expression."""
        if isinstance(node, n.Int | n.Duration):
            return k.INT
        if isinstance(node, n.Float | n.Percent):
            return k.FLOAT
        if isinstance(node, n.Str):
            return k.STRING
        if isinstance(node, n.Bool):
            return k.BOOL
        if isinstance(node, n.Unit):
            return k.UNIT
        if isinstance(node, n.Name):
            var = self.routine.scopes.var(node)
            return self.variables.get(var, k.INT) if var is not None else k.INT
        if isinstance(node, n.Binary):
            return self._binary(node)
        if isinstance(node, n.Unary):
            return k.BOOL if node.op == "!" else self.expr(node.operand)
        if isinstance(node, n.IfExpr):
            return self._statement(node.then.statements[-1] if node.then.statements else None)
        if isinstance(node, n.Call):
            return self.called(node, node.name, node.args)
        if isinstance(node, n.Pipe) and (parts := pipe_parts(node)) is not None:
            return self.called(*parts)
        return k.INT if isinstance(node, n.Field) else k.ANY

    def _binary(self, node: n.Binary) -> str:
        if node.op in ("==", "!=", "<", ">", "<=", ">=", "&&", "||"):
            return k.BOOL
        return combined(node.op, self.expr(node.left), self.expr(node.right))

    def called(self, node: n.Node, name: str, args: tuple[n.Expr, ...]) -> str:
        """The kind of a call's result."""
        target = self.routines.call(self.routine, node, name, args)
        if isinstance(target, HandlerCall):
            return self._called(target.routine)
        if not isinstance(target, BuiltinCall):
            return k.ANY
        if name == "nth" and args and isinstance(args[0], n.Name):
            floats = self.routine.scopes.var(args[0]) in self.float_lists
            return k.FLOAT if floats else k.INT
        if name in ("min", "max", "abs"):
            return k.FLOAT if k.FLOAT in [self.expr(a) for a in args] else k.INT
        if name in _BITS:
            return k.INT
        return _RESULTS.get(name) or (NATIVE[name].result if name in NATIVE else None) or k.ANY

    def _called(self, routine: Routine) -> str:
        if not routine.native:
            return k.ANY
        callee = native_kinds(self.routines, routine)
        return callee.result or callee.guess()

    def guess(self) -> str:
        """The result while it is being found: that of the first return that does not recurse."""
        if self._guessing:
            return k.INT
        self._guessing = True
        found = k.INT
        for node in walk(self.routine.body):
            if isinstance(node, n.Return) and not _calls(node.value, self.routine.name):
                found = self.expr(node.value)
                break
        self._guessing = False
        return found


def native_kinds(routines: Routines, routine: Routine) -> NativeKinds:
    """The kinds of a native handler, found once."""
    return routines.natives.get(routine) or NativeKinds(routines, routine)


def _calls(node: n.Node, name: str) -> bool:
    return any(isinstance(inner, n.Call) and inner.name == name for inner in walk(node))


def combined(op: str, left: str, right: str) -> str:
    """The kind of an operation with static kinds: text wins, then Float, then Int."""
    if op == "+" and k.STRING in (left, right):
        return k.STRING
    if k.FLOAT in (left, right):
        return k.FLOAT
    return k.ANY if k.LIST in (left, right) else k.INT
