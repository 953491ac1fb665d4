"""Clients of the bundled programs, who know what their answers must be."""

from __future__ import annotations

from base64 import urlsafe_b64encode
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from random import Random
from typing import Any

from bundled import PER_KEY, Asking, Bundled, Choice, Figures
from msgspec import msgpack
from strong_clients import Bank, Strong
from tick_clients import Pulse

from somart.cluster.causal import Causality
from somart.cluster.config import ClusterConfig
from somart.cluster.hashing import segment_of
from somart.cluster.members import JOINING
from somart.consensus.messages import SnapshotChunk
from somart.errors import SomaError
from somart.merge import joined
from somart.simulate.faults import FORGET_MS, KINDS
from somart.simulate.history import ERROR, OK, UNKNOWN, Operation
from somart.simulate.machine import Machine
from somart.simulate.member import Member
from somart.simulate.minimise import only_text
from somart.simulate.simulation import Outcome, Settings, simulate
from somart.values import Value

MOVES = ("join", "depart", "expel")
"""Faults that change who holds what."""
BACK_MS = 30_000
"""How long a node that was out of the ring may take to hand over what only it has."""
ALL = tuple(kind for kind in KINDS if kind not in MOVES)


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


class Sharded(Asking):
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

    def questions(self) -> Iterable[tuple[str, tuple[Value, ...]]]:
        keys = sorted({o.args[0] for o in self.operations if o.handler == "store"})
        return [("size", ()), ("every_key", ()), *(("fetch", (key,)) for key in keys[-10:])]

    def verdict(self) -> Sequence[str]:
        return super().verdict() or self.last_answers() or self._differing()

    def _differing(self) -> list[str]:
        """Asked once all is well, every node gives the same full answer."""
        answers: dict[str, set[str]] = {}
        for operation in self.operations:
            if operation.number < 0:
                question = f"{operation.handler}{operation.args}"
                answers.setdefault(question, set()).add(str(operation.result))
        return [f"answers differ: {question}: {a}" for question, a in answers.items() if len(a) > 1]


class Causal(Bundled):
    """Nobody may see an answer without its post; a client sees what it has written, wherever it
    goes with its token."""

    name = "causal"
    sessions = 7

    def __init__(self) -> None:
        super().__init__()
        self.tokens: dict[int, tuple[str, frozenset[str]]] = {}
        self.lives: dict[str, Member] = {}
        """The last life of each node, over or not."""
        self.joining_at: dict[str, int] = {}

    def _born(self, machine: Machine) -> None:
        super()._born(machine)
        assert isinstance(machine.process, Member)
        self.lives[machine.name] = machine.process

    def look(self) -> Sequence[str]:
        for name, life in self.lives.items():
            if life.core.membership.me.ring == JOINING:
                self.joining_at[name] = self.simulation.world.now
        return super().look()

    def _taken_out(self, member: Member, key: str) -> bool:
        """Whether only nodes that a member knows to be out of the ring have a post, or that have
        just come back, so that it has to do without until they have handed it over."""
        place = "Wall.posts", key
        ring = member.core.membership.ring.ids
        having = [life for life in self.lives.values() if life.replica.version(*place) is not None]
        inside = [life for life in having if life.id in ring and not self._just_back(life)]
        aside = any(life.core.aside.has(*place) for life in self.lives.values())
        return not inside and (bool(having) or aside)

    def _just_back(self, life: Member) -> bool:
        me, last = life.core.membership.me, self.joining_at.get(life.machine.name, -BACK_MS)
        recent = me.ring == JOINING or self.simulation.world.now - last < BACK_MS
        return me.expelled > 0 and recent

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
        process = self._process(operation)
        if operation.handler == "orphans" and operation.status == OK and process is not None:
            missing = [key for key in operation.result if not self._taken_out(process, key)]
            if missing:
                self.simulation.fail(f"effects without their causes: {operation}", operation.node)
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
        found[0].ready()
        lost = [
            key
            for key in sorted(written - found[0].entries.keys())
            if not self._taken_out(process, key)
        ]
        if lost:
            text = f"session: a client with its token does not see {lost} that it wrote"
            self.simulation.fail(text, operation.node)


def _both(token: str, other: str) -> str:
    """What a client carries that has had two answers at once: neither token has the other's."""
    if not token or not other:
        return token or other
    both = joined(Causality.read_token(token), Causality.read_token(other))
    return urlsafe_b64encode(msgpack.encode(both)).decode().rstrip("=")


class Walls(Causal):
    """The same, with posts that only their owners have."""

    name = "walls"

    def _check_session(
        self, process: Member, operation: Operation, written: frozenset[str]
    ) -> None:
        serves = process.core.fetching.serves
        here = (key for key in written if serves("Wall.posts", segment_of(key)))
        super()._check_session(process, operation, frozenset(here))


class Ring(Sharded):
    """The same, with keys that are old when they are asked for or dropped."""

    name = "ring"
    cell = "sharded"

    def choose(self, rng: Random, number: int) -> Choice:
        cell, handler, args = super().choose(rng, number)
        if handler in ("drop", "fetch"):
            args = (f"k{rng.randrange(number + 1) // PER_KEY}-{rng.randrange(2)}",)
        return cell, handler, args


class Lifecycle(Bundled):
    name = "lifecycle"

    def choose(self, rng: Random, number: int) -> Choice:
        placed = [o.result for o in self.results("place")[-8:]]
        if not placed or rng.random() < 0.3:
            return "Orders", "place", (number,)
        handler = self.pick(rng, {"pay": 4, "ship": 3, "cancel": 1, "status": 2})
        return "Orders", handler, (rng.choice(placed),)


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


MIXED = (Registers, Counters, Logs, Sharded, Causal, Lifecycle, Ticker, Strong, Walls)
WORKLOADS: dict[str, Callable[[], Bundled]] = {
    kind.name: kind for kind in (*MIXED, Ring, Bank, Pulse)
}


@dataclass(frozen=True)
class Campaign:
    """Programs that share the seeds, and what sets their runs apart."""

    names: tuple[str, ...]
    changes: Mapping[str, Any] = field(default_factory=dict)


FORGETFUL = ClusterConfig(forget_ms=FORGET_MS)
CUTS = ("partition", "partition", "partition", "oneway", "partial")
OTHERS = ("crash", "pause", "leave", "skew", "drift", "slowdisk", "loss")
CAMPAIGNS = {
    "mixed": Campaign(tuple(kind.name for kind in MIXED)),
    "ring": Campaign(
        ("ring", "walls", "causal", "ring", "walls", "counters", "logs"),
        {"minutes": 8, "calls": 200, "faults": MOVES + MOVES + ALL, "config": FORGETFUL},
    ),
    "strong": Campaign(
        ("bank", "bank", "bank", "strong"),
        {"minutes": 8, "calls": 240, "faults": (*MOVES, "wipe", *ALL), "config": FORGETFUL},
    ),
    "ticks": Campaign(("pulse",), {"minutes": 4, "calls": 40, "faults": CUTS + OTHERS}),
}
NAMES = CAMPAIGNS["mixed"].names


def settings_of(seed: int, **changes: Any) -> Settings:
    """3 to 7 nodes, ten virtual minutes, all faults."""
    chosen = Settings(nodes=3 + seed % 5, seed=seed, minutes=10, faults=ALL, calls=300)
    return replace(chosen, **changes)


def played(name: str, settings: Settings) -> tuple[Bundled, Outcome]:
    """A simulation of a bundled program, with its clients afterwards."""
    workload = WORKLOADS[name]()
    if settings.config == ClusterConfig():
        settings = replace(settings, config=workload.config)
    outcome = simulate(settings, workload.member, workload)
    _count(workload.figures, outcome)
    return workload, outcome


def run(name: str, settings: Settings) -> Outcome:
    """A simulation of a bundled program with its clients."""
    return played(name, settings)[1]


def campaign(seed: int, kind: str = "mixed", **changes: Any) -> tuple[str, Outcome, Figures]:
    """The run of a seed in a campaign: each program gets its share of the seeds."""
    chosen = CAMPAIGNS[kind]
    name = chosen.names[seed // 5 % len(chosen.names)]
    workload, outcome = played(name, settings_of(seed, **{**chosen.changes, **changes}))
    return name, outcome, workload.figures


def _count(figures: Figures, outcome: Outcome) -> None:
    """What has happened, for a campaign to add up and to be measured by."""
    figures.update({f"{status} calls": count for status, count in outcome.calls.items()})
    for fault in outcome.faults:
        figures[fault.kind] += 1
    for line in outcome.trace:
        if line.event == "log" and "taken out of the ring" in str(line.detail):
            figures["expelled and back"] += 1
        elif line.event == "leave" and line.detail:
            figures["left for good"] += 1
        elif line.event == "receive" and isinstance(line.detail[1], SnapshotChunk):
            figures["pieces of snapshots"] += 1


def replay_command(name: str, settings: Settings) -> str:
    """What runs exactly this again, from the root of the repository."""
    words = [
        f"python tests/soak/simulate_campaign.py replay {name} --seed {settings.seed}",
        f"--nodes {settings.nodes} --minutes {settings.minutes:g} --calls {settings.calls}",
        f"--faults {','.join(settings.faults) or 'none'}",
    ]
    only = only_text(settings)
    return " ".join([*words, f"--only {only}"] if only else words)


def failures(name: str, outcome: Outcome) -> str:
    """What to print, with the command that repeats it."""
    settings = outcome.settings
    told = "\n".join(map(str, outcome.failures))
    return (
        f"{name}, {settings.nodes} nodes, seed {settings.seed}:\n{told}\n"
        f"replay: {replay_command(name, settings)}"
    )
