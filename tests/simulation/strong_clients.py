"""Clients of strong cells: what they were told is judged as a history, whole."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from random import Random
from typing import Any

from bundled import PER_KEY, Asking, Choice

from somart.consensus.service import ServiceConfig
from somart.simulate import histories
from somart.simulate.cluster_checks import has_majority
from somart.simulate.histories import Call, History, freeze
from somart.simulate.history import ERROR, OK, UNKNOWN, Operation
from somart.simulate.judging import judge
from somart.simulate.machine import Machine
from somart.simulate.member import Member
from somart.values import Value

SHORT_LOG = ServiceConfig(log_entries=40, kept_entries=10)
"""Logs that are cut every now and then, so that who was away needs a snapshot."""
OUTCOMES = {OK: histories.OK, ERROR: histories.FAIL, UNKNOWN: histories.UNKNOWN}


def call_of(operation: Operation, steps: tuple[Any, ...], result: Any) -> Call:
    """A client's call as the checkers see it."""
    ended = operation.ended if operation.ended >= 0 else None
    outcome = OUTCOMES[operation.status]
    kept = freeze(result) if operation.status == OK else None
    return Call(operation.number, steps, operation.began, ended, outcome, kept)


class StrongClients(Asking):
    """All replicas are equal in the end, and the histories have an explanation."""

    def __init__(self) -> None:
        super().__init__()
        self._judged = False

    def judgement(self) -> Iterable[str]:
        """What is wrong with what clients were told, known once all have been answered."""
        return ()

    def verdict(self) -> Sequence[str]:
        wrong = list(super().verdict()) or self.unequal() or self.last_answers()
        if not wrong and not self._judged:
            self._judged = True
            for text in self.judgement():
                self.simulation.fail(text)
        return wrong

    def unequal(self) -> list[str]:
        """Members with another state than the first one."""
        states = {m.id: sorted(map(repr, m.engine.strong.dump())) for m in self.processes()}
        first = next(iter(states))
        return [
            f"replicas differ: {first} and {id}" for id in states if states[id] != states[first]
        ]

    def may_wipe(self, machine: Machine) -> bool:
        """A voter may go when the others know all that it does, and all votes are theirs."""
        victim = machine.process
        staying = [other for other in self.processes() if not other.machine.stopping]
        others = [other for other in staying if other is not victim]
        if not isinstance(victim, Member) or victim.engine.service is None:
            return False
        voters = victim.engine.service.raft.configuration.members()
        return len(others) == len(self.simulation.present()) - 1 and all(
            other.engine.idle
            and other.engine.origin in voters
            and other.engine.service.raft.configuration.members() == voters
            and has_majority(other, others)
            and other.engine.service.raft.log.last == victim.engine.service.raft.log.last
            for other in others
        )


class Strong(StrongClients):
    """All nodes together behave as one register per key and one journal."""

    name = "strong"
    service = SHORT_LOG

    def choose(self, rng: Random, number: int) -> Choice:
        handler = self.pick(rng, {"write": 4, "read": 6, "swap": 6, "note": 2, "notes": 1})
        key = f"k{number // (2 * PER_KEY)}"
        before = [o.args[-1] for o in self.operations[-4:] if o.handler in ("write", "swap")]
        args: dict[str, tuple[Value, ...]] = {
            "write": (key, number),
            "read": (key,),
            "swap": (key, rng.choice([*before, 0]), number),
            "note": (number,),
            "notes": (),
        }
        return "Strong", handler, args[handler]

    def questions(self) -> Iterable[tuple[str, tuple[Value, ...]]]:
        keys = sorted({o.args[0] for o in self.operations if o.handler in ("write", "swap")})
        return [("notes", ()), *(("read", (key,)) for key in keys)]

    def judgement(self) -> Iterable[str]:
        yield from judge(History("registers", tuple(self._register_calls()), 0))
        yield from self._records()

    def _register_calls(self) -> Iterable[Call]:
        for o in self.operations:
            if o.handler in ("write", "read", "swap"):
                name = "cas" if o.handler == "swap" else o.handler
                yield call_of(o, (name, *o.args), None if o.handler == "write" else o.result)

    def _records(self) -> list[str]:
        """Every acknowledged record is there once, and whoever looked saw a beginning of it all."""
        kept = next(o.result for o in reversed(self.operations) if o.handler == "notes")
        promised = {o.args[0] for o in self.results("note")}
        wrong = [f"lost record: {number}" for number in sorted(promised - set(kept))]
        if len(set(kept)) < len(kept):
            wrong.append(f"repeated record: {kept}")
        seen = [o for o in self.results("notes") if o.result != kept[: len(o.result)]]
        return wrong + [f"order: {o} is no beginning of {kept}" for o in seen]


EDGES = (("new", "paid"), ("new", "void"), ("paid", "sent"), ("paid", "back"), ("sent", "back"))


class Bank(StrongClients):
    """Transfers between accounts, lists that grow together, orders that take one way out of each
    state, and a set whose keys are read as a whole."""

    name = "bank"
    service = SHORT_LOG

    def choose(self, rng: Random, number: int) -> Choice:
        handler = self.pick(
            rng,
            {"transfer": 7, "balances": 3, "total": 2, "weave": 6, "peek": 2, "move": 6}
            | {"status": 2, "put": 2, "remove": 1, "has": 1, "keys": 1},
        )
        window = number // (3 * PER_KEY)
        some = rng.sample(range(3), 2)
        first, second = (f"{window}-{one}" for one in some)
        order, tag = f"{number // PER_KEY}", f"t{rng.randrange(4)}"
        args: dict[str, tuple[Value, ...]] = {
            "transfer": (first, second, rng.randint(1, 9)),
            "balances": tuple(f"{window}-{one}" for one in range(3)),
            "weave": (first, second, number),
            "peek": (first, second),
            "move": (order, *rng.choice(EDGES)),
            "status": (order,),
        }
        plain: tuple[Value, ...] = () if handler in ("total", "keys") else (tag,)
        return "Bank", handler, args.get(handler, plain)

    def questions(self) -> Iterable[tuple[str, tuple[Value, ...]]]:
        last = max((o.number for o in self.operations), default=0) // (3 * PER_KEY)
        yield from [("total", ()), ("keys", ())]
        for window in range(last + 1):
            yield "balances", tuple(f"{window}-{one}" for one in range(3))
            yield "peek", (f"{window}-0", f"{window}-1")
            yield "peek", (f"{window}-2", f"{window}-1")

    def judgement(self) -> Iterable[str]:
        for history in self.histories():
            for wrong in judge(history):
                yield f"{history.model}: {wrong}"
        for o in self.results("total"):
            if o.result != 0:
                yield f"money made or lost: {o}"

    def histories(self) -> Iterable[History]:
        """One of each model; accounts that are never touched together have each their own."""
        accounts: dict[str, list[Call]] = {}
        for o in self.operations:
            if o.handler in ("transfer", "balances"):
                call = call_of(o, ("transact", _transaction(o)), o.result)
                accounts.setdefault(str(o.args[0]).partition("-")[0], []).append(call)
        for calls in accounts.values():
            yield History("store", tuple(calls), ())
        yield History("list transactions", tuple(self._list_calls()))
        lives = (o for o in self.operations if o.handler in ("move", "status"))
        moves = [call_of(o, (o.handler, *o.args), o.result) for o in lives]
        yield History("lifecycles", tuple(moves), "new")
        yield History("key sets", tuple(self._set_calls()), ())

    def _list_calls(self) -> Iterable[Call]:
        for o in self.operations:
            if o.handler not in ("weave", "peek"):
                continue
            first, second, *value = o.args
            steps: list[Any] = [("r", first), ("r", second)]
            given = [o.result["first"], o.result["second"]] if o.status == OK else None
            if value:
                steps.insert(1, ("append", second, *value))
                if given is not None:
                    given.insert(1, None)
            yield call_of(o, ("transact", tuple(steps)), given)

    def _set_calls(self) -> Iterable[Call]:
        for o in self.operations:
            if o.handler in ("put", "remove", "has", "keys"):
                name = "add" if o.handler == "put" else o.handler
                yield call_of(o, (name, "tags", *o.args), o.result)


def _transaction(operation: Operation) -> tuple[Any, ...]:
    if operation.handler == "balances":
        return tuple(("r", account) for account in operation.args)
    source, target, amount = operation.args
    return ("add", source, -amount), ("add", target, amount)
