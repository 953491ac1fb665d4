"""Tokens, numbers, names and lexical errors (core 1)."""

from __future__ import annotations

import pytest
from frontend_snippets import body_errors, body_of, errors_of, expr_of, module_of, token_kinds

from somac.frontend import nodes as n
from somac.frontend.lexer import CONTEXTUAL_KEYWORDS, HARD_KEYWORDS, scan


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("5s", 5000),
        ("1.5s", 1500),
        ("1min", 60_000),
        ("2h", 7_200_000),
        ("1d", 86_400_000),
        ("1year", 31_557_600_000),
        ("2years", 63_115_200_000),
        ("7ms", 7),
        ("1.001s", 1001),
        ("0.9ms", 0),
        ("1e300years", 2**63 - 1),
        ("1e-300s", 0),
    ],
)
def test_a_duration_is_an_int_of_milliseconds(text: str, value: int) -> None:
    assert expr_of(text) == n.Duration(value, text)


@pytest.mark.parametrize("text", ["2.5", "1e3", "1E-3", "1.5e-7", "1e999"])
def test_floats(text: str) -> None:
    assert expr_of(text) == n.Float(float(text))


def test_integers_have_any_length() -> None:
    assert expr_of("99999999999999999999") == n.Int(99999999999999999999)
    assert expr_of("007") == n.Int(7)


def test_a_minus_before_a_number_is_part_of_it() -> None:
    assert expr_of("-9223372036854775808") == n.Int(-(2**63))
    assert expr_of("- 1.5") == n.Float(-1.5)
    assert expr_of("a - -1") == n.Binary("-", n.Name("a"), n.Int(-1))
    assert expr_of("-a") == n.Unary("-", n.Name("a"))
    assert expr_of("-5s") == n.Unary("-", n.Duration(5000, "5s"))


def test_a_percentage_is_not_divided() -> None:
    assert expr_of("50%") == n.Percent(50.0, "50%")


def test_a_modulo_right_after_a_digit_needs_a_blank() -> None:
    assert expr_of("7 % 3") == expr_of("7 %3") == n.Binary("%", n.Int(7), n.Int(3))
    assert expr_of("n%3") == n.Binary("%", n.Name("n"), n.Int(3))
    (message,) = body_errors("let a = 7%3")
    assert message == "expected expression, found number '7%'"


def test_a_number_ends_where_its_unit_is_none() -> None:
    assert body_of("10 m") == body_of("10m")
    assert body_of("1_000") == (n.ExprStmt(n.Int(1)), n.ExprStmt(n.Name("_000")))


@pytest.mark.parametrize("word", sorted(CONTEXTUAL_KEYWORDS - {"signal", "emit"}))
def test_contextual_keywords_are_names(word: str) -> None:
    assert body_of(f"let {word} = 1 {word} += {word} {word}({word})") == (
        n.Let(word, n.Int(1)),
        n.Assign(word, "+=", n.Name(word)),
        n.ExprStmt(n.Call(word, (n.Name(word),))),
    )
    assert module_of(f"cell A {{ memory {{ {word}: Int }} on {word}({word}: Int) {{ }} }}")


@pytest.mark.parametrize("word", sorted(CONTEXTUAL_KEYWORDS))
def test_a_contextual_keyword_is_no_parameter_of_a_lambda(word: str) -> None:
    assert body_errors(f"f({word} => 1)")


@pytest.mark.parametrize("word", sorted(HARD_KEYWORDS))
def test_hard_keywords_are_never_names(word: str) -> None:
    assert body_errors(f"let {word} = 1")[0] == f"expected identifier, found '{word}'"


def test_comments_nest_and_are_not_seen_in_strings() -> None:
    assert body_of('/* a /* b */ c */ "/* no */ // no" // yes') == (
        n.ExprStmt(n.Str("/* no */ // no", ("/* no */ // no",))),
    )


def test_unicode_white_space_separates() -> None:
    assert body_of("let\u00a0a\u2003=\u3000 1\r\n") == (n.Let("a", n.Int(1)),)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("cell A { ; }", "unexpected character ';'"),
        ("cell A { é }", "unexpected character 'é'"),
        ("\ufeffcell A { }", "unexpected character '\ufeff'"),
        ("cell A { \0 }", "unexpected character '\\u{0}'"),
        ('cell A { on f() { "abc } }', "unterminated string"),
        ("cell A { /* /* */ }", "unterminated block comment"),
        ("cell A { on f() { 1e+ } }", "invalid number"),
        ("cell ] A { on f() { a & b } }", "unexpected character '&'"),
    ],
)
def test_lexical_errors_come_first(text: str, message: str) -> None:
    assert errors_of(text)[0] == message


def test_operators_are_matched_longest_first() -> None:
    operators = "|> || && ?? == != <= >= += -= *= /= -> => .. + - * / % < > ! ? = . , : ( ) { } [ ]"
    tokens = scan(operators).tokens
    assert [operators[t.start : t.end] for t in tokens] == operators.split()
    assert token_kinds('a..b 1..5 1.5 2% 3s "x"') == [
        *("name", "op", "name", "number", "op", "number"),
        *("number", "percent", "duration", "string"),
    ]
