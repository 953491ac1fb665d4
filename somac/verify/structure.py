"""What the shape of a machine shows, without any property (§5.2, lines 1 to 9)."""

from __future__ import annotations

from collections.abc import Iterator

from .kripke import members
from .lifecycle import Lifecycle
from .report import Check, failed, passed, warned

NEED_A_GUARD = ("sent", "approved", "deployed")  # besides terminal states
STEPS_MAX = 50_000_000  # for line 9, which walks the graph once per terminal state


def listed(names: list[str]) -> str:
    """A list of states as the report prints it, in the order given."""
    return f"[{', '.join(names)}]"


def structural_checks(life: Lifecycle) -> Iterator[Check]:
    """The lines on a machine's graph, in the order of the report."""
    start = life.machine.initial
    yield passed(f"{len(life.names)} states, {len(life.edges)} transitions")
    reachable = life.graph.reachable
    unreachable = sorted(name for s, name in enumerate(life.names) if not reachable[s])
    if unreachable:
        yield failed(f"unreachable states: {listed(unreachable)}")
    else:
        yield passed(f"all states reachable from '{start}'")
    yield _terminals(life)
    if life.deadlocks:
        yield failed(f"deadlock states: {listed(life.deadlocks)}")
    else:
        yield passed("no deadlocks")
    yield _liveness(life)
    yield from _guards(life)
    yield from _cut_off(life)


def _terminals(life: Lifecycle) -> Check:
    if life.terminal:
        return passed(f"terminal states: {listed(life.terminal)}")
    if life.final:
        return passed(f"final states: {listed(sorted(life.final))}")
    return warned(
        "no terminal states — all states have outgoing transitions (possible infinite loop)"
    )


def _liveness(life: Lifecycle) -> Check:
    """Line 5. With `final`, what every state must be able to reach are the final states."""
    graph = life.graph
    if life.final is None:
        goals, kind = life.sinks, "terminal"
    else:
        goals, kind = [graph.index[f] for f in life.final if f in graph.index], "final"
    able = graph.backward(goals)
    lost = [state for state in members(graph.reachable) if not able[state]]
    if not lost:
        return passed(f"liveness: every state can eventually reach a {kind} state")
    names = sorted(life.names[state] for state in lost)
    trace = _cycle(life, lost[0])
    return failed(
        f"liveness violation: states {listed(names)} cannot reach any {kind} state", *trace
    )


def _cycle(life: Lifecycle, start: int) -> list[str]:
    """A cycle that first edges lead into; the whole walk if it ends in a sink instead."""
    path, seen = [start], {start: 0}
    while following := life.graph.successors[path[-1]]:
        state = following[0]
        path.append(state)
        if state in seen:
            return [life.names[s] for s in path[seen[state] :]]
        seen[state] = len(path) - 1
    return [life.names[s] for s in path]


def _guards(life: Lifecycle) -> Iterator[Check]:
    arrows = life.machine.transitions
    guarded = [f"{a.source} -> {a.target}" for a in arrows if a.guard is not None]
    if guarded:
        yield passed(f"guarded transitions: {', '.join(guarded)}")
    delicate = {*life.terminal, *NEED_A_GUARD}
    for arrow in arrows:
        if arrow.guard is None and arrow.source != "*" and arrow.target in delicate:
            edge = f"{arrow.source} -> {arrow.target}"
            yield warned(f"{edge} has no guard (consider adding a guard condition)")
    if life.wildcard_targets:
        targets = sorted(arrow.target for arrow in arrows if arrow.source == "*")
        yield passed(f"wildcard transitions: * -> {listed(targets)}")


def _cut_off(life: Lifecycle) -> Iterator[Check]:
    """Line 9: per terminal state, the states that have no way to it."""
    graph = life.graph
    free = set(life.wildcard_targets)
    terminals = [name for name in life.terminal if name not in free]
    if len(terminals) * (len(life.names) + len(life.edges)) > STEPS_MAX:
        yield warned(
            f"{len(terminals)} terminal states: which states can reach which is not examined"
        )
        return
    sinks = set(life.sinks)
    for name in terminals:
        able = graph.backward([graph.index[name]])
        lost = [s for s in members(graph.reachable) if not able[s] and s not in sinks]
        if lost:
            names = sorted(life.names[s] for s in lost)
            yield warned(f"states {listed(names)} cannot reach terminal '{name}'")
