"""Hypothesis strategies for syntax trees that source text can express."""

from __future__ import annotations

from hypothesis import strategies as st

from somac.frontend import nodes as n

lowers = st.sampled_from(["a", "b", "x1", "_y", "state", "emit", "signal", "check", "longer_name"])
plain_lowers = st.sampled_from(["a", "b", "x1", "_y", "longer_name"])
uppers = st.sampled_from(["Dot", "Circle", "T"])
names = lowers | uppers
texts = st.text(st.sampled_from('ab {}:;"\\\n\t漢.'), max_size=8)
small = st.integers(0, 20)


def string(text: str) -> n.Str:
    """A literal with the parts that the parser finds in its text."""
    from frontend_snippets import expr_of

    from somac.frontend.printing.expressions import quoted

    literal = expr_of(quoted(text))
    assert isinstance(literal, n.Str)
    return literal


numbers = (
    st.integers(-(10**30), 10**30).map(n.Int)
    | st.floats(allow_nan=False).map(n.Float)
    | small.map(n.Int)
)
amounts = st.sampled_from(
    [n.Duration(1500, "1.5s"), n.Duration(3_600_000, "1h"), n.Percent(50.0, "50%")]
)
strings = texts.map(string)
atoms = (
    numbers | amounts | strings | st.booleans().map(n.Bool) | st.just(n.Unit()) | names.map(n.Name)
)


def pattern_text(text: str) -> n.LiteralPattern:
    return n.LiteralPattern(n.Str(text, (text,) * bool(text)))


def _variant(name: str, type_name: str | None, payload: object) -> n.VariantPattern:
    match payload:
        case None:
            return n.VariantPattern(name, type_name, "unit")
        case list():
            return n.VariantPattern(name, type_name, "tuple", tuple(payload))
        case (fields, rest):
            return n.VariantPattern(name, type_name, "struct", (), tuple(fields), rest)
    raise AssertionError


leaf_patterns = (
    st.just(n.Wildcard())
    | plain_lowers.map(n.Binding)
    | texts.map(pattern_text)
    | st.builds(n.RangePattern, small, small)
    | st.builds(n.PrefixPattern, texts, plain_lowers)
    | st.builds(n.LiteralPattern, small.map(n.Int) | amounts | st.just(n.Unit()))
)


def _field(name: str, pattern: n.Pattern) -> tuple[str, n.Pattern]:
    return name, pattern


patterns = st.recursive(
    leaf_patterns,
    lambda inner: st.lists(st.builds(_field, names, inner), max_size=2).map(
        lambda fields: n.MapPattern(tuple(fields))
    )
    | st.builds(
        _variant,
        uppers,
        st.none() | uppers,
        st.none()
        | st.lists(inner, max_size=2)
        | st.tuples(st.lists(st.builds(_field, names, inner), max_size=2), st.booleans()),
    ),
    max_leaves=4,
)

OPERATORS = ["+", "-", "*", "/", "%", "==", "!=", "<", ">", "<=", ">=", "&&", "||", "??"]


def _piped(left: n.Expr, right: n.Expr) -> n.Expr:
    return n.Pipe(left, right)


def _match(subject: n.Expr, arms: list[n.Arm]) -> n.Match:
    return n.Match(subject, tuple(arms))


def _branch(block: n.Block) -> n.Block:
    """A `return` at the end of a branch of an if expression is read as its value."""
    *before, last = block.statements or (n.ExprStmt(n.Unit()),)
    return n.Block((*before, n.ExprStmt(last.value) if isinstance(last, n.Return) else last))


def _compound(inner: st.SearchStrategy[n.Expr]) -> st.SearchStrategy[n.Expr]:
    args = st.lists(inner, max_size=2).map(tuple)
    blocks = st.lists(statements(inner), max_size=3).map(lambda s: n.Block(tuple(s)))
    branches = blocks.map(_branch)
    arms = st.builds(
        n.Arm,
        st.lists(patterns, min_size=1, max_size=2).map(tuple),
        st.none() | inner,
        inner | blocks,
    )
    return (
        st.builds(n.Binary, st.sampled_from(OPERATORS), inner, inner)
        | st.builds(_unary, st.sampled_from("!-"), inner)
        | st.builds(_piped, inner, inner)
        | st.builds(n.Call, names, args)
        | st.builds(n.Method, inner, names, args)
        | st.builds(n.Field, inner, names)
        | st.builds(n.Propagate, inner)
        | st.builds(n.Lambda, plain_lowers, inner | blocks)
        | args.map(n.ListLit)
        | st.builds(n.Record, uppers, st.lists(st.tuples(names, inner), max_size=2).map(tuple))
        | st.builds(n.Try, inner)
        | st.builds(n.IfExpr, inner, branches, branches)
        | st.builds(_match, inner, st.lists(arms, max_size=3))
    )


def _unary(op: str, operand: n.Expr) -> n.Unary:
    return n.Unary(op, operand)


def statements(inner: st.SearchStrategy[n.Expr]) -> st.SearchStrategy[n.Stmt]:
    """Statements over given expressions, without nested blocks."""
    assigned = st.sampled_from(["a", "b", "state", "longer_name"])
    return (
        st.builds(n.Let, names, inner)
        | st.builds(n.Assign, assigned, st.sampled_from(["=", "+=", "-=", "*=", "/="]), inner)
        | st.builds(n.Return, inner)
        | st.builds(n.Ensure, inner)
        | st.builds(n.Emit, names, st.lists(inner, max_size=2).map(tuple))
        | st.builds(n.Require, _constraints(inner), texts | names)
        | inner.map(n.ExprStmt)
        | st.builds(n.If, inner, st.just(n.Block(())), st.none() | st.just(n.Block(())))
        | st.builds(n.For, names, inner, st.just(n.Block((n.Break(),))), st.none() | small)
        | st.builds(n.While, inner, st.just(n.Block((n.Continue(),))), st.none() | small)
    )


def _constraints(inner: st.SearchStrategy[n.Expr]) -> st.SearchStrategy[n.Constraint]:
    return inner | inner.map(n.Not)


expressions = st.recursive(atoms, _compound, max_leaves=8)
bodies = st.lists(statements(expressions), max_size=4).map(lambda s: n.Block(tuple(s)))
