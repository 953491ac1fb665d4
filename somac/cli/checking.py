"""`check` and `parse`: what is wrong with a program, without compiling it."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from functools import partial

from ..frontend.diagnostics import Diagnostic, Severity
from .cache import Outcome, cached_outcome, remember
from .process import with_deep_stack
from .terminal import coloured, progress


def check_program(path: str, as_json: bool = False) -> int:
    """`soma check FILE [--json]` (spec 3 §4.4): findings on stdout; places and advice on stderr."""
    form = f"{'json' if as_json else 'text'}{' colour' if coloured() else ''}"
    outcome = cached_outcome(path, form)
    if outcome is None:
        return with_deep_stack(partial(_check_anew, path, as_json, form))
    return _show(outcome)


def _check_anew(path: str, as_json: bool, form: str) -> int:
    with progress("checking"):
        outcome, sources = check_outcome(path, as_json)
    remember(path, form, sources, outcome)
    return _show(outcome)


def _show(outcome: Outcome) -> int:
    """Prints in turns, so that a terminal shows each place below its finding."""
    for out, err in outcome.parts:
        sys.stdout.write(out)
        sys.stdout.flush()
        sys.stderr.write(err)
        sys.stderr.flush()
    return outcome.code


def check_outcome(path: str, as_json: bool) -> tuple[Outcome, list[str]]:
    """What checking a file prints, and the files that it has read."""
    from ..check import check
    from ..check.report import json_report
    from ..frontend.load import load
    from ..manifest import load_manifest

    loaded = load(path)
    if loaded.program is None:
        found = loaded.diagnostics
        return Outcome([["", _rendered(found)], ["", _more(found)]], 1), []
    manifest, about_manifest = load_manifest(path)
    wrong = [d for d in about_manifest if d.severity is Severity.ERROR]
    doubtful = [d for d in about_manifest if d.severity is not Severity.ERROR]
    findings = check(loaded.program, manifest)
    advice = [*loaded.diagnostics, *doubtful, *(d for d in findings if is_advice(d))]
    counted = [*wrong, *(d for d in findings if not is_advice(d))]
    parts = [["", _rendered(advice)]]
    parts += [[json_report(counted), ""]] if as_json else _text_with_places(counted)
    parts.append(["", _more([*counted, *advice])])
    failed = any(d.severity is Severity.ERROR for d in counted)
    sources = [source.path for source in loaded.program.sources]
    return Outcome(parts, int(failed)), sources


def _rendered(diagnostics: Sequence[Diagnostic]) -> str:
    from ..frontend.render import render

    return "".join(f"{render(d, colour=coloured())}\n" for d in diagnostics)


def _more(found: Sequence[Diagnostic]) -> str:
    """Where to read more about the findings: the spec's lines have no room for codes."""
    shown = [d for d in found if d.span is not None and d.severity is not Severity.NOTE]
    codes = list(dict.fromkeys(d.code for d in shown))
    if not codes:
        return ""
    others = f" (also {', '.join(codes[1:])})" if len(codes) > 1 else ""
    return f"more: soma explain {codes[0]}{others}\n"


def _text_with_places(counted: Sequence[Diagnostic]) -> list[list[str]]:
    """The text report in pieces, each with the place of its error or warning for stderr."""
    from ..check.report import text_parts
    from ..frontend.render import render_place

    parts = []
    for text, finding in text_parts(counted):
        place = ""
        if finding is not None and finding.severity is not Severity.NOTE:
            place = render_place(finding, colour=coloured())
        parts.append([text, f"{place}\n" if place else ""])
    return parts


def is_advice(diagnostic: Diagnostic) -> bool:
    """Whether a finding is only advice (codes A…): on stderr, outside the tally (decision 007)."""
    return diagnostic.code.startswith("A")


def parse_files(paths: Sequence[str]) -> int:
    """`soma parse FILE…`: one line per file, `ok PATH` or `error PATH: message`."""
    from ..frontend.load import load

    failed = False
    for path in paths:
        errors = [d for d in load(path).diagnostics if d.severity is Severity.ERROR]
        failed = failed or bool(errors)
        print(f"error {path}: {errors[0].message}" if errors else f"ok {path}", flush=True)
    return int(failed)
