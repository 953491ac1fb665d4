"""`soma fix`: what it repairs, that it leaves the rest alone, and what it says."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from somac.check import check
from somac.cli.commands import invoke
from somac.fixing import Edit, apply_edits, find_fixes
from somac.frontend.load import load_text
from somac.manifest import Manifest


def fixed(text: str) -> str:
    """The text with all fixes made; it must still be a program."""
    program = load_text(text).program
    assert program is not None
    result = apply_edits(text, (edit for fix in find_fixes(program) for edit in fix.edits))
    assert load_text(result).program is not None, result
    return result


def messages(text: str) -> list[str]:
    program = load_text(text).program
    assert program is not None
    return [fix.message for fix in find_fixes(program)]


def codes(text: str) -> set[str]:
    program = load_text(text).program
    assert program is not None
    return {d.code for d in check(program, Manifest())}


def test_a_missing_handler_is_added_as_the_last_section() -> None:
    text = (
        "cell A {\n    face {\n        signal book(id: String, m: Map<String, Int>) -> Int // c\n"
        "    }\n    // the end\n}\n"
    )
    assert messages(text) == ["added handler: on book(id: String, m: Map<String, Int>) { ... }"]
    assert fixed(text) == text.removesuffix("}\n") + (
        "\n    on book(id: String, m: Map<String, Int>) {\n"
        '        return map("status", "ok")\n    }\n}\n'
    )


def test_a_cell_on_one_line_stays_on_it() -> None:
    text = "cell A { face { signal f() } } // after"
    wanted = 'cell A { face { signal f() } on f() { return map("status", "ok") } } // after'
    assert fixed(text) == wanted


def test_line_ends_and_indentation_are_the_files_own() -> None:
    text = "cell A {\r\n\tface {\r\n\t\tsignal f()\r\n\t}\r\n}\r\n"
    added = '\r\n\ton f() {\r\n\t\treturn map("status", "ok")\r\n\t}\r\n}\r\n'
    assert fixed(text) == text.removesuffix("}\r\n") + added


def test_an_await_needs_no_handler_and_a_tool_does() -> None:
    text = 'cell agent A { face { await g() tool look(q: String) -> String "looks" } }'
    assert messages(text) == ["added handler: on look(q: String) { ... }"]


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("[ephemeral, persistent]", "[persistent]"),
        ("[persistent, ephemeral]", "[persistent]"),
        ("[persistent ephemeral]", "[persistent ]"),
        ("[capacity(5), consistent, eventual, ttl(1min)]", "[capacity(5), consistent, ttl(1min)]"),
        ("[ephemeral, ephemeral, persistent]", "[persistent]"),
        ("[persistent, /* why */ ephemeral, local]", "[persistent /* why */ , local]"),
        ("[ephemeral /* why */, persistent]", "[ /* why */ persistent]"),
        ("[local, eventual, consistent]", "[local]"),
        ("[ephemeral, capacity(9)]", "[ephemeral, capacity(9)]"),
    ],
)
def test_the_contradicting_property_goes(before: str, after: str) -> None:
    text = "cell A { memory { s: Map<String, Int> %s } on f() { 1 } }"
    assert fixed(text % before) == text % after
    assert "E101" not in codes(text % after)


def test_a_duplicate_signal_goes_with_its_line_and_leaves_comments() -> None:
    face = "cell A {\n    face {\n        signal f(a: Int)\n%s    }\n    on f(a: Int) { a }\n}\n"
    assert fixed(face % "        signal f(a: Int)\n") == face % ""
    assert fixed(face % "        signal f(a: Int) // once more\n") == face % (
        "        // once more\n"
    )


def test_signals_on_one_line() -> None:
    text = "cell A { face { signal f() signal f() } on f() { 1 } }"
    assert fixed(text) == "cell A { face { signal f() } on f() { 1 } }"


def test_cells_of_an_interior_are_repaired_too() -> None:
    text = "cell A {\n    interior {\n        cell B {\n            face { signal f() }\n"
    text += "        }\n    }\n}\n"
    assert '\n\n            on f() {\n                return map("status", "ok")\n' in fixed(text)


def test_fixing_twice_changes_nothing_more() -> None:
    text = (
        "cell A { face { signal f() signal f() }"
        " memory { s: Map [ephemeral, persistent, retain(5d)] } }"
    )
    once = fixed(text)
    assert fixed(once) == once
    assert not codes(once) & {"E101", "E111", "E120"}


def test_edits_that_overlap_are_refused() -> None:
    assert apply_edits("abc", [Edit(1, 2, "x"), Edit(1, 1, "y"), Edit(1, 1, "z")]) == "ayzxc"
    with pytest.raises(ValueError, match="overlap"):
        apply_edits("abcdef", [Edit(0, 3), Edit(2, 4)])


NAMES = st.sampled_from(["persistent", "ephemeral", "consistent", "eventual", "local", "immutable"])
PROPERTIES = st.lists(NAMES | st.sampled_from(["versioned", "capacity(3)"]), min_size=1, max_size=6)


@settings(max_examples=60, deadline=None)
@given(PROPERTIES, st.sampled_from([", ", " ", ",\n  // why\n  "]), st.lists(NAMES, max_size=4))
def test_every_list_of_properties_ends_without_contradiction(
    properties: list[str], separator: str, signals: list[str]
) -> None:
    face = " ".join(f"signal {name}_x(a: Int)" for name in signals)
    text = f"cell A {{ face {{ {face} }} memory {{ s: Map [{separator.join(properties)}] }} }}"
    result = fixed(text)
    assert not codes(result) & {"E101", "E111", "E120"}
    assert result.count("// why") == text.count("// why")


# --- the command ----------------------------------------------------------------------------------

WRONG = (
    "cell A {\n    face { signal f(p: Int) }\n    memory { s: Map [ephemeral, persistent] }\n}\n"
)


@pytest.fixture
def wrong(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SOMA_CACHE_DIR", str(tmp_path / ".cache"))
    path = tmp_path / "app.cell"
    path.write_text(WRONG, "utf-8")
    return path


def test_the_command_says_what_it_did_and_checks_again(
    wrong: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert invoke(["fix", "app.cell"]) == 0
    assert capsys.readouterr().out == (
        "✓ removed property: ephemeral from slot 's'\n"
        "✓ added handler: on f(p: Int) { ... }\n"
        "✓ 2 fix(es) applied, re-checking...\n"
        "✓ All checks passed.\n"
    )
    before = wrong.read_bytes()
    assert invoke(["fix", "app.cell"]) == 0
    assert capsys.readouterr().out.startswith("✓ nothing to fix, checking...\n")
    assert wrong.read_bytes() == before
    assert not list(wrong.parent.glob(".*.part"))


def test_json_lists_fixes_and_what_remains(wrong: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert invoke(["fix", "app.cell", "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["applied"] == 2
    assert [fix["kind"] for fix in report["fixes"]] == [
        "property_contradiction",
        "missing_handler",
    ]
    assert report["remaining"]["passed"] is True


def test_errors_that_remain_do_not_fail_it(wrong: Path, capsys: pytest.CaptureFixture[str]) -> None:
    wrong.write_text("cell A { memory { s: Map s: Map } on f() { 1 } }", "utf-8")
    assert invoke(["fix", "app.cell"]) == 0
    assert "error: duplicate memory slot 's' in cell 'A'" in capsys.readouterr().out


def test_what_is_no_program_is_left_alone(wrong: Path) -> None:
    wrong.write_text("cell A { on f( }", "utf-8")
    assert invoke(["fix", "app.cell"]) == 1
    assert wrong.read_text("utf-8") == "cell A { on f( }"
    assert invoke(["fix", "missing.cell"]) == 1


def test_permissions_and_links_stay(wrong: Path) -> None:
    wrong.chmod(0o640)
    link = wrong.parent / "link.cell"
    link.symlink_to(wrong)
    assert invoke(["fix", "link.cell"]) == 0
    assert link.is_symlink()
    assert wrong.stat().st_mode & 0o777 == 0o640
    assert "on f(p: Int)" in wrong.read_text("utf-8")


def test_imported_files_are_not_touched(wrong: Path) -> None:
    wrong.write_text("use lib::lib\n" + WRONG, "utf-8")
    (wrong.parent / "lib").mkdir()
    imported = wrong.parent / "lib" / "lib.cell"
    imported.write_text("cell L { face { signal g() } }", "utf-8")
    assert invoke(["fix", "app.cell"]) == 0
    assert imported.read_text("utf-8") == "cell L { face { signal g() } }"
    assert "on f(p: Int)" in wrong.read_text("utf-8")
