"""What goes wrong, when, and to whom: a schedule drawn from the seed.

Each fault has a beginning and an end, and holds a count on what it breaks, so that faults may
overlap and any of them can be left out without changing the others (the minimiser does that).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Protocol

from .machine import LEAVING_MS, Machine
from .network import Network, Pair

SECOND = 1_000
FIRST_MS = 15 * SECOND
"""A cluster may form undisturbed for so long."""
ROLLING_PAUSE_MS = 12 * SECOND
FORGET_MS = 90 * SECOND
"""`forget_ms` of clusters in which somebody is to be expelled."""
NEWCOMERS = 2
"""How many machines may come to those of the beginning."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault: `nodes` are machines by number; `extent` is what the kind makes of it."""

    number: int
    kind: str
    at: int
    lasts: int
    nodes: tuple[int, ...]
    extent: int = 0

    def __str__(self) -> str:
        names = " ".join(f"n{node + 1}" for node in self.nodes)
        extent = f" {self.extent:+}" if self.extent else ""
        return f"f{self.number} {self.kind} {names}{extent} for {self.lasts / SECOND:.1f} s"


class Site(Protocol):
    """What faults are done to. `may_wipe` says whether a disk can be lost without losing what only
    it has: replication survives the loss of a copy, not of the only one."""

    network: Network

    @property
    def machines(self) -> Sequence[Machine]: ...

    def may_wipe(self, machine: Machine) -> bool: ...


@dataclass(frozen=True)
class Kind:
    """How a kind of fault is drawn and done. `nodes` and `extent` draw; `span` is in seconds."""

    begin: Callable[[Site, Fault], None]
    end: Callable[[Site, Fault], None]
    span: tuple[int, int]
    nodes: Callable[[Random, int], tuple[int, ...]]
    extent: Callable[[Random], int] = field(default=lambda rng: 0)
    whole: bool = False
    """Whether it is left out when there is no time for all of it."""
    newcomer: bool = False
    """Whether a machine comes into it that was not there before: the last one of its nodes."""


def draw(rng: Random, kinds: Sequence[str], nodes: int, until: int) -> tuple[Fault, ...]:
    """A schedule of faults that all begin before `until` (ms). Raises KeyError: unknown kind."""
    faults: list[Fault] = []
    at, machines = FIRST_MS, nodes
    while kinds:
        at += int(rng.expovariate(1 / 22) * SECOND)
        if at >= until:
            break
        name = rng.choice(list(kinds))
        kind = KINDS[name]
        lasts = rng.randint(*kind.span) * SECOND + rng.randrange(SECOND)
        if name == "rolling":
            lasts = nodes * ROLLING_PAUSE_MS
        elif at + lasts > until and not kind.whole:
            lasts = max(SECOND, until - at)
        who, extent = kind.nodes(rng, nodes), kind.extent(rng)
        if kind.whole and at + lasts > until:
            continue
        if kind.newcomer:
            if machines == nodes + NEWCOMERS:
                continue
            who, machines = (*who, machines), machines + 1
        faults.append(Fault(len(faults), name, at, lasts, who, extent))
    return tuple(faults)


def machines_of(faults: Sequence[Fault], nodes: int) -> int:
    """How many machines there are, newcomers included."""
    return max([nodes, *(node + 1 for fault in faults for node in fault.nodes)])


# --- who -----------------------------------------------------------------------------------------


def _one(rng: Random, nodes: int) -> tuple[int, ...]:
    return (rng.randrange(nodes),)


def _two(rng: Random, nodes: int) -> tuple[int, ...]:
    return tuple(rng.sample(range(nodes), min(2, nodes)))


def _some(rng: Random, nodes: int) -> tuple[int, ...]:
    """One side of a partition."""
    return tuple(sorted(rng.sample(range(nodes), rng.randint(1, max(1, nodes // 2)))))


def _nobody(rng: Random, nodes: int) -> tuple[int, ...]:
    return ()


def _all(rng: Random, nodes: int) -> tuple[int, ...]:
    return tuple(rng.sample(range(nodes), nodes))


# --- partitions ----------------------------------------------------------------------------------


def _across(site: Site, fault: Fault) -> list[Pair]:
    """From one side to the other."""
    side = {site.machines[node].name for node in fault.nodes}
    names = [machine.name for machine in site.machines]
    return [(a, b) for a in names if a in side for b in names if b not in side]


def _both_ways(pairs: list[Pair]) -> list[Pair]:
    return pairs + [(b, a) for a, b in pairs]


def _between(site: Site, fault: Fault) -> list[Pair]:
    if len(fault.nodes) < 2:
        return []
    first, second = (site.machines[node].name for node in fault.nodes[:2])
    return [(first, second)]


def _partition(site: Site, fault: Fault) -> list[Pair]:
    return _both_ways(_across(site, fault))


def _partial(site: Site, fault: Fault) -> list[Pair]:
    return _both_ways(_between(site, fault))


def _cutting(
    pairs: Callable[[Site, Fault], list[Pair]],
) -> tuple[Callable[[Site, Fault], None], Callable[[Site, Fault], None]]:
    def begin(site: Site, fault: Fault) -> None:
        site.network.conditions.cut.update(pairs(site, fault))

    def end(site: Site, fault: Fault) -> None:
        found = pairs(site, fault)
        site.network.conditions.cut.subtract(found)
        site.network.healed(found)

    return begin, end


def _slow_begin(site: Site, fault: Fault) -> None:
    site.network.conditions.slow.update(_partition(site, fault))


def _slow_end(site: Site, fault: Fault) -> None:
    site.network.conditions.slow.subtract(_partition(site, fault))


def _weather(
    name: str, amount: float
) -> tuple[Callable[[Site, Fault], None], Callable[[Site, Fault], None]]:
    def change(by: float) -> Callable[[Site, Fault], None]:
        def apply(site: Site, fault: Fault) -> None:
            conditions = site.network.conditions
            setattr(conditions, name, max(0.0, round(getattr(conditions, name) + by, 6)))

        return apply

    return change(amount), change(-amount)


# --- machines ------------------------------------------------------------------------------------


def _each(action: Callable[[Machine], None]) -> Callable[[Site, Fault], None]:
    def apply(site: Site, fault: Fault) -> None:
        for node in fault.nodes:
            action(site.machines[node])

    return apply


def _crash(site: Site, fault: Fault) -> None:
    for node in fault.nodes:
        site.machines[node].crash(silent=bool(fault.extent))


def _wipe(site: Site, fault: Fault) -> None:
    for node in fault.nodes:
        machine = site.machines[node]
        if site.may_wipe(machine):
            machine.wipe()
            machine.seeds = _addresses(site, machine)[:1]  # also a founder is told whom to join
        else:
            machine.crash()


def _addresses(site: Site, machine: Machine) -> tuple[str, ...]:
    """Of the others that are to run."""
    others = [other for other in site.machines if other is not machine and other.enlisted]
    return tuple(other.address for other in others)


def _join(site: Site, fault: Fault) -> None:
    """A machine that nobody has seen yet starts."""
    machine = site.machines[fault.nodes[-1]]
    machine.seeds = _addresses(site, machine)
    machine.enlisted = True
    machine.start()


def _depart(site: Site, fault: Fault) -> None:
    site.machines[fault.nodes[0]].depart()


def _departed(site: Site, fault: Fault) -> None:
    site.machines[fault.nodes[0]].start()  # if it had to stay
    _join(site, fault)


def _skew(site: Site, fault: Fault) -> None:
    for node in fault.nodes:
        site.machines[node].clock.jump(fault.extent)


def _drift(site: Site, fault: Fault) -> None:
    for node in fault.nodes:
        site.machines[node].clock.set_drift(fault.extent)


def _no_drift(machine: Machine) -> None:
    machine.clock.set_drift(0)


def _slow_disk(machine: Machine) -> None:
    machine.disk.slow = 100


def _quick_disk(machine: Machine) -> None:
    machine.disk.slow = 1


def _full_disk(machine: Machine) -> None:
    machine.disk.full = True


def _room(machine: Machine) -> None:
    machine.disk.full = False


def _rolling(site: Site, fault: Fault) -> None:
    """All nodes restart in turn, as in an upgrade."""
    for turn, node in enumerate(fault.nodes):
        machine = site.machines[node]
        machine.world.after(turn * ROLLING_PAUSE_MS, machine.leave)
        machine.world.after(turn * ROLLING_PAUSE_MS + ROLLING_PAUSE_MS // 2, machine.start)


def _nothing(site: Site, fault: Fault) -> None:
    pass


def _coin(rng: Random) -> int:
    return rng.randrange(2)


def _jump(rng: Random) -> int:
    return rng.choice([-1, 1]) * int(10 ** rng.uniform(1, 5.5))


_start = _each(Machine.start)

KINDS: dict[str, Kind] = {
    "partition": Kind(*_cutting(_partition), (5, 60), _some),
    "oneway": Kind(*_cutting(_across), (5, 60), _some),
    "partial": Kind(*_cutting(_partial), (5, 60), _two),
    "slowlink": Kind(_slow_begin, _slow_end, (5, 40), _one),
    "crash": Kind(_crash, _start, (0, 40), _one, _coin),
    "wipe": Kind(_wipe, _start, (1, 40), _one),
    "leave": Kind(_each(Machine.leave), _start, (5, 60), _one),
    "rolling": Kind(_rolling, _nothing, (1, 1), _all, whole=True),
    "join": Kind(_join, _nothing, (1, 1), _nobody, newcomer=True),
    "depart": Kind(_depart, _departed, (20, 60), _one, whole=True, newcomer=True),
    "expel": Kind(_crash, _start, (115, 150), _one, _coin, whole=True),
    "pause": Kind(_each(Machine.pause), _each(Machine.resume), (1, 30), _one),
    "skew": Kind(_skew, _nothing, (1, 1), _one, _jump),
    "drift": Kind(_drift, _each(_no_drift), (10, 120), _one, lambda rng: rng.randint(-9999, 9999)),
    "slowdisk": Kind(_each(_slow_disk), _each(_quick_disk), (5, 40), _one),
    "fulldisk": Kind(_each(_full_disk), _each(_room), (2, 30), _one),
    "loss": Kind(*_weather("loss", 0.02), (5, 40), _nobody),
    "drop": Kind(*_weather("drop", 0.05), (5, 40), _nobody),
    "duplicate": Kind(*_weather("duplicate", 0.2), (5, 40), _nobody),
    "reorder": Kind(*_weather("reorder", 0.2), (5, 40), _nobody),
}
"""By the names of `--faults`. `drop`, `duplicate` and `reorder` do what TCP never does."""


def heal(site: Site) -> None:
    """Ends all that may still be wrong, whatever faults were left out."""
    conditions = site.network.conditions
    cut = [pair for pair, count in conditions.cut.items() if count > 0]
    conditions.cut.clear()
    conditions.slow.clear()
    conditions.loss = conditions.drop = conditions.duplicate = conditions.reorder = 0.0
    site.network.healed(cut)
    for machine in site.machines:
        machine.resume()
        _quick_disk(machine)
        _room(machine)
        _no_drift(machine)
        machine.start()
        machine.world.after(LEAVING_MS, machine.start)  # one that was about to stop
