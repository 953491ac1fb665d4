"""Compiled handlers that add to an Int: the same on one node, and summed over several."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cluster_cells import ManualClock

from somac.codegen import generate, load_in_memory
from somac.frontend.load import load
from somac.manifest import Manifest
from somart import App, ProgramSpec, SomaError, StandaloneEngine
from somart.engines.cluster import ClusterEngine

SOURCE = Path(__file__).parents[1] / "codegen" / "golden" / "tally.cell"
CALLS: tuple[tuple[str, tuple[Any, ...]], ...] = (
    ("hit", ("a",)),
    ("hit", ("a",)),
    ("count", ("a", 3)),
    ("count", ("b", 2)),
    ("take", ("a", 5)),
    ("take", ("a", 500)),
    ("strict", ("new",)),
    ("strict", ("a",)),
    ("overwritten", ("c",)),
    ("looped", ("c",)),
    ("elsewhere", ("c",)),
    ("other_key", ("d", "a")),
    ("moving", ("e",)),
    ("effects", ("f",)),
    ("take", ("a", 1.5)),
    ("count", ("b", "text")),
    ("hit", ("a",)),
)


def compiled(text: str, folder: Path) -> ProgramSpec:
    path = folder / "tally.cell"
    path.write_text(text, "utf-8")
    loaded = load(path)
    assert loaded.program is not None, loaded.diagnostics
    return load_in_memory(generate(loaded.program, Manifest(), runtime="somart"))


@pytest.fixture
def spec(tmp_path: Path) -> ProgramSpec:
    return compiled(SOURCE.read_text("utf-8"), tmp_path)


def outcomes(app: App) -> Iterator[Any]:
    for name, args in CALLS:
        try:
            yield app.call("Tally", name, args)
        except SomaError as error:
            yield f"error: {error}"
        table = app.engine._tables["Tally.counts"]  # type: ignore[attr-defined]
        yield {key: entry.value for key, entry in sorted(table.entries.items())}


def on_node(spec: ProgramSpec) -> App:
    engine = ClusterEngine(spec, "a", clock=ManualClock())
    app = App(spec, engine)
    engine.ids.found()
    return app


def test_additions_do_what_the_source_says(spec: ProgramSpec, tmp_path: Path) -> None:
    plain = compiled(SOURCE.read_text("utf-8").replace("eventual", "strong"), tmp_path)
    expected = list(outcomes(App(plain, StandaloneEngine())))
    assert list(outcomes(App(spec, StandaloneEngine()))) == expected
    assert list(outcomes(on_node(spec))) == expected


def test_additions_of_two_nodes_are_summed(spec: ProgramSpec) -> None:
    clock = ManualClock()
    engines = [ClusterEngine(spec, name, clock=clock) for name in "ab"]
    apps = [App(spec, engine) for engine in engines]
    for _ in range(3):
        for app in apps:
            app.call("Tally", "hit", ["page"])
    apps[0].call("Tally", "count", ["other", 5])
    apps[1].call("Tally", "count", ["other", 7])
    for engine, other in ((engines[0], engines[1]), (engines[1], engines[0])):
        other.replica.merge(engine.replica.writes_of("Tally.counts", ["page", "other"]))
    for engine in engines:
        table = engine._tables["Tally.counts"]
        assert {key: entry.value for key, entry in table.entries.items()} == {
            "page": 6,
            "other": 34,  # the 10 of `?? 10` counts once
        }
