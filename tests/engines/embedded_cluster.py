"""A cluster of nodes with the embedded engine in one process: production's parts, real sockets and
data directories."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from unittest.mock import patch

import trio
from etcd_apps import until

from somart import App, ProgramSpec
from somart.cluster.boot import Addresses, ClusterNode
from somart.cluster.bus import Bus
from somart.cluster.config import ClusterConfig
from somart.cluster.options import ClusterOptions
from somart.cluster.protection import Protection
from somart.options import ServeOptions

CONFIG = ClusterConfig(election_ms=300, dial_first_ms=5, dial_most_ms=50)
AUTOPILOT_MS = 20
START_SECONDS = 15


@dataclass
class EmbeddedNode:
    app: App
    member: ClusterNode
    address: str
    notes: list[str]

    def voters(self) -> int:
        """How many members vote, as this node knows."""
        service = self.member.engine.service
        return 0 if service is None else len(service.raft.configuration.voters)


async def _started(
    nursery: trio.Nursery, spec: ProgramSpec, data: Path, seeds: tuple[str, ...]
) -> EmbeddedNode:
    notes: list[str] = []
    cluster = ClusterOptions(join=seeds, config=CONFIG)
    member = ClusterNode(
        spec, ServeOptions(data=data, node_id=data.name, cluster=cluster), notes.append
    )
    app = App(spec, member.engine)
    listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
    address = f"127.0.0.1:{listeners[0].socket.getsockname()[1]}"
    driver = member.attach(Addresses(address, ""))
    bus = Bus(
        member.hello(Addresses(address, "")),
        config=CONFIG,
        protection=Protection(None),
        clock=member.clock,
        rng=member.rng,
        log=notes.append,
        core=driver,
    )
    member.run_with(bus)
    member.feed(app.events)
    nursery.start_soon(bus.run, listeners)
    nursery.start_soon(member.run)
    return EmbeddedNode(app, member, address, notes)


async def _wait(condition: Callable[[], bool]) -> None:
    with trio.fail_after(START_SECONDS):
        await until(condition)


@asynccontextmanager
async def embedded_nodes(
    spec: ProgramSpec, folder: Path, number: int
) -> AsyncIterator[list[EmbeddedNode]]:
    """Nodes that all vote. They end with the block, all at once."""
    found: list[EmbeddedNode] = []
    try:
        with patch("somart.cluster.driver.AUTOPILOT_MS", AUTOPILOT_MS):
            async with trio.open_nursery() as nursery:
                for index in range(number):
                    seeds = tuple(node.address for node in found[:1])
                    node = await _started(nursery, spec, folder / f"n{index}", seeds)
                    found.append(node)
                    await _wait(lambda node=node: not node.member.unready())
                await _wait(lambda: all(node.voters() == number for node in found))
                yield found
                nursery.cancel_scope.cancel()
    finally:  # when nothing is on its way to disk any more
        for node in found:
            node.app.close()
