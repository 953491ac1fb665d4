"""Test cells: assertions and property tests, with the report of core §4.3."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TextIO

from . import limits, ops
from .app import App
from .engines.standalone import StandaloneEngine
from .errors import SomaError, type_error
from .spec import ProgramSpec, TestAssert, TestProperty
from .values import Value, text

if TYPE_CHECKING:
    from .cell import Cell

_COMPARE: dict[str, Callable[[Value, Value], Value]] = {
    "==": ops.eq,
    "!=": ops.ne,
    "<": ops.lt,
    ">": ops.gt,
    "<=": ops.le,
    ">=": ops.ge,
}
NO_TESTS = "no test cells found (use `cell test MyTests { ... }`)"


@dataclass(frozen=True, slots=True)
class TestResult:
    """How many checks there were, and how many of them failed."""

    __test__ = False

    total: int
    failed: int

    @property
    def exit_code(self) -> int:
        return 1 if self.failed else 0


def run_tests(
    program: ProgramSpec, out: TextIO, err: TextIO, seed: int | None = None
) -> TestResult | None:
    """Runs all test cells on fresh in-memory slots; None, and a line on `err`, without any.

    State persists from one check to the next; each check is a transaction. `seed` fixes the
    samples of property tests.
    """
    if not program.tests:
        err.write(NO_TESTS + "\n")
        return None
    with App(program, StandaloneEngine(None)) as app:
        runner = _Runner(app, out, err, random.Random(seed))
        for cell in app.tests:
            runner.run_cell(cell)
    passed = runner.total - runner.failed
    out.write(f"\n{runner.total} tests: {passed} passed, {runner.failed} failed\n")
    return TestResult(runner.total, runner.failed)


class _Runner:
    def __init__(self, app: App, out: TextIO, err: TextIO, samples: random.Random) -> None:
        self._app = app
        self._out = out
        self._err = err
        self._samples = samples
        self.total = 0
        self.failed = 0

    def run_cell(self, cell: Cell) -> None:
        self._out.write(f"test {cell.soma_name} ...\n")
        for check in cell.soma_checks:
            self.total += 1
            if isinstance(check, TestAssert):
                self._check_assert(cell, check)
            else:
                self._check_property(cell, check)

    def _call(self, cell: Cell, method: str, *args: Value) -> Any:
        body = getattr(cell, method)
        return self._app.run_sync(body, args)

    def _report(self, passed: bool, line: str) -> None:
        self.failed += not passed
        self._out.write(f"  {'✓' if passed else '✗'} {line}\n")
        self._out.flush()

    # --- assert ----------------------------------------------------------------------------------

    def _check_assert(self, cell: Cell, check: TestAssert) -> None:
        label = f"assert {check.source}"
        try:
            value = self._call(cell, check.method)
        except SomaError as error:
            self._report(False, f"{label} — ERROR: {error}")
            return
        if check.op is None:
            passed = ops.truthy(value)
            self._report(passed, label if passed else f"{label} — FAILED")
            return
        left, right = value
        passed = _compares(check.op, left, right)
        self._report(passed, label if passed else f"{label} — FAILED")
        if not passed:
            self._err.write(f"         left:  {text(left)}\n         right: {text(right)}\n")

    # --- property --------------------------------------------------------------------------------

    def _check_property(self, cell: Cell, check: TestProperty) -> None:
        label = f'property "{check.name}"'
        try:
            counter_example = self._sample(cell, check)
        except SomaError as error:
            self._report(False, f"{label} — ERROR: {error}")
            return
        if counter_example is None:
            span = f"{check.variable} in {check.low}..{check.high}, {check.count} samples"
            self._report(True, f"{label} (forall {span})")
        else:
            found = f"{check.variable} = {counter_example}"
            self._report(False, f"{label} — FAILED with counter-example {found}")

    def _sample(self, cell: Cell, check: TestProperty) -> int | None:
        if check.type_name != "Int":
            raise type_error(f"forall needs a variable of type Int, got {check.type_name}")
        if check.low >= check.high:
            raise type_error(f"range {check.low}..{check.high} is empty")
        for _ in range(min(check.count, limits.PROPERTY_SAMPLES)):
            value = self._samples.randrange(check.low, check.high)
            if not ops.truthy(self._call(cell, check.method, value)):
                return value
        return None


def _compares(op: str, left: Value, right: Value) -> bool:
    """A comparison that would be an error counts as failed."""
    try:
        return _COMPARE[op](left, right) is True
    except SomaError:
        return False
