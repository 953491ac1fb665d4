"""Strong fairness: what is possible again and again happens again and again.

A constraint is a set of edges. A path is fair to it when it ends, or visits the source of some edge
of the set only finitely often, or takes edges of the set infinitely often. Every finite path
can be continued to a fair one, so fairness changes nothing about what is reachable, and only `EG`
(with all that is defined by it) looks at it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

from .kripke import Kripke, States, components

Edge = tuple[int, int]


@dataclass(frozen=True)
class Fair:
    """One constraint: the edges of which some must be taken if they are offered for ever. `offers`
    are states that offer them although the edges begin elsewhere."""

    edges: frozenset[Edge]
    offers: frozenset[int] = frozenset()

    @cached_property
    def targets(self) -> dict[int, list[int]]:
        """The targets of the edges by their source."""
        found: dict[int, list[int]] = {}
        for source, target in self.edges:
            found.setdefault(source, []).append(target)
        return found


def fair_components(graph: Kripke, inside: States, fair: Sequence[Fair]) -> list[list[int]]:
    """Sets of states that a fair path can visit for ever, all of them, without leaving `inside`.

    They are the strongly connected parts with at least one edge in which each constraint is either
    offered nowhere, or can be taken.
    """
    found = []
    todo = [component for component in components(graph, inside) if _has_edge(graph, component)]
    while todo:
        component = todo.pop()
        spoiled = _spoiled(set(component), fair)
        if not spoiled:
            found.append(component)
            continue
        rest = bytearray(len(graph))
        for state in component:
            rest[state] = state not in spoiled
        todo += [part for part in components(graph, rest) if _has_edge(graph, part)]
    return found


def _has_edge(graph: Kripke, component: Sequence[int]) -> bool:
    return len(component) > 1 or component[0] in graph.successors[component[0]]


def _spoiled(component: set[int], fair: Iterable[Fair]) -> set[int]:
    """The states that offer what cannot be taken within the component."""
    spoiled: set[int] = set()
    for constraint in fair:
        targets, offers = constraint.targets, constraint.offers
        offered = [state for state in component if state in targets or state in offers]
        if offered and not any(b in component for a in offered for b in targets.get(a, ())):
            spoiled.update(offered)
    return spoiled


def fair_cycle(graph: Kripke, component: Sequence[int], fair: Sequence[Fair]) -> list[int]:
    """A cycle through a fair component that takes each constraint offered in it.

    The states of the cycle in order; an edge leads from the last back to the first.
    """
    inside = bytearray(len(graph))
    for state in component:
        inside[state] = 1
    first = component[0]
    cycle = [first]
    taken: set[Edge] = set()
    for constraint in fair:
        edges: dict[int, int] = {}
        for source in component:
            for target in constraint.targets.get(source, ()):
                if inside[target]:
                    edges[source] = min(target, edges.get(source, target))
        if edges and not taken & constraint.edges:
            path = graph.shortest_path(cycle[-1], edges.__contains__, inside)
            if path is None:
                raise ValueError("the states are not strongly connected")
            path.append(edges[path[-1]])
            taken.update(pairwise(path))
            cycle += path[1:]
    if len(cycle) > 1 and cycle[-1] == first:
        return cycle[:-1]
    back = _round_trip(graph, cycle[-1], first, inside)
    return cycle + back[:-1]


def _walk(graph: Kripke, start: int, goal: int, inside: States) -> list[int]:
    """The states after `start` on a shortest path to the goal."""
    path = graph.shortest_path(start, lambda state: state == goal and inside[state], inside)
    if path is None:
        raise ValueError("the states are not strongly connected")
    return path[1:]


def _round_trip(graph: Kripke, start: int, goal: int, inside: States) -> list[int]:
    """The states after `start` on a shortest path of at least one edge to the goal."""
    if start != goal:
        return _walk(graph, start, goal, inside)
    following = [state for state in graph.successors[start] if inside[state]]
    paths = [[state, *_walk(graph, state, goal, inside)] for state in following]
    return min(paths, key=len)


def states_of(size: int, groups: Iterable[Iterable[int]]) -> States:
    """The set of the states of all groups."""
    found = bytearray(size)
    for group in groups:
        for state in group:
            found[state] = 1
    return found
