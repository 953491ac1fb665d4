"""The HTTP fuzzer: a short fixed campaign in every run, a long one under `make soak`."""

from __future__ import annotations

import os
import time

import fuzz_http
import pytest


@pytest.mark.slow
def test_a_short_campaign() -> None:
    tally = fuzz_http.campaign(lambda number: number < 250, seed=1)
    assert tally.connections == 250
    assert tally.answers > 250
    assert tally.refusals > 50


@pytest.mark.soak
def test_a_long_campaign() -> None:
    end = time.monotonic() + float(os.environ.get("FUZZ_SECONDS", "120"))
    seed = time.time_ns() % 10**9
    assert fuzz_http.campaign(lambda _: time.monotonic() < end, seed).connections > 0
