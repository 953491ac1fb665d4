"""What all nodes of a cluster must agree on: slots that travel, lifecycles, scale.

Handlers may differ, and one program may add to the other, so that a cluster can be upgraded node
by node.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from .handshake import DIGESTS_MAX, Hello
from .placement import STRONG

if TYPE_CHECKING:
    from ..cell import Cell
    from ..spec import ProgramSpec

ITSELF = "it is this node itself"
_DIGEST_CHARS = 16
_SHOWN = 3
_NAME_CHARS = 200
CONSENSUS = "consensus"
"""Whether any cell is strong. A cluster without a log does not get one later."""
ENCRYPTED = "encrypted "
"""Begins the names of slots that a node that does not know them would store as plain text."""
_NODE_LOCAL = frozenset({"ephemeral", "local"})


def digests_of(spec: ProgramSpec) -> dict[str, str]:
    """A digest for each slot, lifecycle, arrow and scale of the cells that spread over nodes, by
    what it is."""
    found: dict[str, str] = {}
    for cell in spec.all_cells:
        if cell.soma_scale is not None:
            found.update(_digests_of_cell(cell))
            if cell.soma_scale.consistency == STRONG:
                found[CONSENSUS] = ""
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
        names = {prop[0] for prop in props}
        if not names & _NODE_LOCAL:
            sealed = ENCRYPTED if "encrypted" in names else ""
            found[f"{sealed}slot {slot.name} of {path}"] = _digest([slot.type_text, props])
    for machine in cell.soma_machines.values():
        lifecycle = f"lifecycle {machine.name} of {path}"
        found[lifecycle] = _digest([machine.initial])
        for arrow in machine.arrows:
            found[_short(f"arrow {arrow.source} -> {arrow.target} of {lifecycle}")] = ""
    return found


def _short(name: str) -> str:
    """Names travel, and are bounded."""
    return name if len(name) <= _NAME_CHARS else f"{name[:_NAME_CHARS]}~{_digest(name)}"


def _digest(what: Any) -> str:
    text = json.dumps(what, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:_DIGEST_CHARS]


def difference(mine: Mapping[str, str], theirs: Mapping[str, str]) -> str | None:
    """What two programs do not agree on, as a phrase; None when they fit.

    One may have more than the other, so that a compatible change can be rolled out node by node:
    slots, lifecycles, arrows and cells that have been added. What both have must be the same.
    """
    names = sorted({*mine, *theirs})
    found = [name for name in names if mine.get(name) != theirs.get(name)]
    if not found or (_extends(mine, theirs) or _extends(theirs, mine)):
        return None
    more = f" and {len(found) - _SHOWN} more" if len(found) > _SHOWN else ""
    return "; ".join(_compared(name, mine, theirs) for name in found[:_SHOWN]) + more


def _extends(newer: Mapping[str, str], older: Mapping[str, str]) -> bool:
    """Whether all of one program is in another, and what that adds may come while others run."""
    return (
        bool(older)
        and all(newer.get(name) == digest for name, digest in older.items())
        and not any(
            name == CONSENSUS or name.startswith(ENCRYPTED) for name in newer if name not in older
        )
    )


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
