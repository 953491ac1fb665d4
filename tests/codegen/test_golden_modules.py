"""Sources and what is generated from them, side by side; UPDATE_GOLDEN=1 rewrites the outputs."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from somac.codegen import generate
from somac.codegen.package import format_module
from somac.frontend.load import load
from somac.manifest import Manifest

FOLDER = Path(__file__).parent / "golden"
SOURCES = sorted(FOLDER.glob("*.cell"))


@pytest.mark.slow
@pytest.mark.parametrize("path", SOURCES, ids=lambda p: p.stem)
def test_golden(path: Path) -> None:
    loaded = load(path)
    assert loaded.program is not None, loaded.diagnostics
    generated = generate(loaded.program, Manifest())
    parts = [
        f"# --- {module.filename}\n{format_module(module.text)}"
        for module in generated.modules
        if module.filename != "program.py"
    ]
    text = "\n".join(parts)
    golden = path.with_suffix(".py.txt")
    if os.environ.get("UPDATE_GOLDEN"):
        golden.write_text(text, encoding="utf-8")
    assert text == golden.read_text("utf-8")


def test_there_are_golden_sources() -> None:
    assert SOURCES
