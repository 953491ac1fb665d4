"""The user's properties of whole paths, examined on replicas that go on for ever.

`eventually`, `always`, `after … eventually` and formulas are put to the model checker once more, on
the graph of `endless`, as what one replica shows. What fails on one node is not examined again, and
what can't be examined is named. That replicas converge is examined first, whatever the user states.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from .checker import Checker
from .ctl import Formula, any_of, atom
from .endless import REPLICAS, Endless, converges, endless, product_of
from .explorer import Trace
from .lifecycle import Lifecycle
from .properties import Demand, Demands
from .replicas import taken, told
from .structure import listed
from .temporal import constraints

CONVERGE = "once calls and cuts cease, all replicas come to show the same"
LINES_MAX = 20  # of a diagram: fair cycles are long


class Prospect(NamedTuple):
    """A property as it is called in the report. `reason` says why it is not examined; `diagram`
    refutes it, and `taken` are the steps that calls take in it. Without them it holds."""

    property: str
    reason: str = ""
    diagram: tuple[str, ...] = ()
    taken: tuple[tuple[int, int], ...] = ()


def prospects(life: Lifecycle, demands: Demands, consistency: str) -> Iterator[Prospect]:
    """CONVERGE, and each property of whole paths that holds on one node, on two replicas."""
    fair = constraints(life, demands.fair)
    checker = Checker(life.graph, fair)
    wanted = [(text, formula) for d in demands.properties for text, formula in _formula(life, d)]
    wanted = [(text, formula) for text, formula in wanted if checker.holds(formula)]
    found = endless(life.graph, consistency)
    if found is None:
        for text in (CONVERGE, *(text for text, _ in wanted)):
            yield Prospect(text, "two replicas of this lifecycle have too many states")
        return
    differing = converges(*found)
    yield _judged(CONVERGE, found[0], differing)
    product = product_of(*found, [f.edges for f in fair])
    for text, formula in wanted:
        if _counts_steps(formula):
            yield Prospect(text, "EX and AX count steps, which replicas take at different times")
        else:
            at = product.refuting(formula)
            yield _judged(
                text, found[0], None if at is None else product.counter_example(formula, at)
            )


def _judged(text: str, model: Endless, against: tuple[Trace[Any], int | None] | None) -> Prospect:
    """What a trace that refutes a property shows; without one it holds."""
    if against is None:
        return Prospect(text)
    trace, loop = against
    edges = taken(action for action, _ in trace[:LINES_MAX])
    return Prospect(text, "", tuple(_diagram(model, trace, loop)), tuple(edges))


def _formula(life: Lifecycle, demand: Demand) -> Iterator[tuple[str, Formula]]:
    """The formula of a property of whole paths, behind what the report calls it."""
    among = f"state in {listed(list(demand.names))}"
    goals = any_of(demand.names)
    if demand.kind == "eventually":
        yield f"eventually({among})", Formula("AF", (goals,))
    elif demand.kind == "always":
        yield f"always(state == '{demand.names[0]}')", Formula("AG", (goals,))
    elif demand.kind == "after_eventually":
        start = life.graph.index.get(demand.start)
        if start is not None and life.graph.reachable[start]:
            then = Formula("->", (atom(demand.start), Formula("AF", (goals,))))
            yield f"after('{demand.start}', {among})", Formula("AG", (then,))
    elif demand.formula is not None:
        yield f"{demand.title}: {demand.formula}", demand.formula


def _counts_steps(formula: Formula) -> bool:
    return formula.op in ("EX", "AX") or any(map(_counts_steps, formula.args))


def _diagram(model: Endless, trace: Trace[Any], loop: int | None) -> Iterator[str]:
    """A trace in space and time, a column per replica; a lasso says where it begins again."""
    rows = [model.view(state) for _, state in trace]
    heads = [f"replica {number + 1}" for number in range(REPLICAS)]
    width = max(len(cell) for row in [heads, *rows] for cell in row) + 4
    yield "".join(head.ljust(width) for head in heads).rstrip()
    for number, ((action, _), row) in enumerate(zip(trace, rows, strict=True)):
        if number == LINES_MAX:
            yield f"… {len(rows) - number} more"
            break
        cells = "".join(cell.ljust(width) for cell in row)
        what = told(action, model.graph.names, REPLICAS) if action else "all agree"
        yield f"{cells}{what}{'; what follows happens again and again' if number == loop else ''}"
