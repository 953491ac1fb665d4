"""The paper's number: fifty production nodes of the pricing example, in virtual time.

With 24 of them dead trades are booked and confirmed; with 25 dead every write is refused, and
surely has not happened; healed they go on, and every node has every trade that was acknowledged.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from random import Random
from typing import Any

from programs import compiled
from scripted import Stage

from somart.simulate.history import ERROR, OK, UNKNOWN, Operation
from somart.simulate.machine import Machine

PRICING = Path(__file__).parents[2] / "examples" / "pricing" / "app.cell"
NODES = 50
REFUSED = "refused"


def what(operation: Operation) -> str:
    """How a call ended: ok, unknown (504), or refused for certain for want of a quorum (503)."""
    refused = operation.status == ERROR and str(operation.result).startswith("no quorum")
    return REFUSED if refused else operation.status


class Desk:
    """Clients who book trades and confirm them, on nodes that are up, and note what they heard."""

    def __init__(self, stage: Stage) -> None:
        self.stage = stage
        self.rng: Random = stage.world.stream("desk")
        self.bookings: dict[str, Operation] = {}
        self.confirmations: dict[str, Operation] = {}

    def book(self) -> Operation:
        name = f"T{len(self.bookings)}"
        data = {"id": name, "symbol": self.rng.choice("AB"), "quantity": 10, "price": 2.5}
        self.bookings[name] = call = self.stage.call(self._somewhere(), "book_trade", data)
        return call

    def confirm(self, trade: str) -> Operation:
        self.confirmations[trade] = call = self.stage.call(self._somewhere(), "confirm", trade)
        return call

    def _somewhere(self) -> Machine:
        return self.rng.choice(self.stage.up)

    async def work(self, count: int) -> Counter[str]:
        """Books so many trades, and confirms some that are booked; gives how the calls ended."""
        stage, calls = self.stage, []
        for _ in range(count):
            calls.append(self.book())
            booked = [t for t, call in self.bookings.items() if call.status == OK]
            fresh = [trade for trade in booked if trade not in self.confirmations]
            if fresh and self.rng.random() < 0.5:
                calls.append(self.confirm(self.rng.choice(fresh)))
            await stage.wait(self.rng.randint(1, 60))
        await stage.until(lambda: all(call.ended >= 0 for call in calls))
        assert all(call.ended - call.began < 5_000 for call in calls), "nobody is left hanging"
        return Counter(map(what, calls))

    def owed(self, blotter: Sequence[dict[str, Any]]) -> None:
        """What a node shows must be what the clients were told."""
        shown = {trade["id"]: trade["status"] for trade in blotter}
        for trade, call in self.bookings.items():
            assert what(call) == UNKNOWN or (trade in shown) == (what(call) == OK), trade
        for trade, call in self.confirmations.items():
            if what(call) != UNKNOWN:
                assert (shown[trade] == "confirmed") == (what(call) == OK), trade


def fifty(seed: int) -> Counter[str]:
    """The whole story; gives how the calls ended while the last of the dead was not noticed."""
    told: Counter[str] = Counter()

    async def script(stage: Stage) -> None:
        await stage.until(lambda: all(len(stage.voters(m)) == NODES for m in stage.machines))
        desk = Desk(stage)
        assert set(await desk.work(20)) == {OK}
        victims = desk.rng.sample(stage.machines, 25)
        await _with_24_dead(stage, desk, victims)
        victims[24].crash(silent=desk.rng.random() < 0.5)
        told.update(await desk.work(10))
        assert OK not in told
        await _with_25_dead(stage, desk)
        await _healed(stage, desk, victims)

    spec, _ = compiled(PRICING)
    Stage(spec, NODES, seed).direct(script)
    return told


async def _with_24_dead(stage: Stage, desk: Desk, victims: Sequence[Machine]) -> None:
    for machine in victims[:24]:
        machine.crash(silent=desk.rng.random() < 0.5)
    await stage.wait(2_000)  # a leader among the dead is replaced
    assert set(await desk.work(40)) == {OK}, "26 of 50 are a quorum"


async def _with_25_dead(stage: Stage, desk: Desk) -> None:
    await stage.until(lambda: stage.leader() is None, 5_000)
    assert set(await desk.work(40)) == {REFUSED}, "25 of 50 are none"
    assert all(
        len(stage.member(m).engine.service.raft.configuration.voters) == NODES for m in stage.up
    )


async def _healed(stage: Stage, desk: Desk, victims: Sequence[Machine]) -> None:
    desk.rng.choice(victims).start()
    await stage.until(lambda: stage.leader() is not None)
    await stage.wait(2_000)
    assert set(await desk.work(20)) == {OK}, "26 again"
    for machine in victims:
        machine.start()
    await stage.wait(10_000)
    assert set(await desk.work(20)) == {OK}
    blotters = [await stage.ask(machine, "blotter") for machine in stage.machines]
    assert all(call.result == blotters[0].result for call in blotters)
    desk.owed(blotters[0].result)
