"""The examples on etcd: they answer as on one node, whoever dies, and pass their own tests."""

from __future__ import annotations

import io
import random
import re
from collections.abc import Sequence
from inspect import iscoroutinefunction
from pathlib import Path
from typing import Any

import pytest
import trio
from etcd_apps import ROOT, nodes, program, run
from etcd_members import Members, needs_etcd

from somart import App, Cell, ProgramSpec, SomaError
from somart.engines.standalone import StandaloneEngine
from somart.errors import NO_QUORUM
from somart.tests_runner import _Runner

pytestmark = [pytest.mark.slow, needs_etcd]

Session = list[tuple[str, list[Any]]]
PRICING: Session = [
    ("book_trade", [{"id": "T1", "symbol": "ACME", "quantity": 100, "price": 40.0}]),
    ("book_trade", [{"id": "T1", "symbol": "ACME"}]),
    ("book_trade", [{"id": "T2", "symbol": "ACME", "quantity": 5, "price": 41.0}]),
    ("trade", ["T9"]),
    ("confirm", ["T1"]),
    ("execute", ["T1"]),
    ("cancel", ["T1"]),
    ("reject", ["T1"]),
    ("retry", ["T1"]),
    ("settle", ["T1"]),
    ("confirm", ["T9"]),
    ("trade", ["T1"]),
    ("revalue", []),
    ("risk", []),
    ("blotter", []),
    ("freeze", []),
    ("trade", ["T2"]),
]
INVENTORY: Session = [
    ("receive", ["tea", 10]),
    ("reserve", ["O1", "tea", 4]),
    ("reserve", ["O2", "tea", 7]),
    ("order_of", ["O2"]),
    ("ship", ["O1"]),
    ("release", ["O1"]),
    ("reserve", ["O3", "tea", 6]),
    ("release", ["O3"]),
    ("report", []),
]
CELLS = {"pricing": "PricingEngine", "inventory": "Inventory", "scaled": "Inventory"}
SESSIONS = {"pricing": PRICING, "inventory": INVENTORY, "scaled": INVENTORY}
NODES = {"pricing": 2, "inventory": 1, "scaled": 2}
"""Without `scale` the memory is each node's own, whatever the engine."""
SCALE = "    scale { replicas: 3  consistency: strong }\n\n"


@pytest.fixture(params=["pricing", "inventory", "scaled"])
def example(request: pytest.FixtureRequest) -> str:
    """Two examples as they are, and the inventory with a `scale` section more."""
    return str(request.param)


def example_of(name: str, folder: Path) -> ProgramSpec:
    """A compiled example."""
    if name != "scaled":
        return program(ROOT / "examples" / name / "app.cell")
    source = (ROOT / "examples" / "inventory" / "app.cell").read_text("utf-8")
    assert source.count("    state order {") == 1
    file = folder / "scaled.cell"
    file.write_text(source.replace("    state order {", SCALE + "    state order {"), "utf-8")
    return program(file)


async def answer(app: App, name: str, handler: str, args: list[Any]) -> str:
    """What a call gives, in words; repeated while etcd cannot be reached, which does nothing."""
    while True:
        try:
            found = await app.invoke(CELLS[name], handler, args)
        except SomaError as error:
            if error.kind != NO_QUORUM:
                return f"{error.kind}: {error}"
        else:
            return re.sub(r"'booked_ms': \d+", "", repr(found))
        await trio.sleep(0.05)


async def alone(spec: ProgramSpec, name: str) -> list[str]:
    """What a session gives on one node without etcd."""
    with App(spec, StandaloneEngine()) as app:
        return [await answer(app, name, *each) for each in SESSIONS[name]]


def test_an_example_gives_the_answers_that_one_node_gives(
    three: Members, example: str, tmp_path: Path
) -> None:
    spec = example_of(example, tmp_path)

    async def test() -> None:
        async with nodes(spec, three.endpoints, NODES[example]) as found:
            answers = [
                await answer(found[number % len(found)].app, example, *each)
                for number, each in enumerate(SESSIONS[example])
            ]
        assert answers == await alone(spec, example)

    run(test)


@pytest.mark.parametrize("name", ["pricing", "scaled"])
def test_it_gives_them_when_a_member_of_etcd_and_then_a_node_die(
    three: Members, name: str, tmp_path: Path
) -> None:
    spec = example_of(name, tmp_path)
    session = SESSIONS[name]
    half, late = len(session) // 3, 2 * len(session) // 3

    async def test() -> None:
        answers: list[str] = []
        async with nodes(spec, three.endpoints, 2, rotate=True) as found:
            for number, each in enumerate(session):
                if number == half:
                    await trio.to_thread.run_sync(three.kill, 0)
                if number == late:
                    found.pop(0).kill()
                answers.append(await answer(found[number % len(found)].app, name, *each))
        assert answers == await alone(spec, name)

    try:
        run(test)
    finally:
        three.mend()


# --- their own tests -----------------------------------------------------------------------------


class NodesRunner(_Runner):
    """Runs test cells on nodes that run: each check on the next one."""

    def __init__(self, apps: Sequence[App], out: io.StringIO) -> None:
        super().__init__(apps[0], out, out, random.Random(1))
        self._apps = apps

    def _call(self, cell: Cell, method: str, *args: Any) -> Any:
        app = self._apps[self.total % len(self._apps)]
        own = next(each for each in app.tests if type(each) is type(cell))
        body = getattr(own, method)
        return trio.from_thread.run(app.run, own, iscoroutinefunction(body), body, args)


def test_an_example_passes_its_own_tests(three: Members, example: str, tmp_path: Path) -> None:
    spec = example_of(example, tmp_path)

    async def test() -> None:
        out = io.StringIO()
        async with nodes(spec, three.endpoints, NODES[example]) as found:
            # the prices of the one are on the node that was told them
            apps = [node.app for node in found[: 1 if example == "pricing" else None]]
            runner = NodesRunner(apps, out)
            for cell in apps[0].tests:
                await trio.to_thread.run_sync(runner.run_cell, cell)
            assert runner.failed == 0, out.getvalue()
            assert runner.total >= 12
            reports = {"pricing": "blotter"}.get(example, "report")
            shown = [await answer(node.app, example, reports, []) for node in found]
        assert len(set(shown)) == 1 or example == "pricing"
        assert all("'T1'" in each or "'tea'" in each for each in shown)

    run(test)
