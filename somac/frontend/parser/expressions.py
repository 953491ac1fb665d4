"""Expressions and patterns: operator lists folded by precedence, postfixes, lambdas, matches."""

from __future__ import annotations

from .. import limits
from .. import nodes as n
from .base import kids, word
from .grammar import Tree
from .literals import LiteralBuilder

PRECEDENCE = {
    "||": 1,
    "&&": 2,
    "??": 3,
    **dict.fromkeys(("==", "!=", "<", ">", "<=", ">="), 4),
    **dict.fromkeys("+-", 5),
    **dict.fromkeys("*/%", 6),
}

Operand = tuple[n.Expr, int, int]  # with the positions of its text, parentheses included


class ExpressionBuilder(LiteralBuilder):
    # --- operators ---------------------------------------------------------------------------

    def visit_expr(self, tree: Tree) -> n.Expr:
        self.enter(tree)
        operands, operators = self._flat(tree)
        self.depth -= 1
        if not operators:
            return operands[0][0]
        if len(operators) > limits.OPERATORS:
            message = f"expression has more than {limits.OPERATORS} operators"
            raise self.reject("E022", message, tree)
        return self._pipes(operands, operators)

    def _flat(self, tree: Tree) -> tuple[list[Operand], list[str]]:
        """Operands and operators of the three levels of the grammar, in order."""
        operands: list[Operand] = []
        operators: list[str] = []
        for comparison in kids(tree):
            if comparison.expr.name == "logic_op":
                operators.append(word(comparison))
                continue
            for part in kids(comparison):
                if part.expr.name == "compare_op":
                    operators.append(word(part))
                    continue
                for item in kids(part):
                    if item.expr.name == "arithmetic_op":
                        operators.append(word(item))
                    else:
                        operands.append((self.visit_operand(item), item.start, self.end(item)))
        return operands, operators

    def _pipes(self, operands: list[Operand], operators: list[str]) -> n.Expr:
        """Fold pipes, the loosest; an operator behind a piped call takes the piped value."""
        piped: Operand | None = None
        first = 0
        bounds = [i for i, op in enumerate(operators) if op == "|>"]
        for bound in [*bounds, len(operators)]:
            segment, between = operands[first : bound + 1], operators[first:bound]
            if piped is None:
                piped = self._fold(segment, between)
            elif (grafted := self._graft(piped, segment[0])) is not None:
                piped = self._fold([grafted, *segment[1:]], between)
            else:
                right = self._fold(segment, between)
                piped = self._pipe(piped, right)
            first = bound + 1
        assert piped is not None
        return piped[0]

    def _pipe(self, left: Operand, right: Operand) -> Operand:
        span = self.place(left[1], right[2])
        return n.Pipe(left[0], right[0], span=span), left[1], right[2]

    def _graft(self, left: Operand, right: Operand) -> Operand | None:
        """Pipe a value into a call, below the postfixes of the call (unless in parentheses);
        None if it is no call."""
        expr, start, end = right
        if isinstance(expr, n.Call | n.Name):
            return self._pipe(left, right)
        chain: list[n.Field | n.Method | n.Propagate] = []
        inner: n.Expr = expr
        while isinstance(inner, n.Field | n.Method | n.Propagate):
            chain.append(inner)
            inner = inner.value if isinstance(inner, n.Propagate) else inner.target
        if not isinstance(inner, n.Call) or self.text[start] == "(":
            return None
        result: n.Expr = n.Pipe(left[0], inner, span=self.place(left[1], end))
        for outer in reversed(chain):
            span = self.place(left[1], end)
            if isinstance(outer, n.Field):
                result = n.Field(result, outer.name, span=span)
            elif isinstance(outer, n.Method):
                result = n.Method(result, outer.name, outer.args, span=span)
            else:
                result = n.Propagate(result, span=span)
        return result, left[1], end

    def _fold(self, operands: list[Operand], operators: list[str]) -> Operand:
        """Precedence climbing with a stack; all operators associate to the left."""
        values = [operands[0]]
        pending: list[str] = []
        for op, operand in zip(operators, operands[1:], strict=True):
            while pending and PRECEDENCE[pending[-1]] >= PRECEDENCE[op]:
                self._reduce(values, pending.pop())
            pending.append(op)
            values.append(operand)
        while pending:
            self._reduce(values, pending.pop())
        return values[0]

    def _reduce(self, values: list[Operand], op: str) -> None:
        right, left = values.pop(), values.pop()
        span = self.place(left[1], right[2])
        values.append((n.Binary(op, left[0], right[0], span=span), left[1], right[2]))

    def visit_operand(self, tree: Tree) -> n.Expr:
        child = tree.children[0]
        name = child.expr.name
        if name == "postfix":
            return self.visit_postfix(child)
        if name == "negative":
            return self.visit_negative(child)
        prefix, operand = kids(child)
        return n.Unary(word(prefix), self.visit_operand(operand), span=self.span(child))

    def visit_postfix(self, tree: Tree) -> n.Expr:
        primary, trailers = tree.children
        expr: n.Expr = self.visit_primary(primary)
        if not trailers.children:
            return expr
        if len(trailers.children) > limits.POSTFIXES:
            message = f"more than {limits.POSTFIXES} fields or methods in a row"
            raise self.reject("E022", message, tree)
        for trailer in kids(trailers):
            span = self.place(tree.start, self.end(trailer))
            if trailer.expr.name == "propagate":
                expr = n.Propagate(expr, span=span)
                continue
            name, *arguments = kids(trailer)
            if arguments:
                expr = n.Method(expr, word(name), self.build(arguments[0]), span=span)
            else:
                expr = n.Field(expr, word(name), span=span)
        return expr

    def visit_arguments(self, tree: Tree) -> tuple[n.Expr, ...]:
        return self.all(kids(tree))

    # --- primaries ---------------------------------------------------------------------------

    def visit_primary(self, tree: Tree) -> n.Expr:
        expr: n.Expr = self.build(tree.children[0])
        return expr

    def visit_upper_form(self, tree: Tree) -> n.Expr:
        expr: n.Expr = self.build(tree.children[0])
        return expr

    def visit_call_or_name(self, tree: Tree) -> n.Name | n.Call:
        name, arguments = tree.children
        if arguments.children:
            args = self.build(arguments.children[0])
            return n.Call(word(name), args, span=self.span(tree))
        return n.Name(word(name), span=self.span(tree))

    def visit_call(self, tree: Tree) -> n.Call:
        name, arguments = kids(tree)
        return n.Call(word(name), self.build(arguments), span=self.span(tree))

    def visit_variant(self, tree: Tree) -> n.Name | n.Call:
        name, *arguments = kids(tree)
        if arguments:
            return n.Call(word(name), self.build(arguments[0]), span=self.span(tree))
        return n.Name(word(name), span=self.span(tree))

    def visit_record(self, tree: Tree) -> n.Record:
        name, *fields = kids(tree)
        return n.Record(word(name), self.all(fields), span=self.span(tree))

    def visit_record_field(self, tree: Tree) -> tuple[str, n.Expr]:
        name, value = kids(tree)
        return word(name), self.build(value)

    def visit_lambda(self, tree: Tree) -> n.Lambda:
        param, body = kids(tree)
        return n.Lambda(word(param), self.build(body), span=self.span(tree))

    def visit_list(self, tree: Tree) -> n.ListLit:
        return n.ListLit(self.all(kids(tree)), span=self.span(tree))

    def visit_unit(self, tree: Tree) -> n.Unit:
        return n.Unit(span=self.span(tree))

    def visit_paren(self, tree: Tree) -> n.Expr:
        expr: n.Expr = self.only(tree)
        return expr

    def visit_try(self, tree: Tree) -> n.Try:
        return n.Try(self.only(tree), span=self.span(tree))

    def visit_if_expr(self, tree: Tree) -> n.IfExpr:
        condition, then, *rest = kids(tree)
        self._check_chain(tree, rest)
        otherwise: n.Block | n.IfExpr = self._branch(rest.pop())
        for branch in reversed(rest):
            test, block = kids(branch)
            span = self.place(_after_else(branch), self.end(tree))
            otherwise = n.IfExpr(self.build(test), self._branch(block), otherwise, span=span)
        then_block = self._branch(then)
        return n.IfExpr(self.build(condition), then_block, otherwise, span=self.span(tree))

    def _branch(self, tree: Tree) -> n.Block:
        """A branch of an if expression: `return e` at its end is just its value (core 3.9)."""
        block: n.Block = self.build(tree)
        last = block.statements[-1] if block.statements else None
        if not isinstance(last, n.Return):
            return block
        value = n.ExprStmt(last.value, span=last.span)
        return n.Block((*block.statements[:-1], value), span=block.span)

    def _check_chain(self, tree: Tree, rest: list[Tree]) -> None:
        if len(rest) > limits.ELSE_IFS:
            raise self.reject("E022", f"more than {limits.ELSE_IFS} branches in one if", tree)

    # --- match -------------------------------------------------------------------------------

    def visit_match(self, tree: Tree) -> n.Match:
        subject, *arms = kids(tree)
        return n.Match(self.build(subject), self.all(arms), span=self.span(tree))

    def visit_arm(self, tree: Tree) -> n.Arm:
        *heads, body = kids(tree)
        guard = None
        if heads[-1].expr.name == "arm_guard":
            guard = self.only(heads.pop())
        return n.Arm(self.all(heads), guard, self.build(body), span=self.span(tree))

    def visit_pattern(self, tree: Tree) -> n.Pattern:
        child = kids(tree)[0]
        if child.expr.name in ("literal", "unit"):
            value = self._literal(child)
            return n.LiteralPattern(value, span=self.span(tree))
        pattern: n.Pattern = self.build(child)
        return pattern

    def _literal(self, tree: Tree) -> n.Int | n.Float | n.Str | n.Bool | n.Unit:
        child = kids(tree)[0] if tree.expr.name == "literal" else tree
        if child.expr.name == "string":
            return self.text_literal(child)
        value: n.Int | n.Float | n.Str | n.Bool | n.Unit = self.build(child)
        return value

    visit_literal = _literal

    def text_literal(self, tree: Tree) -> n.Str:
        """A string that is never interpolated: its only part is its text."""
        value = self.plain_string(tree)
        triple = word(tree).startswith('"""')
        return n.Str(value, (value,) * bool(value), triple, span=self.span(tree))

    def visit_wildcard(self, tree: Tree) -> n.Wildcard:
        return n.Wildcard(span=self.span(tree))

    def visit_plain_lower(self, tree: Tree) -> n.Binding:
        return n.Binding(word(tree), span=self.span(tree))

    def visit_range_pattern(self, tree: Tree) -> n.RangePattern:
        low, high = (self.visit_integer(t).value for t in kids(tree))
        return n.RangePattern(low, high, span=self.span(tree))

    def visit_prefix_pattern(self, tree: Tree) -> n.PrefixPattern:
        prefix, rest = kids(tree)
        return n.PrefixPattern(self.plain_string(prefix), word(rest), span=self.span(tree))

    def visit_map_pattern(self, tree: Tree) -> n.MapPattern:
        return n.MapPattern(self.all(kids(tree)), span=self.span(tree))

    def visit_field_pattern(self, tree: Tree) -> tuple[str, n.Pattern]:
        name, *pattern = kids(tree)
        if pattern:
            return word(name), self.build(pattern[0])
        return word(name), n.Binding(word(name), span=self.span(name))

    def visit_variant_pattern(self, tree: Tree) -> n.VariantPattern:
        name, *rest = kids(tree)
        type_name = None
        if rest and rest[0].expr.name == "qualified":
            type_name, name = word(name), kids(rest.pop(0))[0]
        span = self.span(tree)
        if not rest:
            return n.VariantPattern(word(name), type_name, "unit", span=span)
        parts = kids(rest[0])
        if rest[0].expr.name == "tuple_pattern":
            return n.VariantPattern(word(name), type_name, "tuple", self.all(parts), span=span)
        more = bool(parts) and parts[-1].expr.name == "rest_mark"
        fields = self.all(parts[:-1] if more else parts)
        return n.VariantPattern(
            word(name), type_name, "struct", fields=fields, rest=more, span=span
        )


def _after_else(branch: Tree) -> int:
    """Where the `if` of an `else if` stands."""
    return branch.children[1].start
