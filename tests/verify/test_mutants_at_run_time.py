"""No ✓ survives a mutant that breaks it at run time: the mutants' programs are generated and run.

The lifecycle of each mutant becomes a program of its own. An entity of the running program is led
to each state that it can reach, and every transition is tried there. What the runtime did is the
truth that the verdicts are held against: `never` and `after … never` by where entities came, the
rest by the definitions of `verify_reference`, carried out on the steps that were taken.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pytest
from test_mutants import NAMES, Arrows, mutants, original
from verify_reference import holds_in

from somac.codegen import generate, load_in_memory
from somac.frontend.load import load_text
from somac.frontend.program import Program
from somac.manifest import Manifest
from somac.verify import verify
from somac.verify.ctl import parse
from somac.verify.fairness import Fair
from somac.verify.kripke import Kripke
from somac.verify.lifecycle import Lifecycle
from somart import App, SomaError
from somart.engines.standalone import StandaloneEngine

Steps = Mapping[str, Sequence[str]]  # by state, where entities went from there


def program_of(arrows: Arrows, initial: str) -> Program:
    declared = "\n".join(f"{source} -> {target}" for source, target in arrows)
    loaded = load_text(
        f"cell A {{\n state m {{ initial: {initial}\n{declared} }}\n"
        " on go(id: String, to: String) { transition(id, to) }\n"
        " on at(id: String) { get_status(id) }\n}"
    )
    assert loaded.program is not None, loaded.diagnostics
    return loaded.program


def walked(program: Program, states: Sequence[str]) -> dict[str, list[str]]:
    """The steps that entities of the running program take from each state that they reach."""
    spec = load_in_memory(generate(program, Manifest(), runtime="somart"))
    with App(spec, StandaloneEngine(None)) as app:
        ways: dict[str, list[str]] = {app.call("A", "at", ("nobody",)): []}
        steps: dict[str, list[str]] = {}
        todo = list(ways)
        while todo:
            state = todo.pop()
            steps[state] = []
            for target in states:
                if arrives(app, f"{state} to {target}", [*ways[state], target]):
                    steps[state].append(target)
                    if target not in ways:
                        ways[target] = [*ways[state], target]
                        todo.append(target)
    return steps


def arrives(app: App, entity: str, way: Sequence[str]) -> bool:
    """Whether an entity can be led along a way; only its last step may be refused."""
    *known, last = way
    for target in known:
        app.call("A", "go", (entity, target))
    try:
        app.call("A", "go", (entity, last))
    except SomaError as refusal:
        if "invalid transition" not in refusal.message:
            raise
        return False
    assert app.call("A", "at", (entity,)) == last
    return True


def reached(steps: Steps, start: str) -> set[str]:
    """The states that entities came to from one, after one step or more."""
    found: set[str] = set()
    todo = [start]
    while todo:
        new = set(steps.get(todo.pop(), ())) - found
        found |= new
        todo += new
    return found


def graph_of(
    steps: Steps, arrows: Arrows, states: Sequence[str], initial: str, final: Sequence[str]
) -> Kripke:
    """The steps as a graph. In a state that is left by nothing else, `* -> x` from x to x is rest
    (docs/verification.md, assumptions)."""

    def onward(state: str) -> list[str]:
        targets = list(steps.get(state, ()))
        return [] if targets == [state] and (state, state) not in arrows else targets

    index = {name: at for at, name in enumerate(states)}
    successors = [[index[target] for target in onward(state)] for state in states]
    return Kripke(states, successors, index[initial], [index[name] for name in final])


FORMULAS = {  # s is each state in turn, t the last
    "ef": "EF {s}",
    "ag": "AG !{s}",
    "eg": "EG !{s}",
    "leads": "AG({s} -> AF {t})",
    "eu": "E[!{t} U {s}]",
    "au": "A[!{t} U {s}]",
    "inner": "AG(E[!{t} U {s}] | EG !{s})",
}


def check_walks(steps: Steps, passed: Mapping[str, bool], states: Sequence[str], at: str) -> int:
    """Holds `never` and `after … never` against where entities came; counts the refuted ones."""
    came = {at} | reached(steps, at)
    refuted = 0
    for state in states:
        assert passed[f"never(state == '{state}')"] == (state not in came)
        refuted += state in came
        for other in states:
            broken = state in came and other in reached(steps, state)
            assert passed[f"after('{state}', state != '{other}')"] == (not broken)
            refuted += broken
    return refuted


def demands(states: Sequence[str], initial: str, **more: object) -> dict[str, Any]:
    ctl = {
        f"{kind}_{s}": text.format(s=s, t=states[-1])
        for kind, text in FORMULAS.items()
        for s in states
    }
    after = {s: {"eventually": states[-2:], "never": list(states)} for s in states}
    return {
        "deadlock_free": True,
        "eventually": states[1:3],
        "never": list(states),
        "always": [initial],
        "after": after,
        "ctl": ctl,
        **more,
    }


def expected(
    graph: Kripke, texts: Mapping[str, str], states: Sequence[str], fair: Sequence[Fair]
) -> dict[str, bool]:
    """The truth of all but the nevers, by the formula that each of them means."""
    meant = {f"eventually(state in [{', '.join(states[1:3])}])": f"AF({' | '.join(states[1:3])})"}
    meant[f"always(state == '{graph.names[graph.initial]}')"] = f"AG {graph.names[graph.initial]}"
    for s in states:
        ends = f"AG({s} -> AF({' | '.join(states[-2:])}))"
        meant[f"after('{s}', state in [{', '.join(states[-2:])}])"] = ends
    for name, text in texts.items():
        meant[f"{name}: {parse(text)}"] = text
    return {
        name: graph.initial in holds_in(graph, parse(text), fair) for name, text in meant.items()
    }


def stuck(graph: Kripke, steps: Steps, final: Sequence[str]) -> bool:
    """Whether an entity came to where it can do nothing and may not rest."""
    return any(not graph.successors[graph.index[state]] and state not in final for state in steps)


def manifests(
    arrows: Arrows, states: Sequence[str], initial: str, terminal: Sequence[str], turn: int
) -> Iterator[tuple[dict[str, Any], list[str], list[tuple[str, str]]]]:
    """Every property: as it is, with the original's ends as `final`, and with a fair arrow; each
    with what is final and fair. Mutants take turns with the arrow."""
    yield demands(states, initial), [], []
    yield demands(states, initial, final=list(terminal)), list(terminal), []
    plain = [(a, b) for a, b in arrows if a not in ("*", b)]
    for source, target in plain[turn % len(plain) :][:1] if plain else ():
        fair = [f"{source} -> {target}"]
        yield demands(states, initial, fair=fair), [], [(source, target)]


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_no_verdict_on_a_mutant_is_broken_by_its_running_program(name: str) -> None:
    machine = original(name)
    life = Lifecycle(machine)
    states = sorted(life.names)
    count: Counter[str] = Counter()
    for turn, arrows in enumerate(mutants(name)):
        program = program_of(arrows, machine.initial)
        steps = walked(program, states)
        for wishes, final, fair in manifests(arrows, states, machine.initial, life.terminal, turn):
            graph = graph_of(steps, arrows, states, machine.initial, final)
            report = verify([program], Manifest(verify=wishes), lambda _: False)
            passed = {verdict.property: verdict.passed for verdict in report.verdicts}
            free = not ("final" in wishes and stuck(graph, steps, final))
            assert passed["deadlock_free"] == free, arrows
            constraints = [Fair(frozenset({(graph.index[a], graph.index[b])})) for a, b in fair]
            truth = expected(graph, wishes["ctl"], states, constraints)
            assert {text: passed[text] for text in truth} == truth, (arrows, final, fair)
            count["nevers"] += check_walks(steps, passed, states, machine.initial)
            count["deadlocks"] += not free
            count["formulas"] += sum(not holds for holds in truth.values())
            count["by fairness"] += bool(fair) and truth != expected(
                graph, wishes["ctl"], states, []
            )
    assert all(count[kind] for kind in ("nevers", "deadlocks", "formulas")), count
    assert count["by fairness"] or name in ("chat", "inventory"), count
