"""Wrong programs with their expected diagnostics, side by side; every code is covered.

UPDATE_GOLDEN=1 rewrites the expectations.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import pytest

from somac.check import check
from somac.check.codes import CODES as CHECK_CODES
from somac.check.report import text_report
from somac.frontend.codes import CODES as FRONTEND_CODES
from somac.frontend.codes import CodeInfo
from somac.frontend.diagnostics import Diagnostic
from somac.frontend.load import load_text
from somac.frontend.render import render
from somac.manifest import Manifest, parse_manifest

FOLDER = Path(__file__).with_name("wrong")
PROGRAMS = sorted(FOLDER.glob("*.cell"))
MODELS = '[package]\nname = "golden"\n[models.small]\nprovider = "ollama"\n'
# too large a file, an unreadable file, and what only `verify` finds
NOT_IN_A_TEXT = {"E021", "E030", "E280", "E281", "W282", "W283", "N284"}
CATALOGUE = {**FRONTEND_CODES, **CHECK_CODES}


def diagnose(program: Path) -> tuple[Diagnostic, ...]:
    """All that is said about a program and the manifest `NNN_name.toml` beside it, if any."""
    beside = program.with_suffix(".toml")
    text = beside.read_text("utf-8") if beside.exists() else MODELS
    manifest, about = parse_manifest(text, Path("soma.toml"), program.stem)
    return (*about, *findings(program.read_bytes().decode("utf-8"), program.name, manifest))


def findings(text: str, name: str, manifest: Manifest) -> tuple[Diagnostic, ...]:
    loaded = load_text(text, name)
    if loaded.program is None:
        return loaded.diagnostics
    return (*loaded.diagnostics, *check(loaded.program, manifest))


def shown(diagnostics: Sequence[Diagnostic]) -> str:
    """Codes and rendered diagnostics, then what `check` prints on stdout when it gets there."""
    parts = [f"[{d.code}]\n{render(d)}\n" for d in diagnostics]
    if not any(d.code.startswith("E0") for d in diagnostics):
        counted = [d for d in diagnostics if d.code in CHECK_CODES and d.code[0] != "A"]
        parts.append(f"[stdout]\n{text_report(counted)}")
    return "\n".join(parts)


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda p: p.stem)
def test_a_wrong_program_gets_its_diagnostics(program: Path) -> None:
    golden = program.with_suffix(".txt")
    text = shown(diagnose(program))
    if os.environ.get("UPDATE_GOLDEN"):
        golden.write_text(text, "utf-8")
    assert text == golden.read_text("utf-8")


def test_there_are_enough_wrong_programs() -> None:
    assert len(PROGRAMS) >= 60


def test_every_code_is_covered() -> None:
    found = {d.code for program in PROGRAMS for d in diagnose(program)}
    assert CATALOGUE.keys() - found - NOT_IN_A_TEXT == set()
    assert found - CATALOGUE.keys() == set()


@pytest.mark.parametrize("info", CHECK_CODES.values(), ids=lambda info: info.code)
def test_the_examples_of_a_code_show_it(info: CodeInfo) -> None:
    manifest, _ = parse_manifest(MODELS, Path("soma.toml"), "golden")
    if info.wrong:
        assert info.code in {d.code for d in findings(info.wrong, "wrong.cell", manifest)}
    if info.right:
        assert info.code not in {d.code for d in findings(info.right, "right.cell", manifest)}


@pytest.mark.parametrize("info", FRONTEND_CODES.values(), ids=lambda info: info.code)
def test_the_right_example_of_a_syntax_code_is_right(info: CodeInfo) -> None:
    if info.right:
        codes = {d.code for d in findings(info.right, "right.cell", Manifest())}
        assert info.code not in codes


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda p: p.stem)
def test_findings_of_the_checker_name_the_edit(program: Path) -> None:
    about = [d for d in diagnose(program) if d.code in CHECK_CODES and d.code != "E270"]
    assert all(d.fix for d in about)
    assert all(d.span is not None for d in about)
