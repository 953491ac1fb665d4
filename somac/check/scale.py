"""Coherence of `scale` with memory, and what an agent should have (§4.2, §4.3)."""

from __future__ import annotations

from collections.abc import Iterator

from ..frontend import nodes as n
from ..frontend.diagnostics import Diagnostic
from ..frontend.names import nearest
from ..frontend.program import sections, slots_of
from .context import Context, error, warning


def check_scale(cell: n.Cell, context: Context) -> Iterator[Diagnostic]:
    """The shard must be a slot that can be distributed as declared."""
    for scale in sections(cell, n.Scale):
        entries = {e.key: e for e in scale.entries}
        if "shard" in entries:
            yield from _shard(cell, entries)


def _shard(cell: n.Cell, entries: dict[str, n.ScaleEntry]) -> Iterator[Diagnostic]:
    entry = entries["shard"]
    name = str(entry.value)
    slots = slots_of(cell)
    slot = slots.get(name)
    if slot is None:
        near = nearest(name, slots)
        yield error(
            "E160",
            "shard_not_found",
            f"scale: shard '{name}' is not a declared memory slot in cell '{cell.name}'",
            entry,
            f"declare slot '{name}' in cell '{cell.name}', or name one of its slots"
            + (f": `shard: {near}`" if near else ""),
        )
        return
    written = {p.name for p in slot.properties}
    consistency = entries["consistency"].value if "consistency" in entries else "strong"
    if "ephemeral" in written and consistency == "strong":
        yield error(
            "E161",
            "consistency_mismatch",
            f"scale: shard '{name}' uses [ephemeral] but scale declares consistency: strong"
            " — contradictory",
            entry,
            f"make slot '{name}' of cell '{cell.name}' `persistent`, or choose"
            " `consistency: eventual`",
        )
    if "local" in written:
        yield error(
            "E162",
            "other",
            f"scale: shard '{name}' uses [local] — a node-local slot cannot be distributed",
            entry,
            f"remove `local` from slot '{name}' of cell '{cell.name}', or shard another slot",
        )
    replicas = entries.get("replicas")
    if replicas is not None and replicas.value == 1:
        yield error(
            "E163",
            "other",
            f"scale: replicas: 1 with shard '{name}' in cell '{cell.name}'"
            " — a shard needs at least 2 replicas",
            replicas,
            f"raise `replicas` in cell '{cell.name}' to 2 or more, or remove `shard: {name}`",
        )
    if "consistent" in written and consistency == "eventual":
        yield warning(
            "W164",
            f"cell '{cell.name}' uses eventual consistency on shard '{name}'"
            " — reads after writes may return stale data",
            entry,
            f"choose `consistency: strong` in cell '{cell.name}', or drop `consistent` from"
            f" slot '{name}'",
        )


def check_agent(cell: n.Cell, context: Context) -> Iterator[Diagnostic]:
    """An agent cell should have a lifecycle that `verify` can judge."""
    if cell.kind == "agent" and not sections(cell, n.Machine):
        yield warning(
            "W170",
            f"agent cell '{cell.name}' has no state machine"
            " — add a state section for verified behavior",
            cell,
            f"add `state {cell.name.lower()} {{ initial: … }}` to agent cell '{cell.name}'",
        )
