"""Slots that a `cell backend` of the program keeps on disk (system reference §1.4)."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from ..frontend import nodes as n
from ..frontend.program import Program, sections

ON_DISK = frozenset({"file", "sqlite"})
IN_MEMORY = (frozenset({"ephemeral"}), frozenset({"local"}), frozenset({"ephemeral", "local"}))


class Backends:
    """The match sets of a program's own backends, those on disk and those in memory."""

    def __init__(self, program: Program) -> None:
        self._on_disk: list[frozenset[str]] = []
        self._in_memory: list[frozenset[str]] = list(IN_MEMORY)
        for cell in program.cells:
            if cell.kind == "backend":
                self._add(cell)

    def _add(self, cell: n.Cell) -> None:
        rules = [rule for section in sections(cell, n.Rules) for rule in section.rules]
        natives = {rule.text for rule in rules if isinstance(rule, n.NativeRule)}
        target = self._on_disk if natives & ON_DISK else self._in_memory
        target += [
            frozenset(rule.names)
            for rule in rules
            if isinstance(rule, n.NameRule) and rule.kind == "matches"
        ]

    def persist(self, names: Collection[str]) -> bool:
        """Whether a backend of the program keeps a slot with these properties on disk.

        The largest match set decides; at equal size the disk wins.
        """
        largest = _largest(self._on_disk, names)
        return largest > 0 and largest >= _largest(self._in_memory, names)


def _largest(sets: Iterable[frozenset[str]], names: Collection[str]) -> int:
    return max((len(found) for found in sets if found.issubset(names)), default=0)
