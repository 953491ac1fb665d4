"""Histories of clients under all kinds of faults are linearizable and strictly serializable."""

from __future__ import annotations

import pytest
from fault_plan import LEASES, examine
from power_loss import lose_power

from somart.simulate.histories import read_history, write_history
from somart.simulate.judging import judge

SEEDS = 100
POWER_LOSSES = 30


@pytest.mark.parametrize("seed", range(SEEDS))
@pytest.mark.slow
def test_what_clients_were_told_has_an_explanation(seed: int) -> None:
    assert examine(seed).answered > 10


@pytest.mark.parametrize("seed", range(10))
@pytest.mark.slow
def test_with_leases_and_clocks_that_keep_to_the_assumption(seed: int) -> None:
    assert examine(seed, raft=LEASES).answered > 10


@pytest.mark.slow
def test_power_loss_on_all_nodes_at_once() -> None:
    losses = lose_power(POWER_LOSSES, seed=1)
    assert losses.answered > POWER_LOSSES
    assert losses.cut > POWER_LOSSES // 3, "power goes in the middle of writes"
    assert losses.kept > 0, "what has no answer may have happened"


@pytest.mark.slow
def test_histories_of_a_group_can_be_judged_by_others() -> None:
    for history in examine(5).histories():
        lines = list(write_history(history))
        again = read_history(lines)
        assert len(again.calls) == len(lines) - 1 > 5
        assert sorted(map(str, again.calls)) == sorted(map(str, history.calls))
        assert not judge(again)
