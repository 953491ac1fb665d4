"""Planted bugs are found: a sample here, all of them in the soak run."""

from __future__ import annotations

import pytest
from planted import MUTANTS

SAMPLE = (
    "acknowledges_before_durable",
    "additions_overwrite",
    "blocks_of_ids_overlap",
    "deletes_without_a_tombstone",
    "drops_one_acknowledged_batch",
    "ignores_dependencies",
    "keeps_what_is_not_its_own",
    "last_arrival_wins",
    "skips_gaps",
    "the_dead_stay_dead",
)


def test_there_are_enough_of_them() -> None:
    assert len(MUTANTS) >= 20
    assert all(mutant.plant.__doc__ for mutant in MUTANTS.values())


@pytest.mark.slow
@pytest.mark.parametrize("name", SAMPLE)
def test_a_planted_bug_is_found(name: str) -> None:
    assert MUTANTS[name].found(30) is not None
