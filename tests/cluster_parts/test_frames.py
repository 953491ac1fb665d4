"""Frames of the bus: what goes in comes out, however it is cut; all else is refused."""

from __future__ import annotations

from contextlib import suppress
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from somart.cluster.frames import HEADER, FrameError, FrameReader, FrameWriter, frame
from somart.cluster.messages import (
    Batch,
    Handled,
    Message,
    Signal,
    VersionWire,
    Write,
    decode,
    encode,
    name_of,
)

MOST = 64 * 1024
KEY = b"k" * 32

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
counts = st.integers(0, 2**63)
signals = st.builds(Signal, texts, counts, texts, texts, st.booleans(), counts)
stamps = st.tuples(counts, counts, texts)
sums = st.integers(-(2**63), 2**63)
versions = st.builds(
    VersionWire, stamps, st.none() | st.dictionaries(texts, st.tuples(counts, sums), max_size=2)
)
writes = st.builds(Write, texts, texts, versions, st.none() | texts, texts)
batches = st.builds(
    Batch,
    texts,
    counts,
    counts,
    st.dictionaries(texts, counts, max_size=2),
    st.lists(writes, max_size=3),
)
messages: st.SearchStrategy[Message] = signals | batches | st.builds(Handled, counts, counts)
keys = st.none() | st.just(KEY)


def reader(key: bytes | None = None, most: int = MOST) -> FrameReader:
    found = FrameReader(most)
    found.begin(most, key)
    return found


def pieces(data: bytes, cuts: list[int]) -> list[bytes]:
    at = [0, *sorted(cut % (len(data) + 1) for cut in cuts), len(data)]
    return [data[a:b] for a, b in pairwise(at)]


@settings(max_examples=60, deadline=None)
@given(st.lists(messages, max_size=5), st.lists(st.integers(0, 10_000), max_size=6), keys)
def test_messages_survive_any_cut(sent: list[Message], cuts: list[int], key: bytes | None) -> None:
    writer, receiver = FrameWriter(MOST, key), reader(key)
    data = b"".join([writer.frame(message) for message in sent])
    found = []
    for piece in pieces(data, cuts):
        receiver.feed(piece)
        found += receiver.messages()
    assert [message for message, _ in found] == sent
    assert sum(size for _, size in found) == len(data)


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=200))
def test_garbage_is_an_error_or_incomplete(data: bytes) -> None:
    receiver = reader()
    receiver.feed(data)
    with suppress(FrameError):
        assert receiver.messages() == []


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_one_changed_bit_breaks_the_seal(data: st.DataObject) -> None:
    whole = bytearray(FrameWriter(MOST, KEY).frame(Signal("a", 1, "tick", "[1]")))
    at = data.draw(st.integers(HEADER.size * 8, len(whole) * 8 - 1))
    whole[at // 8] ^= 1 << at % 8
    receiver = reader(KEY)
    receiver.feed(whole)
    with pytest.raises(FrameError, match="seal"):
        receiver.messages()


def test_a_frame_too_long_is_refused_before_it_is_there() -> None:
    receiver = reader(most=100)
    receiver.feed(HEADER.pack(101))
    with pytest.raises(FrameError, match="a frame of 101 bytes, 100 are allowed"):
        receiver.messages()
    handshaking = FrameReader(100)
    handshaking.feed(HEADER.pack(2**32 - 1))
    with pytest.raises(FrameError, match="4294967295"):
        handshaking.body()


@pytest.mark.parametrize("key", [None, KEY])
@pytest.mark.parametrize("change", ["left out", "repeated", "swapped"])
def test_frames_come_in_order_and_once(key: bytes | None, change: str) -> None:
    writer = FrameWriter(MOST, key)
    first, second, third = (writer.frame(Handled(n)) for n in range(3))
    sent = {
        "left out": [first, third],
        "repeated": [first, first],
        "swapped": [second, first],
    }[change]
    receiver = reader(key)
    receiver.feed(b"".join(sent))
    with pytest.raises(FrameError, match=r"^frame \d instead of \d$"):
        receiver.messages()


def test_a_seal_of_the_other_direction_is_wrong() -> None:
    receiver = reader(b"x" * 32)
    receiver.feed(FrameWriter(MOST, KEY).frame(Handled(1)))
    with pytest.raises(FrameError, match="seal"):
        receiver.messages()


def test_an_unsealed_frame_is_no_sealed_one() -> None:
    receiver = reader(KEY)
    receiver.feed(FrameWriter(MOST).frame(Handled(1)) + frame(b""))
    with pytest.raises(FrameError, match="seal"):
        receiver.messages()


def test_bodies_are_taken_one_by_one() -> None:
    receiver = FrameReader(MOST)
    receiver.feed(frame(b"one") + frame(b"") + b"\0\0")
    assert [receiver.body(), receiver.body(), receiver.body()] == [b"one", b"", None]


def test_what_cannot_travel_uses_up_no_number() -> None:
    writer = FrameWriter(MOST)
    huge = Write("t", "k", VersionWire((0, 0, "a"), {"a": (1, 2**70)}), "int", "1")
    with pytest.raises(ValueError, match="cannot be sent"):
        writer.frame(Batch("a", 1, 0, {}, [huge]))
    with pytest.raises(ValueError, match="cannot be sent"):
        writer.frame(Signal("a", 1, "\ud800", "[]"))
    with pytest.raises(ValueError, match="cannot be sent"):
        writer.frame(Signal("a", 1, "n", "x" * (MOST + 1)))
    receiver = reader()
    receiver.feed(writer.frame(Handled(1)))
    assert [message for message, _ in receiver.messages()] == [Handled(1)]


def test_bounds_of_fields_are_checked() -> None:
    for wrong in (Handled(-1), Signal("a", -1, "n", ""), Signal("a" * 257, 1, "n", "")):
        with pytest.raises(ValueError, match="Expected"):
            decode(encode(1, wrong))
    assert name_of(Batch("a", 1, 0, {}, [])) == "EVENT _cluster_set"
