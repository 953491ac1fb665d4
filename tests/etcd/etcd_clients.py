"""Clients of nodes on etcd: they write down what they ask for and are told (docs/histories.md)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import count
from random import Random
from typing import Any

import trio
from etcd_apps import Node

from somart import SomaError
from somart.errors import CONFLICT, NO_QUORUM
from somart.errors import UNKNOWN as NOBODY_KNOWS
from somart.simulate.histories import FAIL, OK, UNKNOWN, Call, History, freeze
from somart.simulate.judging import judge

REGISTERS, STORE, LISTS, LIVES = "registers", "store", "list transactions", "lifecycles"
INITIAL: dict[str, Any] = {REGISTERS: 0, STORE: (), LISTS: None, LIVES: "new"}
ACCOUNTS = ("p", "q", "r", "s")
EDGES = (("new", "paid"), ("new", "void"), ("paid", "sent"), ("paid", "back"), ("sent", "back"))
EPOCH = 60
"""Registers and lists change after so many calls: checking is exponential in what is unknown."""

Operation = tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class Asked:
    """A call of a handler, and what it is in the history of its model."""

    model: str
    operation: Operation
    handler: str
    args: list[Any]
    shown: Callable[[Any], Any] = freeze
    """What of the handler's result the model speaks of."""


def _read(key: str) -> Asked:
    return Asked(REGISTERS, ("read", key), "read", [key])


def _pay(one: str, other: str, amount: int) -> Asked:
    steps = (("add", one, -amount), ("add", other, amount))
    return Asked(STORE, ("transact", steps), "pay", [one, other, amount])


def _look() -> Asked:
    steps = tuple(("r", name) for name in ACCOUNTS)
    return Asked(STORE, ("transact", steps), "look", [list(ACCOUNTS)])


def _extend(key: str, element: int, other: str) -> Asked:
    steps = (("append", key, element), ("r", other))
    args = [key, element, other]
    return Asked(LISTS, ("transact", steps), "extend", args, lambda seen: (None, freeze(seen)))


def _both(key: str, other: str) -> Asked:
    return Asked(LISTS, ("transact", (("r", key), ("r", other))), "both", [key, other])


@dataclass
class Clients:
    """They call nodes that live, one call each at a time, as many calls as they are allowed."""

    nodes: list[Node]
    rng: Random = field(default_factory=lambda: Random(1))
    calls: dict[str, list[Call]] = field(default_factory=lambda: {name: [] for name in INITIAL})
    answered: int = 0
    allowed: int = 0
    _number: int = 0
    _processes: count[int] = field(default_factory=count)
    _seen: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._give, self._take = trio.open_memory_channel[None](10_000)

    def allow(self, number: int) -> None:
        """So many calls more."""
        self.allowed += number
        for _ in range(number):
            self._give.send_nowait(None)

    async def run(self, home: int) -> None:
        """One client after the other, at one node as long as that lives."""
        process = next(self._processes)
        async for _ in self._take:
            node = self.nodes[home % len(self.nodes)]
            if not await self._one(process, node, self._next()):
                process = next(self._processes)

    def _next(self) -> Asked:
        rng, n = self.rng, self._number + 1
        self._number = n
        epoch = n // EPOCH
        match rng.randrange(8):
            case 0:
                return _read(f"{rng.choice('xy')}{epoch}")
            case 1:
                key = f"{rng.choice('xy')}{epoch}"
                return Asked(REGISTERS, ("write", key, n), "write", [key, n])
            case 2:
                key = f"{rng.choice('xy')}{epoch}"
                old = self._seen.get(key, 0)
                return Asked(REGISTERS, ("cas", key, old, n), "cas", [key, old, n])
            case 3:
                return _look()
            case 4:
                one, other = rng.sample(ACCOUNTS, 2)
                return _pay(one, other, rng.randrange(1, 9))
            case 5:
                one, other = rng.sample("uvw", 2)
                return _extend(f"{one}{epoch}", n, f"{other}{epoch}")
            case 6:
                one, other = rng.sample("uvw", 2)
                return _both(f"{one}{epoch}", f"{other}{epoch}")
        id, (source, target) = f"i{n // 30}", rng.choice(EDGES)
        if rng.random() < 0.3:
            return Asked(LIVES, ("status", id), "status", [id])
        return Asked(LIVES, ("move", id, source, target), "move", [id, source, target])

    async def _one(self, process: int, node: Node, asked: Asked) -> bool:
        """Whether the client has learned what became of its call."""
        began, outcome, result = _now(), UNKNOWN, None
        try:
            given = await node.app.invoke("Records", asked.handler, asked.args)
            outcome, result = OK, asked.shown(given)
        except SomaError as error:
            if error.kind in (CONFLICT, NO_QUORUM):
                outcome = FAIL
            elif error.kind != NOBODY_KNOWS:
                raise
        if node.killed:  # its answer has reached nobody
            outcome, result = UNKNOWN, None
        if outcome == OK:
            self._note(asked.operation, result)
        ended = None if outcome == UNKNOWN else _now()
        self.calls[asked.model].append(
            Call(process, asked.operation, began, ended, outcome, result)
        )
        self.answered += 1
        return outcome != UNKNOWN

    def _note(self, operation: Operation, result: Any) -> None:
        """Remembers what a register holds, so that a comparison with it has a chance."""
        match operation:
            case ("read", key):
                self._seen[key] = result
            case ("write", key, value):
                self._seen[key] = value
            case ("cas", key, _, new) if result:
                self._seen[key] = new

    async def read_all(self, node: Node) -> None:
        """Reads everything, so that what is lost is missed."""
        process = next(self._processes)
        await self._one(process, node, _look())
        for epoch in range(self._number // EPOCH + 1):
            for key in "xy":
                await self._one(process, node, _read(f"{key}{epoch}"))
            await self._one(process, node, _both(f"u{epoch}", f"v{epoch}"))
            await self._one(process, node, _both(f"w{epoch}", f"u{epoch}"))

    def outcomes(self) -> dict[str, int]:
        """How many calls ended in which way."""
        ends = [call.outcome for calls in self.calls.values() for call in calls]
        return {each: ends.count(each) for each in (OK, FAIL, UNKNOWN)}

    def judge(self) -> None:
        """Raises AssertionError when no order explains what the clients were told."""
        for model, calls in self.calls.items():
            ordered = tuple(sorted(calls, key=lambda call: call.began))
            wrong = judge(History(model, ordered, INITIAL[model]))
            assert not wrong, f"{model}: {wrong[0]}"
        for call in self.calls[STORE]:
            if call.outcome == OK and len(call.result) == len(ACCOUNTS):
                assert sum(call.result) == 0, f"money came from nowhere: {call}"


def _now() -> int:
    return int(trio.current_time() * 1_000_000)
