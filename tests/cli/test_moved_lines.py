"""The line table of a module survives formatting."""

from __future__ import annotations

import ast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from somac.codegen.package import format_module
from somac.codegen.source_map import moved_lines


def test_a_line_that_is_wrapped_keeps_its_place() -> None:
    before = "def f(a):\n" f"    first = call({', '.join(['a'] * 60)})\n" "    return first\n"
    after = format_module(before)
    rows = dict(moved_lines(before, after, [(1, "def"), (2, "first"), (3, "return")]))
    lines = after.splitlines()
    assert rows[1] == "def"
    assert lines[min(n for n, place in rows.items() if place == "return") - 1].strip() == (
        "return first"
    )
    assert rows[2] == "first"
    assert len(lines) > 3


def test_lines_before_the_first_row_have_no_place() -> None:
    assert moved_lines("import a\nimport b\n", "import a\nimport b\n", [(2, "b")]) == [(2, "b")]


def test_another_program_is_refused() -> None:
    with pytest.raises(ValueError, match="says something else"):
        moved_lines("x = 1\n", "x = f(1)\n", [(1, "x")])


names = st.sampled_from(["alpha", "beta_longer_name", "a_rather_long_name_for_a_variable"])
expressions = st.recursive(
    names, lambda e: st.lists(e, min_size=1, max_size=6).map(lambda xs: f"f({', '.join(xs)})")
)


@settings(max_examples=40, deadline=None)
@given(st.lists(expressions, min_size=1, max_size=6))
def test_each_statement_finds_its_line_again(values: list[str]) -> None:
    before = "".join(f"x{i} = {value}\n" for i, value in enumerate(values))
    after = format_module(before)
    rows = moved_lines(before, after, [(i + 1, i) for i in range(len(values))])
    for statement in ast.parse(after).body:
        assert isinstance(statement, ast.Assign)
        target = statement.targets[0]
        assert isinstance(target, ast.Name)
        place = max((row for row in rows if row[0] <= statement.lineno), key=lambda row: row[0])
        assert f"x{place[1]}" == target.id
