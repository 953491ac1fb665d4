"""`run` and `test`: programs compiled in memory, in a thread with a deep stack."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from contextlib import nullcontext
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from .pipeline import compile_in_memory, read_runnable
from .process import with_deep_stack
from .terminal import remark, report

if TYPE_CHECKING:
    from somart.app import App
    from somart.entry import Entry
    from somart.spec import ProgramSpec

DATA_DIR = ".soma_data"
LOG_SUFFIX = ".somalog"


def run_program(
    path: str, args: Sequence[str], signal: str | None = None, record: bool = False
) -> int:
    """`soma run FILE [ARGS…] [--signal H]` (core §4.1): calls a handler and prints its result."""
    return with_deep_stack(partial(_run, path, list(args), signal, record))


def test_program(path: str) -> int:
    """`soma test FILE` (core §4.3): runs the test cells, on slots in memory."""
    return with_deep_stack(partial(_test, path))


def _run(path: str, args: list[str], signal: str | None, record: bool) -> int:
    unit = read_runnable(path)
    if unit is None:
        return 1
    spec = compile_in_memory(unit)
    if spec.has_interior:
        return _run_interior(spec, args)
    from somart.entry import choose_entry, parse_argument

    entry = choose_entry(spec, [parse_argument(word) for word in args], signal)
    if entry is None:
        report("no runnable cell found")
        return 1
    log = Path(path).with_suffix(LOG_SUFFIX) if record or _records(spec, entry) else None
    return _call(spec, entry, log)


def _run_interior(spec: ProgramSpec, args: list[str]) -> int:
    """`run` of a program with `interior` or `runtime` sections (core §5.2)."""
    from somart.entry import parse_argument
    from somart.errors import SomaError
    from somart.interior import run_interior

    try:
        with _open_app(spec) as app:
            run_interior(app, [parse_argument(word) for word in args], sys.stdout, sys.stderr)
    except SomaError as error:
        return fail(error, spec)
    return 0


def _test(path: str) -> int:
    from somart.errors import SomaError
    from somart.tests_runner import run_tests

    unit = read_runnable(path)
    if unit is None:
        return 1
    spec = compile_in_memory(unit)
    try:
        result = run_tests(spec, sys.stdout, sys.stderr)
    except SomaError as error:
        return fail(error, spec)
    return 1 if result is None else result.exit_code


def _call(spec: ProgramSpec, entry: Entry, log: Path | None) -> int:
    from somart.errors import SomaError
    from somart.tape import Tape
    from somart.values import text

    tape = Tape()
    try:
        with _open_app(spec) as app, nullcontext() if log is None else tape.running():
            result = app.call(entry.cell, entry.handler, entry.args)
            print(text(result), flush=True)
    except SomaError as error:
        code = fail(error, spec)
        _explain_entry(spec, entry)
        return code
    if log is None:
        return 0
    from .replaying import append_entry

    return append_entry(log, entry, result, tape)


def _explain_entry(spec: ProgramSpec, entry: Entry) -> None:
    """Says what can be called, when the command line named no handler or the wrong arguments."""
    cell = spec.cell(entry.cell)
    if cell is None:
        return
    handler = cell.soma_handlers.get(entry.handler)
    if handler is None or len(handler.params) != len(entry.args):
        known = [f"{info.name}({', '.join(info.params)})" for info in cell.soma_handlers.values()]
        remark(f"  = hint: cell '{entry.cell}' handles {', '.join(known)}")


def _open_app(spec: ProgramSpec) -> App:
    from somart.app import App
    from somart.engines.standalone import StandaloneEngine

    return (spec.app_class or App)(spec, StandaloneEngine(DATA_DIR))


def fail(error: BaseException, spec: ProgramSpec) -> int:
    """Tells of a run-time error with its place; the exit code."""
    from somart.tracing import render_error

    if isinstance(error.__cause__, BrokenPipeError):
        raise error.__cause__
    sys.stdout.flush()
    sys.stderr.write(render_error(error, spec.source_map))
    return 1


def _records(spec: ProgramSpec, entry: Entry) -> bool:
    cell = spec.cell(entry.cell)
    info = cell.soma_handlers.get(entry.handler) if cell else None
    return info is not None and info.record
