"""Texts of syntax errors, hints, and going on after an error (core 4.2)."""

from __future__ import annotations

import pytest
from frontend_snippets import errors_of, parse_text

STATEMENT = "statement (let, return, if, match, signal, require, or expression)"
SECTION = "face, memory, interior, on, rules, runtime, state, every, scale, or cost"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("foo", "expected 'cell', found 'foo'"),
        ("5", "expected 'cell', found number '5'"),
        ('"a"', "expected 'cell', found string \"a\""),
        ("cell", "expected identifier, found end of file"),
        ("cell A", "expected '{', found end of file"),
        ("cell A {", "expected '}', found end of file"),
        ("cell A { on f() {", "expected '}', found end of file"),
        ("cell A { on f() { print(1 } }", "expected ')', found '}'"),
        ("cell A { foo }", f"expected {SECTION}, found 'foo'"),
        ("cell A { on f() { + } }", f"expected {STATEMENT}, found '+'"),
        ("cell A { on f() { let = 1 } }", "expected identifier, found '='"),
        ("cell A { on f() { let x 1 } }", "expected '=', found number '1'"),
        ("cell A { on f() { let x = } }", "expected expression, found '}'"),
        ("cell A { on f() { a && return b } }", "expected expression, found 'return'"),
        ("cell A { on f() { let after = 1 } }", "expected identifier, found 'after'"),
        ("cell A { on f() { a = state => 1 } }", f"expected {STATEMENT}, found '=>'"),
        ("cell A { on f() { if a b } }", "expected '{', found 'b'"),
        ("cell A { on f() { state let } }", "expected identifier, found '}'"),
        ("cell A { on f(a) { } }", "expected ':', found ')'"),
        ("cell A { on f(a: 5) { } }", "expected type name, found number '5'"),
        ("cell A { on f( { } }", "expected ')', found '{'"),
        ("cell A { on state { } }", "expected '(', found '{'"),
        ("cell A { memory { a } }", "expected ':', found '}'"),
        ("cell A { memory { a: Int [x(])] } }", "expected ')', found ']'"),
        ("cell A { scale { size: 1 } }", "expected replicas, shard, consistency, tolerance, cpu, "
         "memory, or disk, found 'size'"),
        ("cell A { scale { consistency: weak } }", "expected strong, causal, or eventual, found "
         "'weak'"),
        ("cell A { scale { replicas: many } }", "expected integer, found 'many'"),
        ("cell A { face { on } }", "expected given, promise, signal, await, or tool, found 'on'"),
        ("cell A { rules { x } }", "expected contradicts, implies, requires, mutex_group, check, "
         "matches, native, assert, or property, found 'x'"),
        ("cell A { state m { a -> b { x } } }", "expected 'guard', 'effect', or '}', found 'x'"),
        ("cell type A { variants { b } }", "expected PascalCase variant name, found 'b'"),
        ("cell A { every x { } }", "expected interval (e.g., 30s, 5min, 1h), found 'x'"),
        ("cell A { after x { } }", "expected delay (e.g., 5s, 1min, 500ms), found 'x'"),
        ("cell A { state { a -> } }", "expected name, found '}'"),
    ],
)  # fmt: skip
def test_the_text_of_the_first_error(text: str, message: str) -> None:
    assert errors_of(text)[0] == message


def test_contextual_keywords_are_shown_as_words() -> None:
    assert errors_of("state") == ["expected 'cell', found State"]


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("cell A { memroy { } }", "did you mean 'memory'?"),
        ("cel A { }", "did you mean 'cell'?"),
        ("cell A { on f() { let if = 1 } }", "`if` is a keyword and cannot be a name"),
        ("cell A { on f() { return } }", "`return` needs a value: `return ()`"),
        ("cell A { on f() { a < b < c } }", "comparisons cannot be chained: use `&&`"),
        ("cell A {\n on f() {\n 1 }", "the `{` in line 1 is not closed"),
        ("cell A { on f() { print(7%3) } }", "a `%` glued to a number is a percentage: "
         "write `7 % 3`"),
        ("cell A { on f() { a; } }", "statements need no separator: leave it out"),
        ("cell A { on f() { let m = {a: 1} } }", "there are no map literals: use map(k, v, …)"),
        ("cell A { on f() { g((a, b) => 1) } }", "a lambda has exactly one parameter, without "
         "parentheses: `x => …`"),
    ],
)  # fmt: skip
def test_hints(text: str, hint: str) -> None:
    assert parse_text(text).diagnostics[0].hint == hint


MANY = """cell A {
  memory { a: Map<String, Int> [persistent }
  on f(a: Int) {
    let after = 5
    let x =
    foo(1, 2
  }
  on g(a) { return 1 }
  onn h() { 1 }
}
cel B { }
cell C { on k() { a < b < c } on l() { let = 3 } }
cell D { on ok() { 1 } }
"""


def test_each_mistake_gets_its_own_diagnostic() -> None:
    parsed = parse_text(MANY)
    assert parsed.module is None
    places = [(d.span.line, d.message.split(",")[0]) for d in parsed.diagnostics if d.span]
    assert places == [
        (2, "expected ']'"),
        (4, "expected identifier"),
        (7, "expected ')'"),
        (8, "expected ':'"),
        (9, "expected face"),
        (11, "expected 'cell'"),
        (12, "expected statement (let"),
    ]


def test_lexical_errors_do_not_hide_syntax_errors_elsewhere() -> None:
    found = errors_of("cell A {\n on f() {\n let a = 1;\n let = 2\n }\n}")
    assert found == ["unexpected character ';'", "expected identifier, found '='"]


def test_a_missing_brace_does_not_spoil_the_next_cell() -> None:
    found = parse_text(
        "cell A { on f() { 1 \n}\ncell B { on f() { 2 } }\ncell C { on f() { let } }"
    )
    assert [d.span.line for d in found.diagnostics if d.span] == [3, 4]


def test_at_most_twenty_diagnostics() -> None:
    bad = "\n".join(f"cell A{i} {{ on f() {{ let = {i} }} }}" for i in range(50))
    assert len(parse_text(bad).diagnostics) == 20
    assert len(parse_text("cell A { " + ";" * 50).diagnostics) == 20
