"""Walks a counter-example in a running program; the tests of `verify --emit-tests` call this."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from importlib.util import module_from_spec, spec_from_file_location
from inspect import isawaitable
from itertools import count, islice, product
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, NamedTuple

from .building import build_package
from .pipeline import compile_in_memory, read_runnable

if TYPE_CHECKING:
    from somart.app import App
    from somart.cell import Cell
    from somart.machine import Machine
    from somart.spec import ProgramSpec

Values = Sequence[Sequence[object]]  # per parameter, what to try
Takers = Sequence[tuple[str, Values]]
Steps = Sequence[tuple[str, str, Takers]]
TRIES_MAX = 500  # calls of one handler for one step
MACHINE = "transition"
_NUMBERS = count()


class Visit(NamedTuple):
    """A state that the entity was led to, and by what: a handler's name, or `transition`."""

    state: str
    by: str


def walk(program: Path | ProgramSpec, machine: str, entity: str, steps: Steps) -> list[str]:
    """Leads an entity along steps (from, to, handlers) and gives the states that it was in.

    A step is taken by the first of its handlers that brings the entity there with some of the
    values to try as its arguments, and only if all refuse by the machine's own `transition`.
    A program is one that was `built`, or a source to be compiled in memory. Raises SomaError when
    the runtime refuses a step, and ValueError when the program cannot be read or has no such
    machine.
    """
    return [visit.state for visit in journey(program, machine, entity, steps)]


def journey(program: Path | ProgramSpec, machine: str, entity: str, steps: Steps) -> list[Visit]:
    """The same, with who took each step."""
    import trio

    from somart.app import App
    from somart.engines.standalone import StandaloneEngine

    with App(compiled(program), StandaloneEngine(None)) as app:
        cell, bound = find_machine(app, machine)
        path: list[Visit] = []

        async def follow() -> None:
            path[:] = [Visit(bound.status(entity), "")]
            for _, target, takers in steps:
                by = await take(app, cell, bound, entity, target, takers)
                path.append(Visit(bound.status(entity), by))

        trio.run(app.run, cell, True, follow)
    return path


@cache
def built(source: Path) -> ProgramSpec:
    """The package that `soma build` makes of a program, imported; once for all tests of a run.

    Raises ValueError when it cannot be built.
    """
    with TemporaryDirectory() as folder:
        if build_package(str(source), folder, None, shared=True, force=False):
            raise ValueError(f"cannot build {source}")
        (start,) = Path(folder).glob("*/__init__.py")
        name = f"built_{next(_NUMBERS)}_{start.parent.name}"  # two sources can have one name
        found = spec_from_file_location(name, start, submodule_search_locations=[str(start.parent)])
        if found is None or found.loader is None:
            raise ValueError(f"cannot import what was built of {source}")
        package = sys.modules[name] = module_from_spec(found)
        found.loader.exec_module(package)
    program: ProgramSpec = package.PROGRAM
    return program


def compiled(source: Path | ProgramSpec) -> ProgramSpec:
    """A program, ready to run. Raises ValueError when it cannot be read."""
    if not isinstance(source, Path):
        return source
    unit = read_runnable(str(source))
    if unit is None:
        raise ValueError(f"cannot read {source}")
    return compile_in_memory(unit)


def find_machine(app: App, machine: str) -> tuple[Cell, Machine]:
    """A machine and its cell, by name. Raises ValueError when the program has none such."""
    for cell in app.top_level:
        for bound in cell.soma_bound:
            if bound.decl.name == machine:
                return cell, bound
    raise ValueError(f"the program has no state machine '{machine}'")


async def take(
    app: App, cell: Cell, bound: Machine, entity: str, target: str, takers: Takers
) -> str:
    """Leads the entity to a target within the transaction at hand; gives who did it.

    Raises SomaError when nobody can.
    """
    from somart.errors import FAILURES

    for name, method, values in _handlers(app, cell, takers):
        for args in islice(product(*values), TRIES_MAX):
            mark = cell.savepoint()
            try:
                result = method(*args)
                if isawaitable(result):
                    await result
                if bound.status(entity) == target:
                    return name
            except FAILURES:  # not with these arguments; the machine decides at last
                pass
            cell.rollback(mark)
    await bound.transition_async(entity, target)
    return MACHINE


def _handlers(
    app: App, cell: Cell, takers: Takers
) -> Iterator[tuple[str, Callable[..., Any], Values]]:
    """The handlers among the takers, `name` or `Cell.name`, that have as many parameters."""
    owners = {owner.soma_name: owner for owner in app.top_level}
    for taker, values in takers:
        owner, _, name = taker.rpartition(".")
        found = owners.get(owner, cell).soma_find(name)
        if found is not None and len(found[0].params) == len(values):
            yield taker, found[1], values
