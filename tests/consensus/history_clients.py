"""Clients of a simulated group: they transact, note what they were told, and are judged by it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

from service_cluster import Node, World

from somart.consensus.proposal import Key, Proposal, Row, TransactionId
from somart.consensus.service import Failure
from somart.consensus.state import Outcome
from somart.simulate.histories import FAIL, OK, UNKNOWN, Call, History
from somart.simulate.judging import judge

REGISTERS, SETS, STORE, LIVES = "registers", "key sets", "store", "lifecycles"
LISTS = "lists"
ACCOUNTS = "pqrs"
NOTHING = "0#0"
EPOCH = 120
RERUNS = 12
Operation = tuple[Any, ...]


@dataclass(slots=True)
class View:
    """What a transaction reads and writes."""

    node: Node
    keys: dict[tuple[str, Key], None] = field(default_factory=dict)
    shapes: dict[str, None] = field(default_factory=dict)
    writes: dict[tuple[str, Key], Row | None] = field(default_factory=dict)

    def get(self, table: str, key: Key, default: str) -> str:
        self.keys[table, key] = None
        row = self.node.tables.rows.get(table, {}).get(key)
        return default if row is None else row[0]

    def all_keys(self, table: str) -> list[Key]:
        self.shapes[table] = None
        return sorted(self.node.tables.rows.get(table, {}), key=str)

    def put(self, table: str, key: Key, value: object) -> None:
        self.writes[table, key] = (str(value), "text", 0, 0)


def _register(view: View, operation: Operation) -> Any:
    name, key, *rest = operation
    if name == "write":
        view.put("register", key, rest[0])
        return None
    value = int(view.get("register", key, "0"))
    if name == "read":
        return value
    if value == rest[0]:
        view.put("register", key, rest[1])
    return value == rest[0]


def _key_set(view: View, operation: Operation) -> Any:
    name, one, *rest = operation
    if name == "keys":
        return tuple(view.all_keys(one))
    inside = view.get(one, rest[0], "") != ""
    if name == "add" and not inside:
        view.put(one, rest[0], "here")
    elif name == "remove" and inside:
        view.writes[one, rest[0]] = None
    return inside if name in ("has", "remove") else not inside


def _transact(view: View, operation: Operation) -> Any:
    """Balances with a number that makes them unique, so that one sees who has read what of whom."""
    given: list[Any] = []
    for what, key, *rest in operation[1]:
        before = view.get("bank", key, NOTHING)
        given.append(before if what == "r" else None)
        if what == "w":
            amount, number = rest[0]
            view.put("bank", key, f"{_balance(before) + amount}#{number}")
    return tuple(given)


def _balance(shown: str) -> int:
    return int(shown.split("#")[0])


def _lists(view: View, operation: Operation) -> Any:
    given: list[Any] = []
    own: dict[str, str] = {}
    for what, key, *rest in operation[1]:
        before = own.get(key) or view.get("list", key, "")
        if what == "append":
            own[key] = f"{before},{rest[0]}" if before else str(rest[0])
            view.put("list", key, own[key])
            given.append(None)
        else:
            given.append(tuple(map(int, before.split(","))) if before else ())
    return tuple(given)


def _life(view: View, operation: Operation) -> Any:
    state = view.get("life", operation[1], "new")
    if operation[0] == "status":
        return state
    if state == operation[2]:
        view.put("life", operation[1], operation[3])
    return state == operation[2]


BODIES: dict[str, Callable[[View, Operation], Any]] = {
    REGISTERS: _register,
    SETS: _key_set,
    STORE: _transact,
    LISTS: _lists,
    LIVES: _life,
}
KINDS = {
    REGISTERS: ("registers", 0),
    SETS: ("key sets", ()),
    LIVES: ("lifecycles", "new"),
    LISTS: ("list transactions", None),
    STORE: ("register transactions", NOTHING),
}
EDGES = (("new", "paid"), ("new", "void"), ("paid", "sent"), ("paid", "back"), ("sent", "back"))


@dataclass(frozen=True, slots=True)
class Ending:
    """Tells what came of a call."""

    number: int
    tell: Callable[..., None]

    def __call__(self, outcome: str, result: Any = None) -> None:
        self.tell(outcome, result)


@dataclass
class Clients:
    """Calls of several clients, and what came of them."""

    world: World
    calls: dict[str, list[Call]] = field(default_factory=lambda: {name: [] for name in BODIES})
    waiting: dict[int, Callable[[], None]] = field(default_factory=dict)
    tried: dict[int, Any] = field(default_factory=dict)
    """What the proposal under way has read."""
    number: int = 0
    answered: int = 0

    def one(self, node: Node) -> None:
        """One random call of a new client."""
        rng = self.world.rng
        kind = rng.choice((REGISTERS, REGISTERS, SETS, STORE, LISTS, LIVES))
        self.start(node, kind, self._make(kind))

    @property
    def epoch(self) -> int:
        """Keys change from time to time: checking is exponential in what is unknown of one key."""
        return self.number // EPOCH

    def _make(self, kind: str) -> Operation:
        rng, n, epoch = self.world.rng, self.number + 1, self.epoch
        if kind == REGISTERS:
            key = f"{rng.choice('xy')}{epoch}"
            return rng.choice((("read", key), ("write", key, n), ("cas", key, self.seen(key), n)))
        if kind == SETS:
            what = rng.choice(("add", "remove", "has", "keys"))
            name = f"set{epoch}"
            return (what, name) if what == "keys" else (what, name, rng.choice("abc"))
        if kind == STORE:
            if rng.random() < 0.4:
                return ("transact", tuple(("r", account) for account in ACCOUNTS))
            one, other = rng.sample(ACCOUNTS, 2)
            amount = rng.randrange(1, 9)
            reads = (("r", one), ("r", other))
            return ("transact", (*reads, ("w", one, (-amount, n)), ("w", other, (amount, n))))
        if kind == LISTS:
            one, other = (f"{key}{epoch}" for key in rng.sample("uvw", 2))
            return rng.choice(
                (
                    ("transact", (("r", one), ("append", other, n))),
                    ("transact", (("append", one, n), ("append", other, n))),
                    ("transact", (("r", one), ("r", other))),
                )
            )
        instance = f"i{self.number // 40}{rng.choice('ab')}"
        if rng.random() < 0.3:
            return ("status", instance)
        return ("move", instance, *rng.choice(EDGES))

    def read_all(self, node: Node) -> None:
        """Reads everything, key by key."""
        for epoch in range(self.epoch + 1):
            lists = tuple(("r", f"{key}{epoch}") for key in "uvw")
            self.start(node, LISTS, ("transact", lists))
            for key in "xy":
                self.start(node, REGISTERS, ("read", f"{key}{epoch}"))
            self.start(node, SETS, ("keys", f"set{epoch}"))
        self.start(node, STORE, ("transact", tuple(("r", key) for key in ACCOUNTS)))

    def seen(self, key: str) -> int:
        """A value that a register may have."""
        node = self.world.rng.choice(list(self.world.nodes.values()))
        return int(node.tables.rows.get("register", {}).get(key, ("0",))[0])

    def start(self, node: Node, kind: str, operation: Operation) -> int:
        self.number += 1
        number, began = self.number, self.world.now

        def end(outcome: str, result: Any = None) -> None:
            if self.waiting.pop(number, None) is not None:
                ended = self.world.now if outcome != UNKNOWN else None
                if outcome == UNKNOWN:
                    result = self.tried.get(number)
                call = Call(number, operation, began, ended, outcome, result)
                self.calls[kind].append(call)
                self.answered += outcome == OK

        self.waiting[number] = lambda: end(UNKNOWN)
        node.on_crash.append(self.waiting[number])
        self._attempt(node, kind, operation, Ending(number, end), RERUNS)
        return number

    def _attempt(self, node: Node, kind: str, operation: Operation, end: Ending, left: int) -> None:
        world = self.world
        view = View(node)
        result = BODIES[kind](view, operation)
        if not view.writes:
            self._confirm(node, kind, operation, end, left)
            return
        self.tried[end.number] = result
        at = node.service.state.revision
        writes = tuple((table, key, row) for (table, key), row in view.writes.items())

        def make(given: TransactionId, oldest: int) -> Proposal:
            return Proposal(given, oldest, at, tuple(view.keys), tuple(view.shapes), (), writes)

        def done(answer: Outcome | Failure) -> None:
            if isinstance(answer, Failure):
                end(FAIL if answer.definite else UNKNOWN)
            elif not answer.refused:
                end(OK, result)
            elif left == 0:
                end(FAIL)
            else:
                self._again(node, kind, operation, end, left - 1)

        node.service.propose(make, done, world.now)
        node.drive()

    def _again(self, node: Node, kind: str, operation: Operation, end: Ending, left: int) -> None:
        """Later: the service calls back amid its own turn."""
        life = node.sessions

        def again() -> None:
            if node.up and node.sessions == life and end.number in self.waiting:
                self._attempt(node, kind, operation, end, left)

        self.world.later(self.world.rng.randrange(1, 30), again)

    def _confirm(self, node: Node, kind: str, operation: Operation, end: Ending, left: int) -> None:
        """What wrote nothing answers from a state that is surely recent."""

        def ready(failure: Failure | None) -> None:
            if failure is not None:
                end(FAIL)
                return
            view = View(node)
            result = BODIES[kind](view, operation)
            if not view.writes:
                end(OK, result)
            else:
                self._again(node, kind, operation, end, left)

        node.service.read(ready, self.world.now)
        node.drive()

    def finish(self) -> None:
        """Whatever has no answer now is unknown."""
        for give_up in list(self.waiting.values()):
            give_up()

    def histories(self) -> list[History]:
        """All calls, as files could hold them."""
        found = []
        for kind, (model, initial) in KINDS.items():
            calls = sorted(self.calls[kind], key=lambda call: call.began)
            if kind == STORE:
                calls = [_with_values(call) for call in calls]
            found.append(History(model, tuple(calls), initial))
        return found

    def judge(self) -> None:
        """Raises AssertionError when no order explains what the clients were told."""
        for history in self.histories():
            wrong = judge(history)
            assert not wrong, f"{history.model}: {wrong[0]}"
        for call in self.calls[STORE]:
            if call.outcome == OK and None not in call.result:
                assert sum(map(_balance, call.result)) == 0, f"money came from nowhere: {call}"


def _with_values(call: Call) -> Call:
    """What a transfer has written, as follows from what it had read."""
    steps = []
    read = {
        step[1]: given
        for step, given in zip(call.operation[1], call.result or (), strict=False)
        if step[0] == "r"
    }
    for step in call.operation[1]:
        if step[0] == "w":
            amount, number = step[2]
            before = _balance(read[step[1]]) if read else 0
            steps.append(("w", step[1], f"{before + amount}#{number}"))
        else:
            steps.append(step)
    return replace(call, operation=("transact", tuple(steps)))
