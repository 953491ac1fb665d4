"""Expressions that decide: lambdas, `if`, `??`, `try`, `?` (core §3.9, §3.13)."""

from __future__ import annotations

from ..frontend import nodes as n
from . import kinds as k
from .calls import Calls, needs_statements
from .literals import string
from .lowering import AWAIT, COMPARE, DROP, LOOSE, OR, RETURN, Dest, Ex, into
from .scopes import Function


class Control(Calls):
    """Lowered to Python statements only where an expression will not do."""

    # --- if ---

    def if_value(self, node: n.IfExpr) -> Ex:
        """A conditional expression when both branches are expressions, else statements."""
        condition = self.truth(self.expr(node.condition))
        kind = self.kind(node) or k.ANY
        branches = self._single(node.then), self._single(node.otherwise)
        if branches[0] is None or branches[1] is None:
            name = self.temp("value")
            self._if_suites(condition, node, into(name))
            return Ex(name, kind, constant=True, pure=True)
        with self.out.capture() as first:
            then = self.expr(branches[0])
        with self.out.capture() as second:
            other = self.expr(branches[1])
        unit = any(v.kind == k.UNIT and not v.pure for v in (then, other))
        if not (first or second or unit):
            text = f"{then.at(OR)} if {condition.at(OR)} else {other.text}"
            return Ex(text, kind, LOOSE)
        name = self.temp("value")
        for head, lines, value in (
            (f"if {condition.text}:", first, then),
            ("else:", second, other),
        ):
            with self.out.suite(head):
                self.out.replay(lines)
                self.deliver(value, into(name))
        return Ex(name, kind, constant=True, pure=True)

    def _single(self, block: n.Block | n.IfExpr) -> n.Expr | None:
        """The one expression that a branch consists of."""
        if isinstance(block, n.IfExpr):
            return None
        if len(block.statements) == 1 and isinstance(block.statements[0], n.ExprStmt):
            return block.statements[0].value
        return None

    def deliver_if(self, node: n.IfExpr, dest: Dest) -> bool:
        return self._if_suites(self.truth(self.expr(node.condition)), node, dest)

    def _if_suites(self, condition: Ex, node: n.IfExpr, dest: Dest) -> bool:
        with self.out.suite(f"if {condition.text}:"):
            ends = self.block(node.then.statements, dest)
        with self.out.suite("else:"):
            if isinstance(node.otherwise, n.IfExpr):
                return self.deliver_if(node.otherwise, dest) and ends
            return self.block(node.otherwise.statements, dest) and ends

    # --- ?? ---

    def coalesce(self, node: n.Binary) -> Ex:
        """`a ?? b`: b is evaluated only when a is `()` (mend 5)."""
        left = self.expr(node.left)
        if left.kind not in (k.ANY, k.NONE, k.UNIT):
            return left
        kind = self.kind(node) or k.ANY
        stable = left.constant and left.pure
        name = left.text if stable else self.temp("value")
        with self.out.capture() as lines:
            right = self.expr(node.right)
        if not lines and (right.kind != k.UNIT or right.pure):
            first = left.text if stable else f"({name} := {left.text})"
            text = f"{name} if {first} is not None else {right.at(OR)}"
            return Ex(text, kind, LOOSE)
        name = self.temp("value") if stable else name
        self.out.add(f"{name} = {left.text}")
        with self.out.suite(f"if {name} is None:"):
            self.out.replay(lines)
            self.deliver(right, into(name))
        return Ex(name, kind, constant=True, pure=True)

    # --- try and ? ---

    def try_value(self, node: n.Try) -> Ex:
        name = self.temp("outcome")
        self.deliver_try(node, into(name))
        return Ex(name, k.MAP, constant=True, pure=True)

    def deliver_try(self, node: n.Try, dest: Dest) -> bool:
        """`try` is a savepoint (mend 11); without writes inside it needs none."""
        if dest.kind == "drop":
            dest = into(self.temp("outcome"))
        mark = ""
        if self.effects.of(self.routine, node.body)[1]:
            mark = self.temp("mark")
            self.out.add(f"{mark} = {self._savepoints()}.savepoint()")
        error = self.temp("error")
        self.use("FAILURES")
        self.use("ops")
        with self.out.suite("try:"):
            value = self.expr(node.body)
            if value.kind == k.UNIT and not value.pure:
                self.deliver(value, DROP)
                value = Ex("None")
            outcome = Ex(f"ops.succeeded({value.text})", k.MAP)
            self.deliver(value if value.error else outcome, dest)
        with self.out.suite(f"except FAILURES as {error}:"):
            if mark:
                self.out.add(f"{self._savepoints()}.rollback({mark})")
            self.deliver(Ex(f"ops.failed({error})", k.MAP), dest)
        return dest.kind == "return"

    def _savepoints(self) -> str:
        return "self"

    def propagate(self, node: n.Propagate) -> Ex:
        """`e?` returns a failed outcome from the handler at once."""
        value = self.expr(node.value)
        name = self.temp("outcome")
        self.out.add(f"{name} = {value.text}")
        with self.out.suite(f"if {self.use('ops')}.propagates({name}):"):
            self.out.add(f"return {name}")
        return Ex(f"ops.unwrap({name})")

    # --- lambdas ---

    def lambda_value(self, node: n.Lambda) -> Ex:
        """`Lambda("x", lambda x: …)`, or a nested function when statements are needed."""
        inner = self.routine.scopes.functions[id(node)]
        waits = self.effects.of(self.routine, node.body)[0]
        param = self.routine.scopes.variables[id(node)].py
        defaults = self._defaults(inner)
        head = f"{self.use('Lambda')}({string(node.param)}, "
        outer, self.function = self.function, inner
        loops, self.loops = self.loops, 0
        body = None if waits or defaults else self._lambda_expression(node.body)
        if body is not None:
            ex = Ex(f"{head}lambda {param}: {body.at(OR)})", k.LAMBDA)
        else:
            name = outer.namer.fresh("_step")
            typed = [f"{param}: Value", *(d.replace("=", ": Value = ", 1) for d in defaults)]
            self.use("Value")
            word = "async def" if waits else "def"
            with self.out.suite(f"{word} {name}({', '.join(typed)}) -> Value:"):
                self._lambda_body(node.body)
            ex = Ex(f"{head}{name})", k.LAMBDA)
        self.function, self.loops = outer, loops
        return ex

    def _lambda_expression(self, body: n.Expr | n.Block) -> Ex | None:
        if isinstance(body, n.Block):
            if len(body.statements) != 1:
                return None
            only = body.statements[0]
            if not isinstance(only, n.ExprStmt | n.Return):
                return None
            body = only.value
        if needs_statements(body):
            return None
        with self.out.capture() as lines:
            ex = self.expr(body)
        return None if lines or ex.level == AWAIT else ex

    def _lambda_body(self, body: n.Expr | n.Block) -> None:
        if isinstance(body, n.Block):
            self.block(body.statements, RETURN)
        else:
            self.deliver_expr(body, RETURN)

    def _defaults(self, inner: Function) -> list[str]:
        """A snapshot of variables that may change after the lambda was made (core §3.6)."""
        found = [
            f"{var.py}={var.py}"
            for var in inner.captures
            if var.function is self.function and (var.writes > 1 or var.loops)
        ]
        copies = [f"{copy.py}={outer.py}" for outer, copy in inner.copies.items()]
        return [*found, *copies]


__all__ = ["COMPARE", "Control"]
