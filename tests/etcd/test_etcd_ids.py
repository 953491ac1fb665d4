"""Blocks of ids: none twice, none without a block."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from somart import SomaError
from somart.engines.etcd.ids import BLOCK, MOST, IdBlocks


@settings(max_examples=50, deadline=None)
@given(st.lists(st.sampled_from(["a", "b"]), max_size=60), st.integers(0, 50))
def test_two_nodes_never_give_the_same_id(takes: list[str], used: int) -> None:
    nodes = {name: IdBlocks() for name in ("a", "b")}
    last = dict.fromkeys(nodes, 0)
    given_away = used
    for blocks in nodes.values():
        blocks.watch("C", used)
    found: list[int] = []
    for name in takes:
        blocks = nodes[name]
        if blocks.wanting():
            size = blocks.wants("C")
            blocks.took("C", given_away + 1, given_away + size)
            given_away += size
        number = blocks.after("C", last[name])
        found.append(number)
        last[name] = number
        blocks.used("C", number)
    assert len(set(found)) == len(found)
    assert all(number > used for number in found)


def test_without_a_block_there_is_no_id() -> None:
    blocks = IdBlocks()
    blocks.watch("C", 0)
    assert not blocks.ready
    with pytest.raises(SomaError, match="no ids at hand for C"):
        blocks.after("C", 0)
    blocks.took("C", 1, 2)
    assert blocks.ready
    assert [blocks.after("C", last) for last in (0, 1)] == [1, 2]
    with pytest.raises(SomaError):
        blocks.after("C", 2)


def test_blocks_of_a_busy_counter_grow_to_a_bound() -> None:
    blocks = IdBlocks()
    blocks.watch("C", 0)
    end, sizes = 0, []
    for _ in range(10):
        size = blocks.wants("C")
        assert size
        sizes.append(size)
        blocks.took("C", end + 1, end + size)
        end += size
        assert blocks.used("C", end)
    assert sizes[0] == BLOCK
    assert sizes[-1] == MOST


def test_a_new_block_is_asked_for_before_the_old_one_is_used_up() -> None:
    blocks = IdBlocks()
    blocks.watch("C", 0)
    blocks.took("C", 1, BLOCK)
    assert not blocks.used("C", BLOCK // 2 - 1)
    assert blocks.used("C", BLOCK // 2)
