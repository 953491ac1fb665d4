"""Diagnostics as terminal text (core 4.4) and as JSON-able data."""

from __future__ import annotations

import unicodedata

from .diagnostics import Diagnostic, Severity
from .source import Span

WIDEST_LINE = 200  # columns of a source line that are shown; longer ones are cut around the caret
_CONTEXT = 90  # characters kept on each side of the caret of a cut line
_COLOURS = {Severity.ERROR: "31", Severity.WARNING: "33", Severity.NOTE: "36"}


def render(diagnostic: Diagnostic, *, colour: bool = False) -> str:
    """The text of a diagnostic, without a line end behind it."""
    paint = _paint if colour else _plain
    severity = diagnostic.severity
    head = paint(severity.value, f"1;{_COLOURS[severity]}")
    margin = " " * _width(diagnostic)
    notes = [f"{margin} = {paint('note', '1')}: {text}" for text in diagnostic.notes]
    return "\n".join([f"{head}: {diagnostic.message}", *_place(diagnostic, colour), *notes])


def render_place(diagnostic: Diagnostic, *, colour: bool = False) -> str:
    """Where a finding is and what to do about it, for a report that has its message already.

    Empty when nothing is known beyond the message.
    """
    return "\n".join(_place(diagnostic, colour))


def _place(diagnostic: Diagnostic, colour: bool) -> list[str]:
    paint = _paint if colour else _plain
    lines = []
    if diagnostic.span is not None:
        caret = paint("^", f"1;{_COLOURS[diagnostic.severity]}")
        lines += _excerpt(diagnostic.span, _width(diagnostic), caret)
    margin = " " * _width(diagnostic)
    for label, text in (("hint", diagnostic.hint), ("fix", diagnostic.fix)):
        if text:
            lines.append(f"{margin} = {paint(label, '1')}: {text}")
    return lines


def _width(diagnostic: Diagnostic) -> int:
    """How wide the gutter is: as wide as the line number."""
    return 1 if diagnostic.span is None else len(str(diagnostic.span.line))


def to_json(diagnostic: Diagnostic) -> dict[str, object]:
    """A diagnostic for machines. Positions count from 1; without a place they are None."""
    span = diagnostic.span
    start: tuple[int, int] | tuple[None, None] = (None, None)
    end = start
    if span is not None:
        start, end = span.source.position(span.start), span.source.position(span.end)
    return {
        "code": diagnostic.code,
        "severity": diagnostic.severity.value,
        "message": diagnostic.message,
        "file": span.source.path if span is not None else None,
        "line": start[0],
        "column": start[1],
        "end_line": end[0],
        "end_column": end[1],
        "hint": diagnostic.hint,
        "fix": diagnostic.fix,
        "notes": list(diagnostic.notes),
    }


def _excerpt(span: Span, width: int, caret: str) -> list[str]:
    """Where it is, the source line, and the caret below it."""
    line, column = span.source.position(span.start)
    text, before = _cut(span.source.line(line), column - 1)
    margin = " " * width
    return [
        f"  --> {span.source.path}:{line}:{column}",
        f"{margin} |",
        f"{line} | {text}".rstrip(),
        f"{margin} | {before}{caret}",
    ]


def _cut(text: str, column: int) -> tuple[str, str]:
    """The part of a line to show, and the blanks as wide as what stands before the column."""
    lead = ""
    if len(text) > WIDEST_LINE:
        start = max(0, column - _CONTEXT)
        end = min(len(text), column + _CONTEXT)
        lead, tail = "…" if start else "", "…" if end < len(text) else ""
        text, column = text[start:end] + tail, column - start
    shown = lead + "".join(map(_visible, text))
    return shown, " " * len(lead) + "".join(map(_blank, text[:column]))


def _visible(character: str) -> str:
    """A control character would move the cursor: it is shown as a replacement character."""
    if character == "\t" or unicodedata.category(character) not in ("Cc", "Cs", "Zl", "Zp"):
        return character
    return "\ufffd"


def _blank(character: str) -> str:
    """White space as wide as a character is on a terminal."""
    if character == "\t":
        return "\t"
    if unicodedata.combining(character) or unicodedata.category(character) == "Cf":
        return ""
    return "  " if unicodedata.east_asian_width(character) in "WF" else " "


def _paint(text: str, code: str) -> str:
    return f"\x1b[{code}m{text}\x1b[0m"


def _plain(text: str, _code: str) -> str:
    return text
