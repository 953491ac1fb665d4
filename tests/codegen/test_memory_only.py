"""Which handlers the compiler calls `memory_only`: the runtime runs these where it reads them."""

from __future__ import annotations

import pytest

from somac.codegen import generate, load_in_memory
from somac.frontend.load import load_text
from somac.manifest import Manifest
from somart import ProgramSpec

HEAD = "cell Store { memory { items: Map<String, Int> [persistent] } scale { replicas: 3 }\n"
BODIES = {
    'items.set("a", 1)': True,
    "for k in items.keys() { items.delete(k) }": True,
    "items.values() |> map(v => v + 1)": True,
    "_plain()": True,
    'delegate("Store", "_plain")': True,
    "emit told(1)": True,
    "sleep(5)": False,
    'items.set("a", http_get("http://localhost:1/"))': False,
    "_waits()": False,
    "items.keys() |> map(k => { sleep(1) k })": False,
    'delegate("Store", "_waits")': False,
    "emit rung(1)": False,
    "let f = x => { sleep(1) x } f(2) + items.len()": False,
}
REST = """
    on _plain() { items.get("a") ?? 0 }
    on _waits() { sleep(1) items.get("a") }
}
cell Ears { on told(n: Int) { n } on rung(n: Int) { sleep(n) } }
"""


def program(body: str) -> ProgramSpec:
    loaded = load_text(f"{HEAD} on run() {{ {body} }}{REST}", "app.cell")
    assert loaded.program is not None, loaded.diagnostics
    return load_in_memory(generate(loaded.program, Manifest(), runtime="somart"))


@pytest.mark.parametrize("body", BODIES)
def test_only_handlers_that_reach_nothing_outside_are_memory_only(body: str) -> None:
    handlers = program(body).cells[0].soma_handlers
    assert handlers["run"].memory_only is (BODIES[body] and handlers["run"].is_async)
    assert handlers["_plain"].memory_only
    assert not handlers["_waits"].memory_only
