"""The backup of a running node: its memory at one commit, and ids that nobody has used."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import TYPE_CHECKING

import trio

from ..backup import Copy
from ..engines.cluster import ClusterEngine
from ..engines.remote import answered
from ..engines.standalone import StandaloneEngine

if TYPE_CHECKING:
    from ..engines.base import Engine
    from ..spec import ProgramSpec
    from .ids import Ids

BACKUP = "backup"
"""The command of operators that asks for a backup, or the next piece of it."""

KEEPER_SECONDS = 3.0
"""For the keeper of the ids to hand out a block."""

ID_GAP = 1 << 20
"""Ids that are skipped after those known here, when their keeper cannot be asked: more than all
blocks together that others have got meanwhile."""

_POLL_SECONDS = 0.02


async def backup_of(spec: ProgramSpec, engine: Engine, node: str) -> Iterator[bytes]:
    """The pieces of a backup, once all that is in it is durable. Raises SomaError, also when
    nobody answers for a part of a sharded slot."""
    assert isinstance(engine, StandaloneEngine)
    copy = Copy(spec, engine, node)
    if isinstance(engine, ClusterEngine):
        await _fetch_shards(engine, copy)
        known = set(engine.ids.counters)
        for name in copy.counters:
            if name in known:
                copy.ids[name] = await _highest_id(engine.ids, name)
    await engine.wait_durable(copy.ticket)
    return copy.chunks()


async def _fetch_shards(engine: ClusterEngine, copy: Copy) -> None:
    """What of sharded slots lies on other nodes only, as it is a moment later."""
    remote = engine.remote
    for part in copy.parts:
        name = part.table.name
        if remote is not None and engine.sharded(part.table) and not remote.whole(name):
            part.take(await answered(partial(remote.entries, name, True), engine.waiter))


async def _highest_id(ids: Ids, name: str) -> int:
    """The last id that may have been used anywhere when the memory was copied: what a block begins
    with that comes later was nobody's then."""
    highest = ids.highest(name)
    if highest is not None:
        return highest
    before = ids.blocks_end(name)
    ids.fetch_block(name)
    ids.wake()
    with trio.move_on_after(KEEPER_SECONDS):
        while ids.blocks_end(name) == before:  # noqa: ASYNC110 — the ids know no event loop
            await trio.sleep(_POLL_SECONDS)
        return ids.blocks_end(name)
    return before + ID_GAP
