"""Precedence, pipes, newlines, postfixes, patterns (core 1.2, 2.8 to 2.10, mend 16)."""

from __future__ import annotations

import pytest
from frontend_snippets import body_errors, body_of, expr_of

from somac.frontend import nodes as n
from somac.frontend.printer import expr_text

a, b, c, d = (n.Name(x) for x in "abcd")


@pytest.mark.parametrize(
    ("text", "same"),
    [
        ("a + b * c", "a + (b * c)"),
        ("a - b - c", "(a - b) - c"),
        ("a * b / c % d", "((a * b) / c) % d"),
        ("!a == b", "(!a) == b"),
        ("a ?? b == c", "a ?? (b == c)"),
        ("a || b && c", "a || (b && c)"),
        ("a && b ?? c", "a && (b ?? c)"),
        ("a ?? b ?? c", "(a ?? b) ?? c"),
        ("a + b |> f()", "(a + b) |> f()"),
        ("-a * b", "(-a) * b"),
        ("!-a", "!(-a)"),
        ("a |> f(b) > 3", "(a |> f(b)) > 3"),
        ("a |> f(b) ?? c", "(a |> f(b)) ?? c"),
        ("a |> f() + b * c", "(a |> f()) + (b * c)"),
        ("a |> f() > 3 |> g()", "((a |> f()) > 3) |> g()"),
        ("a |> len > 3", "(a |> len) > 3"),
        ("a |> f().x", "(a |> f()).x"),
        ("a |> f()? + 1", "(a |> f())? + 1"),
    ],
)
def test_how_operators_bind(text: str, same: str) -> None:
    assert expr_of(text) == expr_of(same)


def test_what_is_no_call_stays_whole_on_the_right_of_a_pipe() -> None:
    assert expr_of("a |> 1 + 2") == n.Pipe(a, n.Binary("+", n.Int(1), n.Int(2)))
    assert expr_of("a |> (f() > 3)") == n.Pipe(a, n.Binary(">", n.Call("f", ()), n.Int(3)))
    assert expr_of("a |> b.c(d)") == n.Pipe(a, n.Method(b, "c", (d,)))
    assert expr_of("a |> x => x") == n.Pipe(a, n.Lambda("x", n.Name("x")))


def test_a_lambda_takes_all_that_follows() -> None:
    call = expr_of("map(x => x + 1 |> f())")
    assert isinstance(call, n.Call)
    assert call.args[0] == n.Lambda("x", expr_of("x + 1 |> f()"))


def test_comparisons_do_not_chain() -> None:
    assert body_errors("let r = 1 < 2 < 3")[0].endswith("found '<'")


def test_a_minus_on_the_next_line_continues_but_not_a_plain_call() -> None:
    assert body_of("let b = a\n-1") == (n.Let("b", n.Binary("-", a, n.Int(1))),)
    assert body_of("f(a)\n-1") == (n.ExprStmt(n.Call("f", (a,))), n.ExprStmt(n.Int(-1)))
    assert body_of("f(a) -1") == (n.ExprStmt(expr_of("f(a) - 1")),)
    assert body_of("f(a) // so\n\n  - 1")[1] == n.ExprStmt(n.Int(-1))


def test_an_operator_may_follow_a_plain_call_on_the_next_line() -> None:
    assert body_of("list(1)\n|> len()\n> 2") == (n.ExprStmt(expr_of("list(1) |> len() > 2")),)


def test_a_parenthesis_behind_a_name_is_a_call_on_any_line() -> None:
    assert expr_of("a\n(b)") == n.Call("a", (b,))
    assert expr_of("a.b\n(c)") == n.Method(a, "b", (c,))
    assert body_of("let x = (a)\n(b)") == (n.Let("x", a), n.ExprStmt(b))
    assert body_of("a [1]") == (n.ExprStmt(a), n.ExprStmt(n.ListLit((n.Int(1),))))


def test_a_brace_behind_a_capitalised_name_is_a_record() -> None:
    assert expr_of("P { a: 1 b: c, }") == n.Record("P", (("a", n.Int(1)), ("b", c)))
    assert expr_of("P\n{}") == n.Record("P", ())
    assert body_errors("if a == Done { b }")
    assert body_of("if a == (Done) { b }")


def test_literals_and_primaries() -> None:
    assert expr_of("[a b, c]") == n.ListLit((a, b, c))
    assert expr_of("()") == n.Unit()
    assert expr_of("try { a + b }") == n.Try(n.Binary("+", a, b))
    assert expr_of("T(a, b,)") == n.Call("T", (a, b))
    assert expr_of("a.b(c).d?") == n.Propagate(n.Field(n.Method(a, "b", (c,)), "d"))
    assert expr_of("a.state") == n.Field(a, "state")
    assert body_errors("return -5.abs()")


def test_if_is_a_statement_at_the_start_of_one_and_else_is_optional_there() -> None:
    (stmt,) = body_of("if a { b } else if c { d }")
    assert stmt == n.If(a, n.Block((n.ExprStmt(b),)), n.If(c, n.Block((n.ExprStmt(d),)), None))
    assert body_errors("let x = if a { b }")


def test_emit_begins_a_statement() -> None:
    assert body_of("emit a(b) signal c()") == (n.Emit("a", (b,)), n.Emit("c", ()))
    assert body_errors("emit = 5")


@pytest.mark.parametrize("text", ["5s", "50%", "a.b = 1", "a %= 2", "{ a }", "x[0] = 1", "(a, b)"])
def test_what_is_no_statement(text: str) -> None:
    assert body_errors(text)


@pytest.mark.parametrize(
    ("text", "pattern"),
    [
        ("_", n.Wildcard()),
        ("_x", n.Binding("_x")),
        ("()", n.LiteralPattern(n.Unit())),
        ("-1.5", n.LiteralPattern(n.Float(-1.5))),
        ("1..5", n.RangePattern(1, 5)),
        ('"a{b}"', n.LiteralPattern(n.Str("a{b}", ("a{b}",)))),
        ('"a" + r', n.PrefixPattern("a", "r")),
        ("{x: 1, y}", n.MapPattern((("x", n.LiteralPattern(n.Int(1))), ("y", n.Binding("y"))))),
        ("V", n.VariantPattern("V", None, "unit")),
        ("T::V", n.VariantPattern("V", "T", "unit")),
        ("V(a _)", n.VariantPattern("V", None, "tuple", (n.Binding("a"), n.Wildcard()))),
        (
            "V { x, .. }",
            n.VariantPattern("V", None, "struct", fields=(("x", n.Binding("x")),), rest=True),
        ),
    ],
)
def test_patterns(text: str, pattern: n.Pattern) -> None:
    match = expr_of(f"match a {{ {text} || 9 if b -> c }}")
    assert match == n.Match(a, (n.Arm((pattern, n.LiteralPattern(n.Int(9))), b, c),))


def test_an_arm_that_begins_with_a_brace_is_a_block() -> None:
    match = expr_of("match a { 1 -> { let x = 2 x } 2 -> b }")
    assert isinstance(match, n.Match)
    assert isinstance(match.arms[0].body, n.Block)
    assert match.arms[1].body == b


def test_an_expression_on_one_line() -> None:
    text = "f(x => { let y = 1 y }, if a { b } else { c }, match d { 1 -> a _ -> b })"
    assert expr_text(expr_of(text)) == text


def test_spans_cover_the_construct_without_blanks() -> None:
    (stmt,) = body_of("  let x = ( a + b )   // end\n")
    source = stmt.span.source.text
    assert source[stmt.span.start : stmt.span.end] == "let x = ( a + b )"
    assert isinstance(stmt, n.Let)
    assert source[stmt.value.span.start : stmt.value.span.end] == "a + b"


def test_ten_thousand_terms() -> None:
    expr = expr_of("a" + " + a" * 10_000)
    depth = 0
    while isinstance(expr, n.Binary):
        expr, depth = expr.left, depth + 1
    assert depth == 10_000


test_ten_thousand_terms = pytest.mark.slow(test_ten_thousand_terms)
