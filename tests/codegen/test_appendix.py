"""Appendix A of the core reference, with the mends applied: each line printed end to end."""

from __future__ import annotations

from pathlib import Path

import pytest

from somac.codegen import generate, load_in_memory
from somac.frontend.load import load
from somac.manifest import Manifest
from somart import App, StandaloneEngine

LINES = [
    ("7 / 2, 6 / 2, -7 / 2, 7 % 3, -7 % 3, 7 % -3, 7.5 % 2", "3.5 3 -3.5 1 -1 1 1.5"),
    (
        "9223372036854775807 + 1, 9223372036854775807 / 2",
        "9223372036854775808 4611686018427387904.0",
    ),
    ("99999999999999999999 / 7, type_of(99999999999999999999)", "14285714285714285714 BigInt"),
    ("1e3, 1E-3, 1.5e-7, 0.1 + 0.2, -0.0", "1000.0 0.001 0.00000015 0.30000000000000004 -0.0"),
    ("1 / 0.0, 5s, 1.5s, 1min, 50%", "inf 5000 1500 60000 50.0"),
    ('list("x\\ny", "q\\"", (), 2.0, map())', '["x\\ny", "q\\"", null, 2.0, {}]'),
    ("list(xs, 4), list(xs), list(list(1), list(2))", "[1, 2, 3, 4] [[1, 2, 3]] [[1], [2]]"),
    ('1 == 1.0, () == (), () != 1, () < 1, "b" > "a"', "true true true false true"),
    ('try { 1 == "1" }', '{"value": null, "error": "cannot compare Int and String"}'),
    ('try { "a" + 1 }', '{"value": null, "error": "cannot add String and Int: a + 1"}'),
    ('try { 1.0 + "x" }', '{"value": null, "error": "expected Float, got String(\\"x\\")"}'),
    ("try { m.zz.y }", '{"value": null, "error": "cannot access field \'y\' on Unit"}'),
    ("try { zz }", '{"value": null, "error": "undefined variable: zz"}'),
    ("try { xs |> map(x => x / 0) }", '{"value": null, "error": "division by zero"}'),
    ("xs |> len() > 2", "true"),
    (
        "try { xs.map(x => x) }",
        '{"value": null, "error": "\'xs\' is not a memory slot (no storage backend)"}',
    ),
    (
        '"{n} {n+1} {m.a} { m.b.c } {xs} {len(xs)} {xs.len} {zz} {m.b.c}"',
        "5 6 1 2 [1, 2, 3] 3 3 {zz} 2",
    ),
    ('"{} {a:b} .x { color: red; } {n"', "{} {a:b} .x { color: red; } {n"),
    ('"{map(\\"k\\", n)} a\\d\\{n}"', '{"k": 5} a\\d\\5'),
    ('m.keys, m.len, m.zz, xs.first, xs.get(9), "héé".len', '["a", "b"] 2 null 1 null 3'),
    ("xs |> map(x => x * n) |> filter(x => x > 5) |> len", "2"),
    ("xs |> map(x => { let y = x + 1  y * 2 })", "[4, 6, 8]"),
    ('xs |> map(x => { if x > 1 { "a" } else { "b" } })', '["b", "a", "a"]'),
    ("xs |> reduce(0, p => p.acc + p.val), x => x", "6 <lambda(x)>"),
    ("if true { if true { 1 } else { 2 } } else { 3 }", "1"),
    ('if list() { "t" } else { "f" }, list() || false, 0.0 && true', "f false true"),
    ('() ?? n, 0 ?? n, 1 && "", !0', "5 0 false true"),
    ('match 5 { 1..4 -> "lo" 5..9 -> "hi" _ -> "?" }, match 7 { 1 -> 2 }', "hi null"),
    ('match "/u/7" { "/u/" + id -> "id={id}" _ -> "none" }', "id=7"),
    ('match m { {a: 1, zz} -> zz ?? "nozz" _ -> "no" }', "nozz"),
    ('match n { k if k > 9 -> "big" 4 || 5 -> "mid" _ -> "?" }', "mid"),
    ('P { a: 1, b: "x" }, type_of(P { a: 1 })', '{"_type": "P", "a": 1, "b": "x"} Map'),
]


def run(tmp_path: Path, source: str) -> None:
    """Loads, generates, compiles in memory and calls `run`."""
    path = tmp_path / "app.cell"
    path.write_text(source, encoding="utf-8")
    loaded = load(path)
    assert loaded.program is not None, loaded.diagnostics
    spec = load_in_memory(generate(loaded.program, Manifest(), runtime="somart"))
    with App(spec, StandaloneEngine(None)) as app:
        app.call(spec.live[0].soma_name, "run", [])


@pytest.mark.parametrize(("arguments", "printed"), LINES)
def test_appendix_a(
    arguments: str, printed: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    start = 'let n = 5 let m = map("a", 1, "b", map("c", 2)) let xs = list(1, 2, 3)'
    run(tmp_path, f"cell Main {{ on run() {{ {start} print({arguments}) }} }}")
    assert capsys.readouterr().out == printed + "\n"


@pytest.mark.parametrize(
    ("body", "printed"),
    [
        ("let x = 1 if true { let x = 2 print(x) } print(x)", "2\n1\n"),
        ("if true { made = 3 } print(made)", "3\n"),
        ("let r = try { later } print(r.error) later = 1", "undefined variable: later\n"),
        ("for i in range(0, 2) { xs = push(xs, i) } print(xs)", "[0, 1]\n"),
        ("let k = 3 let f = y => y * k k = 10 print(f(2))", "6\n"),
        ("let t = 0 let f = x => { t = t + x t } print(f(1), f(2), t)", "1 2 0\n"),
        ("let a = list(1) let b = a a = push(a, 2) print(a, b)", "[1, 2] [1]\n"),
        ("let x = 7 x /= 2 let y = 7 / 2 print(x, y)", "3 3.5\n"),
        (
            "let class = 1 let self = 2 let ops = 3 let __x = 4 print(class, self + ops, __x)",
            "1 5 4\n",
        ),
    ],
)
def test_scopes_and_updates(
    body: str, printed: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run(tmp_path, f"cell Main {{ on run() {{ {body} }} }}")
    assert capsys.readouterr().out == printed


def test_a_handler_of_declared_kinds_agrees_with_its_general_version(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = """cell Main {
        on fib(n: Int) { if n < 2 { return n } fib(n - 1) + fib(n - 2) }
        on slow(n: Int) [native] { if n < 2 { return n } return slow(n - 1) + slow(n - 2) }
        on run() { print(fib(15), fib(15.0), slow(90)) }
    }"""
    run(tmp_path, source)
    assert capsys.readouterr().out == "610 610.0 2880067194370816120\n"
