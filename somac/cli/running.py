"""`run`, `test` and `serve`: programs compiled in memory."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from functools import partial

from .pipeline import compile_in_memory, read_runnable
from .process import with_deep_stack


def run_program(path: str, args: Sequence[str], signal: str | None = None) -> int:
    """`soma run FILE [ARGS…] [--signal H]` (core §4.1): calls a handler and prints its result."""
    return with_deep_stack(partial(_run, path, list(args), signal))


def test_program(path: str) -> int:
    """`soma test FILE` (core §4.3)."""
    return with_deep_stack(partial(_test, path))
