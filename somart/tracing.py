"""Where in a `.cell` file a run-time error arose, and how it is shown (core §4.4)."""

from __future__ import annotations

from types import TracebackType
from typing import NamedTuple

from .spec import SourceMap


class Location(NamedTuple):
    """A place in a cell file; line and column count from 1."""

    file: str
    line: int
    column: int
    text: str


def locate(error: BaseException, source_map: SourceMap) -> Location | None:
    """The innermost generated frame of an error, or of what caused it; None when there is none."""
    found: Location | None = None
    seen: set[int] = set()
    cause: BaseException | None = error
    while cause is not None and id(cause) not in seen:
        seen.add(id(cause))
        found = _innermost(cause.__traceback__, source_map) or found
        cause = cause.__cause__
    return found


def _innermost(traceback: TracebackType | None, source_map: SourceMap) -> Location | None:
    place = None
    while traceback is not None:
        code = traceback.tb_frame.f_code
        place = source_map.find(code.co_filename, traceback.tb_lineno) or place
        traceback = traceback.tb_next
    if place is None:
        return None
    file, line, column = place
    return Location(file, line, column, source_map.source_line(file, line))


def format_error(message: str, location: Location | None = None) -> str:
    """The error as the terminal shows it, with a newline at its end."""
    if location is None:
        return f"error: {message}\n"
    number = str(location.line)
    blank = " " * len(number)
    return (
        f"error: {message}\n"
        f"  --> {location.file}:{location.line}:{location.column}\n"
        f"{blank} |\n"
        f"{number} | {location.text}\n"
        f"{blank} | {' ' * (location.column - 1)}^\n"
    )


def render_error(error: BaseException, source_map: SourceMap) -> str:
    """`format_error` of an error with its place."""
    return format_error(str(error), locate(error, source_map))
