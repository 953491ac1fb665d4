"""Clients of the bundled programs, who know what their answers must be."""

from __future__ import annotations

from base64 import urlsafe_b64encode
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from random import Random
from typing import Any

from msgspec import msgpack
from programs import program

from somart.cluster.causal import Causality
from somart.cluster.config import ClusterConfig
from somart.errors import SomaError
from somart.merge import joined
from somart.simulate import histories
from somart.simulate.cluster_checks import ClusterClients
from somart.simulate.faults import KINDS
from somart.simulate.histories import Call, History
from somart.simulate.history import ERROR, OK, UNKNOWN, Operation
from somart.simulate.judging import judge
from somart.simulate.machine import Machine
from somart.simulate.member import Member
from somart.simulate.simulation import Outcome, Settings, simulate
from somart.values import Value

ALL = tuple(KINDS)
Choice = tuple[str, str, Sequence[Value]]
PER_KEY = 8
"""A key is used by so many consecutive calls and then left alone."""


class Bundled(ClusterClients):
    """Clients of a program of the folder `cells`."""

    name = ""

    def __init__(self) -> None:
        spec, entries = program(self.name)
        super().__init__(spec, entries)

    def results(self, handler: str, *, status: str = OK) -> list[Operation]:
        """The calls of a handler that ended so."""
        return [o for o in self.operations if o.handler == handler and o.status == status]

    def pick(self, rng: Random, choices: dict[str, int]) -> str:
        return rng.choices(list(choices), list(choices.values()))[0]


class Registers(Bundled):
    name = "registers"

    def choose(self, rng: Random, number: int) -> Choice:
        handler = self.pick(rng, {"write": 8, "both": 4, "remove": 3, "read": 2, "size": 1})
        key = f"k{number // PER_KEY}-{rng.randrange(2)}"
        args: dict[str, tuple[Value, ...]] = {
            "write": (key, number),
            "both": (key, number),
            "size": (),
        }
        return "Registers", handler, args.get(handler, (key,))


class Counters(Bundled):
    name = "counters"

    def choose(self, rng: Random, number: int) -> Choice:
        handler = self.pick(rng, {"add": 10, "total": 2, "number": 3})
        key = f"k{number // (4 * PER_KEY)}"
        amounts = (1, 2, 10, -1, 1000)
        args = {"add": (key, rng.choice(amounts)), "total": (key,)}
        return "Counters", handler, args.get(handler, ())

    def verdict(self) -> Sequence[str]:
        return super().verdict() or self._sums()

    def _sums(self) -> list[str]:
        """Acknowledged additions count exactly; one without an answer counts or does not."""
        certain: Counter[Value] = Counter()
        open_: dict[Value, list[int]] = {}
        for operation in self.results("add"):
            certain[operation.args[0]] += operation.args[1]
        for operation in self.results("add", status=UNKNOWN):
            open_.setdefault(operation.args[0], []).append(operation.args[1])
        wrong = []
        for member in self.processes():
            table, _ = member.replicated("Counters.totals")
            for key, sum_ in certain.items():
                entry = table.entries.get(key)
                found = 0 if entry is None else entry.value
                if found - sum_ not in _subset_sums(open_.get(key, [])):
                    wrong.append(
                        f"wrong sum: {member.id} counts {found} for {key}, acknowledged were {sum_}"
                    )
        return wrong


def _subset_sums(amounts: Sequence[int]) -> set[int]:
    sums = {0}
    for amount in amounts:
        sums |= {known + amount for known in sums}
    return sums


class Logs(Bundled):
    name = "logs"

    def choose(self, rng: Random, number: int) -> Choice:
        handler = self.pick(rng, {"write": 8, "all": 1, "size": 1})
        return "Logs", handler, (f"r{number}",) if handler == "write" else ()

    def verdict(self) -> Sequence[str]:
        return super().verdict() or self._records()

    def _records(self) -> list[str]:
        """Every acknowledged record is there once, in one order on all nodes."""
        wrong = []
        promised = {operation.args[0] for operation in self.results("write")}
        orders = set()
        for member in self.processes():
            table, _ = member.replicated("Logs.records#log")
            texts = [table.entries[key].value["text"] for key in sorted(table.entries)]
            orders.add(tuple(texts))
            counts = Counter(texts)
            wrong += [
                f"repeated record: {member.id} has {n} × {text}"
                for text, n in counts.items()
                if n > 1
            ]
            wrong += [
                f"lost record: {member.id} lacks {text}"
                for text in sorted(promised - counts.keys())
            ]
        if len(orders) > 1:
            wrong.append("order: nodes have records in different orders")
        return wrong


class Sharded(Bundled):
    name = "sharded"

    def choose(self, rng: Random, number: int) -> Choice:
        handler = self.pick(rng, {"store": 10, "drop": 3, "fetch": 4, "size": 1, "every_key": 1})
        key = f"k{number // PER_KEY}-{rng.randrange(2)}"
        args: dict[str, tuple[Value, ...]] = {
            "store": (key, number),
            "size": (),
            "every_key": (),
        }
        return "Sharded", handler, args.get(handler, (key,))

    def verdict(self) -> Sequence[str]:
        return super().verdict() or self._final_reads()

    def _final_reads(self) -> list[str]:
        """Asked once all is well, every node gives the same full answer."""
        asked = [o for o in self.operations if o.number < 0]
        refused = [f"last read: {o}" for o in asked if o.status != OK]
        if refused:  # what has just been handed over may not be served yet: a client asks again
            self.operations = [o for o in self.operations if o.number >= 0]
            return refused
        if not asked:
            keys = sorted({o.args[0] for o in self.operations if o.handler == "store"})
            for machine in self.simulation.machines:
                for handler in ("size", "every_key"):
                    self._ask(machine, handler, ())
                for key in keys[-10:]:
                    self._ask(machine, "fetch", (key,))
            return ["the last answers are not there yet"]
        answers: dict[str, set[str]] = {}
        for operation in asked:
            question = f"{operation.handler}{operation.args}"
            answers.setdefault(question, set()).add(str(operation.result))
        return [f"answers differ: {question}: {a}" for question, a in answers.items() if len(a) > 1]

    def _ask(self, machine: Machine, handler: str, args: tuple[Value, ...]) -> None:
        now = self.simulation.world.now
        operation = Operation(-1, machine.name, "Sharded", handler, args, now)
        self.operations.append(operation)
        self.send(machine, operation)


class Causal(Bundled):
    """Nobody may see an answer without its post; a client sees what it has written, wherever it
    goes with its token."""

    name = "causal"
    sessions = 7

    def __init__(self) -> None:
        super().__init__()
        self.tokens: dict[int, tuple[str, frozenset[str]]] = {}

    def choose(self, rng: Random, number: int) -> Choice:
        handler = self.pick(rng, {"post": 5, "answer": 8, "orphans": 4})
        posts = [o.args[0] for o in self.operations[-40:] if o.handler == "post"]
        if handler == "answer" and posts:
            return "Wall", "answer", (f"a{number}", rng.choice(posts))
        if handler == "orphans":
            return "Wall", "orphans", ()
        return "Wall", "post", (f"p{number}",)

    def ended(self, operation: Operation) -> None:
        super().ended(operation)
        if operation.handler == "orphans" and operation.status == OK and operation.result:
            self.simulation.fail(f"effects without their causes: {operation}", operation.node)
        process = self._process(operation)
        if operation.status == OK and operation.handler == "post" and process is not None:
            session = operation.number % self.sessions
            token, before = self.tokens.get(session, ("", frozenset()))
            news = process.core.token()
            self.tokens[session] = (_both(token, news), before | {operation.args[0]})

    def _process(self, operation: Operation) -> Member | None:
        machines = self.simulation.machines
        machine = next(m for m in machines if m.name == operation.node)
        return machine.process if isinstance(machine.process, Member) else None

    def send(self, machine: Machine, operation: Operation) -> None:
        """The node first waits until it has seen what the client has, as the HTTP server does."""
        process = machine.process
        token, written = self.tokens.get(operation.number % self.sessions, ("", frozenset()))
        assert isinstance(process, Member)

        def seen(error: SomaError | None) -> None:
            if error is not None:
                operation.end(self.simulation.world.now, ERROR, str(error))
                self.ended(operation)
            elif machine.process is process:
                self._check_session(process, operation, written)
                super(Causal, self).send(machine, operation)

        machine.do(lambda _: process.core.wait_seen(token, seen))

    def _check_session(
        self, process: Member, operation: Operation, written: frozenset[str]
    ) -> None:
        found = process.replicated("Wall.posts")
        assert found is not None
        lost = sorted(written - found[0].entries.keys())
        if lost:
            text = f"session: a client with its token does not see {lost} that it wrote"
            self.simulation.fail(text, operation.node)


def _both(token: str, other: str) -> str:
    """What a client carries that has had two answers at once: neither token has the other's."""
    if not token or not other:
        return token or other
    both = joined(Causality.read_token(token), Causality.read_token(other))
    return urlsafe_b64encode(msgpack.encode(both)).decode().rstrip("=")


class Lifecycle(Bundled):
    name = "lifecycle"

    def choose(self, rng: Random, number: int) -> Choice:
        placed = [o.result for o in self.results("place")[-8:]]
        if not placed or rng.random() < 0.3:
            return "Orders", "place", (number,)
        handler = self.pick(rng, {"pay": 4, "ship": 3, "cancel": 1, "status": 2})
        return "Orders", handler, (rng.choice(placed),)


class Strong(Bundled):
    """All nodes together behave as one register per key and one journal."""

    name = "strong"

    def __init__(self) -> None:
        super().__init__()
        self._judged = False

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

    def verdict(self) -> Sequence[str]:
        wrong = list(super().verdict()) or self._unequal() or self._last_reads()
        if not wrong and not self._judged:
            self._judged = True
            for text in (*self._not_linearizable(), *self._records()):
                self.simulation.fail(text)
        return wrong

    def _unequal(self) -> list[str]:
        states = {m.id: sorted(map(repr, m.engine.strong.dump())) for m in self.processes()}
        first = next(iter(states))
        return [
            f"replicas differ: {first} and {id}" for id in states if states[id] != states[first]
        ]

    def _last_reads(self) -> list[str]:
        """Asked once all is well, every node answers."""
        asked = [o for o in self.operations if o.number < 0]
        refused = [f"last read: {o}" for o in asked if o.status != OK]
        if refused:
            self.operations = [o for o in self.operations if o.number >= 0]
            return refused
        if asked:
            return []
        now = self.simulation.world.now
        keys = sorted({o.args[0] for o in self.operations if o.handler in ("write", "swap")})
        for machine in self.simulation.machines:
            for handler, *args in (("notes",), *(("read", key) for key in keys)):
                operation = Operation(-1, machine.name, "Strong", handler, tuple(args), now)
                self.operations.append(operation)
                self.send(machine, operation)
        return ["the last answers are not there yet"]

    def _not_linearizable(self) -> list[str]:
        outcomes = {OK: histories.OK, ERROR: histories.FAIL, UNKNOWN: histories.UNKNOWN}
        calls = []
        for number, o in enumerate(self.operations):
            if o.handler in ("write", "read", "swap"):
                name = "cas" if o.handler == "swap" else o.handler
                result = None if o.handler == "write" else o.result
                ended = o.ended if o.ended >= 0 else None
                outcome = outcomes[o.status]
                calls.append(Call(number, (name, *o.args), o.began, ended, outcome, result))
        return judge(History("registers", tuple(calls), 0))

    def _records(self) -> list[str]:
        """Every acknowledged record is there once, and whoever looked saw a beginning of it all."""
        kept = next(o.result for o in reversed(self.operations) if o.handler == "notes")
        promised = {o.args[0] for o in self.results("note")}
        wrong = [f"lost record: {number}" for number in sorted(promised - set(kept))]
        if len(set(kept)) < len(kept):
            wrong.append(f"repeated record: {kept}")
        seen = [o for o in self.results("notes") if o.result != kept[: len(o.result)]]
        return wrong + [f"order: {o} is no beginning of {kept}" for o in seen]

    def may_wipe(self, machine: Machine) -> bool:
        """A voter may go when the others know all that it does, and all votes are theirs."""
        victim = machine.process
        others = [other for other in self.processes() if other is not victim]
        if not isinstance(victim, Member) or victim.engine.service is None:
            return False
        voters = victim.engine.service.raft.configuration.members()
        return len(others) == len(self.simulation.machines) - 1 and all(
            other.engine.idle
            and other.engine.origin in voters
            and other.engine.service.raft.configuration.members() == voters
            and other.engine.service.raft.log.last == victim.engine.service.raft.log.last
            for other in others
        )


class Ticker(Bundled):
    """One node runs the schedule once the members agree, and an `after` runs once."""

    name = "ticker"
    calm_ms = 60_000

    def choose(self, rng: Random, number: int) -> Choice:
        return "Ticker", self.pick(rng, {"beats": 1, "note": 2}), ()

    def verdict(self) -> Sequence[str]:
        calm = self.simulation.world.now - self.simulation.settings.healing
        if calm < self.calm_ms:
            return ["ticks: not watched for long enough"]
        return super().verdict() or self._leaders()

    def _leaders(self) -> list[str]:
        since = self.simulation.settings.healing + self.calm_ms // 2
        late = [(at, node) for at, node, timer in self.ticks if at > since and "every" in timer]
        nodes = sorted({node for _, node in late})
        if len(nodes) != 1:
            return [f"ticks: run by {nodes} when all had been well for {self.calm_ms / 2000} s"]
        return []


WORKLOADS: dict[str, Callable[[], Bundled]] = {
    kind.name: kind
    for kind in (Registers, Counters, Logs, Sharded, Causal, Lifecycle, Ticker, Strong)
}

NAMES = tuple(WORKLOADS)


def settings_of(seed: int, **changes: Any) -> Settings:
    """3 to 7 nodes, ten virtual minutes, all faults."""
    chosen = Settings(nodes=3 + seed % 5, seed=seed, minutes=10, faults=ALL, calls=300)
    return replace(chosen, **changes)


def run(name: str, settings: Settings) -> Outcome:
    """A simulation of a bundled program with its clients."""
    workload = WORKLOADS[name]()
    return simulate(settings, partial(Member, spec=workload.spec), workload)


def campaign(seed: int, config: ClusterConfig | None = None) -> tuple[str, Outcome]:
    """The run of a seed in the campaign: each program gets its share of the seeds."""
    name = NAMES[seed // 5 % len(NAMES)]
    changes = {} if config is None else {"config": config}
    return name, run(name, settings_of(seed, **changes))


def failures(name: str, outcome: Outcome) -> str:
    """What to print, with the command that repeats it."""
    settings = outcome.settings
    told = "\n".join(map(str, outcome.failures))
    return f"{name}, {settings.nodes} nodes, seed {settings.seed}:\n{told}"
