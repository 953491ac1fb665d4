"""Cycles of directed graphs of integers."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Mapping

Graph = Mapping[int, Iterable[int]]


def strong_components(edges: Graph) -> list[list[int]]:
    """The strongly connected components of more than one node (Tarjan 1972, without recursion)."""
    index: dict[int, int] = {}
    low: dict[int, int] = {}
    path: list[int] = []
    on_path: set[int] = set()
    found: list[list[int]] = []
    for root in sorted(edges):
        if root in index:
            continue
        work: list[tuple[int, Iterator[int]]] = []
        _enter(root, edges, index, low, path, on_path, work)
        while work:
            node, rest = work[-1]
            for other in rest:
                if other not in index:
                    _enter(other, edges, index, low, path, on_path, work)
                    break
                if other in on_path:
                    low[node] = min(low[node], index[other])
            else:
                work.pop()
                if work:
                    low[work[-1][0]] = min(low[work[-1][0]], low[node])
                if low[node] == index[node]:
                    _leave(node, path, on_path, found)
    return found


def _enter(
    node: int,
    edges: Graph,
    index: dict[int, int],
    low: dict[int, int],
    path: list[int],
    on_path: set[int],
    work: list[tuple[int, Iterator[int]]],
) -> None:
    index[node] = low[node] = len(index)
    path.append(node)
    on_path.add(node)
    work.append((node, iter(edges.get(node, ()))))


def _leave(node: int, path: list[int], on_path: set[int], found: list[list[int]]) -> None:
    component: list[int] = []
    while True:
        other = path.pop()
        on_path.discard(other)
        component.append(other)
        if other == node:
            break
    if len(component) > 1:
        found.append(component)


def shortest_cycle(edges: Graph, component: list[int]) -> list[int]:
    """A shortest cycle through one of the nodes of a strongly connected component."""
    inside = set(component)
    best: list[int] = []
    for start in sorted(component)[:50]:  # enough to be short; all of them would be quadratic
        before: dict[int, int] = {}
        queue = deque([start])
        while queue:
            node = queue.popleft()
            if node != start and start in edges.get(node, ()):
                cycle = [node]
                while cycle[-1] != start:
                    cycle.append(before[cycle[-1]])
                if not best or len(cycle) < len(best):
                    best = cycle[::-1]
                break
            for other in edges.get(node, ()):
                if other in inside and other != start and other not in before:
                    before[other] = node
                    queue.append(other)
    return best
