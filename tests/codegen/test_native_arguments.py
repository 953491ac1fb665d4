"""What native handlers are called with is made what they declare (core §6)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from somac.codegen import generate, load_in_memory
from somac.frontend.load import load
from somac.manifest import Manifest
from somart import App, SomaError, StandaloneEngine

SOURCE = """
cell Fast {
    on ints(xs: List<Int>) [native] {
        let s = 0
        for i in range(0, len(xs)) { s += nth(xs, i) }
        return s
    }
    on floats(xs: List<Float>) [native] { return nth(xs, 0) / 2 }
    on any(xs: List) [native] { return len(xs) }
    on text(s: String) [native] { return s + "!" }
    on number(n: Int) [native] { return n / 2 }
}
"""


@pytest.fixture
def app(tmp_path: Path) -> App:
    path = tmp_path / "app.cell"
    path.write_text(SOURCE, encoding="utf-8")
    loaded = load(path)
    assert loaded.program is not None, loaded.diagnostics
    spec = load_in_memory(generate(loaded.program, Manifest(), runtime="somart"))
    return App(spec, StandaloneEngine(None))


@pytest.mark.parametrize(
    ("handler", "argument", "result"),
    [
        ("ints", [1, 2, 3], 6),
        ("ints", [1.9, True, 2], 4),
        ("floats", [3, 4], 1.5),
        ("any", ["a", None], 2),
        ("text", 5, "5!"),
        ("text", None, "null!"),
        ("number", 7.9, 3),
    ],
)
def test_arguments_are_converted(app: App, handler: str, argument: Any, result: Any) -> None:
    found = app.call("Fast", handler, [argument])
    assert (found, type(found)) == (result, type(result))


@pytest.mark.parametrize("handler", ["ints", "floats", "any"])
def test_a_list_cannot_be_made_of_other_kinds(app: App, handler: str) -> None:
    with pytest.raises(SomaError, match=r'^expected List, got String\("abc"\)$'):
        app.call("Fast", handler, ["abc"])
