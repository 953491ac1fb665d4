"""The text of formulas."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from verify_reference import random_formula

from somac.verify.ctl import DEPTH_MAX, Formula, FormulaError, atom, atoms, parse


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("AG(executed -> AF(settled | failed))", "AG(executed -> AF(settled | failed))"),
        ("a -> b -> c", "a -> (b -> c)"),
        ("a | b & c", "a | (b & c)"),
        ("a && !b || not c", "(a & !b) | !c"),
        ("E[a U b]", "E[a U b]"),
        ("A(a U (b | c))", "A[a U b | c]"),
        ("EX EX a", "EX(EX(a))"),
        ("!AG 'two words'", "!AG('two words')"),
        ("true & false", "true & false"),
        ("E & A", "E & A"),
    ],
)
def test_what_a_text_means(text: str, shown: str) -> None:
    assert str(parse(text)) == shown


@pytest.mark.parametrize(
    ("text", "offset", "message"),
    [
        ("", 0, "expected a state or an operator, found the end of the formula"),
        ("AG(a", 4, "expected ')', found the end of the formula"),
        ("a b", 2, "expected the end of the formula or an operator, found 'b'"),
        ("a -> ", 5, "expected a state or an operator, found the end of the formula"),
        ("a $ b", 2, "unexpected character '$'"),
        ("E[a V b]", 4, "expected 'U', found 'V'"),
        ("AG & a", 3, "expected a state or an operator, found '&'"),
        ("'a", 0, "a quote has no end"),
    ],
)
def test_mistakes_have_a_place(text: str, offset: int, message: str) -> None:
    with pytest.raises(FormulaError) as caught:
        parse(text)
    assert (caught.value.offset, caught.value.message) == (offset, message)


@pytest.mark.parametrize("text", ["(" * 5000, "!" * 5000 + "a", "a -> " * 1000 + "a", "AX " * 3000])
def test_deep_formulas_are_refused(text: str) -> None:
    with pytest.raises(FormulaError):
        parse(text)
    assert DEPTH_MAX < 500


def test_wide_formulas_are_fine() -> None:
    assert len(parse(" | ".join(["a"] * 2000)).args) == 2000


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10**6))
def test_a_printed_formula_parses_to_itself(seed: int) -> None:
    formula = random_formula(random.Random(seed), 4, 4)
    assert str(parse(str(formula))) == str(formula)


@settings(max_examples=100, deadline=None)
@given(st.text("abEAGFXU()[]!&|-> '", max_size=30))
def test_any_text_is_a_formula_or_a_mistake_within_it(text: str) -> None:
    try:
        place = len(str(parse(text))) * 0
    except FormulaError as error:
        place = error.offset
    assert 0 <= place <= len(text)


def test_atoms_know_where_they_stand() -> None:
    found = atoms(parse("AG(one -> two)"))
    assert [(a.name, a.offset) for a in found] == [("one", 3), ("two", 10)]
    assert atom("x") != Formula("true")
