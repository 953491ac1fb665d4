"""Programs on the etcd engine, several nodes of them in one process."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import trio

from somac.codegen import generate, load_in_memory
from somac.frontend.load import load_text
from somac.manifest import Manifest
from somart import App, ProgramSpec
from somart.engines.etcd.engine import EtcdEngine
from somart.engines.etcd.order import Times
from somart.engines.etcd.settings import EtcdOptions, endpoint_of

ROOT = Path(__file__).resolve().parents[2]
_prefixes = itertools.count(1)

BANK = """
cell Bank {
    memory {
        accounts: Map<String, Int> [persistent, consistent]
        history: List<String> [persistent]
        brief: Map<String, Int> [ttl(300)]
        seen: Map<String, Int> [persistent, local]
    }
    state case { initial: open  open -> closed  open -> lost }
    scale { replicas: 3  consistency: strong }

    on put(name: String, amount: Int) { accounts.set(name, amount) }
    on get(name: String) { accounts.get(name) ?? 0 }
    on add(name: String, amount: Int) {
        accounts.set(name, (accounts.get(name) ?? 0) + amount)
        seen.set(name, (seen.get(name) ?? 0) + 1)
        accounts.get(name)
    }
    on move(from: String, to: String, amount: Int) {
        require (accounts.get(from) ?? 0) >= amount else "not enough"
        accounts.set(from, accounts.get(from) - amount)
        accounts.set(to, (accounts.get(to) ?? 0) + amount)
    }
    on open_if_fewer(name: String, most: Int) {
        if accounts.len < most { accounts.set(name, 1) }
        accounts.len
    }
    on total() { accounts.values |> reduce(0, p => p.acc + p.val) }
    on names() { accounts.keys }
    on remove(name: String) { accounts.delete(name) }
    on note(text: String) { history.append(text) }
    on notes() { history.list }
    on finish(id: String, to: String) { transition(id, to) }
    on state_of(id: String) { get_status(id) }
    on fill(count: Int) { for i in range(0, count) { accounts.set("k{i}", i) } }
    on wide(text: String) { history.append(text) }
    on shortly(name: String) { brief.set(name, 1) }
    on short_ones() { brief.len }
    on number() { next_id() }
    on visits(name: String) { seen.get(name) ?? 0 }
}
"""


def program(path: Path) -> ProgramSpec:
    """A compiled program, in memory."""
    loaded = load_text(path.read_text(encoding="utf-8"), path.name)
    assert loaded.program is not None, loaded.diagnostics
    return load_in_memory(generate(loaded.program, Manifest(), runtime="somart"))


def bank(folder: Path) -> ProgramSpec:
    """The program of most tests."""
    file = folder / "bank.cell"
    file.write_text(BANK, encoding="utf-8")
    return program(file)


def fresh_prefix() -> str:
    """A place in etcd that no other test uses."""
    return f"/soma/test-{next(_prefixes)}/"


def run(test: Callable[[], Awaitable[None]], seconds: float = 30) -> None:
    """Runs a test under trio, bounded in time."""

    async def bounded() -> None:
        with trio.fail_after(seconds):
            await test()

    trio.run(bounded)


async def until(condition: Callable[[], bool]) -> None:
    """Waits for a condition; whoever calls sets the bound."""
    while True:
        if condition():
            return
        await trio.sleep(0.01)


@dataclass
class Node:
    app: App
    engine: EtcdEngine
    scope: trio.CancelScope
    notes: list[str]
    killed: bool = False

    def stop(self) -> None:
        """As if the process had ended: nothing goes out any more, except the end of the lease."""
        self.scope.cancel()

    def kill(self) -> None:
        """As if the process had been killed: its lease runs out by itself."""
        self.killed = True
        self.engine.session.lost(self.engine.session.lease)
        self.scope.cancel()


@asynccontextmanager
async def nodes(
    spec: ProgramSpec,
    endpoints: tuple[str, ...],
    number: int = 1,
    prefix: str | None = None,
    times: Times | None = None,
    folder: Path | None = None,
    rotate: bool = False,
    first: int = 0,
    access: EtcdOptions | None = None,
    wait: bool = True,
) -> AsyncIterator[list[Node]]:
    """Some nodes of a program, named by numbers from `first` on; with `wait`, once they have loaded
    what etcd has; with `rotate` they begin with different members, with the files and the user of
    `access`."""
    listed = tuple(endpoint_of(one) for one in endpoints)
    place = prefix or fresh_prefix()
    found: list[Node] = []
    async with trio.open_nursery() as nursery:
        for index in range(first, first + number):
            notes: list[str] = []
            by = index % len(listed) if rotate else 0
            turned = listed[by:] + listed[:by]
            options = replace(access or EtcdOptions(), endpoints=turned, prefix=place)
            data = None if folder is None else folder / f"data{index}"
            engine = EtcdEngine(
                spec, f"n{index}", data, etcd=options, note=notes.append, times=times
            )
            app = App(spec, engine)
            scope = await nursery.start(_run, engine)
            found.append(Node(app, engine, scope, notes))
        for node in found if wait else ():
            with trio.fail_after(5):
                await until(lambda node=node: not node.engine.unready())
        try:
            yield found
        finally:
            nursery.cancel_scope.cancel()
            for node in found:
                node.app.close()


async def _run(engine: EtcdEngine, task_status: trio.TaskStatus[trio.CancelScope]) -> None:
    with trio.CancelScope() as scope:
        task_status.started(scope)
        await engine.run()
