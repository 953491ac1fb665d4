"""From a path to a program that can run: load, refuse what cannot work, generate, import."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ..frontend.load import load
from ..frontend.program import Program
from .terminal import progress, report_diagnostics

if TYPE_CHECKING:
    from somart.spec import ProgramSpec

    from ..manifest import Manifest


@dataclass(frozen=True)
class Unit:
    """A program that was read, with its manifest."""

    path: Path
    program: Program
    manifest: Manifest


def read(path: str) -> Unit | None:
    """Loads a program and its manifest; reports what is wrong with them and gives None."""
    from ..manifest import load_manifest

    loaded = load(path)
    if report_diagnostics(loaded.diagnostics) or loaded.program is None:
        return None
    manifest, diagnostics = load_manifest(path)
    if report_diagnostics(diagnostics):
        return None
    return Unit(Path(path), loaded.program, manifest)


def read_runnable(path: str) -> Unit | None:
    """Loads a program and refuses `[native]` handlers that are not native (core §6).

    Warns of handlers that are defined twice (core §2.2).
    """
    from ..check.native import native_errors
    from ..check.structure import duplicate_handlers

    unit = read(path)
    if unit is None or report_diagnostics(native_errors(unit.program)):
        return None
    report_diagnostics(duplicate_handlers(unit.program))
    return unit


def static_folder(unit: Unit) -> Path:
    """The folder behind `/static/`: `[serve] static`, else `static`, beside the source."""
    return unit.path.parent / (unit.manifest.serve.static or "static")


def compile_in_memory(unit: Unit) -> ProgramSpec:
    """Generates a program's modules and imports them without writing a file."""
    from ..codegen import generate, load_in_memory

    with progress("compiling"):
        return load_in_memory(generate(unit.program, unit.manifest, runtime="somart"))
