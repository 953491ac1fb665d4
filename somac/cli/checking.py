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
    """`soma check FILE [--json]` (spec 3 §4.4): findings on stdout, advice on stderr."""
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
    sys.stdout.write(outcome.stdout)
    sys.stdout.flush()
    sys.stderr.write(outcome.stderr)
    return outcome.code


def check_outcome(path: str, as_json: bool) -> tuple[Outcome, list[str]]:
    """What checking a file prints, and the files that it has read."""
    from ..check import check
    from ..check.report import json_report, text_report
    from ..frontend.load import load
    from ..frontend.render import render
    from ..manifest import load_manifest

    def rendered(diagnostics: Sequence[Diagnostic]) -> str:
        return "".join(render(d, colour=coloured()) + "\n" for d in diagnostics)

    loaded = load(path)
    if loaded.program is None:
        return Outcome("", rendered(loaded.diagnostics), 1), []
    manifest, about_manifest = load_manifest(path)
    findings = check(loaded.program, manifest)
    advice = [d for d in findings if is_advice(d)]
    counted = [d for d in findings if not is_advice(d)]
    stdout = json_report(counted) if as_json else text_report(counted)
    stderr = rendered([*loaded.diagnostics, *about_manifest, *advice])
    failed = any(d.severity is Severity.ERROR for d in (*about_manifest, *counted))
    sources = [source.path for source in loaded.program.sources]
    return Outcome(stdout, stderr, int(failed)), sources


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
