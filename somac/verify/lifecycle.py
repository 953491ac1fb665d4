"""A state machine as a graph: wildcards expanded, edges in the order of the declarations (§2.1)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import NamedTuple

from ..frontend import nodes as n
from .kripke import Kripke, members


class Edge(NamedTuple):
    """One step that the machine allows, and the arrow that allows it."""

    source: int
    target: int
    arrow: n.Transition


class Lifecycle:
    """A machine, its states in order of first mention, and its edges: those of declared arrows
    first, then those that each `* -> X` stands for (from every state but X).

    A target of `*` that other edges leave has a loop in the graph, too; a sink needs none, since an
    entity rests there anyway. `final` names the states in which an entity may rest; without it,
    those are the sinks. Guards never restrict the graph: what they forbid today they may allow
    tomorrow.
    """

    def __init__(self, machine: n.Machine, final: Sequence[str] | None = None) -> None:
        self.machine = machine
        self.final = final
        self.names = state_names(machine)
        index = {name: number for number, name in enumerate(self.names)}
        self.edges = list(_edges(machine, index))
        successors: list[list[int]] = [[] for _ in self.names]
        for edge in self.edges:
            successors[edge.source].append(edge.target)
        for name in self.wildcard_targets:  # `* -> x` also leads from x to x, for ever if one likes
            if successors[index[name]]:
                successors[index[name]].append(index[name])
        rests = [index[name] for name in final or () if name in index]
        self.graph = Kripke(self.names, successors, index[machine.initial], rests)

    @property
    def name(self) -> str:
        return self.machine.name

    @cached_property
    def wildcard_targets(self) -> list[str]:
        """The targets of `*` arrows in declaration order, each once."""
        return list(dict.fromkeys(a.target for a in self.machine.transitions if a.source == "*"))

    @cached_property
    def sinks(self) -> list[int]:
        """The states that no edge leaves."""
        return [state for state, targets in enumerate(self.graph.successors) if not targets]

    @cached_property
    def terminal(self) -> list[str]:
        """The names of the sinks, sorted."""
        return sorted(self.names[state] for state in self.sinks)

    @cached_property
    def deadlocks(self) -> list[str]:
        """Reachable sinks in which no entity may rest, sorted. Without `final` there are none."""
        if self.final is None:
            return []
        allowed = set(self.final)
        reachable = self.graph.reachable
        stuck = [self.names[s] for s in self.sinks if reachable[s]]
        return sorted(name for name in stuck if name not in allowed)

    @cached_property
    def arrows(self) -> dict[tuple[int, int], n.Transition]:
        """The arrow that a step takes: of several, the first, as at run time (§2.3)."""
        found: dict[tuple[int, int], n.Transition] = {}
        order = {id(arrow): at for at, arrow in enumerate(self.machine.transitions)}
        for edge in self.edges:
            key = (edge.source, edge.target)
            known = found.get(key)
            if known is None or order[id(edge.arrow)] < order[id(known)]:
                found[key] = edge.arrow
        return found

    def reachable_names(self) -> list[str]:
        return [self.names[state] for state in members(self.graph.reachable)]


def state_names(machine: n.Machine) -> list[str]:
    """The states of a machine in order of first mention."""
    mentioned = [machine.initial]
    for arrow in machine.transitions:
        mentioned += (arrow.source, arrow.target)
    return [name for name in dict.fromkeys(mentioned) if name != "*"]


def _edges(machine: n.Machine, index: dict[str, int]) -> Iterator[Edge]:
    for arrow in machine.transitions:
        if arrow.source != "*":
            yield Edge(index[arrow.source], index[arrow.target], arrow)
    for arrow in machine.transitions:
        if arrow.source == "*":
            target = index[arrow.target]
            for source in range(len(index)):
                if source != target:
                    yield Edge(source, target, arrow)
