"""`serve`: a node for a program compiled in memory; the options are those of a built node."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from types import FrameType

from .pipeline import compile_in_memory, read_runnable, static_folder
from .terminal import remark

POLL_SECONDS = 0.5
MISUSE = 2  # exit code of a wrong command line


def serve(words: Sequence[str]) -> int:
    """`soma serve FILE [options]` (spec 3 §8): until a signal ends it. Misuse exits with 2."""
    from somart.node import serve_program
    from somart.options import make_parser, options_of

    from .evidence import evidence_of

    parser = make_parser("soma serve", "Serve a program over HTTP until a signal ends it.")
    parser.add_argument("file", metavar="FILE", help="the .cell file")
    parser.add_argument(
        "-w", "--watch", action="store_true", help="start again whenever the file changes"
    )
    found = parser.parse_args(list(words))
    if found.watch:
        return _watch(found.file, [word for word in words if word not in ("-w", "--watch")])
    unit = read_runnable(found.file)
    if unit is None:
        return 1
    spec = replace(compile_in_memory(unit), evidence=evidence_of(unit.program))
    options = options_of(parser, found, static_folder(unit).resolve(), spec.manifest)
    return serve_program(spec, options)


def _watch(path: str, words: Sequence[str]) -> int:
    """Serves in a process of its own, which is replaced whenever the main file changes."""
    command = [sys.executable, "-m", "somac", "serve", *words]
    signal.signal(signal.SIGTERM, _interrupt)  # the process of its own must not outlive this one
    try:
        while True:
            before = _modified(path)
            child = subprocess.Popen(command)
            try:
                while _modified(path) == before:
                    if child.poll() == MISUSE:
                        return MISUSE
                    time.sleep(POLL_SECONDS)
            finally:
                child.terminate()
                child.wait()
            remark(f"{path} changed: starting again")
    except KeyboardInterrupt:
        return 0


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def _modified(path: str) -> int:
    try:
        return os.stat(path).st_mtime_ns
    except OSError:
        return 0
