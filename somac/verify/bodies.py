"""The bodies of a cell that run: handlers, `every`, `after`, and the effects of arrows."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from ..frontend import nodes as n
from ..frontend.program import handlers_of, sections


@dataclass(frozen=True)
class Body:
    """A block of statements under the name by which the report calls it."""

    name: str
    block: n.Block
    handler: n.Handler | None = None

    @property
    def params(self) -> tuple[str, ...]:
        return tuple(p.name for p in self.handler.params) if self.handler else ()


def handler_bodies(cell: n.Cell) -> list[Body]:
    """The handlers of a cell, in order of first declaration."""
    return [Body(h.name, h.body, h) for h in handlers_of(cell).values()]


def all_bodies(cell: n.Cell) -> list[Body]:
    """Handlers, then timers, then effects, each in source order."""
    return [*handler_bodies(cell), *_timers(cell), *_effects(cell)]


def _timers(cell: n.Cell) -> Iterator[Body]:
    for section in cell.sections:
        if isinstance(section, n.Every | n.After):
            word = "every" if isinstance(section, n.Every) else "after"
            yield Body(f"{word} {_interval(section.milliseconds)}", section.body)


def _effects(cell: n.Cell) -> Iterator[Body]:
    for machine in sections(cell, n.Machine):
        for arrow in machine.transitions:
            if arrow.effect is not None:
                yield Body(f"effect of {arrow.source} -> {arrow.target}", arrow.effect)


def _interval(milliseconds: int) -> str:
    for size, unit in ((3_600_000, "h"), (60_000, "min"), (1000, "s")):
        if milliseconds and milliseconds % size == 0:
            return f"{milliseconds // size}{unit}"
    return f"{milliseconds}ms"
