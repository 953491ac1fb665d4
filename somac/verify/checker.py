"""The model checker: in which states of a graph a formula holds.

One worklist walk per operator, linear in states plus transitions; the sets of subformulas are kept.
Paths are maximal: infinite and fair, or ending where an entity may rest (`Kripke.ends`).
"""

from __future__ import annotations

from array import array
from collections.abc import Sequence

from .ctl import Formula
from .fairness import Fair, fair_components, states_of
from .kripke import Kripke, States, members

_FLIP = bytes([1, 0]) + bytes(254)


def complement(states: States) -> States:
    return states.translate(_FLIP)


def both(left: States, right: States) -> States:
    return _number_to_states(_number(left) & _number(right), len(left))


def either(left: States, right: States) -> States:
    return _number_to_states(_number(left) | _number(right), len(left))


def _number(states: States) -> int:
    return int.from_bytes(states, "little")


def _number_to_states(number: int, size: int) -> States:
    return bytearray(number.to_bytes(size, "little"))


class Checker:
    """Decides formulas over one graph, under strong fairness constraints if there are any."""

    def __init__(self, graph: Kripke, fair: Sequence[Fair] = ()) -> None:
        self.graph = graph
        self.fair = tuple(fair)
        self._known: dict[Formula, States] = {}

    def holds(self, formula: Formula, state: int | None = None) -> bool:
        """Whether a formula holds in a state, the initial one if none is given."""
        return bool(self.states(formula)[self.graph.initial if state is None else state])

    def states(self, formula: Formula) -> States:
        """The states in which a formula holds. The result must not be changed."""
        known = self._known.get(formula)
        if known is None:
            known = self._known[formula] = self._decide(formula)
        return known

    def _decide(self, formula: Formula) -> States:
        op, args = formula.op, formula.args
        size = len(self.graph)
        if op in ("true", "false"):
            return bytearray(b"\x01" * size) if op == "true" else bytearray(size)
        if op == "atom":
            found = bytearray(size)
            number = self.graph.index.get(formula.name)
            if number is not None:
                found[number] = 1
            return found
        if op == "!":
            return complement(self.states(args[0]))
        if op == "->":
            return either(complement(self.states(args[0])), self.states(args[1]))
        if op in ("&", "|"):
            found = self.states(args[0])
            for arg in args[1:]:
                found = (both if op == "&" else either)(found, self.states(arg))
            return found
        return self._temporal(op, args)

    def _temporal(self, op: str, args: tuple[Formula, ...]) -> States:
        if op == "EX":
            return self.before(self.states(args[0]))
        if op == "EF":
            return self.graph.backward(members(self.states(args[0])))
        if op == "EU":
            return self.graph.backward(members(self.states(args[1])), self.states(args[0]))
        if op == "EG":
            return self.always_within(self.states(args[0]))
        if op == "AX":
            return complement(self.before(complement(self.states(args[0]))))
        if op == "AG":
            return complement(self.graph.backward(members(complement(self.states(args[0])))))
        if op == "AF":
            return complement(self.always_within(complement(self.states(args[0]))))
        return self._on_all_paths_until(*args)

    def _on_all_paths_until(self, left: Formula, right: Formula) -> States:
        """A[p U q] is: no path avoids q for ever, and none reaches a ¬p∧¬q before a q."""
        avoids = complement(self.states(right))
        broken = both(complement(self.states(left)), avoids)
        spoiled = self.graph.backward(members(broken), avoids)
        return complement(either(self.always_within(avoids), spoiled))

    def before(self, goal: States) -> States:
        """The states with an edge to a goal."""
        found = bytearray(len(self.graph))
        for state in members(goal):
            for source in self.graph.predecessors[state]:
                found[source] = 1
        return found

    def always_within(self, inside: States) -> States:
        """EG: the states from which some maximal fair path stays `inside`."""
        graph = self.graph
        if self.fair:
            cores = states_of(len(graph), fair_components(graph, inside, self.fair))
            starts = either(cores, both(inside, graph.ends))
            return graph.backward(members(starts), inside)
        found = bytearray(inside)
        left = array("l", bytes(array("l").itemsize * len(graph)))  # ways on, still
        leaving = []
        for state, targets in enumerate(graph.successors):
            if found[state]:
                for target in targets:
                    if inside[target]:
                        left[state] += 1
                if not left[state] and not graph.ends[state]:
                    leaving.append(state)
        while leaving:
            gone = leaving.pop()
            found[gone] = 0
            for source in graph.predecessors[gone]:
                if found[source]:
                    left[source] -= 1
                    if not left[source] and not graph.ends[source]:
                        leaving.append(source)
        return found


def vacuous(checker: Checker, formula: Formula) -> Formula | None:
    """The antecedent of some implication of the formula that no reachable state satisfies.

    Such a formula holds whatever stands behind its arrow. Only implications that the formula
    asserts count, not those below a negation.
    """
    todo = [formula]
    while todo:
        top = todo.pop()
        if top.op == "!":
            continue
        if top.op == "->":
            reached = both(checker.states(top.args[0]), checker.graph.reachable)
            if 1 not in reached and top.args[0].op != "false":
                return top.args[0]
            todo.append(top.args[1])
        else:
            todo.extend(top.args)
    return None
