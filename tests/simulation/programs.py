"""Programs in Soma for simulations, compiled once per process."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from somac.cli.simulating import entry_points
from somac.codegen import generate, load_in_memory
from somac.frontend.load import load
from somac.manifest import load_manifest
from somart.simulate.clients import Entry
from somart.spec import ProgramSpec

FOLDER = Path(__file__).parent / "cells"


def program(name: str) -> tuple[ProgramSpec, tuple[Entry, ...]]:
    """A program of the folder `cells`, and its handlers with the types of their parameters."""
    return compiled(FOLDER / f"{name}.cell")


@cache
def compiled(path: Path) -> tuple[ProgramSpec, tuple[Entry, ...]]:
    """The same for any program."""
    loaded = load(str(path))
    assert loaded.program is not None, loaded.diagnostics
    manifest, _ = load_manifest(str(path))
    spec = load_in_memory(generate(loaded.program, manifest, runtime="somart"))
    return spec, entry_points(loaded.program, spec)
