"""Programs on which the compiler's fuzzer once found a fault (tests/soak/fuzz_compiler.py)."""

from __future__ import annotations

import pytest

from somac.codegen import generate, load_in_memory
from somac.frontend.load import load_text
from somac.manifest import Manifest
from somart import App, SomaError, StandaloneEngine, std

PROGRAMS = {
    "a scale key twice": "cell A { memory { s: Map [persistent] } scale { replicas: 2 replicas: 3 }"
    " on f() { 1 } }",
    "an invariant without slots": "cell A { memory { invariant s.len < 3 } on f() { 1 } }",
    "a lambda in a hole that stays text": """cell A {
        on f() { let xs = list(1) xs = push(xs, 2) g() nth(xs, 0) }
        on g() { if 1 > 3 { "sum {ys |> reduce(0, p => p.acc + p.val)}" } } }""",
    "a lambda that waits beside one that does not": """cell A {
        memory { e: Map<String, Int> [persistent, consistent] }
        scale { replicas: 3 shard: e }
        on f() { e.set("a", 1) e.values |> reduce(0, p => p.acc + p.val) }
        on g() { let get = k => e.get(k) e.keys |> map(get) } }""",
    "cells named like imports": "cell A { on f() { 1 } } cell path { on g() { 1 } }"
    " cell baseApp { on h() { 1 } } cell Lru_cache { on i() { 1 } }",
}


@pytest.mark.parametrize("name", PROGRAMS)
def test_it_compiles_and_runs(name: str) -> None:
    loaded = load_text(PROGRAMS[name], "app.cell")
    assert loaded.program is not None, loaded.diagnostics
    spec = load_in_memory(generate(loaded.program, Manifest(), runtime="somart"))
    with App(spec, StandaloneEngine(None)) as app:
        assert app.call("A", "f", []) == 1


def test_a_range_that_no_list_can_hold() -> None:
    with pytest.raises(SomaError, match="range: more items than a List can hold"):
        std.range(1, 99999999999999999999)


def test_of_two_scale_keys_the_last_one_counts() -> None:
    loaded = load_text(PROGRAMS["a scale key twice"], "app.cell")
    assert loaded.program is not None
    spec = load_in_memory(generate(loaded.program, Manifest(), runtime="somart"))
    scale = spec.cells[0].soma_scale
    assert scale is not None
    assert scale.replicas == 3
