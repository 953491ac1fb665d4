"""Every replica decides alike, whatever it remembers: `State` against a reference."""

from __future__ import annotations

import pytest
from state_reference import compare

from somart.consensus import state


@pytest.mark.parametrize("window", [1, 5, 40])
def test_it_decides_like_a_reference_that_forgets_nothing(
    window: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(state, "WINDOW", window)
    for seed in range(12):
        compare(seed)
