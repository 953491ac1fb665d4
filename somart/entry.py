"""Which handler `run` calls, and how the words of a command line become values (core §4.1)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from .cell import Cell
from .spec import HandlerInfo, ProgramSpec
from .values import Value

_INT = re.compile(r"[+-]?[0-9]+", re.ASCII)
_FLOAT = re.compile(
    r"[+-]?(?:(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?|inf|infinity|nan)",
    re.ASCII | re.IGNORECASE,
)
_I64 = range(-(2**63), 2**63)


@dataclass(frozen=True, slots=True)
class Entry:
    """A call to make from outside: `app.call(entry.cell, entry.handler, entry.args)`."""

    cell: str
    handler: str
    args: tuple[Value, ...]


def parse_argument(word: str) -> Value:
    """Int within 64 bit, else Float, else Bool, else String."""
    if _INT.fullmatch(word):
        digits = word.lstrip("+-").lstrip("0") or "0"
        if len(digits) <= 19 and (number := int(word)) in _I64:
            return number
    if _FLOAT.fullmatch(word):
        return float(word)
    return {"true": True, "false": False}.get(word, word)


def choose_entry(
    program: ProgramSpec, args: Sequence[Value], signal: str | None = None
) -> Entry | None:
    """The handler that `run` calls with parsed arguments; None when no cell is runnable.

    With `signal` the handler may not exist: the call then fails with the error for that.
    """
    first = args[0] if args and isinstance(args[0], str) else None
    cell = _choose_cell(program, first)
    if cell is None:
        return None
    if signal is not None:
        return Entry(cell.soma_name, signal, tuple(args))
    if first is not None and first in cell.soma_handlers:
        return Entry(cell.soma_name, first, tuple(args[1:]))
    handlers = tuple(cell.soma_handlers.values())
    chosen = handlers[0] if first is not None else _by_count(handlers, len(args))
    return Entry(cell.soma_name, chosen.name, tuple(args))


def _choose_cell(program: ProgramSpec, first: str | None) -> type[Cell] | None:
    for wanted in (first, "run", "request"):
        for cell in program.live:
            if wanted is not None and wanted in cell.soma_handlers:
                return cell
    return next((cell for cell in program.live if cell.soma_handlers), None)


def _by_count(handlers: tuple[HandlerInfo, ...], count: int) -> HandlerInfo:
    run = next((h for h in handlers if h.name == "run"), None)
    if run is not None and len(run.params) == count:
        return run
    fitting = next((h for h in handlers if len(h.params) == count), None)
    without = next((h for h in handlers if not h.params), None)
    return fitting or run or without or handlers[0]
