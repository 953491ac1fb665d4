"""What is stored comes back equal."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from somart import Lambda, SomaError, Variant
from somart.memory.codec import decode, encode, parsed, storable

texts = st.text() | st.sampled_from(["__variant__", "__map__", "{}", '"', "\0", "\ud800", "é"])
scalars = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | texts
scalars |= st.integers(min_value=-(10**400), max_value=10**400)


def containers(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    maps = st.dictionaries(texts, inner, max_size=4)
    variants = st.builds(Variant, texts, texts) | st.builds(
        lambda t, n, i: Variant(t, n, tuple(i)), texts, texts, st.lists(inner, max_size=3)
    )
    variants |= st.builds(lambda t, n, f: Variant(t, n, None, f), texts, texts, maps)
    return st.lists(inner, max_size=4) | maps | variants


values = st.recursive(scalars, containers, max_leaves=12)


def shape(value: Any) -> Any:
    """A form in which equality is strict about kinds, order and signs."""
    if isinstance(value, Variant):
        items = None if value.items is None else [shape(v) for v in value.items]
        fields = None if value.fields is None else [(k, shape(v)) for k, v in value.fields.items()]
        return ("variant", value.type_name, value.name, items, fields)
    if isinstance(value, list):
        return [shape(v) for v in value]
    if isinstance(value, dict):
        return ("map", [(k, shape(v)) for k, v in value.items()])
    return (type(value).__name__, repr(value))


@pytest.mark.slow
@settings(max_examples=150, deadline=None)
@given(values)
def test_stored_values_come_back_equal(value: Any) -> None:
    tag, stored = encode(storable(value))
    stored.encode()  # always valid UTF-8
    assert shape(decode(tag, stored)) == shape(value)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_special_floats_survive_at_any_depth(value: float) -> None:
    assert repr(decode(*encode(value))) == repr(value)
    assert repr(decode(*encode([{"a": value}]))) == repr([{"a": value}])


def test_lambdas_become_text_and_nothing_else_is_copied() -> None:
    plain = [1, {"a": [2]}]
    assert storable(plain) is plain
    square = Lambda("x", lambda x: x * x)
    assert storable(square) == "<lambda>"
    assert storable([1, {"f": square}]) == [1, {"f": "<lambda>"}]
    assert storable(Variant("T", "V", (square,))).items == ("<lambda>",)


@pytest.mark.parametrize(
    ("value", "tag", "stored"),
    [
        (5, "int", "5"),
        (3.0, "float", "3.0"),
        (True, "bool", "true"),
        (None, "null", ""),
        ("x", "string", "x"),
        ([1, {"a": None}], "json", '[1,{"a":null}]'),
    ],
)
def test_the_stored_form(value: Any, tag: str, stored: str) -> None:
    assert encode(value) == (tag, stored)


@pytest.mark.parametrize(("tag", "stored"), [("int", "x"), ("json", "{"), ("odd", "1")])
def test_a_damaged_record_is_an_error(tag: str, stored: str) -> None:
    with pytest.raises(SomaError, match="damaged record in the database"):
        decode(tag, stored)


@pytest.mark.parametrize(
    ("stored", "value"),
    [
        ('{"b": 1, "a": [1.0, null]}', {"a": [1.0, None], "b": 1}),
        (" [1, 99999999999999999999]\n", [1, 99999999999999999999.0]),
        ("{broken", "{broken"),
        ("[1, }", "[1, }"),
        ("{a}", "{a}"),
        ("[NaN]", "[NaN]"),
        ("{} x", "{} x"),
        ("plain", "plain"),
        ("", ""),
    ],
)
def test_texts_that_look_like_json_are_parsed(stored: str, value: Any) -> None:
    got = parsed(stored)
    assert got == value
    if isinstance(got, dict):
        assert list(got) == sorted(got)


def test_a_value_nested_too_deeply_is_refused() -> None:
    value: Any = 1
    for _ in range(200):
        value = [value]
    assert decode(*encode(value)) == value
    with pytest.raises(SomaError, match="nested deeper than 200 cannot be stored"):
        encode(Variant("T", "V", (value,)))
