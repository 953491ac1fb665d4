"""Walks a counter-example in a running program; the tests of `verify --emit-tests` call this."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from inspect import isawaitable
from pathlib import Path
from typing import TYPE_CHECKING

from .pipeline import compile_in_memory, read_runnable

if TYPE_CHECKING:
    from somart.app import App
    from somart.cell import Cell, Handler
    from somart.machine import Machine

Steps = Sequence[tuple[str, str, Sequence[str]]]
ENTITY = "entity-1"


def walk(source: Path, machine: str, steps: Steps) -> list[str]:
    """Leads one new entity along steps (from, to, handlers) and gives the states that it was in.

    A step is taken by the first of its handlers that takes the entity alone as its argument and
    brings it there, and else by the machine's own `transition`. Raises SomaError when the runtime
    refuses a step, and ValueError when the program cannot be read or has no such machine.
    """
    import trio

    from somart.app import App
    from somart.engines.standalone import StandaloneEngine

    unit = read_runnable(str(source))
    if unit is None:
        raise ValueError(f"cannot read {source}")
    with App(compile_in_memory(unit), StandaloneEngine(None)) as app:
        cell, bound = _find(app, machine)
        path: list[str] = []

        async def follow() -> None:
            path[:] = [bound.status(ENTITY)]
            for _, target, takers in steps:
                await _step(app, cell, bound, target, takers)
                path.append(bound.status(ENTITY))

        trio.run(app.run, cell, True, follow)
    return path


def _find(app: App, machine: str) -> tuple[Cell, Machine]:
    for cell in app.top_level:
        for bound in cell.soma_bound:
            if bound.decl.name == machine:
                return cell, bound
    raise ValueError(f"the program has no state machine '{machine}'")


async def _step(app: App, cell: Cell, bound: Machine, target: str, takers: Sequence[str]) -> None:
    from somart.errors import FAILURES

    for _, method in _handlers(app, cell, takers):
        mark = cell.savepoint()
        try:
            result = method(ENTITY)
            if isawaitable(result):
                await result
            if bound.status(ENTITY) == target:
                return
        except FAILURES:  # it wants more than an entity; the machine decides below
            pass
        cell.rollback(mark)
    await bound.transition_async(ENTITY, target)


def _handlers(app: App, cell: Cell, takers: Sequence[str]) -> Iterator[Handler]:
    """The handlers among those who take a step, `name` or `Cell.name`, that have one parameter."""
    owners = {owner.soma_name: owner for owner in app.top_level}
    for taker in takers:
        owner, _, name = taker.rpartition(".")
        found = owners.get(owner, cell).soma_find(name)
        if found is not None and len(found[0].params) == 1:
            yield found
