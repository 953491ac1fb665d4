"""What `check` prints on stdout: the text and the JSON of the system reference, §4.4.

Pure functions of the diagnostics. Advice (codes `A…`) does not belong here: the command line
prints it on stderr.
"""

from __future__ import annotations

import json
from collections.abc import Sequence

from ..frontend.diagnostics import Diagnostic, Severity

OWN_PREFIX = ("advisory: ", "✓ ")  # such messages are printed as they stand


def line(diagnostic: Diagnostic) -> str:
    """A finding as the text report prints it: `warning: …`, `note: …`, `error: …`."""
    if diagnostic.message.startswith(OWN_PREFIX):
        return diagnostic.message
    return f"{diagnostic.severity.value}: {diagnostic.message}"


def text_report(diagnostics: Sequence[Diagnostic]) -> str:
    """All warnings and notes, then all errors, then the tally; each with a line end."""
    return "".join(text for text, _ in text_parts(diagnostics))


def text_parts(diagnostics: Sequence[Diagnostic]) -> list[tuple[str, Diagnostic | None]]:
    """The text report in pieces, each with the finding that it tells; the tally has none."""
    errors = [d for d in diagnostics if d.severity is Severity.ERROR]
    others = [d for d in diagnostics if d.severity is not Severity.ERROR]
    parts: list[tuple[str, Diagnostic | None]] = [
        ("".join(f"{text}\n" for text in (line(d), *d.notes)), d) for d in (*others, *errors)
    ]
    parts.append((f"{_tally(len(errors), others)}\n", None))
    return parts


def _tally(errors: int, others: Sequence[Diagnostic]) -> str:
    warnings = sum(d.counted for d in others)
    if errors:
        return f"✗ {errors} error(s), {warnings} warning(s)."
    if warnings:
        return f"✓ {warnings} warning(s), no errors."
    if others:
        return f"✓ All checks passed ({len(others)} note{'s' if len(others) > 1 else ''})."
    return "✓ All checks passed."


def json_report(diagnostics: Sequence[Diagnostic]) -> str:
    """The same for machines: pretty, two blanks, keys ascending. Notes are among the warnings."""
    errors = [d for d in diagnostics if d.severity is Severity.ERROR]
    others = [d for d in diagnostics if d.severity is not Severity.ERROR]
    report = {
        "error_count": len(errors),
        "errors": [
            {"fix": d.fix or "", "kind": d.kind, "level": "error", "message": d.message}
            for d in errors
        ],
        "passed": not errors,
        "warning_count": len(others),
        "warnings": [
            {"fix": d.fix or "", "level": "warning", "message": "\n".join((line(d), *d.notes))}
            for d in others
        ],
    }
    return json.dumps(report, indent=2, sort_keys=True, ensure_ascii=False) + "\n"
