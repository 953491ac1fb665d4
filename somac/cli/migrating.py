"""`migrate --check`: what a new version of a program would do to the memory of the old one."""

from __future__ import annotations

import json
from dataclasses import asdict
from functools import partial
from typing import TYPE_CHECKING

from .process import with_deep_stack
from .terminal import report, say

if TYPE_CHECKING:
    from collections.abc import Sequence

    from somart.spec import ProgramSpec

    from ..migration import Finding

_WORDS = {"breaks": "breaks", "stop": "not node by node", "adds": "adds"}


def check_migration(old: str, new: str, check: bool, as_json: bool) -> int:
    """Prints the differences that concern memory; 1 when something would break."""
    if not check:
        report("soma migrate changes nothing itself: add --check to see what would change")
        return 2
    return with_deep_stack(partial(_check, old, new, as_json))


def _check(old: str, new: str, as_json: bool) -> int:
    from ..migration import compare

    before, after = _compiled(old), _compiled(new)
    if before is None or after is None:
        return 1
    found = compare(before, after)
    broken = any(one.weight == "breaks" for one in found)
    if as_json:
        rolling = all(one.weight == "adds" for one in found)
        say(json.dumps({"findings": [asdict(one) for one in found], "rolling": rolling}, indent=2))
    else:
        _print(found)
    return 1 if broken else 0


def _compiled(path: str) -> ProgramSpec | None:
    from .pipeline import compile_in_memory, read_runnable

    unit = read_runnable(path)
    return None if unit is None else compile_in_memory(unit)


def _print(found: Sequence[Finding]) -> None:
    for one in found:
        say(f"{_WORDS[one.weight]}: {one.text}")
        if one.hint:
            say(f"  = hint: {one.hint}")
    weights = {one.weight for one in found}
    if "breaks" in weights:
        number = sum(one.weight == "breaks" for one in found)
        say(f"not compatible: {number} {'change breaks' if number == 1 else 'changes break'} data")
    elif "stop" in weights:
        say("compatible once all nodes have been stopped: not node by node")
    else:
        say("compatible: nodes can be upgraded one by one")
