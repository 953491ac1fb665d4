"""How often a server looks for cyclic garbage.

Most of what a node holds (its program, its tables, its log) stays, and what a request makes is
freed by reference counts. Python's defaults still go through all of it every few thousand requests,
which stops a node for tens of milliseconds and finds nothing.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager

from . import limits


@contextmanager
def rare_collections() -> Iterator[None]:
    """For the life of a server: what was loaded before it is not looked at any more, and the rest
    is looked at rarely."""
    before = gc.get_threshold()
    gc.collect()
    gc.freeze()
    gc.set_threshold(*limits.COLLECT_AFTER)
    try:
        yield
    finally:
        gc.set_threshold(*before)
        gc.unfreeze()
