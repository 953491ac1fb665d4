"""The rules by which a node names its state: majorities, partitions, catching up."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from somart.cluster import phase as rules

LEVELS = ("strong", "causal", "eventual")


@pytest.mark.parametrize(
    ("members", "reachable", "behind", "strong", "eventual"),
    [
        (1, 1, True, "single", "single"),
        (2, 1, False, "partitioned", "partitioned"),
        (3, 2, False, "distributed", "partitioned"),
        (3, 2, True, "recovering", "partitioned"),
        (3, 3, True, "recovering", "recovering"),
        (3, 3, False, "distributed", "distributed"),
        (50, 26, False, "distributed", "partitioned"),
        (50, 25, False, "partitioned", "partitioned"),
    ],
)
def test_the_state_of_a_node(
    members: int, reachable: int, behind: bool, strong: str, eventual: str
) -> None:
    assert rules.phase(members, reachable, behind, "strong") == strong
    for level in ("eventual", "causal"):
        assert rules.phase(members, reachable, behind, level) == eventual


@settings(max_examples=60, deadline=None)
@given(st.integers(2, 200), st.data())
def test_only_one_side_of_a_cut_acknowledges_under_strong(
    members: int, data: st.DataObject
) -> None:
    here = data.draw(st.integers(1, members - 1))
    sides = [rules.phase(members, reach, False, "strong") for reach in (here, members - here)]
    assert [rules.acknowledges(side, "strong") for side in sides].count(True) <= 1
    assert all(rules.acknowledges(side, "eventual") for side in sides)


@settings(max_examples=60, deadline=None)
@given(st.integers(2, 50), st.integers(1, 50), st.booleans(), st.sampled_from(LEVELS))
def test_whoever_was_partitioned_recovers_first(
    members: int, reachable: int, behind: bool, level: str
) -> None:
    reachable = min(reachable, members)
    behind = rules.still_behind(behind, members, reachable, level)
    partitioned = rules.phase(members, reachable, behind, level) == rules.PARTITIONED
    assert partitioned == (not rules.may_cease(members, reachable, level))
    if partitioned:
        assert rules.phase(members, members, behind, level) == rules.RECOVERING
