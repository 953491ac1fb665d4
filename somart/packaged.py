"""What a generated package keeps in files beside its modules: the source map and the sources."""

from __future__ import annotations

import json
from pathlib import Path

from .spec import SourceMap

SOURCE_MAP = "source_map.json"


def packaged_source_map(module_file: str) -> SourceMap:
    """The source map beside a module; without its files, errors name no place, nothing more."""
    folder = Path(module_file).resolve().parent
    try:
        data = json.loads((folder / SOURCE_MAP).read_text("utf-8"))
        sources = {name: (folder / name).read_text("utf-8") for name in data["sources"]}
    except (OSError, ValueError, KeyError):
        return SourceMap(root=str(folder))
    lines = {file: tuple(tuple(row) for row in rows) for file, rows in data["lines"].items()}
    return SourceMap(lines=lines, sources=sources, root=str(folder))
