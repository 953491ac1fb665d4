"""What each node sees of lifecycles and memory, against what was verified and declared.

The history of a node is the sequence of states that an instance has on it: own transitions and what
comes from other nodes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ..app import App
from ..cell import Cell
from ..errors import FAILURES
from ..memory.properties import PLAIN
from ..memory.slot import Slot, drive
from ..memory.table import Entry, Key, Table
from ..transaction import CURRENT, Transaction
from .machine import Machine

Report = Callable[[str, str], None]
"""Takes a node and a sentence."""


@dataclass(frozen=True)
class LifecycleRules:
    """What a section of `[verify]` of soma.toml promises of every history: states that are `never`
    entered, and by state the ones never entered `after` it."""

    never: frozenset[str] = frozenset()
    after: Mapping[str, frozenset[str]] = field(default_factory=dict)


AllRules = Mapping[str, LifecycleRules]
"""By the machine of which they speak; those under "" speak of all."""


class Observer:
    """Watches the tables of machines and slots of all lives of all nodes."""

    def __init__(self, rules: AllRules) -> None:
        self._rules = rules
        self._seen: dict[tuple[str, str, str], list[str]] = {}
        """By node, table and instance: the states that it was in, in order."""
        self._touched: dict[int, dict[tuple[str, str], tuple[Cell, Slot, Key]]] = {}

    def watch(self, machine: Machine, app: App, report: Report) -> None:
        """From the start of a life; what is there already was seen in an earlier one."""
        self._touched[id(app)] = {}
        for cell in all_cells(app.top_level):
            for lifecycle in cell.soma_bound:
                name = f"{cell.soma_path}.#machine.{lifecycle.decl.name}"
                self._watch_lifecycle(machine, app.engine.table(name, PLAIN), app, report)
            for declared in cell.soma_slots.values():
                if any(declared.name in info.slots for info in cell.soma_invariants.values()):
                    self._watch_slot(app, cell, getattr(cell, declared.attribute))

    def _watch_lifecycle(self, machine: Machine, table: Table, app: App, report: Report) -> None:
        loaded = False
        engine: Any = app.engine

        def put(key: Key, entry: Entry) -> None:
            place = machine.name, table.name, str(key)
            if not loaded or engine.undoing:
                self._return(place, str(entry.value))
            else:
                self._enter(place, str(entry.value), report)

        _after_put(table, put)
        table.ready()
        loaded = True

    def _return(self, place: tuple[str, str, str], state: str) -> None:
        """A state that a crash or a full disk has left: what came after it never was."""
        history = self._seen.setdefault(place, [])
        while history and history[-1] != state:
            history.pop()
        if not history:
            history.append(state)

    def _enter(self, place: tuple[str, str, str], state: str, report: Report) -> None:
        node, table, instance = place
        history = self._seen.setdefault(place, [])
        if history and history[-1] == state:
            return
        lifecycle = table.rpartition(".")[2]
        shown = f"{lifecycle} '{instance}'"
        rules = [self._rules[name] for name in ("", lifecycle) if name in self._rules]
        if any(state in rule.never for rule in rules):
            report(node, f"verified property broken: {shown} is {state}, which is never to be")
        for before in dict.fromkeys(history):
            if any(state in rule.after.get(before, ()) for rule in rules):
                path = " → ".join([*history, state])
                report(node, f"verified property broken: {shown} is {state} after {before}: {path}")
        history.append(state)

    # --- invariants ------------------------------------------------------------------------------

    def _watch_slot(self, app: App, cell: Cell, bound: Any) -> None:
        slot: Slot = getattr(bound, "local", bound)
        touched = self._touched[id(app)]

        def put(key: Key, entry: Entry) -> None:
            touched[slot.name, str(key)] = (cell, slot, key)

        _after_put(app.engine.table(f"{cell.soma_path}.{slot.name}", slot.rules), put)

    def invariants(self, processes: Sequence[Any]) -> list[str]:
        """The invariants that what has changed on a node since the last time breaks there."""
        wrong = []
        for process in processes:
            touched = self._touched.get(id(process.app))
            if touched:
                wrong += _broken(process, list(touched.values()))
                touched.clear()
        return wrong


def _broken(process: Any, touched: Sequence[tuple[Cell, Slot, Key]]) -> list[str]:
    wrong = []
    token = CURRENT.set(Transaction(process.app))
    try:
        for cell, slot, key in touched:
            for info in cell.soma_invariants.values():
                if slot.name not in info.slots:
                    continue
                try:
                    holds = drive(getattr(cell, info.method)(slot.len(), slot.name, str(key)))
                except FAILURES:
                    continue  # only an outcome of `false` is a violation
                if holds is False:
                    wrong.append(f"invariant broken: {info.source} of {slot.name} on {process.id}")
    finally:
        CURRENT.reset(token)
    return wrong


def _after_put(table: Table, told: Callable[[Key, Entry], None]) -> None:
    """Has `told` called after each `put` of this table object."""
    plain = table.put

    def put(key: Key, entry: Entry) -> Entry | None:
        before = plain(key, entry)
        told(key, entry)
        return before

    table.put = put  # type: ignore[method-assign]  # of this object, in a simulation


def all_cells(cells: Sequence[Cell]) -> list[Cell]:
    """Cells with those of their interiors."""
    found: list[Cell] = []
    for cell in cells:
        found += [cell, *all_cells(cell.soma_interior)]
    return found
