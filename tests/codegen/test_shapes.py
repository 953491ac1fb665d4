"""Kinds of items and fields: Python's own operators where they are proven, and only there."""

from __future__ import annotations

from pathlib import Path

import pytest

from somac.codegen import generate, load_in_memory
from somac.frontend.load import load
from somac.manifest import Manifest
from somart import App, StandaloneEngine
from somart.values import text


def run(body: str, tmp_path: Path) -> tuple[str, str]:
    """The text of what `main` gives, and the generated module."""
    path = tmp_path / "app.cell"
    path.write_text(f"cell A {{\n{body}\n}}\n", "utf-8")
    program = load(str(path)).program
    assert program is not None
    generated = generate(program, Manifest(), runtime="somart")
    module = next(m.text for m in generated.modules if m.filename == "a.py")
    with App(load_in_memory(generated), StandaloneEngine()) as app:
        return text(app.call("A", "main")), module


ROWS = 'let rows = range(0, 6) |> map(i => map("id", i, "tag", "t{i}"))\n'

PROVEN = {
    "a filter and a map become one comprehension": (
        ROWS + "rows |> filter(r => r.id > 3) |> map(r => r.id * 2)",
        "[8, 10]",
        '[r["id"] * 2 for r in rows if r["id"] > 3]',
    ),
    "filters follow each other": (
        ROWS + 'rows |> filter(r => r.id > 1 || r.tag == "t0") |> filter(r => r.id < 3) |> len()',
        "2",
        'for r in rows if r["id"] > 1 or r["tag"] == "t0" if r["id"] < 3',
    ),
    "any, all, count and find": (
        ROWS + "list(any(rows, r => r.id == 5), all(rows, r => r.id > 0), "
        "count(rows, r => r.id > 2), find(rows, r => r.id == 2).tag, find(rows, r => r.id > 9))",
        '[true, false, 3, "t2", null]',
        'next((r for r in rows if r["id"] > 9), None)',
    ),
    "reduce": (
        ROWS + "reduce(rows |> map(r => r.id), 0, p => p.acc + p.val)",
        "15",
        'p["acc"] + p["val"]',
    ),
    "a loop that pushes": (
        'let xs = list()\nfor i in range(0, 3) { xs = push(xs, map("n", i + 1)) }\n'
        "let sum = 0\nfor x in xs { sum += x.n }\nsum",
        "6",
        'sum_ += x["n"]',
    ),
    "fields added by with": (
        'let m = map("a", 1) |> with("b", 2)\nm.a + m.b',
        "3",
        'm["a"] + m["b"]',
    ),
}


@pytest.mark.parametrize("name", PROVEN)
def test_proven_kinds_use_python(name: str, tmp_path: Path) -> None:
    body, wanted, piece = PROVEN[name]
    got, module = run(f"on main() {{ {body} }}", tmp_path)
    assert got == wanted
    assert piece in module


def test_results_of_handlers_are_known_and_parameters_are_not(tmp_path: Path) -> None:
    body = """
    on rows(n: Int) { range(0, n) |> map(i => map("id", i)) }
    on twice(xs: List) { xs |> map(x => x.id * 2) }
    on main() { list(rows(3) |> map(r => r.id + 1), twice(rows(3)), twice(list(map("id", 1.5)))) }
    """
    got, module = run(body, tmp_path)
    assert got == "[1, 2, 3, [0, 2, 4], [3.0]]"
    assert 'r["id"] + 1' in module
    assert 'x["id"]' not in module


UNPROVEN = {
    "another kind of field": (
        'let xs = list(map("a", 1), map("a", "x"))\nxs |> map(x => try { x.a + 1 }.error)',
        '[null, "cannot add String and Int: x + 1"]',
    ),
    "a record without the field": (
        'let xs = push(list(map("a", 1)), map("b", 2))\nxs |> map(x => x.a ?? 0)',
        "[1, 0]",
    ),
    "a key that is computed": (
        'let k = to_string("a")\nlet m = map("a", 1) |> with(k, "x")\n"{m.a}!"',
        "x!",
    ),
    "a map with a key that is computed": (
        'let k = to_string("a")\nlet m = map("a", 1, k, "x")\nm.a',
        "x",
    ),
    "a field that is overwritten": ('let m = map("a", 1) |> with("a", "x")\n"{m.a}"', "x"),
    "a field that is taken away": ('let m = map("a", 1) |> without("a")\nm.a ?? "gone"', "gone"),
    "a property that hides the entry": ('let m = map("len", 7, "a", 1)\nm.len', "2"),
    "an item of another kind, later": (
        "let xs = list(1)\nlet seen = list()\nfor i in range(0, 2) {\n"
        "    for x in xs { seen = push(seen, try { x + 1 }.value) }\n"
        '    xs = push(xs, "s")\n}\nseen',
        "[2, 2, null]",
    ),
    "lists of lists without end": (
        "let xs = list()\nfor i in range(0, 9) { xs = list(list(), xs) }\nlen(to_string(xs)) > 9",
        "true",
    ),
    "two lists that are added": (
        'let xs = list(1) + list("a")\nxs |> map(x => try { x * 2 }.value)',
        "[2, null]",
    ),
    "a branch with another shape": (
        'let m = map("a", 1)\nif 1 < 2 { m = map("a", list(1, 2)) }\nlen(m.a)',
        "2",
    ),
    "what a fallback brings": (
        'let m = map("a", 1)\nlet v = m.zz ?? "none"\n"{v}" + "{m.a ?? 5}"',
        "none1",
    ),
    "an item that may be missing": (
        'let m = nth(list(map("a", 1)), 3) ?? map("b", 2)\nm.a ?? "no"',
        "no",
    ),
    "a variable that outlives its kind": (
        'let x = map("a", 1)\nlet y = x\nx = 5\ny.a + x',
        "6",
    ),
    "effects keep their order": (
        'let f = list(1, 2) |> filter(x => print(x) == ()) |> map(x => print("m") == ())\nf',
        "[true, true]",
    ),
}


@pytest.mark.parametrize("name", UNPROVEN)
def test_unproven_kinds_keep_their_meaning(name: str, tmp_path: Path) -> None:
    body, wanted = UNPROVEN[name]
    assert run(f"on main() {{ {body} }}", tmp_path)[0] == wanted


def test_a_filter_with_effects_runs_before_the_map(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    body = """
    on main() {
        range(0, 3) |> filter(x => print("f{x}") == () && x > 0) |> map(x => print("m{x}") == ())
    }
    """
    assert run(body, tmp_path)[0] == "[true, true]"
    assert capsys.readouterr().out.split() == ["f0", "f1", "f2", "m1", "m2"]


@pytest.mark.parametrize("name", ["filter", "any", "all", "count", "find"])
def test_what_is_no_list_is_refused_as_before(name: str, tmp_path: Path) -> None:
    body = f"on over(xs: List) {{ xs |> {name}(x => x > 1) }} on main() {{ try {{ over(3) }} }}"
    wanted = f'{{"value": null, "error": "undefined function: {name}"}}'
    assert run(body, tmp_path)[0] == wanted
