"""What the lines of §5.8 leave out: they are the paper's, and say the same of all cells."""

from __future__ import annotations

from collections.abc import Iterator

from ..frontend import nodes as n
from ..frontend.program import sections
from .distribution import Delivers, Plan, plan_of


def notes_on(cell: n.Cell, delivers: Delivers) -> Iterator[str]:
    """How what the lines of a cell promise is kept, on several replicas."""
    found = sections(cell, n.Scale)
    if not found:
        return
    plan = plan_of(found[-1])
    if plan.replicas <= 1:
        return
    name = f"cell '{cell.name}'"
    if delivers("leader") and (text := _schedule(cell, plan)):
        yield f"{name}: {text}"
    if delivers("replication") and plan.tolerance > 0 and plan.consistency != "strong":
        yield (
            f"{name}: under `consistency: {plan.consistency}` a node acknowledges a write before"
            " it has told the others: one that dies for ever before that takes it along;"
            " `consistency: strong` would wait for a majority"
        )


def _schedule(cell: n.Cell, plan: Plan) -> str | None:
    """Which node runs the blocks of a cell: the line says "lowest node ID", and nothing of `after`
    and of partitions."""
    kinds = [
        name for name, kind in (("every", n.Every), ("after", n.After)) if sections(cell, kind)
    ]
    if not kinds:
        return None
    who = " and ".join(f"`{kind}`" for kind in kinds)
    run = "run" if len(kinds) > 1 else "runs"
    if plan.consistency == "strong":
        return (
            f"{who} {run} on the leader of the log, whichever node that is: what is due takes"
            " effect once, in a partition, too"
        )
    return (
        f"{who} {run} on the lowest live id in a node's own view: in a partition on each side;"
        " with `consistency: strong` what is due would take effect once"
    )
