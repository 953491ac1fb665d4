"""Delta debugging, and the command that repeats a run."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_simulator import NoResend, run
from toy_replication import Registers

from somart.simulate.machine import Birth
from somart.simulate.minimise import Minimiser, ddmin, only_text, with_only
from somart.simulate.simulation import Outcome, Settings, simulate


@settings(max_examples=50, deadline=None)
@given(st.sets(st.integers(0, 60), min_size=1, max_size=5))
def test_ddmin_finds_exactly_what_is_needed(culprits: set[int]) -> None:
    def fails(kept: Sequence[int]) -> bool:
        return culprits <= set(kept)

    assert set(ddmin(range(61), fails)) == culprits


def test_nothing_is_needed_when_all_fails() -> None:
    assert ddmin([1, 2, 3], lambda kept: True) == []


picks = st.none() | st.frozensets(st.integers(0, 99), max_size=20)


@settings(max_examples=50, deadline=None)
@given(picks, picks)
def test_picks_can_be_written_and_read(
    faults: frozenset[int] | None, calls: frozenset[int] | None
) -> None:
    given_ = Settings(only_faults=faults, only_calls=calls)
    assert with_only(Settings(), only_text(given_)) == given_


@pytest.mark.parametrize("text", ["x1", "f1-x", "c", "f1;c2"])
def test_other_picks_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match="neither"):
        with_only(Settings(), text)


@pytest.mark.slow
def test_a_failing_run_gets_small() -> None:
    failed = next(
        outcome
        for seed in range(1, 30)  # 0 takes more runs than the minimiser has
        if not (outcome := run(NoResend, seed=seed, faults=("crash", "partition"))).passed
    )

    def again(settings: Settings) -> Outcome:
        names = tuple(f"n{number + 1}" for number in range(settings.nodes))

        def make(birth: Birth) -> NoResend:
            return NoResend(birth, names)

        return simulate(settings, make, Registers())

    least = Minimiser(again, failed).minimise()
    assert not least.passed
    assert len(least.faults) <= 2
    assert least.settings.only_calls is not None
    assert len(least.settings.only_calls) <= 4
    replayed = again(with_only(failed.settings, only_text(least.settings)))
    assert replayed.digest() == least.digest()
