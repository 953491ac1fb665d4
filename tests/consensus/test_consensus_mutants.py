"""Defects that are seeded in consensus are found: what the tests are worth."""

from __future__ import annotations

import pytest
from hunts import HUNTS
from mutants import MUTANTS


@pytest.mark.parametrize("name", HUNTS)
@pytest.mark.slow
def test_without_a_defect_nothing_is_found(name: str) -> None:
    """The same examinations, with the same seeds: what they find is the mutant's."""
    HUNTS[name]()


@pytest.mark.parametrize("name", MUTANTS)
@pytest.mark.slow
def test_a_seeded_defect_is_found(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    mutant = MUTANTS[name]
    mutant.apply(monkeypatch)
    for hunt in mutant.hunts:
        try:
            HUNTS[hunt]()
        except Exception:  # of any kind: it is found
            return
    pytest.fail(f"nothing has noticed: {name}")
