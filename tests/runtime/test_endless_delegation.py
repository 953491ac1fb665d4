"""Delegation without an end: a stack overflow whose message stays of a bounded size."""

from __future__ import annotations

import sys

import pytest

from somac.codegen import generate, load_in_memory
from somac.frontend.load import load_text
from somac.manifest import Manifest
from somart import App, SomaError
from somart.engines.standalone import StandaloneEngine
from somart.limits import DELEGATE_PREFIXES

TEXT = """
cell Main {
    on again(n: Int) { return delegate("Main", "again", n + 1) }
    on down(n: Int) { if n == 0 { return 1 / n } return delegate("Main", "down", n - 1) }
}
"""
PREFIX = "delegate error: "


@pytest.fixture
def app() -> App:
    loaded = load_text(TEXT, "main.cell")
    assert loaded.program is not None
    spec = load_in_memory(generate(loaded.program, Manifest(), runtime="somart"))
    return App(spec, StandaloneEngine(None))


def test_the_message_is_bounded(app: App) -> None:
    before = sys.getrecursionlimit()
    sys.setrecursionlimit(6_000)
    try:
        with pytest.raises(SomaError) as failure:
            app.call("Main", "again", (0,))
    finally:
        sys.setrecursionlimit(before)
    assert failure.value.message.count(PREFIX) == DELEGATE_PREFIXES
    assert failure.value.message.endswith(PREFIX + "stack overflow (recursion depth exceeded)")


@pytest.mark.parametrize("depth", [1, 2, 5])
def test_every_delegation_adds_its_prefix(app: App, depth: int) -> None:
    with pytest.raises(SomaError) as failure:
        app.call("Main", "down", (depth,))
    assert failure.value.message == PREFIX * depth + "division by zero"
