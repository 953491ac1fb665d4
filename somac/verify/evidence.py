"""Why a formula holds or fails: a path that a person can follow, edge by edge.

A counter-example to "all paths …" and a witness of "some path …" are the same thing: a path, or a
lasso, which is a path and the cycle that it ends in. Paths are shortest where a state is to be
reached; where one is to be avoided for ever, the walk takes the first edge that still allows it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from .checker import Checker, both, complement
from .ctl import Formula, negation
from .fairness import fair_components, fair_cycle, states_of
from .kripke import States


@dataclass(frozen=True)
class Trace:
    """States in order. With `loop`, an edge leads from the last state back to `states[loop]`."""

    states: tuple[int, ...]
    loop: int | None = None

    def edges(self) -> Iterator[tuple[int, int]]:
        """The edges that the trace walks, the closing one of a lasso included."""
        yield from zip(self.states, self.states[1:], strict=False)
        if self.loop is not None:
            yield self.states[-1], self.states[self.loop]

    def after(self, path: list[int]) -> Trace:
        """This trace behind a path that ends where this one begins."""
        before = len(path) - 1
        loop = None if self.loop is None else self.loop + before
        return Trace((*path[:-1], *self.states), loop)


class Explainer:
    """Finds traces for the formulas of a checker."""

    def __init__(self, checker: Checker) -> None:
        self.checker = checker
        self.graph = checker.graph

    def counter_example(self, formula: Formula) -> Trace:
        """Why a formula fails in the initial state."""
        return self.explain(negation(formula), self.graph.initial)

    def witness(self, formula: Formula) -> Trace:
        """Why a formula holds in the initial state."""
        return self.explain(formula, self.graph.initial)

    def explain(self, formula: Formula, start: int) -> Trace:
        """A trace from a state in which the formula holds that shows as much as one path can."""
        path = [start]
        pending = formula
        while True:
            pending = self._choose(_positive(pending), path[-1])
            op, args = pending.op, pending.args
            if op == "EG":
                return self.avoid(complement(self.checker.states(args[0])), path[-1]).after(path)
            if op not in ("EX", "EF", "EU"):
                return Trace(tuple(path))
            path, pending = self._extend(path, op, args)

    def _extend(
        self, path: list[int], op: str, args: tuple[Formula, ...]
    ) -> tuple[list[int], Formula]:
        goal = self.checker.states(args[-1])
        if op == "EX":
            following = next(s for s in self.graph.successors[path[-1]] if goal[s])
            return [*path, following], args[0]
        inside = self.checker.states(args[0]) if op == "EU" else None
        found = self.graph.shortest_path(path[-1], lambda state: goal[state], inside)
        if found is None:
            raise ValueError("there is no trace of a formula that does not hold")
        return path + found[1:], args[-1]

    def _choose(self, formula: Formula, state: int) -> Formula:
        """The part of a formula with the most to show: of `&` what speaks of paths, of `|` what
        holds."""
        while formula.op in ("&", "|"):
            parts = [_positive(arg) for arg in formula.args]
            if formula.op == "|":
                parts = [part for part in parts if self.checker.states(part)[state]]
            formula = max(parts, key=_weight)
        return formula

    def avoid(self, avoided: States, start: int) -> Trace:
        """A maximal fair path that never meets the avoided states, from where there is one."""
        inside = complement(avoided)
        if self.checker.fair:
            return self._avoid_fairly(inside, start)
        possible = self.checker.always_within(inside)
        if not possible[start]:
            raise ValueError("every path meets the avoided states")
        path, seen, state = [start], bytearray(len(possible)), start
        while not self.graph.ends[state]:
            seen[state] = 1
            for following in self.graph.successors[state]:
                if possible[following]:
                    break
            state = following
            if seen[state]:
                return Trace(tuple(path), path.index(state))
            path.append(state)
        return Trace(tuple(path))

    def _avoid_fairly(self, inside: States, start: int) -> Trace:
        graph, fair = self.graph, self.checker.fair
        found = fair_components(graph, inside, fair)
        cores = states_of(len(graph), found)
        rests = both(inside, graph.ends)
        stem = graph.shortest_path(start, lambda s: cores[s] or rests[s], inside)
        if stem is None:
            raise ValueError("every fair path meets the avoided states")
        if rests[stem[-1]]:
            return Trace(tuple(stem))
        component = next(group for group in found if stem[-1] in group)
        component = [stem[-1], *(state for state in component if state != stem[-1])]
        cycle = fair_cycle(graph, component, fair)
        return Trace((*stem[:-1], *cycle), len(stem) - 1)


def _weight(formula: Formula) -> int:
    """How much a trace can show of a formula: lassos most, then paths, then states."""
    if formula.op in ("&", "|"):
        return max(_weight(_positive(arg)) for arg in formula.args)
    return {"EG": 3, "EU": 2, "EF": 2, "EX": 2}.get(formula.op, 0)


_DUAL = {"EX": "AX", "EF": "AG", "EG": "AF", "AX": "EX", "AF": "EG", "AG": "EF"}


def _positive(formula: Formula) -> Formula:
    """The same formula with its outermost negation pushed inwards, and without `->` on top."""
    if formula.op == "->":
        return Formula("|", (negation(formula.args[0]), formula.args[1]))
    if formula.op != "!":
        return formula
    inner = formula.args[0]
    op, args = inner.op, inner.args
    if op == "!":
        return _positive(args[0])
    if op == "->":
        return Formula("&", (args[0], negation(args[1])))
    if op in ("&", "|"):
        return Formula("|" if op == "&" else "&", tuple(map(negation, args)))
    if op in _DUAL:
        return Formula(_DUAL[op], (negation(args[0]),))
    if op == "AU":
        left, right = negation(args[0]), negation(args[1])
        escape = Formula("EU", (right, Formula("&", (left, right))))
        return Formula("|", (escape, Formula("EG", (right,))))
    return formula  # of a state, or of all paths: there is nothing to walk


def words(trace: Trace, names: Sequence[str]) -> list[str]:
    """The elements of a trace as they are printed: `a`, `b`, `a`, `... cycle back to 'a'`."""
    elements = [names[state] for state in trace.states]
    if trace.loop is not None:
        start = names[trace.states[trace.loop]]
        elements += [start, f"... cycle back to '{start}'"]
    return elements
