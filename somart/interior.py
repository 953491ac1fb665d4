"""`run` of a program with `interior` or `runtime` sections: dump, signals, log (core §5.2)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TextIO

from .app import App
from .cell import Cell, Handler
from .errors import wrong_arity
from .memory.shared import SharedSlot
from .memory.slot import Slot
from .spec import RuntimeConnect, RuntimeEmit, RuntimeStart
from .values import Value, text

RULE = "---\n"


def run_interior(app: App, args: Sequence[Value], out: TextIO, err: TextIO) -> None:
    """Prints the state of all live cells, executes the first `runtime`, then calls a child.

    The child handler gets the arguments, if there are any, and its result is printed. Raises
    SomaError as the handlers do.
    """
    live = set(app.spec.live)
    cells = [cell for cell in app.top_level if type(cell) in live]
    err.write("soma runtime v0.1.0\n" + RULE)
    err.flush()
    with app.transaction():
        for cell in cells:
            out.writelines(_dump(cell))
    out.flush()
    err.write(RULE)
    chosen = next(cell for cell in cells if cell.soma_children or cell.soma_runtime is not None)
    log = _execute(app, chosen)
    if log:
        err.write(RULE + "signal log:\n" + "".join(f"  {line}\n" for line in log))
        err.flush()
    if args and (found := _first_handler(chosen)) is not None:
        out.write(text(_call(app, found, args)) + "\n")


def _dump(cell: Cell) -> Iterator[str]:
    yield f"cell {cell.soma_name} {{\n"
    yield from _dump_slots(cell, "  ")
    for child in cell.soma_interior:
        yield f"  child {child.soma_name} {{\n"
        yield from _dump_slots(child, "    ")
        yield "  }\n"
    yield "}\n"


def _dump_slots(cell: Cell, indent: str) -> Iterator[str]:
    for decl in cell.soma_slots.values():
        bound: Slot | SharedSlot = getattr(cell, decl.attribute)
        slot = bound if isinstance(bound, Slot) else bound.local
        yield f"{indent}{slot.name} [{slot.backend()}]: {slot.len()} entries\n"


def _execute(app: App, cell: Cell) -> list[str]:
    log: list[str] = []
    for entry in cell.soma_runtime or ():
        if isinstance(entry, RuntimeConnect):
            log.append(f"wired: {entry.cell}.{entry.signal} -> {entry.target}")
        elif isinstance(entry, RuntimeStart):
            log.append(f"starting child: {entry.cell}")
        else:
            log += _signal(app, cell, entry)
    return log


def _signal(app: App, cell: Cell, entry: RuntimeEmit) -> list[str]:
    """Calls the handler in every child that has it; what these emit goes to their siblings."""
    receivers = [found for child in cell.soma_interior if (found := child.soma_find(entry.name))]
    awaiters = sum(entry.name in child.soma_awaits for child in cell.soma_interior)
    app.signal_log = [(entry.name, len(receivers), awaiters)]
    try:
        for found in receivers:
            _call(app, found, entry.args)
        return [f"signal {s} -> {h} handler(s), {a} awaiter(s)" for s, h, a in app.signal_log]
    finally:
        app.signal_log = None


def _first_handler(cell: Cell) -> Handler | None:
    for child in cell.soma_interior:
        for name in child.soma_handlers:
            return child.soma_find(name)
    return None


def _call(app: App, found: Handler, args: Sequence[Value]) -> Value:
    info, method = found
    if len(args) != len(info.params):
        raise wrong_arity(info.name, len(info.params), len(args))
    return app.run_sync(method, args)
