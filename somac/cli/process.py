"""How the process itself behaves: streams, exit, the thread with a deep stack, interruption."""

from __future__ import annotations

import io
import os
import sys
import threading
import traceback
from collections.abc import Callable
from typing import NoReturn

# A Soma activation is a Python frame, at times with C frames between (a lambda inside `map`).
# 512 MiB is address space, not memory: only what a deep recursion touches is ever used.
STACK_BYTES = 512 * 1024 * 1024
RECURSION_LIMIT = 220_000
INTERRUPTED = 130
BROKEN_PIPE = 141


def prepare_streams() -> None:
    """Text goes out as UTF-8 whatever the locale says; what cannot be encoded is escaped."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(encoding="utf-8", errors="backslashreplace")


def leave(code: int) -> NoReturn:
    """Flushes what was printed and ends the process, quietly when nobody reads any more.

    The hard exit spares the interpreter's tear-down, and is the only one that does not wait for a
    program that was interrupted.
    """
    try:
        sys.stdout.flush()
        sys.stderr.flush()
    except OSError:
        code = code or BROKEN_PIPE
    os._exit(code)


def with_deep_stack(work: Callable[[], int]) -> int:
    """Runs `work` in a thread with a stack that its recursion limit cannot overflow.

    Ctrl-C and SIGTERM end the wait with exit code 130 (or 143): the program is abandoned where it
    is, its last transaction undone like that of a killed process.
    """
    outcome: list[int] = []
    failure: list[BaseException] = []

    def body() -> None:
        limit = sys.getrecursionlimit()
        sys.setrecursionlimit(RECURSION_LIMIT)
        try:
            outcome.append(work())
        except BaseException as error:
            failure.append(error)
        finally:
            sys.setrecursionlimit(limit)  # it counts for all threads, and theirs are shallow

    sys.set_int_max_str_digits(0)
    before = threading.stack_size(STACK_BYTES)
    thread = threading.Thread(target=body, name="soma", daemon=True)
    thread.start()
    threading.stack_size(before)
    try:
        thread.join()
    except KeyboardInterrupt:
        return INTERRUPTED
    if failure:
        return _failed(failure[0])
    return outcome[0]


def nobody_reads() -> int:
    """The exit code when whoever read our output has gone."""
    sys.stdout = io.StringIO()  # the final flush has nothing to say
    return BROKEN_PIPE


def _failed(error: BaseException) -> int:
    if isinstance(error, BrokenPipeError):
        return nobody_reads()
    if isinstance(error, KeyboardInterrupt):
        return INTERRUPTED
    raise error


def explain_failure(error: Exception) -> int:
    """A fault of ours, not of the program: one line, or all of it when SOMA_TRACEBACK is set."""
    if isinstance(error, BrokenPipeError):
        return nobody_reads()
    if "SOMA_TRACEBACK" in os.environ:
        traceback.print_exception(error)
    kind = type(error).__name__
    print(
        f"error: internal error, please report it: {kind}: {error}\n"
        "  (SOMA_TRACEBACK=1 shows where it happened)",
        file=sys.stderr,
    )
    return 1
