"""`verify`: what can be proved about a program (spec 3 §5)."""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from .process import with_deep_stack
from .terminal import progress, remark, report_diagnostics
from .terminal import report as report_error

if TYPE_CHECKING:
    from ..frontend.diagnostics import Diagnostic
    from ..verify.report import Report


def verify_files(
    paths: Sequence[str], as_json: bool = False, strict: bool = False, tests: str | None = None
) -> int:
    """`soma verify FILE… [--json] [--strict] [--emit-tests DIR]`.

    Gives 1 when something failed (or, if strict, warned), or when no tests can be written to DIR.
    """
    if tests is not None and len(paths) > 1:
        report_error("--emit-tests takes one file at a time")
        return 1
    return with_deep_stack(partial(_verify, paths, as_json, strict, tests))


def _verify(paths: Sequence[str], as_json: bool, strict: bool, tests: str | None) -> int:
    gc.disable()  # all of it is kept to the end, which is near: 25 % of the time of long machines
    try:
        with progress("verifying"):
            report = _report(paths)
    finally:
        gc.enable()
    if report is None:
        return 1
    _show(report, as_json)
    if tests is not None and not _emit(report, Path(paths[0]), Path(tests)):
        return 1
    return int(not report.passed or (strict and report.warned))


def _emit(report: Report, source: Path, folder: Path) -> bool:
    """Writes a test for each counter-example; tells and gives False when that cannot be."""
    from ..verify.emitted import MARK, emitted_tests, left_out

    seen_from_there = Path(os.path.relpath(source.resolve(), folder.resolve())).as_posix()
    files = emitted_tests(report, seen_from_there)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, text in files.items():
            path = folder / name
            if path.exists() and MARK not in path.read_text("utf-8", "replace"):
                report_error(f"cannot write '{path}': it is there, and not one of these tests")
                return False
            path.write_text(text, "utf-8")
    except OSError as error:
        report_error(f"cannot write tests to '{error.filename}': {error.strerror}")
        return False
    remark(f"tests: {len(files)} written to {folder}")
    for what in left_out(report):
        remark(f"tests: none for {what}")
    return True


def _report(paths: Sequence[str]) -> Report | None:
    """The report on some files; None when one of them, or the manifest, cannot be read."""
    from ..frontend.diagnostics import Severity
    from ..frontend.load import load
    from ..manifest import load_manifest
    from ..verify import verify

    programs = []
    for path in paths:
        remark(f"Verifying {path}...")
        loaded = load(path)
        if report_diagnostics(loaded.diagnostics) or loaded.program is None:
            return None
        programs.append(loaded.program)
    manifest, about_manifest = load_manifest(paths[0])
    if report_diagnostics(map(_strictly, about_manifest)):
        return None
    report = verify(programs, manifest, _delivers)
    report_diagnostics(report.diagnostics)
    wrong = any(d.severity is Severity.ERROR for d in report.diagnostics)
    return None if wrong else replace(report, diagnostics=(*about_manifest, *report.diagnostics))


def _strictly(finding: Diagnostic) -> Diagnostic:
    """A manifest without a package name is a warning elsewhere, and an error here (§5.1)."""
    from ..frontend.diagnostics import Severity

    if finding.code != "W271":
        return finding
    message = "soma.toml has no [package] name"
    return replace(finding, severity=Severity.ERROR, message=message)


def _delivers(capability: str) -> bool:
    """Asks the runtime; programs without `scale` never do, and never import it."""
    from somart.capabilities import delivers

    return delivers(capability)


def _show(report: Report, as_json: bool) -> None:
    from ..verify import data, output

    if as_json:
        sys.stdout.write(data.json_report(report))
    colour = sys.stdout.isatty() and "NO_COLOR" not in os.environ
    if not report.blocks:
        remark("No state machines found.")
        return
    if not as_json:
        sys.stdout.write(output.text_report(report, colour))
    for lines in (output.step_lines, output.replica_lines, output.note_lines, output.tally_lines):
        for line in lines(report):
            remark(line)
