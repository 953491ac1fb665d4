"""Files and CSV (builtins §11). Paths are relative to the working directory.

Failures of the operating system are values: a Map with the entry `error`.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from ..errors import type_error
from ..values.kinds import Value
from ..values.numbers import parse_float, parse_int
from ..values.text import text
from .strings import WHITE_SPACE

Row = dict[str, Value]


def os_message(error: OSError | ValueError) -> str:
    """The message of the operating system, with its number."""
    if isinstance(error, UnicodeError):
        return "stream did not contain valid UTF-8"
    if isinstance(error, OSError) and error.errno is not None:
        return f"{error.strerror} (os error {error.errno})"
    return "file name contained an unexpected NUL byte"


def _failure(error: OSError | ValueError) -> Row:
    return {"error": os_message(error)}


def read_text(path: str) -> str:
    """The content of a UTF-8 file, line ends as they are. Raises OSError or ValueError."""
    return Path(path).read_bytes().decode()


def read_file(*args: Value) -> str | Row:
    if not args or type(args[0]) is not str:
        raise type_error("read_file(path)")
    try:
        return read_text(args[0])
    except (OSError, ValueError) as error:
        return _failure(error)


def _write(path: str, content: str) -> bool | Row:
    try:
        Path(path).write_bytes(content.encode())
    except (OSError, ValueError) as error:
        return _failure(error)
    return True


def write_file(*args: Value) -> bool | Row:
    if len(args) < 2 or type(args[0]) is not str:
        raise type_error("write_file(path, content)")
    return _write(args[0], text(args[1]))


def read_csv(*args: Value) -> list[Value] | Row:
    """Rows as Maps under the names of the first line; numbers are recognised, quotes are not."""
    if not args or type(args[0]) is not str:
        raise type_error("read_csv(path)")
    try:
        content = read_text(args[0])
    except (OSError, ValueError) as error:
        return _failure(error)
    lines = [line for line in content.split("\n") if line.strip(WHITE_SPACE)]
    if not lines:
        return []
    names = _cells(lines[0])
    return [_csv_row(names, _cells(line)) for line in lines[1:]]


def _cells(line: str) -> list[str]:
    return [piece.strip(WHITE_SPACE) for piece in line.split(",")]


def _csv_row(names: list[str], cells: list[str]) -> Row:
    padded = [*cells, *[""] * (len(names) - len(cells))]
    return {name: _typed(piece) for name, piece in zip(names, padded, strict=False)}


def _typed(piece: str) -> Value:
    n = parse_int(piece)
    if n is not None:
        return n
    x = parse_float(piece)
    return piece if x is None else x


def write_csv(*args: Value) -> bool | Row:
    """Rows under the keys of the first one; an empty file when there are none."""
    if len(args) < 2 or type(args[0]) is not str or type(args[1]) is not list:
        raise type_error("write_csv(path, list_of_maps)")
    return _write(args[0], "".join(f"{line}\n" for line in _csv_lines(args[1])))


def _csv_lines(rows: list[Value]) -> Iterable[str]:
    if not rows or type(rows[0]) is not dict:
        return
    names = list(rows[0])
    yield ",".join(names)
    for row in rows:
        if type(row) is dict:
            yield ",".join(_csv_cell(row[name]) if name in row else "" for name in names)


def _csv_cell(v: Value) -> str:
    if type(v) is str and ("," in v or '"' in v):
        return '"' + v.replace('"', '""') + '"'
    return text(v)


def read_files(*args: Value) -> list[Value]:
    """Up to n readable text files of a directory, by name, as Maps `path`, `content`."""
    if len(args) < 2 or type(args[0]) is not str or type(args[1]) is not int:
        raise type_error("read_files(dir, count)")
    found: list[Value] = []
    for path in _regular_files(args[0]):
        if len(found) >= args[1]:
            break
        try:
            found.append({"path": str(path), "content": read_text(str(path))})
        except (OSError, ValueError):
            continue  # unreadable files are skipped
    return found


def _regular_files(directory: str) -> list[Path]:
    try:
        return sorted(p for p in Path(directory).iterdir() if p.is_file())
    except (OSError, ValueError):
        return []
