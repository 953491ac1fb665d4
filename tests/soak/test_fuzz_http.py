"""The HTTP fuzzer: a short fixed campaign in every run, a long one under `make soak`."""

from __future__ import annotations

import fuzz_http
import pytest


@pytest.mark.slow
def test_a_short_campaign() -> None:
    tally = fuzz_http.campaign(lambda number: number < 250, seed=1)
    assert tally.connections == 250
    assert tally.answers > 250
    assert tally.refusals > 50
