"""`lint`: remarks on style and on likely slips (spec 3 §10)."""

from __future__ import annotations

from functools import partial

from ..frontend.load import load
from ..linting import json_report, lint, text_report
from .process import with_deep_stack
from .terminal import report_diagnostics, say


def lint_program(path: str, as_json: bool) -> int:
    """`soma lint FILE [--json]`: 0 whatever it finds, 1 for a file that is no program."""
    return with_deep_stack(partial(_lint, path, as_json))


def _lint(path: str, as_json: bool) -> int:
    loaded = load(path)
    if report_diagnostics(loaded.diagnostics) or loaded.program is None:
        return 1
    found = lint(loaded.program)
    say(json_report(found) if as_json else text_report(found, path))
    return 0
