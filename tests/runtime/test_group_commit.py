"""Commits of many callers become one write, on the event loop or in a thread."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

import pytest
import trio

from somart import App, Cell, ProgramSpec, Prop, SlotDecl, StandaloneEngine, Value, handler, limits
from somart.errors import SomaError

CALLERS = 40


class Book(Cell):
    """A durable slot."""

    soma_name = "Book"
    kept = SlotDecl("kept", "Map<String, Int>", (Prop("persistent"),))

    @handler("put", "k", "v")
    def put(self, k: Value, v: Value) -> Value:
        self.kept.set(k, v)
        return v

    @handler("all")
    def all(self) -> Value:
        return self.kept.values()


SPEC = ProgramSpec("book", (Book,))


class Watched(StandaloneEngine):
    """Notes the size of each group and the thread that wrote it."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.groups: list[tuple[int, int]] = []

    def _write(self, batch: list[object]) -> SomaError | None:  # type: ignore[override]
        self.groups.append((len(batch), threading.get_ident()))
        return super()._write(batch)  # type: ignore[arg-type]


def put_all(engine: StandaloneEngine) -> None:
    async def together(app: App) -> None:
        async with trio.open_nursery() as nursery:
            for number in range(CALLERS):
                nursery.start_soon(app.invoke, "Book", "put", [f"k{number:02}", number])

    with App(SPEC, engine) as app:
        trio.run(together, app)


@pytest.mark.parametrize("on_loop", [True, False])
def test_callers_share_a_write(
    on_loop: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "INLINE_COMMIT_SECONDS", 1.0 if on_loop else -1.0)
    engine = Watched(tmp_path)
    put_all(engine)
    assert sum(size for size, _ in engine.groups) == CALLERS
    assert len(engine.groups) <= 3
    assert (engine.groups[0][1] == threading.get_ident()) is on_loop
    with App(SPEC, StandaloneEngine(tmp_path)) as app:
        assert app.call("Book", "all") == list(range(CALLERS))


def test_a_slow_disk_is_tried_again(tmp_path: Path) -> None:
    engine = Watched(tmp_path)
    quick: Callable[[], bool] = engine._quick
    engine._commit_seconds = limits.INLINE_COMMIT_SECONDS * 5
    assert sum(quick() for _ in range(limits.INLINE_PROBE * 3)) == 3
    engine._commit_seconds = limits.INLINE_COMMIT_SECONDS * 20
    assert not any(quick() for _ in range(limits.INLINE_PROBE * 3))
