"""The text form of values (core §3.2), and laws that hold for all of them."""

from __future__ import annotations

import json
import math
import sys
from fractions import Fraction
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from somart import ops, std
from somart.values import Lambda, Variant, equal, parse_float, text
from somart.values.jsontext import from_json, to_json
from somart.values.numbers import as_int, float_to_int, int_to_float, saturate, wrap

LAWS = settings(max_examples=60, deadline=None)


@pytest.mark.parametrize(
    ("v", "expected"),
    [
        (3.0, "3.0"),
        (-0.0, "-0.0"),
        (1e3, "1000.0"),
        (1e20, "100000000000000000000.0"),
        (1e21, "1000000000000000000000.0"),
        (1e23, "99999999999999991611392.0"),
        (-1e23, "-99999999999999991611392.0"),
        (1e-7, "0.0000001"),
        (1.5e-7, "0.00000015"),
        (0.1 + 0.2, "0.30000000000000004"),
        (math.inf, "inf"),
        (-math.inf, "-inf"),
        (math.nan, "NaN"),
        (True, "true"),
        (None, "null"),
        ([], "[]"),
        ({}, "{}"),
        (["x\ny", 'q"', None, 2.0, {}], '["x\\ny", "q\\"", null, 2.0, {}]'),
        ("\x00", "\x00"),
        (["\x00\x1f\b\f\r\t\\/é\x7f"], '["\\u0000\\u001f\\b\\f\\r\\t\\\\/é\x7f"]'),
        ({"k\n": "v"}, '{"k\\n": "v"}'),
        (Lambda("p", lambda p: p), "<lambda(p)>"),
        (Variant("T", "A"), "A"),
        (Variant("T", "B", (1, "x", ["y"])), 'B(1, x, ["y"])'),
        (Variant("T", "C", None, {"a": 1, "b": "x"}), "C { a: 1,  b: x }"),
        ([Variant("T", "B", ("x",))], "[B(x)]"),
    ],
)
def test_text(v: Any, expected: str) -> None:
    assert text(v) == expected


def test_huge_integers_print_whatever_python_allows() -> None:
    n = -(10**5000) - 7
    assert text(n) == "-1" + "0" * 4999 + "7"
    assert text([n]).startswith("[-1000")


@LAWS
@given(st.floats(allow_nan=False))
def test_text_of_floats_round_trips(x: float) -> None:
    shown = text(x)
    assert "e" not in shown
    assert parse_float(shown) == x


@LAWS
@given(st.integers(), st.floats(allow_nan=False, allow_infinity=False))
def test_comparison_of_int_and_float_is_exact(n: int, x: float) -> None:
    exact = Fraction(x)
    assert ops.lt(n, x) == (n < exact)
    assert ops.ge(x, n) == (exact >= n)
    assert ops.eq(n, x) == (n == exact)


@LAWS
@given(st.integers(), st.integers().filter(bool))
def test_division_and_remainder_belong_together(a: int, b: int) -> None:
    quotient, remainder = ops.trunc_div(a, b), ops.mod(a, b)
    assert quotient * b + remainder == a
    assert abs(remainder) < abs(b)
    assert remainder == 0 or (remainder < 0) == (a < 0)


@LAWS
@given(st.integers(min_value=2**63, max_value=2**1000))
def test_big_integers_become_floats_toward_zero(n: int) -> None:
    x = int_to_float(n)
    assert int(x) <= n < int(math.nextafter(x, math.inf))
    assert int_to_float(-n) == -x


@LAWS
@given(st.integers())
def test_sixty_four_bits(n: int) -> None:
    assert (wrap(n) - n) % 2**64 == 0
    assert wrap(wrap(n)) == wrap(n)
    assert as_int(n) == (n if n == saturate(n) else 0)


@LAWS
@given(st.floats())
def test_float_to_int_agrees_with_text(x: float) -> None:
    assert std.to_int(text(x)) == float_to_int(x)


SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"]))
)
KEYS = st.text(st.characters(exclude_categories=["Cs"]), max_size=5)
JSON_VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4)
    | st.dictionaries(KEYS, inner, max_size=4).map(lambda d: dict(sorted(d.items()))),
    max_leaves=12,
)


@LAWS
@given(JSON_VALUES)
def test_json_round_trips_with_kinds_and_order(v: Any) -> None:
    back = from_json(to_json(v))
    assert text(back) == text(v)
    assert equal(back, v)


@LAWS
@given(JSON_VALUES)
def test_json_is_what_python_reads(v: Any) -> None:
    assert equal(json.loads(to_json(v)), v)


@LAWS
@given(st.text())
def test_from_json_never_fails(s: str) -> None:
    from_json(s)


@pytest.mark.parametrize(("opening", "closing"), [("[", "]"), ('{"a":', "}")])
def test_json_nesting_is_limited(opening: str, closing: str) -> None:
    within = opening * 127 + "1" + closing * 127
    beyond = opening * 128 + "1" + closing * 128
    assert from_json(within) != within
    assert from_json(beyond) == beyond
    assert from_json(opening * 200_000) == opening * 200_000


ROWS = st.lists(st.tuples(st.integers(0, 3), st.integers()), max_size=20)


@LAWS
@given(ROWS, st.booleans())
def test_sort_by_is_stable_in_both_directions(pairs: list[tuple[int, int]], down: bool) -> None:
    rows = [{"k": k, "i": i} for k, i in pairs]
    result = std.sort_by(rows, "k", "desc" if down else "asc")
    assert result == sorted(rows, key=lambda r: -r["k"] if down else r["k"])


@LAWS
@given(st.lists(st.integers() | st.floats()))
def test_sort_orders_numbers_and_keeps_them(xs: list[int | float]) -> None:
    result = std.sort(xs)
    assert sorted(map(text, result)) == sorted(map(text, xs))
    numbers = [x for x in result if x == x]
    assert all(a <= b for a, b in pairwise(numbers))
    assert result[: len(numbers)] == numbers  # NaN last


@LAWS
@given(JSON_VALUES)
def test_equality_is_reflexive_and_never_fails(v: Any) -> None:
    assert equal(v, v)
    assert ops.eq([v], [v])
    assert not ops.eq([v], [v, v])


@LAWS
@given(st.integers(-(10**12), 10**12))
def test_dates_agree_with_the_calendar(days: int) -> None:
    from datetime import date

    from somart.std.clock import civil_date

    ordinal = days % 3_000_000 + 1
    expected = date.fromordinal(ordinal)
    offset = date(1970, 1, 1).toordinal()
    assert civil_date(ordinal - offset) == (expected.year, expected.month, expected.day)
    assert civil_date(days + 146_097)[0] == civil_date(days)[0] + 400


def test_deep_nesting_ends_in_an_error_not_in_a_crash() -> None:
    def deep() -> Any:
        v: Any = []
        for _ in range(5000):
            v = [v]
        return v

    a, b = deep(), deep()
    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(2000)
    try:
        for use in (text, to_json, lambda v: equal(v, b)):
            with pytest.raises(RecursionError) as caught:
                use(a)
            assert ops.failed(caught.value)["error"] == "stack overflow (recursion depth exceeded)"
    finally:
        sys.setrecursionlimit(limit)
