"""The fuzzer of the bus: a short fixed campaign in every run, a long one under `make soak`."""

from __future__ import annotations

import fuzz_bus
import pytest


@pytest.mark.slow
def test_a_short_campaign_against_the_bus() -> None:
    tally = fuzz_bus.campaign(lambda number: number < 120, seed=1)
    assert tally.attacks == 120
    assert 30 < tally.strangers < 90
    assert tally.lines > 30
