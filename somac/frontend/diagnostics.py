"""Diagnostics are values: found in one place, rendered in another.

Finding code creates `Diagnostic`s; `somac.frontend.render` turns them into terminal text, and
`somac.cli` prints. The catalogue of codes with their explanations is `somac.frontend.codes`.
"""

from __future__ import annotations

from enum import Enum

from .frozen import Frozen
from .source import Span


class Severity(Enum):
    ERROR = "error"
    WARNING = "warning"
    NOTE = "note"


class Diagnostic(Frozen):
    """One finding about a program.

    `message` is the text of the spec, to the letter where the spec gives one. `kind` is the spec's
    JSON kind (`missing_handler`, `other`, …). `counted` is False for notes that the tally leaves
    out. `notes` are extra lines, `fix` is free advice that names the edit, `hint` is the short
    "did you mean" line shown under the caret.
    """

    code: str  # "E012", "W003"; see somac.frontend.codes
    severity: Severity
    message: str
    span: Span | None = None
    kind: str = "other"
    hint: str | None = None
    fix: str | None = None
    notes: tuple[str, ...] = ()
    counted: bool = True
