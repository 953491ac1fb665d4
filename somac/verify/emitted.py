"""Counter-examples as tests: one pytest file for each, which walks the path in the program."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

from .report import Report, Step, Verdict

MARK = "Written by `soma verify --emit-tests`"
NAME_CHARACTERS = 80  # of a file's name; some file systems stop at 255 bytes


def emitted_tests(report: Report, source: str) -> dict[str, str]:
    """The texts of the tests by file name, for every counter-example that is a path.

    `source` is the program's path as seen from the folder that the tests are written into.
    """
    files: dict[str, str] = {}
    for machine in report.temporal:
        for verdict in machine.verdicts:
            if verdict.steps and not verdict.passed:
                name = _name(f"{machine.machine}_{verdict.property}", files)
                files[f"test_{name}.py"] = _text(source, machine.machine, name, verdict)
    return files


def _name(wanted: str, taken: dict[str, str]) -> str:
    stem = re.sub(r"[^a-z0-9]+", "_", wanted.lower()).strip("_")[:NAME_CHARACTERS].strip("_")
    name, number = stem, 1
    while f"test_{name}.py" in taken:
        number += 1
        name = f"{stem}_{number}"
    return name


def _text(source: str, machine: str, name: str, verdict: Verdict) -> str:
    lines = [
        f'"""{_plain(verdict.property)} of {_plain(machine)} does not hold: here is a path.',
        "",
        f"{MARK}. It passes while the program can walk this path. When the program is",
        "mended, or if a guard forbids a step, it fails at that step.",
        '"""',
        "",
        "from pathlib import Path",
        "",
        "from somac.cli.walking import walk",
        "",
        f"SOURCE = Path(__file__).resolve().parent / {_literal(source)}",
        "STEPS = [  # from, to, handlers that may take the step",
        *map(_step, verdict.steps),
        "]",
        "",
        "",
        f"def test_{name}() -> None:",
        f"    visited = walk(SOURCE, {_literal(machine)}, STEPS)",
        "    assert visited == [",
        *(f"        {_literal(state)}," for state in _states(verdict.steps)),
        "    ]",
    ]
    return "\n".join(lines) + "\n"


def _states(steps: tuple[Step, ...]) -> Iterator[str]:
    yield steps[0].source
    for step in steps:
        yield step.target


def _step(step: Step) -> str:
    takers = ", ".join(map(_literal, step.takers))
    return f"    ({_literal(step.source)}, {_literal(step.target)}, [{takers}]),"


def _literal(text: str) -> str:
    """A Python literal in double quotes; JSON's escapes are Python's."""
    return json.dumps(text)


def _plain(text: str) -> str:
    """Text that is safe inside a docstring."""
    return "".join(c if c.isprintable() and c not in '"\\' else " " for c in text)
