"""An answer means that the disk was told to keep the commit: nothing unsynced is left behind."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import apsw
import pytest
import trio
from gauge_program import PROGRAM

from somart import App, StandaloneEngine


class Disk(apsw.VFS):
    """The usual files, with a note of which have writes that were not synced."""

    def __init__(self) -> None:
        self.unsynced: set[str] = set()
        self.syncs = 0
        self.base = apsw.vfs_names()[0]
        super().__init__("noting", self.base, makedefault=True)

    def xOpen(self, name: Any, flags: list[int]) -> apsw.VFSFile:
        return NotedFile(self, name, flags)


class NotedFile(apsw.VFSFile):
    """A file of that disk."""

    def __init__(self, disk: Disk, name: Any, flags: list[int]) -> None:
        self._disk = disk
        self._name = name.filename() if isinstance(name, apsw.URIFilename) else str(name)
        super().__init__(disk.base, name, flags)

    def xWrite(self, data: bytes, offset: int) -> None:
        self._disk.unsynced.add(self._name)
        super().xWrite(data, offset)

    def xSync(self, flags: int) -> None:
        super().xSync(flags)
        self._disk.syncs += 1
        self._disk.unsynced.discard(self._name)


@pytest.fixture
def disk() -> Iterator[Disk]:
    disk = Disk()
    yield disk
    disk.unregister()


def test_a_call_returns_when_its_commit_is_synced(disk: Disk, tmp_path: Path) -> None:
    with App(PROGRAM, StandaloneEngine(tmp_path / "data")) as app:
        for number in range(20):
            before = disk.syncs
            app.call("Gauge", "feed", ["a", number])
            assert disk.syncs > before
            assert not disk.unsynced
        before = disk.syncs
        app.call("Gauge", "get", ["a"])
        assert disk.syncs == before, "reading costs nothing"


def test_grouped_calls_return_when_their_commit_is_synced(disk: Disk, tmp_path: Path) -> None:
    async def feed(app: App, number: int) -> None:
        await app.invoke("Gauge", "feed", [f"k{number % 5}", number])
        assert not disk.unsynced

    async def main() -> None:
        with App(PROGRAM, StandaloneEngine(tmp_path / "data")) as app:
            before = disk.syncs
            async with trio.open_nursery() as nursery:
                for number in range(50):
                    nursery.start_soon(feed, app, number)
            assert 1 <= disk.syncs - before < 50, "commits share a sync"

    trio.run(main)
