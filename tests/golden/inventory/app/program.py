"""The program: all cells of app.cell."""

from __future__ import annotations

import json
from pathlib import Path

from ._somart import App as BaseApp
from ._somart import ManifestSpec, ProgramSpec, SourceMap
from .inventory import Inventory
from .inventory_tests import InventoryTests


class App(BaseApp):
    """The running program; handlers reach other cells through it."""

    Inventory: Inventory


def _source_map() -> SourceMap:
    """From lines of these modules to lines of the Soma source, which lies beside them."""
    root = Path(__file__).parent
    table = root / "source_map.json"
    if not table.exists():
        return SourceMap()
    data = json.loads(table.read_text("utf-8"))
    return SourceMap(
        lines={name: [tuple(row) for row in rows] for name, rows in data["lines"].items()},
        sources={name: (root / name).read_text("utf-8") for name in data["sources"]},
        root=str(root),
    )


PROGRAM = ProgramSpec(
    name="inventory",
    cells=(Inventory,),
    tests=(InventoryTests,),
    manifest=ManifestSpec(
        name="inventory",
        version="0.1.0",
        description="An inventory whose stock never goes below zero",
    ),
    source_map=_source_map(),
    variants={},
    package=__package__,
    app_class=App,
)
