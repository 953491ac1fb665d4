"""Escapes, triple-quoted strings and holes (core 1.5, mend 2)."""

from __future__ import annotations

import pytest
from frontend_snippets import expr_of
from hypothesis import given, settings
from hypothesis import strategies as st

from somac.frontend import nodes as n
from somac.frontend.printing.expressions import quoted


def string(text: str) -> n.Str:
    literal = expr_of(text)
    assert isinstance(literal, n.Str)
    return literal


def holes(text: str) -> list[n.Hole]:
    return [p for p in string(text).parts if isinstance(p, n.Hole)]


@pytest.mark.parametrize(
    ("source", "value"),
    [
        (r'"a\nb\tc\\d\"e"', 'a\nb\tc\\d"e'),
        (r'"\d \r \u0041"', r"\d \r \u0041"),
        ('"a\nb"', "a\nb"),
        ('""', ""),
        (r'"\\n"', r"\n"),
        ('"""a\\n"b" """', 'a\\n"b" '),
        ('"""\n    a\n      b\n\n    c\n    """', "a\n  b\n\nc"),
        ('"""\n\n  a"""', "\na"),
        ('"""a\n  b"""', "a\n  b"),
        ('"""\n    a\n  \n    b"""', "a\n  \nb"),
        ('"""\r\n  a\r\n  b\r\n"""', "a\r\nb"),
        ('""""""', ""),
    ],
)
def test_the_value_of_a_literal(source: str, value: str) -> None:
    assert string(source).value == value


@pytest.mark.parametrize(
    "text", ["{}", "{a:b}", ".x { color: red; }", "{n", "{ go(); }", "}{", "{:}{;}"]
)
def test_what_is_no_hole_stays_text(text: str) -> None:
    assert string(quoted(text)).parts == (text,)


def test_a_brace_with_a_colon_hides_no_later_hole() -> None:
    assert string('"{a: {b} }"').parts == ("{a: ", n.Hole("b", n.Name("b")), " }")


@pytest.mark.parametrize(
    ("hole", "expr"),
    [
        ("n", n.Name("n")),
        (" n ", n.Name("n")),
        ("m.a.b", n.Field(n.Field(n.Name("m"), "a"), "b")),
        ("true", n.Bool(True)),
        ("3", n.Int(3)),
        ("x*1.5", n.Binary("*", n.Name("x"), n.Float(1.5))),
        ('map("k", n)', n.Call("map", (n.Str("k", ("k",)), n.Name("n")))),
        ("a b", n.Name("a")),
        ("a let c = 2", n.Name("a")),
        ("-x", n.Unary("-", n.Name("x"))),
        ("A", n.Name("A")),
    ],
)
def test_a_hole_is_a_full_expression(hole: str, expr: n.Expr) -> None:
    assert holes(quoted("{" + hole + "}")) == [n.Hole(hole, expr)]


@pytest.mark.parametrize(
    ("hole", "error"),
    [
        ("1 +", "expected expression, found '}'"),
        ("if", "expected expression, found '}'"),
        ("m.in", "expected identifier, found 'in'"),
        ("#", "unexpected character '#'"),
        ("let a = 1", "expected expression, found 'let'"),
        ("(" * 200, "nested too deeply: more than 120 open brackets"),
    ],
)
def test_what_cannot_be_parsed_stays_literal_and_says_why(hole: str, error: str) -> None:
    (found,) = holes(quoted("{" + hole + "}"))
    assert (found.text, found.expr, found.error) == (hole, None, error)


def test_places_in_holes_are_places_of_the_file() -> None:
    text = r'cell A { on f() { "\n\"{ab + c.d}" } }'
    from frontend_snippets import module_of

    handler = module_of(text).cells[0].sections[0]
    assert isinstance(handler, n.Handler)
    (stmt,) = handler.body.statements
    assert isinstance(stmt, n.ExprStmt)
    assert isinstance(stmt.value, n.Str)
    hole = stmt.value.parts[1]
    assert isinstance(hole, n.Hole)
    assert isinstance(hole.expr, n.Binary)
    assert text[hole.span.start : hole.span.end] == "{ab + c.d}"
    assert text[hole.expr.span.start : hole.expr.span.end] == "ab + c.d"
    assert text[hole.expr.right.span.start : hole.expr.right.span.end] == "c.d"


@settings(max_examples=60, deadline=None)
@given(st.text(st.sampled_from('ab {}:;"\\\n\t.(+漢'), max_size=30))
def test_every_text_can_be_quoted_and_its_parts_join_to_it(text: str) -> None:
    literal = string(quoted(text))
    assert literal.value == text
    joined = "".join(p if isinstance(p, str) else "{" + p.text + "}" for p in literal.parts)
    assert joined == text
    assert all(
        isinstance(a, n.Hole) or isinstance(b, n.Hole)
        for a, b in zip(literal.parts, literal.parts[1:], strict=False)
    )
