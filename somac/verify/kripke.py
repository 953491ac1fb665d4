"""Finite transition graphs, and the walks over them that all checks share.

States are numbers from 0. A path of the graph ends where an entity may rest: in a state without
successors, or in one of `rests`. No function here recurses over states, and each is linear in
states plus transitions.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cached_property

States = bytearray  # one byte per state: 1 when the state belongs to the set


class Kripke:
    """A graph of named states with one initial state.

    `successors[s]` lists the targets of the edges that leave `s`, in the order in which searches
    try them; repeated targets are dropped. `rests` are states in which a path may end although
    edges leave them.
    """

    def __init__(
        self,
        names: Sequence[str],
        successors: Sequence[Sequence[int]],
        initial: int = 0,
        rests: Iterable[int] = (),
    ) -> None:
        if len(names) != len(successors) or not 0 <= initial < len(names):
            raise ValueError("a graph needs an initial state, and successors for each state")
        self.names = names
        self.successors = [_distinct(targets) for targets in successors]
        self.initial = initial
        self.ends = bytearray(not targets for targets in self.successors)
        for state in rests:
            self.ends[state] = 1

    def __len__(self) -> int:
        return len(self.names)

    @cached_property
    def index(self) -> dict[str, int]:
        """The number of each state by name."""
        return {name: number for number, name in enumerate(self.names)}

    @cached_property
    def predecessors(self) -> Sequence[Sequence[int]]:
        """Per state, where its edges come from, ascending. Most states have one such, and a tuple
        of numbers, unlike a list, is nothing that the garbage collector goes through again."""
        found: list[list[int] | tuple[int, ...]] = [()] * len(self)
        for source, targets in enumerate(self.successors):
            for target in targets:
                known = found[target]
                if not known:
                    found[target] = (source,)
                elif isinstance(known, list):
                    known.append(source)
                else:
                    found[target] = [*known, source]
        return found

    @cached_property
    def reachable(self) -> States:
        """The states that some path from the initial state visits."""
        return self.forward([self.initial])

    def forward(self, starts: Iterable[int], inside: States | None = None) -> States:
        """The starts and all that they lead to, without leaving `inside`."""
        return _closure(starts, self.successors, len(self), inside)

    def backward(self, goals: Iterable[int], inside: States | None = None) -> States:
        """The goals and all that leads to them, by paths whose other states are `inside`."""
        return _closure(goals, self.predecessors, len(self), inside)

    def shortest_path(
        self, start: int, goal: Callable[[int], object], inside: States | None = None
    ) -> list[int] | None:
        """A path with the fewest edges from `start` to a goal; all but its last are `inside`."""
        if goal(start):
            return [start]
        came_from = [-1] * len(self)
        came_from[start] = start
        queue = [start]
        for state in queue:  # grows while it is walked: breadth first
            if inside is not None and not inside[state]:
                continue
            for target in self.successors[state]:
                if came_from[target] < 0:
                    came_from[target] = state
                    if goal(target):
                        return _trail(came_from, target)
                    queue.append(target)
        return None


def _distinct(targets: Sequence[int]) -> tuple[int, ...]:
    return tuple(targets) if len(targets) < 2 else tuple(dict.fromkeys(targets))


def _closure(
    starts: Iterable[int], edges: Sequence[Sequence[int]], size: int, inside: States | None
) -> States:
    found = bytearray(size)
    todo = list(starts)
    for state in todo:
        found[state] = 1
    while todo:
        for other in edges[todo.pop()]:
            if not found[other] and (inside is None or inside[other]):
                found[other] = 1
                todo.append(other)
    return found


def _trail(came_from: Sequence[int], last: int) -> list[int]:
    path = [last]
    while came_from[path[-1]] != path[-1]:
        path.append(came_from[path[-1]])
    path.reverse()
    return path


def members(states: States) -> Iterator[int]:
    """The numbers of the states in a set, ascending."""
    found = states.find(1)
    while found >= 0:
        yield found
        found = states.find(1, found + 1)


def components(graph: Kripke, inside: States) -> list[list[int]]:
    """The strongly connected components of the part of a graph that is `inside`.

    Tarjan's algorithm with a stack of its own. Components come in reverse topological order.
    """
    return _Tarjan(graph, inside).run()


class _Tarjan:
    def __init__(self, graph: Kripke, inside: States) -> None:
        self.successors = graph.successors
        self.inside = inside
        self.order = [0] * len(graph)  # 0: not seen yet
        self.low = [0] * len(graph)
        self.open = bytearray(len(graph))
        self.stack: list[int] = []
        self.count = 0
        self.found: list[list[int]] = []

    def run(self) -> list[list[int]]:
        for root in members(self.inside):
            if not self.order[root]:
                self._visit(root)
        return self.found

    def _visit(self, root: int) -> None:
        low, order = self.low, self.order
        path = [(root, self._enter(root))]
        while path:
            state, targets = path[-1]
            for target in targets:
                if not order[target]:
                    path.append((target, self._enter(target)))
                    break
                if self.open[target]:
                    low[state] = min(low[state], order[target])
            else:
                path.pop()
                if path:
                    above = path[-1][0]
                    low[above] = min(low[above], low[state])
                if low[state] == order[state]:
                    self._close(state)

    def _enter(self, state: int) -> Iterator[int]:
        self.count += 1
        self.order[state] = self.low[state] = self.count
        self.open[state] = 1
        self.stack.append(state)
        inside = self.inside
        return (target for target in self.successors[state] if inside[target])

    def _close(self, root: int) -> None:
        component = []
        while True:
            state = self.stack.pop()
            self.open[state] = 0
            component.append(state)
            if state == root:
                break
        self.found.append(component)
