"""Which Ints of a `[native]` handler are never negative, or always positive.

For those, Python's `//`, `%`, shifts and indexes mean what Soma means, and need no helper. There is
one answer per variable, whatever the order of assignments: all start as positive, and what some
assignment contradicts is taken back until nothing changes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from ..frontend import nodes as n
from . import kinds as k
from .native_kinds import NativeKinds
from .routines import BuiltinCall, Routine, pipe_parts
from .scopes import Var
from .tree import walk

ANY, NATURAL, POSITIVE = range(3)  # what is known of an Int: nothing, not negative, above 0

_NATURAL = frozenset(
    """abs bit_len bit_test gcd hm_has hm_len len sb_len sqrt_int str_at str_len regex_count
    regex_match""".split()  # noqa: SIM905
)
_OWN = frozenset({"let", "assigned", "for"})  # variables whose every value is written here


class Signs:
    """Signs of one native handler's Int variables and expressions."""

    def __init__(self, native: NativeKinds) -> None:
        self.native = native
        self.routine: Routine = native.routine
        self.variables: dict[Var, int] = {
            var: POSITIVE if var.origin in _OWN and kind == k.INT else ANY
            for var, kind in native.variables.items()
        }
        self._guarded: dict[int, int] = {}  # by id of the node that reads a variable
        for node in walk(self.routine.body):
            if isinstance(node, n.While | n.If):
                block = node.body if isinstance(node, n.While) else node.then
                for var, sign in self._tested(node.condition):
                    self._guard(block.statements, var, sign)
        nodes = [
            node
            for node in walk(self.routine.body)
            if isinstance(node, n.Let | n.Assign | n.For) and self._var(node) is not None
        ]
        changed = True
        while changed:
            changed = any(self._lower(node) for node in nodes)

    def _var(self, node: n.Node) -> Var | None:
        return self.routine.scopes.var(node)

    def _tested(self, node: n.Expr) -> Iterator[tuple[Var, int]]:
        """What a condition says of variables: `v > 0`, `1 <= v`, both sides of `&&`."""
        if not isinstance(node, n.Binary):
            return
        if node.op == "&&":
            yield from self._tested(node.left)
            yield from self._tested(node.right)
            return
        great, op, small = node.left, node.op, node.right
        if op in ("<", "<="):
            great, op, small = small, {"<": ">", "<=": ">="}[op], great
        var = self._var(great) if isinstance(great, n.Name) else None
        if var is None or op not in (">", ">=") or self.native.variables.get(var) != k.INT:
            return
        if isinstance(small, n.Int) and (sign := self.of(small)) != ANY:
            yield var, POSITIVE if op == ">" else sign

    def _guard(self, statements: Sequence[n.Stmt], var: Var, sign: int) -> None:
        """Notes the reads of a tested variable up to the first statement that may change it."""
        for statement in statements:
            own = isinstance(statement, n.Let | n.Assign) and self._var(statement) is var
            inside = [node for node in walk(statement) if self._var(node) is var]
            writes = any(not isinstance(node, n.Name) for node in inside)
            if writes and not own:
                return
            for node in inside:
                self._guarded[id(node)] = max(sign, self._guarded.get(id(node), ANY))
            if writes:
                return

    def target(self, node: n.Assign, var: Var) -> int:
        """What is known of a variable that `x op= e` reads."""
        return max(self.variables.get(var, ANY), self._guarded.get(id(node), ANY))

    def _lower(self, node: n.Let | n.Assign | n.For) -> bool:
        """Takes back what this assignment contradicts; True when it did."""
        var = self._var(node)
        if var is None:
            return False
        before = self.variables.get(var, ANY)
        self.variables[var] = min(before, self._assigned(node, before))
        return self.variables[var] != before

    def _assigned(self, node: n.Let | n.Assign | n.For, before: int) -> int:
        if isinstance(node, n.For):
            source = node.iterable
            if isinstance(source, n.Call) and source.name == "range" and source.args:
                return self.of(source.args[0])
            return ANY
        value = self.of(node.value)
        if isinstance(node, n.Let) or node.op == "=":
            return value
        if self.native.expr(node.value) != k.INT:
            return ANY
        return _combined(node.op[0], max(before, self._guarded.get(id(node), ANY)), value)

    def of(self, node: n.Node) -> int:
        """What is known of an expression; ANY for all that is no Int."""
        if isinstance(node, n.Int | n.Duration):
            value = node.value if isinstance(node, n.Int) else node.milliseconds
            return POSITIVE if value > 0 else NATURAL if value == 0 else ANY
        if isinstance(node, n.Name):
            var = self._var(node)
            known = self.variables.get(var, ANY) if var is not None else ANY
            return max(known, self._guarded.get(id(node), ANY))
        if self.native.expr(node) != k.INT:
            return ANY
        if isinstance(node, n.Binary):
            if self.native.expr(node.left) != k.INT or self.native.expr(node.right) != k.INT:
                return ANY
            return _combined(node.op, self.of(node.left), self.of(node.right))
        if isinstance(node, n.Call):
            return self._call(node, node.name, node.args)
        if isinstance(node, n.Pipe) and (parts := pipe_parts(node)) is not None:
            return self._call(*parts)
        return ANY

    def _call(self, node: n.Node, name: str, args: tuple[n.Expr, ...]) -> int:
        target = self.native.routines.call(self.routine, node, name, args)
        if not isinstance(target, BuiltinCall):
            return ANY
        known = [self.of(a) for a in args]
        rule = _RULES.get(name)
        if rule is not None and len(known) == 2:
            return rule(known[0], known[1])
        return NATURAL if name in _NATURAL else ANY


def _combined(op: str, left: int, right: int) -> int:
    if op == "+":
        return max(left, right) if min(left, right) >= NATURAL else ANY
    if op == "*":
        return min(left, right)
    if op == "/":
        return NATURAL if min(left, right) >= NATURAL else ANY
    return NATURAL if op == "%" and left >= NATURAL else ANY


_RULES: dict[str, Callable[[int, int], int]] = {
    "band": lambda a, b: NATURAL if max(a, b) >= NATURAL else ANY,
    "bor": lambda a, b: max(a, b) if min(a, b) >= NATURAL else ANY,
    "bxor": lambda a, b: NATURAL if min(a, b) >= NATURAL else ANY,
    "shl": lambda a, b: a if b >= NATURAL else ANY,
    "shr": lambda a, b: min(a, NATURAL),
    "bit_set": lambda a, b: a,
    "bit_clr": lambda a, b: min(a, NATURAL),
    "min": min,
    "max": max,
}
