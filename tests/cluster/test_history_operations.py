"""How histories of real nodes are judged: a true store has an explanation, a false one has none."""

from __future__ import annotations

import random
from collections.abc import Callable
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
from history_operations import (
    EPOCH,
    Asked,
    Operations,
    Told,
    histories_of,
    keep,
    wrong_with,
)

from somart.simulate.histories import FAIL, OK, UNKNOWN, read_history
from somart.simulate.judging import judge

CALLS = 2 * EPOCH


class Store:
    """The handlers of `strong_histories.cell`, for one client at a time."""

    def __init__(self) -> None:
        self.registers: dict[str, int] = {}
        self.accounts: dict[str, dict[str, Any]] = {}
        self.lists: dict[str, list[int]] = {}
        self.states: dict[str, str] = {}

    def call(self, asked: Asked) -> Any:
        found: Any = getattr(self, asked.handler)(*asked.arguments.values())
        return found if isinstance(found, list) else {"result": found}

    def read(self, key: str) -> int:
        return self.registers.get(key, 0)

    def write(self, key: str, value: int) -> None:
        self.registers[key] = value

    def cas(self, key: str, old: int, new: int) -> bool:
        if self.read(key) != old:
            return False
        self.registers[key] = new
        return True

    def balances(self, names: list[str]) -> list[dict[str, Any]]:
        nothing = {"balance": 0, "number": 0, "saw": None}
        return [self.accounts.get(name, nothing) for name in names]

    def transfer(self, one: str, other: str, amount: int, number: int) -> list[dict[str, Any]]:
        before = self.balances([one, other])
        saw = [account["number"] for account in before]
        for name, account, change in ((one, before[0], -amount), (other, before[1], amount)):
            balance = account["balance"] + change
            self.accounts[name] = {"balance": balance, "number": number, "saw": saw}
        return before

    def transact(self, steps: list[list[Any]]) -> list[Any]:
        given: list[Any] = []
        for what, key, *rest in steps:
            before = self.lists.get(key, [])
            given.append(before if what == "r" else None)
            self.lists[key] = before + rest
        return given

    def status(self, id: str) -> str:
        return self.states.get(id, "new")

    def move(self, id: str, source: str, target: str) -> bool:
        if self.status(id) != source:
            return False
        self.states[id] = target
        return True


Fault = Callable[[Store, Asked, int], tuple[str, Store]]
"""What a client is told of a call, and the store that answers it."""


def told_by(store: Store, fault: Fault, seed: int = 1) -> list[Told]:
    """What one client after the other is told, until everything is read at the end."""
    operations, rng, told = Operations(), random.Random(seed), list[Told]()

    def note(asked: Asked, number: int, outcome: str, store: Store) -> None:
        ended = None if outcome == UNKNOWN else 10 * number + 5
        answer = store.call(asked) if outcome == OK else None
        told.append(Told(asked, "n1", number, 10 * number, ended, outcome, answer))
        if outcome == OK:
            operations.learn(told[-1])

    for number in range(CALLS):
        asked = operations.make(rng, number + 1)
        note(asked, number, *fault(store, asked, number))
    for number, asked in enumerate(operations.everything(CALLS // EPOCH + 1), CALLS):
        note(asked, number, OK, store)
    return told


def writes(asked: Asked) -> bool:
    steps = asked.arguments.get("steps", ())
    return asked.handler in ("write", "transfer") or any(step[0] == "append" for step in steps)


def none(store: Store, asked: Asked, number: int) -> tuple[str, Store]:
    return OK, store


def silence(store: Store, asked: Asked, number: int) -> tuple[str, Store]:
    """Of a fifth of the writes nobody is told; half of these have happened."""
    if not writes(asked) or number % 5:
        return OK, store
    if number % 2:
        store.call(asked)
    return UNKNOWN, store


@pytest.mark.parametrize("fault", [none, silence])
@pytest.mark.parametrize("seed", range(5))
def test_a_true_store_has_an_explanation(fault: Fault, seed: int, tmp_path: Path) -> None:
    told = told_by(Store(), fault, seed)
    assert wrong_with(told) == []
    keep(told, tmp_path)
    for name, history in histories_of(told).items():
        lines = (tmp_path / f"{name}.jsonl").read_text(encoding="utf-8").splitlines()
        again = read_history(lines)
        assert (again.model, again.calls) == (history.model, history.calls)
        assert judge(again) == []


def test_transfers_of_which_nobody_was_told_are_known_by_what_they_left() -> None:
    told = told_by(Store(), silence)
    calls = histories_of(told)["transfers"].calls
    silent = [call for call in calls if call.outcome == UNKNOWN]
    assert {call.result is None for call in silent} == {True, False}


@pytest.mark.parametrize("handler", ["write", "transfer", "transact", "move"])
def test_a_write_that_is_lost_has_none(handler: str) -> None:
    def lost(store: Store, asked: Asked, number: int) -> tuple[str, Store]:
        forgotten = number > EPOCH and asked.handler == handler
        return OK, deepcopy(store) if forgotten else store

    assert wrong_with(told_by(Store(), lost))


@pytest.mark.parametrize("handler", ["write", "transfer", "transact"])
def test_what_has_surely_failed_and_happened_has_none(handler: str) -> None:
    def lie(store: Store, asked: Asked, number: int) -> tuple[str, Store]:
        if asked.handler != handler or not writes(asked) or number % 4:
            return OK, store
        store.call(asked)
        return FAIL, store

    assert wrong_with(told_by(Store(), lie))


def test_money_that_comes_from_nowhere_is_seen() -> None:
    def gift(store: Store, asked: Asked, number: int) -> tuple[str, Store]:
        if number % 50 == 0 and store.accounts:
            name = max(store.accounts)
            account = store.accounts[name]
            store.accounts[name] = {**account, "balance": account["balance"] + 1}
        return OK, store

    assert any("money" in text for text in wrong_with(told_by(Store(), gift)))
