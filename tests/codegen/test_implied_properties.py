"""Properties of `cell property` take effect at run time; timers keep their order (§1.2-1.4, §3)."""

from __future__ import annotations

from pathlib import Path

import pytest

from somac.codegen import generate, load_in_memory
from somac.frontend.load import load
from somac.manifest import Manifest
from somart import App, ProgramSpec, SomaError, StandaloneEngine
from somart.timers import schedule_of

SOURCE = """
cell property audited { rules { implies [kept] } }
cell property kept { rules { implies [persistent, immutable] } }
cell property scratch { rules { implies [local] } }
cell Store {
    memory {
        trail: Map<String, Int> [audited]
        years: Map<String, Int> [retain(7years)]
        copies: Map<String, Int> [replicated(3)]
        here: Map<String, Int> [persistent, local]
        notes: Map<String, Int> [scratch]
        plain: Map<String, Int>
    }
    scale { replicas: 3 shard: copies }
    on put(k: String) { trail.set(k, 1) trail.get(k) }
    on get(k: String) { trail.get(k) }
    on note(k: String) { notes.set(k, 1) notes.backend }
    on backends() {
        list(trail.backend, years.backend, copies.backend, here.backend, plain.backend)
    }
    after 5s { print("a") }
    every 1s { print("b") }
    after 2s { print("c") }
}
"""


@pytest.fixture
def spec(tmp_path: Path) -> ProgramSpec:
    path = tmp_path / "app.cell"
    path.write_text(SOURCE, encoding="utf-8")
    loaded = load(path)
    assert loaded.program is not None, loaded.diagnostics
    return load_in_memory(generate(loaded.program, Manifest(), runtime="somart"))


def test_what_a_property_implies_is_enforced(spec: ProgramSpec, tmp_path: Path) -> None:
    with App(spec, StandaloneEngine(tmp_path / "data")) as app:
        assert app.call("Store", "put", ["a"]) == 1
        with pytest.raises(SomaError, match="slot 'trail' is immutable"):
            app.call("Store", "put", ["a"])
    with App(spec, StandaloneEngine(tmp_path / "data")) as app:
        assert app.call("Store", "get", ["a"]) == 1, "persistence is implied"


def test_backends_follow_implied_properties(spec: ProgramSpec, tmp_path: Path) -> None:
    with App(spec, StandaloneEngine(tmp_path / "data")) as app:
        assert app.call("Store", "backends") == [*["sqlite"] * 4, "memory"]


def test_a_slot_that_is_local_by_implication_is_not_shared(spec: ProgramSpec) -> None:
    slots = spec.cells[-1].soma_slots
    assert {name for name, slot in slots.items() if slot.shared} == {
        "trail",
        "years",
        "copies",
        "plain",
    }
    with App(spec, StandaloneEngine(None)) as app:
        assert app.call("Store", "note", ["x"]) == "memory"


def test_timers_stand_in_source_order(spec: ProgramSpec) -> None:
    with App(spec, StandaloneEngine(None)) as app:
        timers = [(t.info.kind, t.info.milliseconds) for t in schedule_of(app).timers]
    assert timers == [("after", 5000), ("every", 1000), ("after", 2000)]


BACKENDS = """
cell property cached { rules { } }
cell backend vault { rules { matches [cached] native "file" } }
cell backend ram { rules { matches [cached, eventual] native "memory" } }
cell Store {
    memory {
        a: Map<String, Int> [cached]
        b: Map<String, Int> [cached, eventual]
        c: Map<String, Int> [cached, local]
        d: Map<String, Int> [cached, ephemeral]
        e: Map<String, Int> [eventual]
    }
    on run() { list(a.backend, b.backend, c.backend, d.backend, e.backend) }
}
"""


def test_a_backend_of_the_program_decides_what_is_kept(tmp_path: Path) -> None:
    (tmp_path / "app.cell").write_text(BACKENDS, encoding="utf-8")
    loaded = load(tmp_path / "app.cell")
    assert loaded.program is not None
    spec = load_in_memory(generate(loaded.program, Manifest(), runtime="somart"))
    with App(spec, StandaloneEngine(tmp_path / "data")) as app:
        kept = app.call("Store", "run", [])
    assert kept == ["sqlite", "memory", "sqlite", "memory", "memory"]
