"""Scenarios after sections of Ongaro's dissertation, as text: commands, and what comes of them.

After a change that is meant to change them: UPDATE_GOLDEN=1, and read the difference.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from raft_scenarios import retrace

SCENARIOS = sorted((Path(__file__).parent / "scenarios").glob("*.txt"))


@pytest.mark.parametrize("path", SCENARIOS, ids=lambda path: path.stem)
def test_scenario(path: Path) -> None:
    text = path.read_text()
    found = retrace(text)
    if os.environ.get("UPDATE_GOLDEN"):
        path.write_text(found)
    assert found == text


def test_there_is_one_for_each_section() -> None:
    names = " ".join(path.stem for path in SCENARIOS)
    for section in ("3.4", "3.5", "3.6.1", "3.6.2", "3.10", "4.1", "4.2.1", "4.2.3", "4.3"):
        assert f"{section}-" in names
    for section in ("5", "6.2", "6.4", "9.6", "10.2.1"):
        assert f"{section}-" in names
