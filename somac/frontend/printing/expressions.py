"""Expressions, patterns and statements as source text."""

from __future__ import annotations

import re

from .. import nodes as n
from ..lexer import HARD_KEYWORDS

PRECEDENCE = {
    "|>": 0,
    "||": 1,
    "&&": 2,
    "??": 3,
    **dict.fromkeys(("==", "!=", "<", ">", "<=", ">="), 4),
    **dict.fromkeys("+-", 5),
    **dict.fromkeys("*/%", 6),
}
COMPARISON = 4
PREFIX, POSTFIX = 7, 8  # above all operators

WIDTH = 72  # a block of one statement longer than this goes on lines of its own
_UPPER_END = re.compile(r"(?<![A-Za-z0-9_.])[A-Z][A-Za-z0-9_]*\Z")
_NAME_END = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")
_AMOUNT_START = re.compile(r"[0-9.eE+-]+(?:%|(?:ms|s|min|h|d|years?)\b)")
_IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def quoted(text: str) -> str:
    """A string literal with this value."""
    for plain, escaped in (("\\", "\\\\"), ('"', '\\"'), ("\n", "\\n"), ("\t", "\\t")):
        text = text.replace(plain, escaped)
    return f'"{text}"'


def is_name(text: str) -> bool:
    return _IDENTIFIER.fullmatch(text) is not None and text not in HARD_KEYWORDS


class ExpressionPrinter:
    """Prints at one indentation; None prints everything on one line."""

    def __init__(self, indent: int | None) -> None:
        self.indent = indent

    def inner(self) -> ExpressionPrinter:
        return ExpressionPrinter(None if self.indent is None else self.indent + 1)

    @property
    def line(self) -> str:
        """What starts a new line inside the construct being printed."""
        return " " if self.indent is None else "\n" + "    " * self.indent

    # --- expressions -------------------------------------------------------------------------

    def expr(self, expr: n.Expr, minimum: int = -1) -> str:
        """The text of an expression, in parentheses when it binds looser than the minimum."""
        text, level = self._expr(expr)
        return f"({text})" if level < minimum else text

    def _expr(self, expr: n.Expr) -> tuple[str, int]:
        match expr:
            case n.Binary(op, left, right):
                return self._binary(op, left, right)
            case n.Pipe(left, right):
                level = 0 if isinstance(right, n.Call | n.Name) else POSTFIX
                start = 0 if isinstance(left, n.Pipe | n.Binary) else PREFIX
                text = f"{self.expr(left, start)} |> {self._piped(right, level)}"
                return text, 0
            case n.Unary(op, operand):
                return op + self._prefixed(op, operand), PREFIX
            case n.Lambda(param, body):
                return f"{param} => {self.body(body)}", -1
            case n.IfExpr():
                return self._if_expr(expr), -1
            case n.Match():
                return self._match(expr), -1
            case n.Int(value) if value < 0:
                return str(value), PREFIX
            case n.Float(value):
                return number_text(value), PREFIX if number_text(value)[0] == "-" else POSTFIX
            case _:
                return self._postfix(expr), POSTFIX

    def _binary(self, op: str, left: n.Expr, right: n.Expr) -> tuple[str, int]:
        """Long chains of one side are printed without recursion."""
        level = PRECEDENCE[op]
        parts = [f" {op} {self.expr(right, level + 1)}"]
        while True:
            if not isinstance(left, n.Binary) or PRECEDENCE[left.op] < level + (
                level == COMPARISON
            ):
                break
            if PRECEDENCE[left.op] > level:
                break
            parts.append(f" {left.op} {self.expr(left.right, level + 1)}")
            left = left.left
        start = level + 1 if level == COMPARISON or isinstance(left, n.Pipe) else level
        parts.append(self.expr(left, max(start, 1)))
        return "".join(reversed(parts)), level

    def _piped(self, right: n.Expr, level: int) -> str:
        """What is on the right of a pipe; parentheses keep it from taking the piped value."""
        inner: n.Expr = right
        while isinstance(inner, n.Field | n.Method | n.Propagate):
            inner = inner.value if isinstance(inner, n.Propagate) else inner.target
        if inner is not right and isinstance(inner, n.Call):
            return f"({self.expr(right)})"
        return self.expr(right, level)

    def _prefixed(self, op: str, operand: n.Expr) -> str:
        text = self.expr(operand, PREFIX)
        digit_first = text[0].isdigit() and not _AMOUNT_START.match(text)
        return f"({text})" if op == "-" and digit_first else text

    def _postfix(self, expr: n.Expr) -> str:
        """Primaries and chains of fields and methods, the latter without recursion."""
        trailers: list[str] = []
        while True:
            match expr:
                case n.Field(target, name):
                    trailers.append(f".{name}")
                case n.Method(target, name, args):
                    trailers.append(f".{name}({self.args(args)})")
                case n.Propagate(target):
                    trailers.append("?")
                    if isinstance(target, n.Propagate):
                        trailers.append(f"({self.expr(target)})")
                        return "".join(reversed(trailers))
                case _:
                    break
            expr = target
        start = self.expr(expr, POSTFIX) if trailers else self._primary(expr)
        return start + "".join(reversed(trailers))

    def _primary(self, expr: n.Expr) -> str:
        match expr:
            case n.Name(name):
                return name
            case n.Call(name, args):
                return f"{name}({self.args(args)})"
            case n.Str():
                return string_text(expr)
            case n.Int(value):
                return str(value)
            case n.Bool(value):
                return "true" if value else "false"
            case n.Unit():
                return "()"
            case n.Duration(milliseconds, text):
                return text or f"{milliseconds}ms"
            case n.Percent(number, text):
                return text or f"{number_text(number)}%"
            case n.ListLit(items):
                return f"[{self.args(items)}]"
            case n.Record(name, fields):
                inside = ", ".join(f"{key}: {self.expr(value)}" for key, value in fields)
                return f"{name} {{ {inside} }}" if inside else f"{name} {{}}"
            case n.Try(body):
                return f"try {{ {self.expr(body)} }}"
        raise AssertionError(f"not a primary: {type(expr).__name__}")

    def args(self, args: tuple[n.Expr, ...]) -> str:
        return ", ".join(self.expr(a) for a in args)

    def header(self, expr: n.Expr) -> str:
        """An expression before a `{`: a capitalised name at its end would open a record."""
        text = self.expr(expr)
        return f"({text})" if _UPPER_END.search(text) else text

    def _condition(self, expr: n.Expr) -> str:
        """The condition of a loop: a `[` at its start would open the loop's annotations."""
        text = self.header(expr)
        return f"({text})" if text.startswith("[") else text

    def body(self, body: n.Expr | n.Block) -> str:
        return self.block(body) if isinstance(body, n.Block) else self.expr(body)

    def _if_expr(self, expr: n.IfExpr) -> str:
        parts = []
        branch: n.Block | n.IfExpr = expr
        while isinstance(branch, n.IfExpr):
            parts.append(f"if {self.header(branch.condition)} {self.block(branch.then)}")
            branch = branch.otherwise
        parts.append(self.block(branch))
        return " else ".join(parts)

    # --- match -------------------------------------------------------------------------------

    def _match(self, expr: n.Match) -> str:
        inner = self.inner()
        arms = []
        for i, arm in enumerate(expr.arms):
            after = expr.arms[i + 1].patterns[0] if i + 1 < len(expr.arms) else None
            arms.append(inner.line + inner.arm(arm, after))
        return f"match {self.header(expr.subject)} {{{''.join(arms)}{self.line}}}"

    def arm(self, arm: n.Arm, after: n.Pattern | None) -> str:
        """One arm; `after` is the pattern that follows and must not continue the body."""
        head = " || ".join(pattern_text(p) for p in arm.patterns)
        if arm.guard is not None:
            head += f" if {self.expr(arm.guard)}"
        body = self.body(arm.body)
        if not isinstance(arm.body, n.Block) and _continues(body, after):
            body = f"({body})"
        return f"{head} -> {body}"

    # --- statements --------------------------------------------------------------------------

    def block(self, block: n.Block) -> str:
        if not block.statements:
            return "{}"
        if len(block.statements) == 1:
            text = ExpressionPrinter(None).statements(block.statements)[0]
            if self.indent is None or (len(text) <= WIDTH and "\n" not in text):
                return f"{{ {text} }}"
        inner = self.inner()
        lines = [inner.line + text for text in inner.statements(block.statements)]
        return f"{{{''.join(lines)}{self.line}}}"

    def statements(self, statements: tuple[n.Stmt, ...]) -> list[str]:
        """The statements' texts; where one would continue the one before, that is closed."""
        texts = [self.stmt(s) for s in statements]
        for i in reversed(range(len(texts) - 1)):  # what is closed begins with a parenthesis
            if texts[i + 1].startswith("(") and _NAME_END.search(texts[i]):
                texts[i] = self.stmt(statements[i], closed=True)
        return texts

    def stmt(self, stmt: n.Stmt, *, closed: bool = False) -> str:
        """One statement; `closed` puts its last expression in parentheses."""

        def value(expr: n.Expr) -> str:
            text = self.expr(expr)
            return f"({text})" if closed else text

        match stmt:
            case n.Let(name, expr):
                return f"let {name} = {value(expr)}"
            case n.Assign(name, op, expr):
                return f"{name} {op} {value(expr)}"
            case n.Return(expr):
                return f"return {value(expr)}"
            case n.Ensure(expr):
                return f"ensure {value(expr)}"
            case n.Require(constraint, otherwise):
                reason = otherwise if is_name(otherwise) else quoted(otherwise)
                return f"require {self.constraint(constraint)} else {reason}"
            case n.Emit(name, args):
                return f"emit {name}({self.args(args)})"
            case n.ExprStmt(expr):
                return self._expr_stmt(expr, closed)
            case _:
                return self._control(stmt)

    def _control(self, stmt: n.Stmt) -> str:
        match stmt:
            case n.If():
                return self._if(stmt)
            case n.For(name, iterable, body, bound):
                return f"for {_bound(bound)}{name} in {self.header(iterable)} {self.block(body)}"
            case n.While(condition, body, bound):
                return f"while {_bound(bound)}{self._condition(condition)} {self.block(body)}"
            case n.Break():
                return "break"
            case n.Continue():
                return "continue"
        raise AssertionError(f"not a statement: {type(stmt).__name__}")

    def _expr_stmt(self, expr: n.Expr, closed: bool) -> str:
        text = self.expr(expr)
        word = _IDENTIFIER.match(text)
        unfit = text[0] == "-" or _AMOUNT_START.match(text) or isinstance(expr, n.IfExpr)
        if closed or unfit or (word and word.group() in ("emit", "signal")):
            return f"({text})"
        return text

    def _if(self, stmt: n.If) -> str:
        parts = []
        branch: n.Block | n.If | None = stmt
        while isinstance(branch, n.If):
            parts.append(f"if {self.header(branch.condition)} {self.block(branch.then)}")
            branch = branch.otherwise
        if branch is not None:
            parts.append(self.block(branch))
        return " else ".join(parts)

    def constraint(self, constraint: n.Constraint) -> str:
        if isinstance(constraint, n.Not):
            return f"!{self.constraint(constraint.operand)}"
        if isinstance(constraint, n.AllOf | n.AnyOf):
            joint = " && " if isinstance(constraint, n.AllOf) else " || "
            return joint.join(self.constraint(item) for item in constraint.items)
        text = self.expr(constraint)
        return f"({text})" if text.startswith("!") else text


def _bound(bound: int | None) -> str:
    return "" if bound is None else f"[loop_bound({bound})] "


def _continues(body: str, after: n.Pattern | None) -> bool:
    """Whether the pattern of the next arm would go on with the body of this one."""
    if isinstance(after, n.LiteralPattern) and isinstance(after.value, n.Unit):
        return _NAME_END.search(body) is not None
    return isinstance(after, n.MapPattern) and _UPPER_END.search(body) is not None


def number_text(value: float) -> str:
    """A Float literal; what overflows was written with an exponent."""
    text = repr(value)
    return text.replace("inf", "1e999")


def string_text(literal: n.Str) -> str:
    """A literal of the same form and value. Triple-quoted text has no common indentation."""
    if literal.triple:
        return f'"""\n{literal.value}\n"""'
    return quoted(literal.value)


def pattern_text(pattern: n.Pattern) -> str:
    match pattern:
        case n.Wildcard():
            return "_"
        case n.Binding(name):
            return name
        case n.LiteralPattern(value):
            return ExpressionPrinter(None).expr(value)
        case n.RangePattern(low, high):
            return f"{low}..{high}"
        case n.PrefixPattern(prefix, rest):
            return f"{quoted(prefix)} + {rest}"
        case n.MapPattern(fields):
            return f"{{{_fields(fields)}}}"
        case n.VariantPattern(name, type_name, shape, items, fields, rest):
            full = name if type_name is None else f"{type_name}::{name}"
            if shape == "tuple":
                return f"{full}({', '.join(pattern_text(p) for p in items)})"
            if shape == "struct":
                inside = ", ".join(filter(None, (_fields(fields), ".." if rest else "")))
                return f"{full} {{ {inside} }}" if inside else f"{full} {{}}"
            return full
    raise AssertionError(f"not a pattern: {type(pattern).__name__}")


def _fields(fields: tuple[tuple[str, n.Pattern], ...]) -> str:
    return ", ".join(
        name if pattern == n.Binding(name) else f"{name}: {pattern_text(pattern)}"
        for name, pattern in fields
    )
