"""Counter-examples as tests: one pytest file for each, which builds the program's package and walks
the path in it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from .arguments import Attempt, Entity, attempt, python
from .report import Report, Step, Verdict

if TYPE_CHECKING:
    from .stories import Event, Story  # these import the runtime, which most reports do without

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
    for survival in report.survivals:
        for story in survival.stories:
            name = _name(f"{survival.machine}_on_replicas_{story.text}", files)
            files[f"test_{name}.py"] = _story_text(source, survival.machine, name, story)
    return files


def left_out(report: Report) -> list[str]:
    """The counter-examples that no test walks, each with the reason."""
    found = [
        f"{verdict.property}: there is no path to walk"
        for verdict in report.verdicts
        if not verdict.passed and not verdict.counter_example
    ]
    for survival in report.survivals:
        told = {story.text for story in survival.stories}
        why = "it is about replicas that go on for ever"
        if survival.of_cluster:
            why = "it is about the nodes of a cluster, not about a program"
        found += [
            f"{check.message}: {why}"
            for check, diagram in survival.checks
            if diagram and check.message not in told
        ]
    return found


def _name(wanted: str, taken: dict[str, str]) -> str:
    stem = re.sub(r"[^a-z0-9]+", "_", wanted.lower()).strip("_")[:NAME_CHARACTERS].strip("_")
    name, number = stem, 1
    while f"test_{name}.py" in taken:
        number += 1
        name = f"{stem}_{number}"
    return name


def _text(source: str, machine: str, name: str, verdict: Verdict) -> str:
    steps = verdict.steps
    if verdict.loop is not None:  # twice, to show that it begins again
        steps += steps[verdict.loop :]
    attempts = [list(attempts_of(step)) for step in steps]
    lines = [
        f'"""{_plain(verdict.property)} of {_plain(machine)} does not hold: here is a path.',
        "",
        f"{MARK}. It builds the package, and passes while the program in it can",
        "walk this path. When it is mended, or if a guard forbids a step, it fails at that step.",
        '"""',
        "",
        "from pathlib import Path",
        "",
        "from somac.cli.walking import built, walk",
        "",
        f"SOURCE = Path(__file__).resolve().parent / {python(source)}",
        f"ENTITY = {python(_entity(attempts))}",
        "STEPS = [  # from, to, handlers that may take the step with values to try as arguments",
        *map(_step, steps, attempts),
        "]",
        "",
        "",
        f"def test_{name}() -> None:",
        f"    visited = walk(built(SOURCE), {python(machine)}, ENTITY, STEPS)",
        "    assert visited == [",
        *(f"        {python(state)}," for state in _states(steps)),
        "    ]",
    ]
    return "\n".join(lines) + "\n"


def _story_text(source: str, machine: str, name: str, story: Story) -> str:
    """The test that goes through what replicas do."""
    from .stories import events, stem

    begin = [
        f'"""{_plain(story.text)}: {_plain(machine)} on {story.system.replicas} replicas.',
        "",
        f"{MARK}. It builds the package. Each replica is the program in it, on",
        "its own; what reaches it, and when, is told below, and which write it keeps is decided by",
        "the runtime's merge code. The test passes while this can happen.",
        '"""',
        "",
    ]
    try:
        happenings = events(story)
    except ValueError as reason:
        skip = f"@pytest.mark.skip(reason={python(str(reason))})"
        return (
            "\n".join([*begin, "import pytest", "", "", skip, f"def test_{name}() -> None: ..."])
            + "\n"
        )
    first = stem(story)
    arguments = f"built(SOURCE), {python(machine)}, ENTITY, {story.system.replicas}, STEM, STORY"
    if story.causal:
        arguments += ", causal=True"
    steps = [*first, *(event.step for event in happenings if event.step is not None)]
    lines = [
        *begin,
        "from pathlib import Path",
        "",
        "from somac.cli.replicating import settle",
        "from somac.cli.walking import built",
        "",
        f"SOURCE = Path(__file__).resolve().parent / {python(source)}",
        f"ENTITY = {python(_entity(map(attempts_of, steps)))}",
        "STEM = [  # how each replica begins: from, to, handlers that may take the step",
        *(_step(step, attempts_of(step)) for step in first),
        "]",
        "STORY = [  # (acknowledges, replica, target, clock, handlers), (hears, replica, write), …",
        *map(_event, happenings),
        "]",
        "",
        "",
        f"def test_{name}() -> None:",
        f"    shown = settle({arguments})",
        "    assert shown == [  # per event, what each replica shows",
        *(f"        {python(row)}," for row in story.shown),
        "    ]",
    ]
    return "\n".join(lines) + "\n"


def _event(event: Event) -> str:
    if event.step is None:
        more = f", {event.write}" if event.write else ""
        return f"    ({python(event.kind)}, {event.replica}{more}),"
    takers = ", ".join(attempt.text for attempt in attempts_of(event.step))
    target = python(event.step.target)
    return f"    ({python(event.kind)}, {event.replica}, {target}, {event.clock}, [{takers}]),"


def _states(steps: tuple[Step, ...]) -> Iterator[str]:
    yield steps[0].source
    for step in steps:
        yield step.target


def attempts_of(step: Step) -> Iterator[Attempt]:
    """How its takers may be made to take a step, each once."""
    seen = set()
    for name, move in step.moves:
        found = attempt(name, move, step.target)
        if found is not None and found.text not in seen:
            seen.add(found.text)
            yield found


def _entity(attempts: Iterable[Iterable[Attempt]]) -> str:
    """The id of the entity to lead: one that handlers fix, else one that all can take."""
    found = [attempt for step in attempts for attempt in step]
    fixed = [attempt.entity for attempt in found if attempt.entity is not None]
    if fixed:
        return fixed[0]
    values = [value for attempt in found for of_one in attempt.values for value in of_one]
    return "1" if Entity(number=True) in values else "entity-1"


def _step(step: Step, attempts: Iterable[Attempt]) -> str:
    takers = ", ".join(attempt.text for attempt in attempts)
    return f"    ({python(step.source)}, {python(step.target)}, [{takers}]),"


def _plain(text: str) -> str:
    """Text that is safe inside a docstring."""
    return "".join(c if c.isprintable() and c not in '"\\' else " " for c in text)
