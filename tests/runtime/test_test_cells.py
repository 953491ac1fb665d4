"""The report of test cells (core §4.3)."""

from __future__ import annotations

import io

from gauge_program import PROGRAM

from somart import ProgramSpec
from somart.tests_runner import run_tests


def test_the_report_is_as_specified() -> None:
    out, err = io.StringIO(), io.StringIO()
    result = run_tests(PROGRAM, out, err, seed=1)
    assert result is not None
    assert (result.total, result.failed, result.exit_code) == (7, 5, 1)
    assert out.getvalue().splitlines() == [
        "test Checks ...",
        '  ✓ assert feed("x", 1) == 1',
        '  ✗ assert feed("x", 1) == 1 — FAILED',
        "  ✗ assert ... — FAILED",  # an empty list is false, here as everywhere
        '  ✗ assert light("0", "lit") — ERROR: require failed: guard failed for transition '
        "dark → lit: condition is false",
        '  ✓ property "small" (forall x in 0..10, 20 samples)',
        '  ✗ property "tiny" — FAILED with counter-example x = 5',
        '  ✗ property "empty" — ERROR: range 5..5 is empty',
        "",
        "7 tests: 2 passed, 5 failed",
    ]
    assert err.getvalue() == "         left:  2\n         right: 1\n"


def test_a_program_without_test_cells_says_so() -> None:
    out, err = io.StringIO(), io.StringIO()
    assert run_tests(ProgramSpec("p", PROGRAM.cells), out, err) is None
    assert err.getvalue() == "no test cells found (use `cell test MyTests { ... }`)\n"
