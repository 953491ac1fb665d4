"""Programs that run without files: modules compiled into a made-up package."""

from __future__ import annotations

import itertools
import sys
from dataclasses import replace
from types import ModuleType
from typing import TYPE_CHECKING, cast

from .generate import Generated

if TYPE_CHECKING:
    from somart.spec import ProgramSpec

_NUMBERS = itertools.count(1)


def load_in_memory(generated: Generated) -> ProgramSpec:
    """Compiles and runs the modules under a unique package name; the modules stay importable."""
    from somart.spec import SourceMap

    package = f"soma_program_{next(_NUMBERS)}"
    root = f"<{package}>"
    parent = ModuleType(package)
    parent.__path__ = []
    sys.modules[package] = parent
    for module in generated.modules:
        name = f"{package}.{module.filename.removesuffix('.py')}"
        loaded = ModuleType(name)
        loaded.__package__ = package
        loaded.__file__ = f"{root}/{module.filename}"
        sys.modules[name] = loaded
        exec(compile(module.text, loaded.__file__, "exec"), loaded.__dict__)  # our own output
    spec = cast("ProgramSpec", sys.modules[f"{package}.program"].__dict__["PROGRAM"])
    lines = {
        module.filename: [
            (line, span.source.path, span.line, span.column) for line, span in module.lines
        ]
        for module in generated.modules
    }
    sources = {source.path: source.text for source in generated.sources}
    return replace(spec, source_map=SourceMap(lines=lines, sources=sources, root=root))
