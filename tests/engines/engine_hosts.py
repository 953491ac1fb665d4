"""One node of a program on each engine, in one process."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager

import trio
from etcd_apps import nodes

from somart import App, ProgramSpec
from somart.cluster.clocks import SystemClock
from somart.cluster.config import ClusterConfig
from somart.cluster.core import ClusterCore
from somart.cluster.driver import Driver
from somart.cluster.members import first_record
from somart.cluster.membership import Membership
from somart.engines.consensus import ConsensusEngine
from somart.engines.standalone import StandaloneEngine

Host = Callable[[ProgramSpec], AbstractAsyncContextManager[App]]


@asynccontextmanager
async def standalone(spec: ProgramSpec) -> AsyncIterator[App]:
    with App(spec, StandaloneEngine()) as app:
        yield app


@asynccontextmanager
async def embedded(spec: ProgramSpec) -> AsyncIterator[App]:
    """A group of one, driven without a bus."""
    clock, rng, config = SystemClock(), random.Random(1), ClusterConfig()
    engine = ConsensusEngine(spec, "n0", clock=clock)
    with App(spec, engine) as app:
        membership = Membership(first_record("n0", "", "", True), config, clock, rng)
        core = ClusterCore(config, clock, rng, engine, membership)
        driver = Driver(core, engine, clock, rng, replicas=1, founder=True)
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
            yield app
            nursery.cancel_scope.cancel()


def on_etcd(endpoints: tuple[str, ...]) -> Host:
    """A node on members of etcd."""

    @asynccontextmanager
    async def host(spec: ProgramSpec) -> AsyncIterator[App]:
        async with nodes(spec, endpoints) as (node,):
            yield node.app

    return host
