"""Random numbers (builtins §10). Programs cannot seed them."""

from __future__ import annotations

import random as _random

from ..tape import observe
from ..values.kinds import Value
from ..values.numbers import as_int

generator = _random.Random()
"""Where `random` draws from; tests of the runtime may replace its state."""


def random(*args: Value) -> int | float:
    """A Float in [0, 1) of six decimals, an Int in 0…n-1, or an Int in a…b-1."""
    if not args:
        return unit()
    low, high = (0, as_int(args[0])) if len(args) == 1 else (as_int(args[0]), as_int(args[1]))
    if low >= high:
        return low
    return int(observe("random", lambda: generator.randrange(low, high)))


def unit() -> float:
    """A Float in [0, 1) of six decimals."""
    return float(observe("random", _millionths))


def _millionths() -> float:
    return generator.randrange(1_000_000) / 1_000_000
