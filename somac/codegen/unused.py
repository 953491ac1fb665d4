"""Variables that are set and never read get a leading underscore, as Python's readers expect.

Most variables without a reader are left out when their assignment is lowered. The few that remain
had a reader in code that was not written: behind a failure, or in a hole that stays text.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import replace

from .scopes import Scopes
from .writer import Line

_WORD = re.compile(r"[A-Za-z_]\w*")
_PLAIN_STRING = re.compile(r"\"(?:[^\"\\]|\\.)*\"|'(?:[^'\\]|\\.)*'", re.DOTALL)
_SET_HERE = frozenset({"let", "assigned", "for", "pattern"})


def mark_unused(lines: list[Line], start: int, scopes: Scopes) -> None:
    """Renames in `lines[start:]`, in place, the variables of a routine that no line reads."""
    names = {
        var.py
        for function in (scopes.function, *scopes.functions.values())
        for var in function.variables
        if var.origin in _SET_HERE and not var.py.startswith("_")
    }
    if not names:
        return
    counts: Counter[str] = Counter()
    for line in lines[start:]:
        counts.update(_words(line.text))
    bindings = Counter(name for line in lines[start:] if (name := _bound(line.text)) in names)
    unused = {n for n, count in bindings.items() if counts[n] == count and not counts[f"_{n}"]}
    if not unused:
        return
    for i in range(start, len(lines)):
        name = _bound(lines[i].text)
        if name in unused:
            text = re.sub(rf"\b{name}\b", f"_{name}", lines[i].text, count=1)
            lines[i] = replace(lines[i], text=text)


def _words(text: str) -> Iterable[str]:
    """The names in a line; those in f-strings count, those in plain strings do not."""
    if 'f"' in text or "f'" in text:
        return _WORD.findall(text)
    return _WORD.findall(_PLAIN_STRING.sub("", text))


_BINDING = re.compile(r"(?:for )?([A-Za-z_]\w*)(?: = |: | in )")


def _bound(text: str) -> str:
    """The variable that a line sets, declares or loops with; empty for other lines."""
    found = _BINDING.match(text)
    if found is None or (" in " in found.group()) != text.startswith("for "):
        return ""
    return found.group(1)
