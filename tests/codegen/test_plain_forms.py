"""Generated code says things as a Python programmer would: no double negation, no idle lines."""

from __future__ import annotations

import pytest

from somac.codegen import generate
from somac.frontend.load import load_text
from somac.manifest import Manifest

SLOT = "memory { s: Map<String, Int> [ephemeral] }"


def body(statements: str) -> str:
    """The Python of a handler `f(a, b)` with these statements, without its first lines."""
    loaded = load_text(f"cell A {{ {SLOT} on f(a: Any, b: Any) {{ {statements} }} }}")
    assert loaded.program is not None, loaded.diagnostics
    module = generate(loaded.program, Manifest()).modules[0].text
    return module[module.index("def f(") :].split('"""', 2)[2]


@pytest.mark.parametrize(
    ("soma", "python"),
    [
        ("require a != () else Missing", "if a is None:"),
        ("require a == () else There", "if a is not None:"),
        ("require !s.has(a) else There", "if self.s.has(a):"),
        ("require a != () && b != () else Missing", "if a is None or b is None:"),
        ("if !(a == b) { print(1) }", "if ops.ne(a, b):"),
        ("if !(len(s.keys) == 3) { print(1) }", "if len(self.s.keys()) != 3:"),
        ("let ok = len(s.keys) > 1 if ok == true { print(1) }", "if ok:"),
        ("let ok = len(s.keys) > 1 if ok != true { print(1) }", "if not ok:"),
    ],
)
def test_conditions_are_positive(soma: str, python: str) -> None:
    assert python in body(soma)


def test_an_order_of_floats_keeps_its_negation() -> None:
    """NaN: `!(x < y)` is not `x >= y`."""
    text = body("let x = sqrt(2.0) + 0.5 let y = 1.5 if !(x < y) { print(1) }")
    assert ">=" not in text


def test_failures_are_raised() -> None:
    assert "raise require_failed(" in body("require a > 1 else Low")
    assert "ops.fail(" not in body("nowhere(a)")
    assert "ops.fail(" in body("let g = x => nowhere(x) print(g)")  # inside an expression


def test_variables_without_a_reader_are_marked() -> None:
    assert "_x = " in body("let x = len(s.keys) if a { nowhere(1) print(x) }")
    assert "x += 1" not in body("x += 1")


def test_nested_patterns_enter_by_key() -> None:
    text = body("match a { {o: {i: 1}} -> 1 _ -> 2 }")
    assert 'isinstance(a.get("o"), dict)' in text
    assert 'a["o"].get("i")' in text
