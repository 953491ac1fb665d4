"""Planted bugs are found: a sample here, all of them in the soak run."""

from __future__ import annotations

import pytest
from planted import MUTANTS
from workloads import failures, run, settings_of

from somart.cluster.driver import Driver

SAMPLE = (
    "acknowledges_before_durable",
    "additions_overwrite",
    "blocks_of_ids_overlap",
    "deletes_without_a_tombstone",
    "drops_one_acknowledged_batch",
    "ignores_dependencies",
    "keeps_nothing_for_others",
    "keeps_what_is_not_its_own",
    "last_arrival_wins",
    "leaves_with_what_others_lack",
    "missed_ticks_are_lost",
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


@pytest.mark.slow
def test_a_newcomer_whose_greeting_is_lost_comes_into_the_group(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It tells the leader again who it is (found by simulation)."""
    monkeypatch.setattr(
        Driver, "connected", lambda self, hello, dialled: self.core.connected(hello.id, dialled)
    )
    outcome = run("strong", settings_of(3, nodes=3, minutes=2, faults=(), calls=40))
    assert outcome.passed, failures("strong", outcome)
