"""The hash of keys and nodes: published values, balance before and after the finaliser."""

from __future__ import annotations

import time

from hypothesis import given, settings
from hypothesis import strategies as st

from somart.cluster.hashing import SEGMENTS, fnv1a, hash64, mixed, segment_of

SIMILAR = [f"T{number:03d}" for number in range(1_000)]


def test_fnv1a_gives_the_published_values() -> None:
    # Noll's test vectors (http://www.isthe.com/chongo/tech/comp/fnv/)
    assert fnv1a(b"") == 0xCBF29CE484222325
    assert fnv1a(b"a") == 0xAF63DC4C8601EC8C
    assert fnv1a(b"foobar") == 0x85944171F73967E8


def test_a_prefix_can_be_hashed_once() -> None:
    assert fnv1a(b"bar", fnv1a(b"foo")) == fnv1a(b"foobar")


def test_the_finaliser_is_murmurs() -> None:
    assert mixed(0) == 0
    assert mixed(1) == 0xB456BCFC34C2CB2C
    assert mixed(2) == 0x3ABF2A20650683E7


def test_each_bit_of_the_input_flips_half_of_the_output() -> None:
    flipped = [
        (mixed(value) ^ mixed(value ^ (1 << bit))).bit_count()
        for value in (1, 0xDEADBEEF, 0x0123456789ABCDEF)
        for bit in range(64)
    ]
    assert 29 < sum(flipped) / len(flipped) < 35
    assert min(flipped) > 12


def test_plain_fnv_puts_similar_keys_into_one_place_and_ours_spreads_them() -> None:
    assert len({fnv1a(key.encode()) >> 52 for key in SIMILAR}) < 60
    assert len({segment_of(key) for key in SIMILAR}) > 850  # of 887 that chance would give
    quarters = [sum(segment_of(key) // 1_024 == n for key in SIMILAR) for n in range(4)]
    assert sum(quarters) == 1_000
    assert min(quarters) > 200
    assert max(quarters) < 300


@settings(max_examples=60, deadline=None)
@given(st.text())
def test_every_text_has_a_segment(key: str) -> None:
    assert 0 <= segment_of(key) < SEGMENTS
    assert segment_of(key) == hash64(key) // 2**52


def test_lone_surrogates_have_one_too() -> None:
    assert 0 <= segment_of("\ud800") < SEGMENTS


def test_segments_are_quick() -> None:
    keys = [f"key-{number}" for number in range(20_000)]
    begin = time.process_time()
    for key in keys:
        segment_of.__wrapped__(key)
    each = (time.process_time() - begin) / len(keys)
    assert each < 10e-6  # 1 µs where nothing else runs
