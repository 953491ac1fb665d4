"""Extreme inputs give a diagnostic that names the limit, quickly, and never a traceback."""

from __future__ import annotations

import sys

import pytest
from frontend_snippets import parse_text

from somac.frontend import limits


def handler(text: str) -> str:
    return f"cell A {{ on f() {{ {text} }} }}"


@pytest.mark.parametrize(
    ("text", "code", "number"),
    [
        (handler("(" * 100_000), "E020", limits.BRACKET_DEPTH),
        (handler("[" * 100_000), "E020", limits.BRACKET_DEPTH),
        ("cell A { interior { " * 1000, "E020", limits.BLOCK_DEPTH),
        (handler("if a { " * 1000), "E020", limits.BLOCK_DEPTH),
        (handler("!" * 100_000 + "a"), "E020", limits.PREFIX_OPERATORS),
        (handler("- " * 100_000 + "a"), "E020", limits.PREFIX_OPERATORS),
        ("/*" * 100_000, "E020", limits.COMMENT_DEPTH),
        (handler("let f = " + "x => " * 500 + "1"), "E020", limits.NESTING),
        (
            "cell A { on f(a: " + "M<" * 500 + "Int" + ">" * 500 + ") { } }",
            "E020",
            limits.NESTING,
        ),
        (handler("a" + ".b" * 5000), "E022", limits.POSTFIXES),
        (handler("if a { }" + " else if b { }" * 500), "E022", limits.ELSE_IFS),
        (handler("9" * 5000), "E023", limits.INTEGER_DIGITS),
        ("a" * (limits.FILE_CHARACTERS + 1), "E021", limits.FILE_CHARACTERS),
    ],
    ids=lambda value: str(value)[:24],
)
@pytest.mark.slow
def test_the_message_names_the_limit(text: str, code: str, number: int) -> None:
    found, *_ = parse_text(text).diagnostics
    assert found.code == code
    assert str(number) in found.message


@pytest.mark.slow
def test_too_many_operators() -> None:
    found, *_ = parse_text(handler("a" + " + a" * 10_001)).diagnostics
    assert (found.code, str(limits.OPERATORS) in found.message) == ("E022", True)


@pytest.mark.slow
@pytest.mark.parametrize(
    "text",
    [
        "}" * 20_000,
        "{" * 100,
        handler("match " * 500 + "1"),
        handler("if " * 500 + "1"),
        handler("(a " * 100),
        "cell A { " * 40,
        "cell " * 5000,
        "} { ) ( cell on ] [ " * 200,
    ],
    ids=lambda value: value[:20],
)
def test_nonsense_gives_diagnostics(text: str) -> None:
    parsed = parse_text(text)
    assert parsed.module is None
    assert 1 <= len(parsed.diagnostics) <= limits.DIAGNOSTICS


@pytest.mark.slow
@pytest.mark.parametrize(
    "text",
    [
        handler('"' + "a{" * 50_000 + '}"'),
        handler('"' + "{a:" * 50_000 + '}"'),
        handler('"' + "\\" * 20_000 + '"'),
        handler("f(" * 30 + ")" * 30),
        handler("let a = " + "[" * 100 + "]" * 100),
        handler("if a { " * 40 + "}" * 40),
        handler("a" + ".b" * 300),
        handler("let a = 1e999999999999s"),
    ],
    ids=lambda value: value[:32],
)
def test_what_is_large_but_allowed(text: str) -> None:
    assert parse_text(text).module is not None


def test_the_recursion_limit_is_put_back() -> None:
    before = sys.getrecursionlimit()
    parse_text(handler("("))
    assert sys.getrecursionlimit() == before


@pytest.mark.slow
def test_the_time_grows_with_the_length() -> None:
    from time import process_time

    def cost(cells: int) -> float:
        text = "\n".join(handler("let a = 1 + f(b, c.d) print(a)\n" * 10) for _ in range(cells))
        start = process_time()
        assert parse_text(text).module is not None
        return process_time() - start

    small = min(cost(10) for _ in range(3))
    large = min(cost(40) for _ in range(3))
    assert large < 4 * small * 3
