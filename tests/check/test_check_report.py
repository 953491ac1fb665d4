"""The text and the JSON of `check` (system reference §4.4)."""

from __future__ import annotations

import json

from hypothesis import given, settings
from hypothesis import strategies as st

from somac.check.report import json_report, text_parts, text_report
from somac.frontend.diagnostics import Diagnostic, Severity

ERROR = Diagnostic("E110", Severity.ERROR, "duplicate", kind="duplicate_slot", fix="rename")
WARNING = Diagnostic("W101", Severity.WARNING, "unknown", fix="remove")
NOTE = Diagnostic("N102", Severity.NOTE, "added", fix="write it")
ADVISORY = Diagnostic("W193", Severity.WARNING, "advisory: cost", fix="bound it")
PROVEN = Diagnostic("N197", Severity.NOTE, "✓ proven", counted=False, notes=("    detail",))


def test_nothing_to_report() -> None:
    assert text_report([]) == "✓ All checks passed.\n"


def test_notes_do_not_count() -> None:
    assert text_report([PROVEN]) == "✓ proven\n    detail\n✓ All checks passed (1 note).\n"
    assert text_report([PROVEN, PROVEN]).endswith("✓ All checks passed (2 notes).\n")


def test_warnings_come_before_errors() -> None:
    assert text_report([ERROR, WARNING, NOTE, ADVISORY, PROVEN]).splitlines() == [
        "warning: unknown",
        "note: added",
        "advisory: cost",
        "✓ proven",
        "    detail",
        "error: duplicate",
        "✗ 1 error(s), 3 warning(s).",
    ]


def test_only_warnings() -> None:
    assert text_report([NOTE]).splitlines()[-1] == "✓ 1 warning(s), no errors."


def test_json_keeps_prefixes_and_counts_notes() -> None:
    report = json.loads(json_report([ERROR, NOTE, PROVEN]))
    assert report == {
        "error_count": 1,
        "errors": [
            {"fix": "rename", "kind": "duplicate_slot", "level": "error", "message": "duplicate"}
        ],
        "passed": False,
        "warning_count": 2,
        "warnings": [
            {"fix": "write it", "level": "warning", "message": "note: added"},
            {"fix": "", "level": "warning", "message": "✓ proven\n    detail"},
        ],
    }


def test_json_of_nothing() -> None:
    assert json_report([]).splitlines()[:4] == [
        "{",
        '  "error_count": 0,',
        '  "errors": [],',
        '  "passed": true,',
    ]


@given(st.lists(st.sampled_from([ERROR, WARNING, NOTE, ADVISORY, PROVEN]), max_size=8))
@settings(max_examples=40, deadline=None)
def test_every_finding_is_shown_once(found: list[Diagnostic]) -> None:
    text = text_report(found)
    report = json.loads(json_report(found))
    assert text.count("error: duplicate") == report["error_count"] == found.count(ERROR)
    assert len(found) == report["error_count"] + report["warning_count"]
    assert text.startswith("✗") or "✗" not in text.splitlines()[0]
    assert report["passed"] is (ERROR not in found)


def test_the_pieces_are_the_report_and_name_their_findings() -> None:
    found = [ERROR, WARNING, NOTE, ADVISORY, PROVEN]
    parts = text_parts(found)
    assert "".join(text for text, _ in parts) == text_report(found)
    assert [finding for _, finding in parts] == [WARNING, NOTE, ADVISORY, PROVEN, ERROR, None]
