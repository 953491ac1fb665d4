"""What counts as a certain failure, and what must not be called one."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from somac.check import check
from somac.frontend.builtins import BUILTINS
from somac.frontend.load import load_text
from somac.manifest import Manifest


def codes(text: str) -> list[str]:
    loaded = load_text(text)
    assert loaded.program is not None, loaded.diagnostics
    return [d.code for d in check(loaded.program, Manifest())]


def body(text: str, more: str = "") -> list[str]:
    return codes(
        f"cell A {{ memory {{ jobs: Map<String, Int> }} on f(p: Int) {{ {text} }} {more} }}"
    )


@pytest.mark.parametrize(
    "text",
    [
        "let x = 1 x + p",
        "if p > 1 { y = 2 } y",
        "for v in list(1) { print(v) }",
        "list(1) |> map(x => x + p) |> len",
        "match p { 1 -> 2 other -> other }",
        "match map() { {a: q, b} -> q + b _ -> 0 }",
        'match "ab" { "a" + rest -> rest _ -> "" }',
        "let g = x => x + 1 g(2)",
        "let xs = list() xs = append(xs, 1) xs",
        "ys = append(ys, 1) ys",
        "try { nothing(zz) }",
        '"{zz}"',
        "jobs.len + jobs.size()",
        'jobs.put("a", 1) jobs.keys |> len',
        "let jobs = map() jobs.title",
        "transition(p, Solved)",
        "require anything else Oops",
        "other(p)",
        "p |> other",
        "p |> other()",
        'delegate("A", "other", p)',
        "emit nobody(1, 2, 3)",
    ],
)
def test_what_may_succeed_is_no_error(text: str) -> None:
    assert [c for c in body(text, "on other(x: Int) { x }") if c[0] == "E"] == []


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("zz", "E201"),
        ("zz += 1", "E201"),
        ("Zz", "E201"),
        ("jobs", "E201"),
        ("let g = len g", "E201"),
        ("if true { zz }", "E201"),
        ("list(1) |> map(x => zz)", "E201"),
        ("missing(1)", "E202"),
        ("p |> missing", "E202"),
        ("sin(1.0)", "E202"),
        ("len()", "E202"),
        ("append(p, 1)", "E202"),
        ("other()", "E203"),
        ("p |> other(1)", "E203"),
        ("jobs.get()", "E203"),
        ("jobs.set(1)", "E203"),
        ("jobs.clear()", "E204"),
        ("jobs.title", "E204"),
        ("p |> (x => x)", "E206"),
        ('delegate("B", "f", 1)', "E207"),
        ("break", "E210"),
    ],
)
def test_what_must_fail_is_an_error(text: str, code: str) -> None:
    assert body(text, "on other(x: Int) { x }") == [code]


def test_handlers_of_other_cells_and_of_interiors_are_known() -> None:
    text = (
        "cell A { on f() { g(1) h() } interior { cell C { face { signal h() } on h() { 1 } } } }"
        " cell B { on g(x: Int) { x } }"
    )
    assert codes(text) == []


def test_the_own_handler_wins() -> None:
    text = "cell A { on g() { 1 } } cell B { on g(x: Int) { x } on f() { g(1) } }"
    assert codes(text) == []


def test_assertions_of_test_cells_are_left_alone() -> None:
    assert codes("cell A { on f() { 1 } } cell test T { rules { assert zz == missing() } }") == []


def test_native_handlers_may_use_the_native_builtins() -> None:
    text = (
        "cell A { on f(n: Int) [native] { let b = buffer(n) buf_set(b, 0, gcd(n, 4))"
        " for i in range(0, n) { n = n / 2 } g(n) + buf_get(b, 0) } on g(n: Int) [native] { n } }"
    )
    assert codes(text) == []


@pytest.mark.parametrize("name", sorted(n for n, b in BUILTINS.items() if not b.lambda_only))
def test_builtins_are_known(name: str) -> None:
    info = BUILTINS[name]
    args = ", ".join(["p"] * max(info.min_args, 1))
    assert [c for c in body(f"{name}({args})") if c[0] == "E"] == []


@given(st.text("abcdefgh(){}[]\"'.|>=+-*/<!?:, \n0123456789ifletmachornw_", max_size=60))
@settings(max_examples=60, deadline=None)
def test_checking_never_raises(text: str) -> None:
    loaded = load_text(f"cell A {{ memory {{ jobs: List }} on f(p: Int) {{ {text} }} }}")
    if loaded.program is not None:
        assert isinstance(check(loaded.program, Manifest()), tuple)
