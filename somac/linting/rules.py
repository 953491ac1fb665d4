"""All rules, and the walk that applies them to the main file of a program."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from ..frontend import nodes as n
from ..frontend.program import LIVE_KINDS, Program
from .findings import Lint, Place
from .json_text import redundant_from_json, redundant_to_json
from .shape import empty_handler, if_chain, private_helper
from .unchecked import unchecked_get

PLACE_RULES: tuple[Callable[[Place], Iterator[Lint]], ...] = (
    redundant_to_json,
    redundant_from_json,
    unchecked_get,
    if_chain,
    empty_handler,
)
CELL_RULES: tuple[Callable[[n.Cell], Iterator[Lint]], ...] = (private_helper,)


def lint(program: Program) -> tuple[Lint, ...]:
    """All remarks on the main file, by line."""
    found: list[Lint] = []
    for cell in program.all_cells:
        if cell.kind not in LIVE_KINDS or cell.span.source is not program.source:
            continue
        for cell_rule in CELL_RULES:
            found.extend(cell_rule(cell))
        for section in cell.sections:
            if isinstance(section, n.Handler | n.Every | n.After):
                place = Place(program, cell, section)
                for rule in PLACE_RULES:
                    found.extend(rule(place))
    return tuple(sorted(found, key=lambda lint: lint.line))
