"""Statements (core §3.7). A statement's value is made only where it is used."""

from __future__ import annotations

from collections.abc import Sequence

from ..frontend import nodes as n
from ..frontend.source import Span
from . import kinds as k
from .calls import needs_statements
from .fresh import in_place_form
from .kinds import INTS
from .literals import string
from .lowering import DROP, RETURN, UNIT, Dest, Ex, into
from .matching import Matching
from .routines import BuiltinCall
from .scopes import Var


class RoutineLowering(Matching):
    """Lowers one whole routine."""

    # --- expressions ---

    def expr(self, node: n.Node) -> Ex:
        rule = _EXPRESSIONS.get(type(node))
        if rule is None:
            return self.literal(node)
        lowered: Ex = getattr(self, rule)(node)
        return lowered

    def deliver_expr(self, node: n.Node, dest: Dest) -> bool:
        if isinstance(node, n.Match):
            return self.deliver_match(node, dest)
        if isinstance(node, n.Try):
            return self.deliver_try(node, dest)
        if isinstance(node, n.IfExpr) and dest.kind != "into":
            return self.deliver_if(node, dest)
        ex = self.expr(node)
        return self.deliver(ex, dest)

    def binary_of(self, node: n.Binary) -> Ex:
        return self.coalesce(node) if node.op == "??" else self.binary(node)

    def list_literal(self, node: n.ListLit) -> Ex:
        items = self.operands(node.items)
        return Ex(f"[{self.argument_list(items)}]", k.LIST, pure=all(i.pure for i in items))

    # --- blocks ---

    def begin(self) -> None:
        """What stands before the first statement: variables that only ever grow start empty."""
        for var in self.function.variables:
            if var in self.fresh.starts_empty and self.kinds.variable(var) == k.LIST:
                self.annotated.add(var)
                self.use("Value")
                self.out.add(f"{var.py}: list[Value] = []")

    def block(self, statements: Sequence[n.Stmt], dest: Dest) -> bool:
        if not statements:
            return self.deliver(UNIT, dest)
        for statement in statements[:-1]:
            if self.statement(statement, DROP) or self._has_failed():
                return True
        return self.statement(statements[-1], dest)

    def _has_failed(self) -> bool:
        """Whether the last line can only raise: what follows would be dead code."""
        last = self.out.lines[-1] if self.out.lines else None
        depth = self.out.depth
        return last is not None and last.depth == depth and last.text.startswith("raise ")

    def statement(self, node: n.Stmt, dest: Dest) -> bool:
        """Lowers a statement; True when control does not go on after it."""
        self.out.span = _begin(node)
        ends: bool = getattr(self, _STATEMENTS[type(node)])(node, dest)
        if ends or isinstance(node, n.If | n.For | n.ExprStmt | n.Return):
            return ends
        return self.deliver(UNIT, dest)

    def _expression(self, node: n.ExprStmt, dest: Dest) -> bool:
        return self.deliver_expr(node.value, dest)

    def _return(self, node: n.Return, dest: Dest) -> bool:
        self.deliver_expr(node.value, RETURN)
        return True

    # --- variables ---

    def _let(self, node: n.Let, dest: Dest) -> bool:
        return self._store(self.routine.scopes.var(node), node.value)

    def _store(self, var: Var | None, value: n.Expr) -> bool:
        if var is None or not var.reads:
            return self.deliver_expr(value, DROP)
        if isinstance(value, n.Match | n.Try):
            self._announce(var)
            return self.deliver_expr(value, into(var.py))
        ex = self.expr(value)
        if ex.kind == k.UNIT and not ex.pure:
            self.out.add(ex.text)
            ex = UNIT
        if ex.error:
            return self.deliver(ex, DROP)
        self.out.add(f"{var.py}{self.annotation(var, ex)} = {ex.text}")
        return False

    def _announce(self, var: Var) -> None:
        """Declares the type of a variable that branches are going to set."""
        if var not in self.annotated and var.origin != "param":
            self.annotated.add(var)
            self.out.add(f"{var.py}: {self._type(var)}")

    def _type(self, var: Var) -> str:
        kind = self.kinds.variable(var)
        text = k.PYTHON_TYPES.get(kind, "Value")
        if "Value" in text:
            self.use("Value")
        return text

    def annotation(self, var: Var, ex: Ex) -> str:
        """The annotation that a variable's first assignment needs for mypy."""
        if var in self.annotated or var.origin in ("param", "lambda", "copy", "for"):
            return ""
        self.annotated.add(var)
        kind = self.kinds.variable(var)
        if kind in (k.LIST, k.MAP):
            return f": {self._type(var)}"
        if var.writes <= 1 or (ex.kind == kind and kind in k.PYTHON_TYPES):
            return ""
        if kind == k.INT and ex.kind in INTS:
            return ""
        return f": {self._type(var)}"

    def _assign(self, node: n.Assign, dest: Dest) -> bool:
        var = self.routine.scopes.var(node)
        form = in_place_form(node)
        if var is not None and form is not None and self._update(node, var, *form):
            return False
        if node.op == "=" and not _divides_itself(node):
            return self._store(var, node.value)
        op = node.op[0]
        value = node.value
        if op == "=" and isinstance(value, n.Binary):
            op, value = "/", value.right
        if var is None:
            right = self.expr(value)
            unknown = self.fail(f"undefined_variable({string(node.name)})")
            return self.deliver(self.after([right], unknown), DROP)
        left = Ex(var.py, self.kinds.variable(var) or k.ANY)
        right = self.expr(value)
        ex = self._quotient(left, right) if op == "/" else self._combined(op, left, right, node)
        self.out.add(ex.text if ex.level < 0 else f"{var.py} = {ex.text}")
        return False

    def _quotient(self, left: Ex, right: Ex) -> Ex:
        """`x = x / e` truncates (mend 13)."""
        self.use("ops")
        if left.kind in INTS and right.kind in INTS:
            return Ex(f"ops.trunc_div({left.text}, {right.text})", k.INT)
        return Ex(f"ops.assign_div({left.text}, {right.text})")

    def _combined(self, op: str, left: Ex, right: Ex, node: n.Assign) -> Ex:
        ex = self.arithmetic(op, left, right)
        if not ex.text.startswith("ops.") and left.kind not in (k.LIST,):
            return Ex(f"{left.text} {op}= {right.text}", ex.kind, -1)
        return ex

    def _update(self, node: n.Assign, var: Var, name: str, args: tuple[n.Expr, ...]) -> bool:
        """The statement forms of builtins §1.6, in place where nobody else can see it."""
        target = self.routines.builtin(self.routine, "push", args)
        if target is None or self.routine.native:
            return False
        if name == "append" and self.routines.find_handler(self.routine.cell, "append"):
            return False
        kind = self.kinds.variable(var)
        in_place = self.fresh.allows(node)
        if name == "with":
            return self._update_map(var, args, in_place and kind == k.MAP)
        values = self.operands(args)
        if in_place and kind == k.LIST:
            if len(values) == 1:
                self.out.add(f"{var.py}.append({values[0].text})")
            else:
                self.out.add(f"{var.py}.extend([{self.argument_list(values)}])")
        elif kind == k.LIST:
            self.out.add(f"{var.py} = [*{var.py}, {self.argument_list(values)}]")
        else:
            grow = "append" if name == "append" else "push"
            text = f"{self.use('std')}.{grow}({var.py}, {self.argument_list(values)})"
            self.out.add(f"{var.py} = {text}")
        return True

    def _update_map(self, var: Var, args: tuple[n.Expr, ...], in_place: bool) -> bool:
        key, value = self.operands(args[:2])
        if in_place:
            self.out.add(f"{var.py}[{self.text_of(key)}] = {value.text}")
        else:
            text = f"{self.use('std')}.with_({var.py}, {key.text}, {value.text})"
            self.out.add(f"{var.py} = {text}")
        return True

    # --- decisions and loops ---

    def _if(self, node: n.If, dest: Dest, word: str = "if") -> bool:
        condition = self.truth(self.expr(node.condition))
        with self.out.suite(f"{word} {condition.text}:"):
            ends = self.block(node.then.statements, dest)
        other = node.otherwise
        if other is None:
            if dest.kind == "into":
                with self.out.suite("else:"):
                    self.deliver(UNIT, dest)
                return False
            return self.deliver(UNIT, dest)
        if isinstance(other, n.If) and not needs_statements(other.condition):
            with self.out.capture() as lines:
                self.expr(other.condition)
            if not lines:
                self.out.span = _begin(other)
                return self._if(other, dest, "elif") and ends
        inner: Sequence[n.Stmt] = other.statements if isinstance(other, n.Block) else (other,)
        if not inner and dest.kind != "into":
            return self.deliver(UNIT, dest)
        with self.out.suite("else:"):
            return self.block(inner, dest) and ends

    def _for(self, node: n.For, dest: Dest) -> bool:
        source = self._iterable(node.iterable)
        var = self.routine.scopes.var(node)
        name = var.py if var is not None and var.reads else "_"
        self._loop_type(var)
        result = self._loop_result(node, dest)
        with self.out.suite(f"for {name} in {source}:"):
            self.loops += 1
            self.block(node.body.statements, result)
            self.loops -= 1
        if result is DROP:
            return self.deliver(UNIT, dest)
        return self.deliver(Ex(result.name), dest) if dest != result else False

    def _loop_type(self, var: Var | None) -> None:
        if var is not None and var.writes > 1 and self.kinds.variable(var) == k.ANY:
            self.out.add(f"{var.py}: {self._type(var)}")

    def _loop_result(self, node: n.For, dest: Dest) -> Dest:
        """Where the value of the last iteration goes, when anybody wants it."""
        kind = self.kinds.block(self.routine, node.body)
        if dest.kind == "drop" or kind in (k.UNIT, k.NONE):
            return DROP
        name = dest.name if dest.kind == "into" else self.temp("last")
        self.use("Value")
        self.out.add(f"{name} = None" if dest.kind == "into" else f"{name}: Value = None")
        return into(name)

    def _iterable(self, node: n.Expr) -> str:
        if isinstance(node, n.Call) and node.name == "range" and len(node.args) >= 2:
            target = self.routines.call(self.routine, node, node.name, node.args)
            if isinstance(target, BuiltinCall):
                low, high, *more = self.operands(node.args)
                self.after(more, UNIT)
                if low.kind in INTS and high.kind in INTS:
                    bounds = high.text if low.text == "0" else f"{low.text}, {high.text}"
                    return f"range({bounds})"
                return f"{self.use('std')}.range({low.text}, {high.text})"
        ex = self.expr(node)
        if ex.text == "[]":  # mypy would ask for the type of its items
            return f"list[{self.use('Value')}]()"
        return ex.text if ex.kind == k.LIST else f"{self.use('ops')}.iterate({ex.text})"

    def _while(self, node: n.While, dest: Dest) -> bool:
        with self.out.capture() as lines:
            condition = self.truth(self.expr(node.condition))
        self.loops += 1
        if not lines:
            with self.out.suite(f"while {condition.text}:"):
                self.block(node.body.statements, DROP)
        else:
            with self.out.suite("while True:"):
                self.out.replay(lines)
                with self.out.suite(f"if {self.negated(condition).text}:"):
                    self.out.add("break")
                self.block(node.body.statements, DROP)
        self.loops -= 1
        return False

    def _break(self, node: n.Break | n.Continue, dest: Dest) -> bool:
        word = "break" if isinstance(node, n.Break) else "continue"
        if self.loops:
            self.out.add(word)
        else:
            self.deliver(self.type_error(f"{word} outside of loop"), DROP)
        return True

    # --- contracts and signals ---

    def _ensure(self, node: n.Ensure, dest: Dest) -> bool:
        self.out.add(f"{self.use('ops')}.ensure({self.expr(node.condition).text})")
        return False

    def _require(self, node: n.Require, dest: Dest) -> bool:
        condition = self._constraint(node.constraint)
        message = string(f"{node.otherwise}: constraint violated")
        if condition.text == "True":
            return False
        with self.out.suite(f"if {self.negated(condition).text}:"):
            self.deliver(self.fail(f"require_failed({message})"), DROP)
        return False

    def _constraint(self, node: n.Constraint) -> Ex:
        """Constraints of `require`: `e == true`; an unknown bare name passes (core §3.7)."""
        if isinstance(node, n.Not):
            return self.negated(self._constraint(node.operand))
        if isinstance(node, n.AllOf | n.AnyOf):
            word, level = (" and ", 2) if isinstance(node, n.AllOf) else (" or ", 1)
            parts = [self._constraint(item).at(level + 1) for item in node.items]
            return Ex(word.join(parts), k.BOOL, level)
        if isinstance(node, n.Name):
            var = self.routine.scopes.var(node)
            if var is None:
                return Ex("True", k.BOOL, constant=True, pure=True)
            if self.kinds.variable(var) == k.BOOL:
                return Ex(var.py, k.BOOL)
            return self.negated(Ex(f"{self.use('ops')}.not_({var.py})", k.BOOL))
        ex = self.expr(node)
        if ex.kind == k.BOOL:
            return ex
        return Ex(f"{self.use('ops')}.constraint({ex.text})", k.BOOL)

    def _emit(self, node: n.Emit, dest: Dest) -> bool:
        waits = self.effects.emit(self.routine.cell, node.name)[0]
        listed = "".join(f", {v.text}" for v in self.operands(node.args))
        suffix = "_async" if waits else ""
        call = f"self.emit{suffix}({string(node.name)}{listed})"
        self.out.add(f"await {call}" if waits else call)
        return False


def _divides_itself(node: n.Assign) -> bool:
    value = node.value
    return (
        isinstance(value, n.Binary)
        and value.op == "/"
        and isinstance(value.left, n.Name)
        and value.left.name == node.name
    )


def _begin(node: n.Stmt) -> Span:
    """The place that an error of a statement names: its value or condition (core §4.4)."""
    value: n.Node = node
    if isinstance(node, n.Let | n.Assign | n.Return | n.ExprStmt):
        value = node.value
    elif isinstance(node, n.If | n.While | n.Ensure):
        value = node.condition
    elif isinstance(node, n.For):
        value = node.iterable
    return value.span


_EXPRESSIONS: dict[type[n.Node], str] = {
    n.Name: "name",
    n.Str: "string",
    n.Lambda: "lambda_value",
    n.Call: "call",
    n.Field: "field",
    n.Method: "method",
    n.Propagate: "propagate",
    n.Record: "record",
    n.ListLit: "list_literal",
    n.Binary: "binary_of",
    n.Unary: "unary",
    n.Pipe: "pipe",
    n.IfExpr: "if_value",
    n.Match: "match_value",
    n.Try: "try_value",
}
_STATEMENTS: dict[type[n.Node], str] = {
    n.Let: "_let",
    n.Assign: "_assign",
    n.Return: "_return",
    n.If: "_if",
    n.For: "_for",
    n.While: "_while",
    n.Break: "_break",
    n.Continue: "_break",
    n.Ensure: "_ensure",
    n.Require: "_require",
    n.Emit: "_emit",
    n.ExprStmt: "_expression",
}
