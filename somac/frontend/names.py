"""The nearest known name to an unknown one, for "did you mean" lines."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

SHORTEST_PREFIX = 3  # shorter beginnings say nothing


def nearest(name: str, known: Iterable[str]) -> str | None:
    """The known name that looks most like `name`, or that begins alike."""
    candidates = sorted({k for k in known if k != name})
    found = difflib.get_close_matches(name, candidates, n=1, cutoff=0.65)
    if found:
        return found[0]
    if len(name) < SHORTEST_PREFIX:
        return None
    return next((c for c in candidates if c.startswith(name) or name.startswith(c)), None)
