"""The nearest known name to an unknown one, for "did you mean" lines."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


def nearest(name: str, known: Iterable[str]) -> str | None:
    """The known name that looks most like `name`, or None when none is close."""
    candidates = sorted({k for k in known if k != name})
    found = difflib.get_close_matches(name, candidates, n=1, cutoff=0.65)
    return found[0] if found else None
