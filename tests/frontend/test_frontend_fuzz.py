"""Random and mutated texts: only diagnostics come out."""

from __future__ import annotations

import random

import pytest
from frontend_mutations import ALPHABET, WORDS, assert_only_diagnostics, mutate, seeds
from hypothesis import given, settings
from hypothesis import strategies as st


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(4))
def test_mutated_programs(seed: int) -> None:
    rng = random.Random(seed)
    programs = [s for s in seeds() if len(s) < 6000]
    for _ in range(12):
        text = rng.choice(programs)
        for _ in range(rng.randrange(1, 4)):
            text = mutate(text, rng)
        assert_only_diagnostics(text)


@settings(max_examples=60, deadline=None)
@given(st.text(max_size=60) | st.text(st.sampled_from(ALPHABET), max_size=60))
def test_random_text(text: str) -> None:
    assert_only_diagnostics(text)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.sampled_from(WORDS), max_size=20))
def test_random_words_in_a_handler(words: list[str]) -> None:
    assert_only_diagnostics(f"cell A {{ on f() {{ {' '.join(words)} }} }}")
