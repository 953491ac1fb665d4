"""The id of a node: made up or given once, and kept with the data."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from somart.cluster.boot import ID_FILE, BootError, ClusterNode, in_cluster, node_id
from somart.options import ServeOptions
from somart.spec import ProgramSpec


class At:
    """A wall clock that stands still."""

    def __init__(self, wall: int) -> None:
        self._wall = wall

    def wall(self) -> int:
        return self._wall

    def monotonic(self) -> int:
        return 0


YESTERDAY, NOW = At(1_799_913_600_000), At(1_800_000_000_000)


def test_a_made_up_id_outlives_restarts(tmp_path: Path) -> None:
    first = node_id(tmp_path / "new", None, YESTERDAY)
    assert first.startswith("n")
    assert node_id(tmp_path / "new", None, NOW) == first
    assert node_id(tmp_path / "new", first, NOW) == first


def test_an_id_is_on_disk_before_it_is_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: dict[int, bytes] = {}

    def sync(handle: int) -> None:
        file = tmp_path / ID_FILE
        synced[os.fstat(handle).st_ino] = file.read_bytes()

    monkeypatch.setattr(os, "fsync", sync)
    known = node_id(tmp_path, None, NOW).encode() + b"\n"
    inodes = (path.stat().st_ino for path in (tmp_path / ID_FILE, tmp_path))
    assert synced == dict.fromkeys(inodes, known)


def test_a_given_id_need_not_be_given_again(tmp_path: Path) -> None:
    assert node_id(tmp_path, "east-1", NOW) == "east-1"
    assert node_id(tmp_path, None, NOW) == "east-1"
    assert (tmp_path / ID_FILE).read_text() == "east-1\n"


@pytest.mark.parametrize("before", [None, "east-1"])
def test_another_id_on_the_same_data_is_refused(tmp_path: Path, before: str | None) -> None:
    known = node_id(tmp_path, before, NOW)
    with pytest.raises(BootError) as refused:
        node_id(tmp_path, "west-1", NOW)
    assert f"are those of node '{known}', not of 'west-1'" in str(refused.value)
    assert "leave --node-id out, or choose another folder with --data" in str(refused.value)
    assert node_id(tmp_path, None, NOW) == known


def test_made_up_ids_differ_and_are_ordered_by_their_making(tmp_path: Path) -> None:
    founder = node_id(tmp_path / "a", None, YESTERDAY)
    others = {node_id(tmp_path / f"b{n}", None, NOW) for n in range(20)}
    assert len(others) > 1
    assert all(founder < other for other in others), "the lowest id leads"


def test_an_id_that_cannot_be_read_is_not_made_anew(tmp_path: Path) -> None:
    (tmp_path / ID_FILE).mkdir()
    with pytest.raises(BootError, match="cannot read"):
        node_id(tmp_path, None, NOW)


def test_a_node_takes_its_id_from_its_data(tmp_path: Path) -> None:
    def start(given: str | None = None) -> ClusterNode:
        options = ServeOptions(data=tmp_path, node_id=given)
        return ClusterNode(ProgramSpec("empty", ()), options, lambda _line: None)

    assert not in_cluster(ProgramSpec("empty", ()), ServeOptions(data=tmp_path))
    known = start().id
    assert start().id == known
    assert in_cluster(ProgramSpec("empty", ()), ServeOptions(data=tmp_path)), "without --join, too"
    with pytest.raises(BootError, match=f"those of node '{known}', not of 'other'"):
        start("other")
