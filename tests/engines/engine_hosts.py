"""Nodes of a program on each engine, in one process, and calls to them in turn."""

from __future__ import annotations

import itertools
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import trio
from embedded_cluster import CONFIG, embedded_nodes
from etcd_apps import nodes

from somart import App, ProgramSpec, SomaError
from somart.cluster.boot import raft_config
from somart.cluster.clocks import SystemClock
from somart.cluster.core import ClusterCore
from somart.cluster.driver import Driver
from somart.cluster.members import first_record
from somart.cluster.membership import Membership
from somart.engines.consensus import ConsensusEngine
from somart.engines.standalone import StandaloneEngine
from somart.errors import NO_QUORUM
from somart.events import Event

Host = Callable[[ProgramSpec], AbstractAsyncContextManager[Sequence[App]]]


@asynccontextmanager
async def standalone(spec: ProgramSpec) -> AsyncIterator[Sequence[App]]:
    with App(spec, StandaloneEngine()) as app:
        yield [app]


@asynccontextmanager
async def embedded(spec: ProgramSpec) -> AsyncIterator[Sequence[App]]:
    """A group of one, driven without a bus."""
    clock, rng = SystemClock(), random.Random(1)
    engine = ConsensusEngine(spec, "n0", clock=clock)
    with App(spec, engine) as app:
        membership = Membership(first_record("n0", "", "", True), CONFIG, clock, rng)
        core = ClusterCore(CONFIG, clock, rng, engine, membership)
        raft = raft_config(CONFIG)
        driver = Driver(core, engine, clock, rng, replicas=1, founder=True, raft=raft)
        driver.start()
        kicked = trio.Event()

        def kick() -> None:
            kicked.set()

        async def drive() -> None:
            nonlocal kicked
            while True:
                kicked = trio.Event()
                driver.tick()
                driver.take()
                pause = max(0, driver.next_wakeup() - clock.monotonic()) / 1000
                with trio.move_on_after(min(pause, 0.02)):
                    await kicked.wait()

        engine.wake = core.context.wake = kick
        async with trio.open_nursery() as nursery:
            nursery.start_soon(drive)
            yield [app]
            nursery.cancel_scope.cancel()


def of_three(folder: Path) -> Host:
    """Three nodes that agree among themselves, with their data on disk."""

    @asynccontextmanager
    async def host(spec: ProgramSpec) -> AsyncIterator[Sequence[App]]:
        async with embedded_nodes(spec, folder, 3) as found:
            yield [node.app for node in found]

    return host


def on_etcd(endpoints: tuple[str, ...]) -> Host:
    """Two nodes on members of etcd."""

    @asynccontextmanager
    async def host(spec: ProgramSpec) -> AsyncIterator[Sequence[App]]:
        async with nodes(spec, endpoints, 2) as found:
            yield [node.app for node in found]

    return host


class Calls:
    """Calls of handlers: each goes to the next node."""

    def __init__(self, apps: Sequence[App]) -> None:
        self.apps = apps
        self._turn = itertools.cycle(range(len(apps)))

    async def __call__(self, handler: str, *args: Any) -> Any:
        return await self.at(next(self._turn), handler, *args)

    async def at(self, index: int, handler: str, *args: Any) -> Any:
        """A call to one node, repeated while nobody leads: such a call has done nothing."""
        while True:
            try:
                return await self.apps[index].invoke("Shop", handler, list(args))
            except SomaError as error:
                if error.kind != NO_QUORUM:
                    raise
            await trio.sleep(0.02)

    async def everywhere(self, handler: str, *args: Any) -> list[Any]:
        """The same call to each node."""
        return [await self.at(index, handler, *args) for index in range(len(self.apps))]


class Heard:
    """What was emitted on a node."""

    def __init__(self, app: App) -> None:
        self.events: list[Event] = []
        app.events.attach(self)

    def offer(self, event: Event) -> bool:
        self.events.append(event)
        return True

    def close(self) -> None:
        return

    def told(self) -> list[tuple[str, tuple[Any, ...]]]:
        """The names and arguments."""
        return [(event.name, tuple(event.args)) for event in self.events]


def run(
    host: Host, spec: ProgramSpec, test: Callable[[Calls], Awaitable[None]], seconds: float = 30
) -> None:
    """Runs a test on a host, bounded in time."""

    async def bounded() -> None:
        with trio.fail_after(seconds):
            async with host(spec) as apps:
                await test(Calls(apps))

    trio.run(bounded)
