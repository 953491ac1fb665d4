"""What all nodes of a cluster must agree on: slots that travel, lifecycles, scale.

Handlers may differ, so that a cluster can be upgraded node by node.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from .handshake import DIGESTS_MAX, Hello

if TYPE_CHECKING:
    from ..cell import Cell
    from ..spec import ProgramSpec

ITSELF = "it is this node itself"
_DIGEST_CHARS = 16
_SHOWN = 3
_NODE_LOCAL = frozenset({"ephemeral", "local"})


def digests_of(spec: ProgramSpec) -> dict[str, str]:
    """A digest per slot, lifecycle and scale of the cells that spread over nodes, by what it is."""
    found: dict[str, str] = {}
    for cell in spec.all_cells:
        if cell.soma_scale is not None:
            found.update(_digests_of_cell(cell))
    if len(found) > DIGESTS_MAX:
        return {"memory and lifecycles": _digest(sorted(found.items()))}
    return found


def _digests_of_cell(cell: type[Cell]) -> dict[str, str]:
    path = cell.soma_path or cell.soma_name
    scale: Any = cell.soma_scale
    found = {
        f"scale of {path}": _digest(
            [scale.shard, scale.consistency, scale.replicas, scale.tolerance]
        )
    }
    for slot in cell.soma_slots.values():
        props = sorted([prop.name, *map(str, prop.args)] for prop in slot.props)
        if not any(prop[0] in _NODE_LOCAL for prop in props):
            found[f"slot {slot.name} of {path}"] = _digest([slot.type_text, props])
    for machine in cell.soma_machines.values():
        arrows = [[arrow.source, arrow.target] for arrow in machine.arrows]
        found[f"lifecycle {machine.name} of {path}"] = _digest([machine.initial, arrows])
    return found


def _digest(what: Any) -> str:
    text = json.dumps(what, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:_DIGEST_CHARS]


def difference(mine: Mapping[str, str], theirs: Mapping[str, str]) -> str | None:
    """What two programs do not agree on, as a phrase; None when they fit."""
    names = sorted({*mine, *theirs})
    found = [_compared(name, mine, theirs) for name in names if mine.get(name) != theirs.get(name)]
    if not found:
        return None
    more = f" and {len(found) - _SHOWN} more" if len(found) > _SHOWN else ""
    return "; ".join(found[:_SHOWN]) + more


def _compared(name: str, mine: Mapping[str, str], theirs: Mapping[str, str]) -> str:
    if name not in theirs:
        return f"{name} is missing there"
    return f"{name} is missing here" if name not in mine else f"{name} differs"


def unwelcome(me: Hello, peer: Hello) -> str | None:
    """Why a node must not be a peer of this one, as a sentence for the log; None if it may."""
    if peer.id == me.id:
        if peer.instance == me.instance:
            return ITSELF
        return f"another process has the id '{me.id}' of this node"
    if me.cluster and peer.cluster and me.cluster != peer.cluster:
        return f"it belongs to the cluster {peer.cluster}, this node to {me.cluster}"
    differs = difference(me.digests, peer.digests)
    if differs is None:
        return None
    return f"'{peer.id}' runs a program that does not fit this node's: {differs}"
