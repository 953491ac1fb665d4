"""What clients ask of `strong_histories.cell`, and the histories that their answers make.

Each operation is made at random, but keys change all the time: a checker takes exponential time
for what is unknown of one key. A written value is the number of its call, and so says who wrote it.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from somart.simulate.histories import OK, UNKNOWN, Call, History, freeze, write_history
from somart.simulate.judging import judge

REGISTERS, BANK, LISTS, LIVES = "registers", "bank", "lists", "lifecycles"
KINDS = (REGISTERS, BANK, LISTS, LIVES)
EPOCH = 120
"""Calls until other keys are used."""

EDGES = (("new", "paid"), ("new", "void"), ("paid", "sent"), ("paid", "back"), ("sent", "back"))
Steps = tuple[tuple[Any, ...], ...]


@dataclass(frozen=True, slots=True)
class Asked:
    """One call of a handler, which belongs to the history of a kind."""

    kind: str
    epoch: int
    handler: str
    arguments: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Told:
    """What came of it. `answer` is the JSON of a 200."""

    asked: Asked
    node: str
    process: int
    began: int
    ended: int | None
    outcome: str
    answer: Any = None

    @property
    def result(self) -> Any:
        """What the handler gave: what is no list or map comes in an object."""
        answer = self.answer
        return freeze(answer.get("result") if isinstance(answer, dict) else answer)


def keys(letters: str, epoch: int) -> list[str]:
    return [f"{letter}{epoch}" for letter in letters]


@dataclass
class Operations:
    """Makes operations. `seen` is what some client has read last, for what depends on it."""

    prefix: str = ""
    seen: dict[str, Any] = field(default_factory=dict)

    def make(self, rng: random.Random, number: int) -> Asked:
        """A random one; `number` is unique among all calls."""
        kind, epoch = rng.choice(KINDS), number // EPOCH
        handler, arguments = {
            REGISTERS: self._register,
            BANK: self._bank,
            LISTS: self._lists,
            LIVES: self._life,
        }[kind](rng, number, epoch)
        return Asked(kind, epoch, handler, arguments)

    def _keys(self, letters: str, epoch: int) -> list[str]:
        return [self.prefix + key for key in keys(letters, epoch)]

    def _register(self, rng: random.Random, number: int, epoch: int) -> tuple[str, dict[str, Any]]:
        key = rng.choice(self._keys("xy", epoch))
        what = rng.choice(("read", "write", "cas"))
        if what == "cas":
            return what, {"key": key, "old": self.seen.get(key, 0), "new": number}
        return what, {"key": key} if what == "read" else {"key": key, "value": number}

    def _bank(self, rng: random.Random, number: int, epoch: int) -> tuple[str, dict[str, Any]]:
        names = self._keys("pqrs", epoch)
        if rng.random() < 0.4:
            return "balances", {"names": names}
        one, other = rng.sample(names, 2)
        amount = rng.randrange(1, 9)
        return "transfer", {"one": one, "other": other, "amount": amount, "number": number}

    def _lists(self, rng: random.Random, number: int, epoch: int) -> tuple[str, dict[str, Any]]:
        one, other = rng.sample(self._keys("uvw", epoch), 2)
        steps = rng.choice(
            (
                [["r", one], ["append", other, number]],
                [["append", one, number], ["append", other, number]],
                [["r", one], ["r", other]],
            )
        )
        return "transact", {"steps": steps}

    def _life(self, rng: random.Random, number: int, epoch: int) -> tuple[str, dict[str, Any]]:
        instance = rng.choice(self._keys("ij", epoch))
        if rng.random() < 0.3:
            return "status", {"id": instance}
        ways = [edge for edge in EDGES if edge[0] == self.seen.get(instance, "new")]
        source, target = rng.choice(ways or EDGES)
        return "move", {"id": instance, "source": source, "target": target}

    def learn(self, told: Told) -> None:
        """Remembers what a client has read or written."""
        given = told.asked.arguments
        match told.asked.handler:
            case "read":
                self.seen[given["key"]] = told.result
            case "write":
                self.seen[given["key"]] = given["value"]
            case "cas" if told.result:
                self.seen[given["key"]] = given["new"]
            case "status":
                self.seen[given["id"]] = told.result
            case "move" if told.result:
                self.seen[given["id"]] = given["target"]

    def everything(self, epochs: int) -> Iterator[Asked]:
        """Reads of all that there is after so many epochs."""
        for epoch in range(epochs):
            for key in self._keys("xy", epoch):
                yield Asked(REGISTERS, epoch, "read", {"key": key})
            yield Asked(BANK, epoch, "balances", {"names": self._keys("pqrs", epoch)})
            steps = [["r", key] for key in self._keys("uvw", epoch)]
            yield Asked(LISTS, epoch, "transact", {"steps": steps})
            for key in self._keys("ij", epoch):
                yield Asked(LIVES, epoch, "status", {"id": key})


# --- histories -----------------------------------------------------------------------------------


def histories_of(told: Iterable[Told]) -> dict[str, History]:
    """All that clients were told, as histories, by names for their files."""
    calls: dict[str, list[Told]] = {kind: [] for kind in KINDS}
    for one in sorted(told, key=lambda one: one.began):
        calls[one.asked.kind].append(one)
    found = {
        "registers": History("registers", tuple(map(_plain, calls[REGISTERS])), 0),
        "lifecycles": History("lifecycles", tuple(map(_plain, calls[LIVES])), "new"),
        "lists": History("list transactions", tuple(map(_plain, calls[LISTS]))),
        "transfers": _transfers(calls[BANK]),
    }
    banks: dict[int, list[Call]] = {}
    for one in calls[BANK]:
        banks.setdefault(one.asked.epoch, []).append(_balances(one))
    found |= {f"bank-{n}": History("store", tuple(bank), ()) for n, bank in banks.items()}
    return found


def _call(told: Told, operation: tuple[Any, ...], result: Any) -> Call:
    return Call(told.process, operation, told.began, told.ended, told.outcome, result)


def _plain(told: Told) -> Call:
    """The handler and its arguments are the operation."""
    operation = freeze([told.asked.handler, *told.asked.arguments.values()])
    return _call(told, operation, told.result)


def _accounts(told: Told) -> Sequence[dict[str, Any]]:
    """The accounts as the call has read them."""
    return told.answer if told.outcome == OK else ()


def _balance(account: dict[str, Any]) -> int:
    found: int = account["balance"]
    return found


def _balances(told: Told) -> Call:
    """The bank as one object with all its balances."""
    given, steps = told.asked.arguments, ()
    if told.asked.handler == "transfer":
        amount = given["amount"]
        steps = (("add", given["one"], -amount), ("add", given["other"], amount))
    else:
        steps = tuple(("r", name) for name in given["names"])
    result = tuple(map(_balance, _accounts(told)))
    return _call(told, ("transact", steps), result or None)


def _transfers(calls: Sequence[Told]) -> History:
    """Accounts as registers that hold the number of the transfer that wrote them last. Accounts
    tell what that transfer had read, also when its client was never told."""
    saw = {
        account["number"]: freeze(account["saw"])
        for one in calls
        for account in _accounts(one)
        if account["number"]
    }
    return History("register transactions", tuple(_transfer(one, saw) for one in calls), 0)


def _transfer(told: Told, saw: dict[int, tuple[int, ...]]) -> Call:
    given = told.asked.arguments
    read = tuple(account["number"] for account in _accounts(told))
    if told.asked.handler == "balances":
        return _call(
            told, ("transact", tuple(("r", name) for name in given["names"])), read or None
        )
    one, other, number = given["one"], given["other"], given["number"]
    steps = (("r", one), ("r", other), ("w", one, number), ("w", other, number))
    if told.outcome == UNKNOWN:
        read = saw.get(number, ())
    return _call(told, ("transact", steps), (*read, None, None) if read else None)


# --- judging -------------------------------------------------------------------------------------


def wrong_with(told: Sequence[Told]) -> list[str]:
    """What nothing explains, in words; empty: all is well."""
    found = [
        f"{name}: {text}" for name, history in histories_of(told).items() for text in judge(history)
    ]
    found += [
        f"money came from nowhere, or went there: {one}"
        for one in told
        if one.asked.handler == "balances" and sum(_balance(account) for account in _accounts(one))
    ]
    return found


def keep(told: Sequence[Told], folder: Path) -> None:
    """Writes the histories to files that any checker can read."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, history in histories_of(told).items():
        lines = "\n".join(write_history(history))
        (folder / f"{name}.jsonl").write_text(f"{lines}\n", encoding="utf-8")
