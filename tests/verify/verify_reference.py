"""What the model checker is compared with: definitions carried out literally, and slowly."""

from __future__ import annotations

import random
from collections.abc import Sequence
from itertools import combinations

from somac.verify.ctl import UNARY, Formula, atom
from somac.verify.evidence import Trace
from somac.verify.fairness import Fair
from somac.verify.kripke import Kripke

LETTERS = "abcdefgh"


def random_graph(rng: random.Random, size: int, total: bool = False) -> Kripke:
    """A graph of `size` states with a few edges each; `total`: none without successors."""
    successors = [[t for t in range(size) if rng.random() < 1.6 / size] for _ in range(size)]
    if total:
        successors = [targets or [state] for state, targets in enumerate(successors)]
    rests = [] if total else [s for s in range(size) if rng.random() < 0.15]
    return Kripke(LETTERS[:size], successors, 0, rests)


def random_formula(rng: random.Random, size: int, depth: int) -> Formula:
    kind = rng.randrange(8) if depth else 0
    if kind == 0:
        return atom(LETTERS[rng.randrange(size)]) if rng.random() < 0.9 else Formula("true")
    sub = [random_formula(rng, size, depth - 1) for _ in range(rng.choice([2, 2, 3]))]
    if kind == 1:
        return Formula("!", (sub[0],))
    if kind == 2:
        return Formula(rng.choice("&|"), tuple(sub))
    if kind == 3:
        return Formula("->", (sub[0], sub[1]))
    if kind == 4:
        return Formula(rng.choice(["EU", "AU"]), (sub[0], sub[1]))
    return Formula(rng.choice(UNARY), (sub[0],))


def holds_in(graph: Kripke, formula: Formula, fair: Sequence[Fair] = ()) -> set[int]:
    """The states in which a formula holds, by fixpoints over sets and nothing else."""
    everything = set(range(len(graph)))
    op = formula.op
    if op == "true":
        return everything
    if op == "false":
        return set()
    if op == "atom":
        return {s for s in everything if graph.names[s] == formula.name}
    args = [holds_in(graph, arg, fair) for arg in formula.args]
    first, last = args[0], args[-1]
    if op == "!":
        return everything - first
    if op == "->":
        return (everything - first) | last
    if op == "&":
        return set.intersection(*args)
    if op == "|":
        return set.union(*args)
    if op == "EX":
        return {s for s in everything if first & set(graph.successors[s])}
    if op == "AX":
        return {s for s in everything if set(graph.successors[s]) <= first}
    if op in ("EF", "EU"):
        return _exists_until(graph, everything if op == "EF" else first, last)
    if op == "AG":
        return everything - _exists_until(graph, everything, everything - first)
    if op == "EG":
        return _exists_globally(graph, first, fair)
    if op == "AF":
        return everything - _exists_globally(graph, everything - first, fair)
    return _all_until(graph, first, last, fair)


def _exists_until(graph: Kripke, left: set[int], right: set[int]) -> set[int]:
    found = set(right)
    while True:
        more = {s for s in left - found if found & set(graph.successors[s])}
        if not more:
            return found
        found |= more


def _all_until(graph: Kripke, left: set[int], right: set[int], fair: Sequence[Fair]) -> set[int]:
    if fair:
        everything = set(range(len(graph)))
        outside = everything - right
        spoiled = _exists_until(graph, outside, outside - left)
        return everything - spoiled - _exists_globally(graph, outside, fair)
    found = set(right)
    while True:
        more = {
            s
            for s in left - found
            if graph.successors[s] and not graph.ends[s] and set(graph.successors[s]) <= found
        }
        if not more:
            return found
        found |= more


def _exists_globally(graph: Kripke, inside: set[int], fair: Sequence[Fair]) -> set[int]:
    if fair:
        goals = {s for s in inside if graph.ends[s]}
        for size in range(1, len(inside) + 1):
            for visited in combinations(sorted(inside), size):
                if _visits_for_ever(graph, set(visited), fair):
                    goals |= set(visited)
        return _exists_until(graph, inside, goals)
    found = set(inside)
    while True:
        kept = {s for s in found if graph.ends[s] or found & set(graph.successors[s])}
        if kept == found:
            return found
        found = kept


def _visits_for_ever(graph: Kripke, visited: set[int], fair: Sequence[Fair]) -> bool:
    """Whether a fair path can visit exactly these states again and again."""
    for start in visited:
        reached: set[int] = set()
        todo = [start]
        while todo:
            for target in graph.successors[todo.pop()]:
                if target in visited and target not in reached:
                    reached.add(target)
                    todo.append(target)
        if reached != visited:
            return False
    edges = {(a, b) for a in visited for b in graph.successors[a] if b in visited}
    return all(
        not {a for a, _ in constraint.edges} & visited or constraint.edges & edges
        for constraint in fair
    )


def rewalk(graph: Kripke, trace: Trace, start: int) -> None:
    """Fails unless a trace begins at `start` and takes an edge of the graph at each step."""
    assert trace.states[0] == start
    steps = list(zip(trace.states, trace.states[1:], strict=False))
    if trace.loop is not None:
        steps.append((trace.states[-1], trace.states[trace.loop]))
    assert steps == list(trace.edges())
    for source, target in steps:
        assert target in graph.successors[source], f"no edge {source} -> {target}"


def is_maximal(graph: Kripke, trace: Trace, fair: Sequence[Fair] = ()) -> bool:
    """Whether a trace is a whole path: it rests at its end, or goes round a fair cycle."""
    if trace.loop is None:
        return bool(graph.ends[trace.states[-1]])
    cycle = trace.states[trace.loop :]
    edges = set(zip(cycle, [*cycle[1:], cycle[0]], strict=True))
    return all(
        not {a for a, _ in constraint.edges} & set(cycle) or constraint.edges & edges
        for constraint in fair
    )
