"""`run --record` and `replay`: calls in a log, one JSON object per line (spec 3 §10).

A line is `{"args", "cell", "handler", "nondet", "result", "ts", "v"}`; `nondet` lists what the call
took from outside, in order, as `{"fn", "value"}`. A replay takes these values from the log and
starts on empty memory; it reproduces a log that was begun on empty memory.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..frontend.load import os_message
from .pipeline import compile_in_memory, read_runnable
from .process import with_deep_stack
from .running import LOG_SUFFIX
from .terminal import remark, report, say

if TYPE_CHECKING:
    from somart.app import App
    from somart.entry import Entry
    from somart.tape import Taken, Tape
    from somart.values import Value

VERSION = 1


class BadLog(Exception):
    """The log cannot be read; the text says why."""


@dataclass(frozen=True, slots=True)
class Recorded:
    """A call from a log. `result` is its JSON text; `ts` its end in Unix milliseconds."""

    cell: str
    handler: str
    args: list[Any]
    result: str
    ts: int
    nondet: tuple[Taken, ...]
    names: tuple[str, ...]


def append_entry(log: Path, entry: Entry, result: Value, tape: Tape) -> int:
    """Adds a call to a log; the exit code."""
    from somart.values.jsontext import to_json

    line = {
        "args": list(entry.args),
        "cell": entry.cell,
        "handler": entry.handler,
        "nondet": [{"fn": name, "value": value} for name, value in tape.taken],
        "result": result,
        "ts": time.time_ns() // 1_000_000,
        "v": VERSION,
    }
    remark(f"[record] writing replay log → {log}")
    try:
        with log.open("a", encoding="utf-8", errors="backslashreplace") as file:
            file.write(to_json(line) + "\n")
    except OSError as error:
        report(f"cannot write '{log}': {os_message(error)}")
        return 1
    return 0


def replay_log(path: str, log: str | None, at: int | None) -> int:
    """`soma replay FILE [--log L] [--at MS]`; 1 when a call diverges or nothing can be replayed."""
    return with_deep_stack(partial(_replay, path, log, at))


def _replay(path: str, log: str | None, at: int | None) -> int:
    unit = read_runnable(path)
    if unit is None:
        return 1
    try:
        calls = [call for call in _read(_log_path(path, log)) if at is None or call.ts <= at]
    except BadLog as error:
        report(str(error))
        return 1
    from somart.app import App
    from somart.engines.standalone import StandaloneEngine

    spec = compile_in_memory(unit)
    with (spec.app_class or App)(spec, StandaloneEngine(None)) as app:
        good = sum(_again(app, number, call) for number, call in enumerate(calls, 1))
    say(f"replayed {len(calls)} entries: {good} ok, {len(calls) - good} diverged")
    return 0 if good == len(calls) else 1


def _log_path(path: str, log: str | None) -> Path:
    return Path(path).with_suffix(LOG_SUFFIX) if log is None else Path(log)


# --- the log -------------------------------------------------------------------------------------


def _read(path: Path) -> Iterator[Recorded]:
    try:
        lines = path.read_text("utf-8").split("\n")
    except OSError as error:
        raise BadLog(f"cannot read '{path}': {os_message(error)}") from error
    except UnicodeDecodeError as error:
        raise BadLog(f"'{path}' is not UTF-8 (byte {error.start})") from error
    for number, line in enumerate(lines, 1):
        if line.strip():
            try:
                yield _recorded(json.loads(line))
            except (ValueError, KeyError, TypeError, RecursionError) as error:
                raise BadLog(f"{path}:{number} is no recorded call: {error}") from error


def _recorded(data: Any) -> Recorded:
    """Raises ValueError, KeyError or TypeError when the line has another form."""
    if data["v"] != VERSION:
        raise ValueError(f"version {data['v']}, this is version {VERSION}")
    if not (isinstance(data["args"], list) and isinstance(data["ts"], int)):
        raise ValueError("'args' is no list, or 'ts' no integer")
    noted = data["nondet"]
    pairs = tuple((str(n["fn"]), n["value"]) for n in noted if isinstance(n, dict))
    names = tuple(str(n["fn"] if isinstance(n, dict) else n) for n in noted)
    result = json.dumps(data["result"])
    cell, handler = str(data["cell"]), str(data["handler"])
    return Recorded(cell, handler, data["args"], result, data["ts"], pairs, names)


# --- a call --------------------------------------------------------------------------------------


def _again(app: App, number: int, call: Recorded) -> bool:
    """Runs one call, tells of it, and whether it went as before. Its prints are swallowed."""
    from somart.tape import Tape

    tape = Tape(call.nondet)
    with _muted(), tape.running():
        found = _result(app, call)
    title = f"#{number} {call.cell}.{call.handler}({_shown(call.args)})"
    if found == call.result:
        say(f"{title} ok")
        return True
    say(f"{title} DIVERGED")
    say(f"  recorded: {call.result}")
    say(f"  replayed: {found}")
    if outside := sorted({*call.names, *tape.missed, *tape.left}):
        say(f"  from outside: {' '.join(outside)}")
    sys.stdout.flush()
    return False


@contextmanager
def _muted() -> Iterator[None]:
    with open(os.devnull, "w", encoding="utf-8") as nowhere, redirect_stdout(nowhere):
        yield


def _result(app: App, call: Recorded) -> str:
    from somart.errors import SomaError
    from somart.values.jsontext import to_json

    try:
        return json.dumps(json.loads(to_json(app.call(call.cell, call.handler, call.args))))
    except SomaError as error:
        return f"error: {error}"


def _shown(args: list[Any]) -> str:
    from somart.values.jsontext import to_json

    return ", ".join(to_json(arg) for arg in args)
