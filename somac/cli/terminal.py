"""What the commands say on the terminal besides a program's own output."""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from ..frontend.diagnostics import Diagnostic, Severity

PROGRESS_AFTER_SECONDS = 1.0


def say(text: str) -> None:
    """A line of result, on stdout."""
    print(text)


def report(message: str) -> None:
    """An error without a place in a source file: `error: …` on stderr."""
    sys.stdout.flush()
    print(f"error: {message}", file=sys.stderr)


def remark(text: str) -> None:
    """A line on stderr that is no error."""
    sys.stdout.flush()
    print(text, file=sys.stderr)


def coloured() -> bool:
    """Whether stderr is a terminal that wants colours (NO_COLOR is honoured)."""
    return sys.stderr.isatty() and "NO_COLOR" not in os.environ


def report_diagnostics(diagnostics: Iterable[Diagnostic]) -> bool:
    """Prints diagnostics on stderr, with source line and caret; True when one is an error."""
    from ..frontend.render import render

    sys.stdout.flush()
    failed = False
    for diagnostic in diagnostics:
        print(render(diagnostic, colour=coloured()), file=sys.stderr)
        failed = failed or diagnostic.severity is Severity.ERROR
    return failed


@contextmanager
def progress(what: str) -> Iterator[None]:
    """Shows on a terminal that something lasts, once it has lasted a second."""
    if not sys.stderr.isatty():
        yield
        return
    done = threading.Event()
    thread = threading.Thread(target=_tick, args=(what, done), daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


def _tick(what: str, done: threading.Event) -> None:
    started = time.monotonic()
    if done.wait(PROGRESS_AFTER_SECONDS):
        return
    while not done.wait(0.2):
        print(f"\r{what} … {time.monotonic() - started:.0f} s", end="", file=sys.stderr, flush=True)
    print("\r\033[K", end="", file=sys.stderr, flush=True)
