"""Findings about files as such, and how long checking takes."""

from __future__ import annotations

import time
from pathlib import Path

from somac.check import check
from somac.frontend import limits
from somac.frontend.load import load, load_text
from somac.manifest import Manifest

ROOT = Path(__file__).resolve().parents[2]
BUDGET_SECONDS = 0.015


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    assert [d.code for d in load(tmp_path / "absent.cell").diagnostics] == ["E030"]


def test_a_file_that_is_too_large() -> None:
    loaded = load_text(" " * (limits.FILE_CHARACTERS + 1))
    assert [d.code for d in loaded.diagnostics] == ["E021"]


def test_checking_the_pricing_example_is_fast() -> None:
    program = load(ROOT / "examples" / "pricing" / "app.cell").program
    assert program is not None
    check(program, Manifest())  # once, for the caches of the process
    spent = []
    for _ in range(5):
        started = time.perf_counter()
        check(program, Manifest())
        spent.append(time.perf_counter() - started)
    assert min(spent) <= BUDGET_SECONDS
