"""Operators: Python's own where kinds are proven, the runtime's elsewhere (core §3.3-3.5)."""

from __future__ import annotations

from ..frontend import nodes as n
from . import kinds as k
from .kinds import INTS
from .lowering import AND, ATOM, COMPARE, NOT, OR, PRODUCT, SIGN, SUM, Base, Ex

_NAMES = {
    "+": "add",
    "-": "sub",
    "*": "mul",
    "/": "div",
    "%": "mod",
    "==": "eq",
    "!=": "ne",
    "<": "lt",
    ">": "gt",
    "<=": "le",
    ">=": "ge",
}
_OPPOSITES = {"==": "!=", "!=": "==", "<": ">=", ">": "<=", "<=": ">", ">=": "<"}
_COMPARISONS = frozenset({"==", "!=", "<", ">", "<=", ">="})
_SMALL = 2**53  # Ints below are exact as Floats


class Operators(Base):
    """Binary and unary operators, truth and text."""

    def binary(self, node: n.Binary) -> Ex:
        if node.op in ("&&", "||"):
            return self.logic(node)
        left, right = self.operands((node.left, node.right))
        if node.op in _COMPARISONS:
            return self.compare(node.op, left, right, node)
        return self.arithmetic(node.op, left, right, node)

    def arithmetic(self, op: str, left: Ex, right: Ex, node: n.Binary | None = None) -> Ex:
        """A sum, difference, product, quotient or remainder of two lowered operands."""
        kind = k.arithmetic(op, left.kind, right.kind)
        if self._native(op, left, right, node):
            level = SUM if op in "+-" else PRODUCT
            text = f"{left.at(level)} {op} {right.at(level + 1)}"
            return Ex(text, kind, level, pure=True)
        helper = _NAMES[op]
        if left.kind in INTS and right.kind in INTS:
            helper = {"/": "int_div", "%": "int_mod"}[op]
        return Ex(f"{self.use('ops')}.{helper}({left.text}, {right.text})", kind)

    def _native(self, op: str, left: Ex, right: Ex, node: n.Binary | None) -> bool:
        kinds = {left.kind, right.kind}
        divisor = node.right if node is not None else None
        if kinds <= INTS:
            positive = isinstance(divisor, n.Int) and divisor.value > 0
            return op in "+-*" or (op == "%" and left.kind == k.NAT and positive)
        if kinds == {k.STRING} or kinds == {k.LIST}:
            return op == "+"
        if k.FLOAT not in kinds or not kinds <= INTS | {k.FLOAT}:
            return False
        if kinds != {k.FLOAT} and not self._exact(node):
            return False
        nonzero = isinstance(divisor, n.Float | n.Int) and divisor.value != 0
        return op in "+-*" or (op == "/" and nonzero)

    def _exact(self, node: n.Binary | None) -> bool:
        """Whether the Int of a mixed operation is a literal that a Float holds exactly."""
        sides = (node.left, node.right) if node is not None else ()
        return any(isinstance(s, n.Int) and abs(s.value) < _SMALL for s in sides)

    def compare(self, op: str, left: Ex, right: Ex, node: n.Binary) -> Ex:
        """A comparison of two lowered operands."""
        kinds = {left.kind, right.kind}
        numbers = INTS | {k.FLOAT}
        same = kinds <= numbers or kinds == {k.STRING} or (kinds == {k.BOOL} and op in "== !=")
        literals = n.Str | n.Int | n.Bool
        if isinstance(node.left, literals) and isinstance(node.right, literals):
            same = False  # mypy refuses a comparison of two unequal literals
        if self._unit_test(op, left, right):
            other = left if right.kind == k.UNIT else right
            value = other.at(COMPARE + 1)
            text, inverse = f"{value} is None", f"{value} is not None"
            if op == "!=":
                text, inverse = inverse, text
            return Ex(text, k.BOOL, COMPARE, pure=other.pure, inverse=inverse)
        if same:
            left = self._even_test(node, left)
            return self._compared(op, left, right)
        helper = _NAMES[op]
        if self.routine.bare and op in ("==", "!="):
            helper = f"loose_{helper}"
        call = f"{self.use('ops')}.{helper}"
        opposite = {"eq": "ne", "ne": "eq"}.get(helper)
        inverse = f"ops.{opposite}({left.text}, {right.text})" if opposite else ""
        return Ex(f"{call}({left.text}, {right.text})", k.BOOL, inverse=inverse)

    def _compared(self, op: str, left: Ex, right: Ex) -> Ex:
        """A comparison by Python's operator. An order of Floats has no opposite: NaN."""
        if right.text in ("True", "False") and left.kind == k.BOOL:
            return left if (right.text == "True") == (op == "==") else self.negated(left)
        first, second = left.at(COMPARE + 1), right.at(COMPARE + 1)
        ordered = op in ("==", "!=") or k.FLOAT not in (left.kind, right.kind)
        inverse = f"{first} {_OPPOSITES[op]} {second}" if ordered else ""
        pure = left.pure and right.pure
        return Ex(f"{first} {op} {second}", k.BOOL, COMPARE, pure=pure, inverse=inverse)

    def negated(self, ex: Ex) -> Ex:
        """The opposite of a condition, in its plainest form."""
        if ex.inverse:
            text, level = ex.inverse, ex.inverse_level
        else:
            text, level = f"not {ex.at(NOT)}", NOT
        back = ex.text if ex.kind == k.BOOL else ""
        return Ex(text, k.BOOL, level, pure=ex.pure, inverse=back, inverse_level=ex.level)

    def _unit_test(self, op: str, left: Ex, right: Ex) -> bool:
        """`x == ()`: no other kind equals unit, and unit compares with all.

        Not with numbers and texts: Python folds those of literals, and warns about `is`.
        """
        return (
            op in ("==", "!=")
            and "None" in (left.text, right.text)
            and all(
                ex.text == "None"
                or ex.kind in (k.ANY, k.UNIT)
                or not (ex.constant or ex.kind in INTS | {k.FLOAT, k.STRING})
                for ex in (left, right)
            )
        )

    def _even_test(self, node: n.Binary, left: Ex) -> Ex:
        """`n % 2 == 0` does not depend on the sign, so Python's remainder will do."""
        inner = node.left
        zero = isinstance(node.right, n.Int) and node.right.value == 0 and node.op in ("==", "!=")
        if not (zero and isinstance(inner, n.Binary) and inner.op == "%"):
            return left
        divisor = inner.right
        if not (isinstance(inner.left, n.Name) and isinstance(divisor, n.Int) and divisor.value):
            return left
        if self.kind(inner.left) not in INTS:
            return left
        return Ex(f"{self.expr(inner.left).text} % {divisor.value}", k.INT, PRODUCT, pure=True)

    def unary(self, node: n.Unary) -> Ex:
        operand = self.expr(node.operand)
        if node.op == "!":
            if operand.kind == k.BOOL or operand.kind in INTS:
                return self.negated(operand)
            return Ex(f"{self.use('ops')}.not_({operand.text})", k.BOOL)
        if operand.kind in INTS:
            return Ex(f"-{operand.at(SIGN)}", k.INT, SIGN, pure=operand.pure)
        return Ex(f"{self.use('ops')}.neg({operand.text})", self.kind(node))

    # --- truth ---

    def truth(self, ex: Ex) -> Ex:
        """As a condition of Python's `if`."""
        if ex.kind == k.BOOL or ex.kind in INTS or ex.kind in (k.STRING, k.LIST):
            return ex
        return Ex(f"{self.use('ops')}.truthy({ex.text})", k.BOOL)

    def bool_of(self, ex: Ex) -> Ex:
        """As a Bool."""
        truth = self.truth(ex)
        return truth if truth.kind == k.BOOL else Ex(f"bool({truth.text})", k.BOOL)

    def logic(self, node: n.Binary) -> Ex:
        """`&&` and `||`: a Bool, the right side only when it matters."""
        left = self.bool_of(self.expr(node.left))
        with self.out.capture() as lines:
            right = self.bool_of(self.expr(node.right))
        word, level = ("and", AND) if node.op == "&&" else ("or", OR)
        if not lines:
            text = f"{left.at(level)} {word} {right.at(level + 1)}"
            pure = left.pure and right.pure
            inverse, other = self._inverse_of_both(word, left, right)
            return Ex(text, k.BOOL, level, False, pure, "", inverse, other)
        name = self.temp("holds")
        self.out.add(f"{name} = {left.text}")
        with self.out.suite(f"if {name}:" if word == "and" else f"if not {name}:"):
            self.out.replay(lines)
            self.out.add(f"{name} = {right.text}")
        return Ex(name, k.BOOL, constant=True, pure=True)

    def _inverse_of_both(self, word: str, left: Ex, right: Ex) -> tuple[str, int]:
        """De Morgan's law, where both sides have opposites of their own."""
        if not (left.inverse and right.inverse):
            return "", COMPARE
        other, level = ("or", OR) if word == "and" else ("and", AND)
        first, second = self.negated(left), self.negated(right)
        return f"{first.at(level)} {other} {second.at(level + 1)}", level

    # --- text ---

    def text_of(self, ex: Ex) -> str:
        """The text form, as an expression."""
        if ex.kind == k.STRING:
            return ex.text
        if ex.kind in INTS:
            return f"str({ex.text})"
        return f"{self.use('ops')}.text({ex.text})"

    def atom(self, ex: Ex) -> str:
        return ex.at(ATOM)
