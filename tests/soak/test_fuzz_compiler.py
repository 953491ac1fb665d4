"""The compiler's fuzzer: a short fixed campaign in every run, a long one under `make soak`."""

from __future__ import annotations

from pathlib import Path

import fuzz_compiler
import pytest


@pytest.mark.slow
def test_a_short_campaign(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    tally = fuzz_compiler.campaign(lambda number: number < 80, seed=5)
    assert tally.programs == 80
    assert tally.compiled > 15
    assert tally.values > 0
    assert tally.errors > 0
