"""The layout of diagnostics (core 4.4), and the catalogue of codes."""

from __future__ import annotations

import pytest
from frontend_snippets import parse_text

from somac.frontend.codes import CODES
from somac.frontend.diagnostics import Diagnostic, Severity
from somac.frontend.load import load_text
from somac.frontend.render import render, to_json


def first(text: str) -> Diagnostic:
    return parse_text(text).diagnostics[0]


def caret_line(text: str) -> str:
    return render(first(text)).split("\n")[4]


def test_the_layout() -> None:
    text = "\n" * 11 + "cell A { on f() { let = 1 } }"
    assert render(first(text)) == (
        "error: expected identifier, found '='\n"
        "  --> app.cell:12:23\n"
        "   |\n"
        "12 | cell A { on f() { let = 1 } }\n"
        "   |                       ^"
    )


def test_hints_notes_and_fixes_follow() -> None:
    found = first("cell A { a }")
    more = Diagnostic(
        "W001", Severity.WARNING, "so", found.span, hint="h", fix="f", notes=("one", "two")
    )
    assert render(more).split("\n")[5:] == [
        "  = hint: h",
        "  = fix: f",
        "  = note: one",
        "  = note: two",
    ]
    assert render(Diagnostic("N", Severity.NOTE, "plain")) == "note: plain"


def test_tabs_and_wide_characters_do_not_move_the_caret() -> None:
    assert caret_line("cell A {\n\ton f() { let = 1 } }") == "  | \t             ^"
    assert caret_line('cell A { on f() { "漢e\u0301" let = 1 } }') == "  | " + " " * 28 + "^"


def test_long_lines_are_cut_around_the_caret() -> None:
    text = "cell A { on f() { " + "let a = 1 " * 100 + "let = 1" + " let a = 1" * 100 + "} }"
    line, caret = render(first(text)).split("\n")[3:5]
    assert len(line) < 200
    assert line[len(caret) - 1] == "="
    assert line.startswith("1 | …")
    assert line.endswith("…")


def test_control_characters_are_not_printed() -> None:
    assert "\x1b" not in render(first("cell A { \x1b[31m }"))


def test_colours_change_nothing_else() -> None:
    import re

    found = first("cell A { memroy { } }")
    painted = render(found, colour=True)
    assert "\x1b[1;31merror\x1b[0m" in painted
    assert re.sub(r"\x1b\[[0-9;]*m", "", painted) == render(found)


def test_json_has_all_positions() -> None:
    assert to_json(first("cell A { memroy { } }")) == {
        "code": "E013",
        "severity": "error",
        "message": "expected face, memory, interior, on, rules, runtime, state, every, scale, "
        "or cost, found 'memroy'",
        "file": "app.cell",
        "line": 1,
        "column": 10,
        "end_line": 1,
        "end_column": 16,
        "hint": "did you mean 'memory'?",
        "fix": None,
        "notes": [],
    }
    assert to_json(Diagnostic("X", Severity.NOTE, "m"))["line"] is None


@pytest.mark.parametrize("code", sorted(CODES))
def test_the_examples_of_a_code_show_it(code: str) -> None:
    info = CODES[code]
    assert info.code == code
    assert info.title
    assert info.explanation.endswith(".")
    if info.wrong:
        assert load_text(info.wrong).diagnostics[0].code == code
    assert load_text(info.right).diagnostics == ()
