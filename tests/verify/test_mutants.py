"""Seeded defects: no line that passed survives a mutant which breaks it at run time.

Mutants of the examples' lifecycles are judged twice: by the verifier, and by an enumeration of
the paths that the runtime's rule for `transition` allows. Mutants of handlers must change the
lines about them.
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from somac.frontend import nodes as n
from somac.frontend.load import load, load_text
from somac.frontend.program import Program, sections
from somac.manifest import Manifest
from somac.verify import verify
from somac.verify.lifecycle import Lifecycle

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
NAMES = ["pricing", "pricing-paper", "jobqueue", "chat", "inventory"]
Arrows = tuple[tuple[str, str], ...]


@cache
def original(name: str) -> n.Machine:
    program = load(EXAMPLES / name / "app.cell").program
    assert program is not None
    return next(m for cell in program.live for m in sections(cell, n.Machine))


def mutants(name: str) -> Iterator[Arrows]:
    """The arrows of a lifecycle with one defect: one missing, turned round, led astray, added."""
    machine = original(name)
    arrows = [(t.source, t.target) for t in machine.transitions]
    states = Lifecycle(machine).names
    rng = random.Random(name)
    for at, (source, target) in enumerate(arrows):
        rest = (*arrows[:at], *arrows[at + 1 :])
        yield rest
        if source != "*":
            yield (*rest, (target, source))
        yield (*rest, (source, rng.choice(states)))
        yield (*arrows, (rng.choice(states), rng.choice(states)))
        yield (*rest, ("*", target))


def targets(arrows: Arrows, state: str) -> list[str]:
    """The runtime's rule: an arrow from here, or from anywhere, even to where one is (§2.3)."""
    return [target for source, target in arrows if source in (state, "*")]


def can_avoid(arrows: Arrows, start: str, goals: set[str]) -> bool:
    """Whether some path from a state never meets a goal: it ends, or comes back to itself."""
    if start in goals:
        return False
    paths = [[start]]
    while paths:
        path = paths.pop()
        following = targets(arrows, path[-1])
        if not following:
            return True
        for state in following:
            if state in path:
                return True
            if state not in goals:
                paths.append([*path, state])
    return False


def reached(arrows: Arrows, start: str) -> set[str]:
    """The states after one step or more."""
    found: set[str] = set()
    todo = [start]
    while todo:
        for state in targets(arrows, todo.pop()):
            if state not in found:
                found.add(state)
                todo.append(state)
    return found


def demands(states: list[str], initial: str) -> dict[str, object]:
    """Every kind of property, over all states."""
    ctl = {f"ef_{s}": f"EF {s}" for s in states}
    ctl |= {f"ag_{s}": f"AG !{s}" for s in states}
    ctl |= {f"leads_{s}": f"AG({s} -> AF {states[-1]})" for s in states}
    return {
        "eventually": states[1:3],
        "never": states,
        "always": [initial],
        "after": {s: {"eventually": states[-2:], "never": states} for s in states},
        "ctl": ctl,
    }


def expected(arrows: Arrows, states: list[str], initial: str) -> dict[str, bool]:
    """The truth about each property, by its text."""
    alive = {initial} | reached(arrows, initial)
    truth = {
        f"eventually(state in [{', '.join(states[1:3])}])": not can_avoid(
            arrows, initial, set(states[1:3])
        ),
        f"always(state == '{initial}')": alive == {initial},
    }
    last = states[-1]
    for s in states:
        truth[f"never(state == '{s}')"] = s not in alive
        truth[f"ef_{s}: EF({s})"] = s in alive
        truth[f"ag_{s}: AG(!{s})"] = s not in alive
        leads = s not in alive or not can_avoid(arrows, s, {last})
        truth[f"leads_{s}: AG({s} -> AF({last}))"] = leads
        ends = s not in alive or not can_avoid(arrows, s, set(states[-2:]))
        truth[f"after('{s}', state in [{', '.join(states[-2:])}])"] = ends
        for other in states:
            allowed = s not in alive or other not in reached(arrows, s)
            truth[f"after('{s}', state != '{other}')"] = allowed
    return truth


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_mutants_of_lifecycles_are_judged_as_the_runtime_would(name: str) -> None:
    machine = original(name)
    states = sorted(Lifecycle(machine).names)
    source = load(EXAMPLES / name / "app.cell").program
    assert source is not None
    judged = broken = 0
    for arrows in mutants(name):
        mutant = n.Machine(
            "m", None, (), machine.initial, tuple(n.Transition(a, b) for a, b in arrows)
        )
        program = Program(source.source, source.sources, (n.Cell("cell", "A", (mutant,)),))
        manifest = Manifest(verify=demands(states, machine.initial))
        report = verify([program], manifest, lambda _: False)
        found = {v.property: v.passed for v in report.verdicts if v.property != "deadlock_free"}
        assert found == expected(arrows, states, machine.initial), arrows
        judged += 1
        broken += not report.passed
    assert judged >= 12
    assert broken == judged  # `always` and `never` over all states cannot all hold


def test_there_are_at_least_a_hundred_mutants() -> None:
    assert sum(1 for name in NAMES for _ in mutants(name)) >= 100


LITERAL = re.compile(r'(transition\([^()]*,\s*")(\w+)("\))')


@pytest.mark.slow
@pytest.mark.parametrize("name", ["pricing", "jobqueue", "chat", "inventory"])
def test_mutants_of_handlers_are_caught(name: str) -> None:
    """A misspelt target fails; a target taken from a handler leaves an arrow that nobody takes."""
    text = (EXAMPLES / name / "app.cell").read_text("utf-8").partition("cell test")[0]
    for found in LITERAL.finditer(text):
        misspelt = text[: found.end(2)] + "x" + text[found.end(2) :]
        assert f'"{found[2]}x" is not in state machine' in " ".join(about(misspelt))
        if len(re.findall(rf'transition\([^()]*,\s*"{found[2]}"\)', text)) == 1:
            silent = f"{text[: found.start()]}print(1){text[found.end() :]}"
            assert f"→ {found[2]}` is never reached by any handler" in " ".join(about(silent))


def about(text: str) -> list[str]:
    """What is doubtful on one node: what replicas do has nothing to do with handlers."""
    program = load_text(re.sub(r"replicas: \d+", "replicas: 1", text)).program
    assert program is not None
    report = verify([program], Manifest(), lambda _: False)
    return [c.message for c in report.checks if c.status != "pass"]
