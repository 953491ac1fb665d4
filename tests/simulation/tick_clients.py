"""What is promised of schedules in strong cells: one effect per due time, none lost for good."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import pairwise
from random import Random
from typing import Any, NamedTuple

from bundled import Choice
from strong_clients import StrongClients

from somart.cluster.leadership import CATCH_UP_MS
from somart.consensus.service import ServiceConfig
from somart.simulate.application import VirtualTape
from somart.simulate.history import UNKNOWN
from somart.simulate.machine import Birth
from somart.simulate.member import Member
from somart.simulate.world import EPOCH_MS
from somart.timers import TICK
from somart.values import Value

INTERVALS_MS = {"Pulse.beats#log": 3_000, "Pulse.slow#log": 25_000}
LATE_MS = 2_000
UNDISTURBED_MS = 15_000
"""A cluster may form for so long (`faults.FIRST_MS`)."""


class DueTape(VirtualTape):
    """Lets a tick tell when it was due (`now_ms`), and by which clock it ran (`now`, in ms)."""

    def take(self, name: str, draw: Callable[[], Any]) -> Any:
        tick = TICK.get()
        if tick is not None and name in ("now", "now_ms"):
            return tick.due if name == "now_ms" else self._machine.clock.wall()
        return super().take(name, draw)


class Beat(NamedTuple):
    """The effect of a tick: when it was due, and what its node's clock showed as it ran."""

    due: int
    at: int


class Pulse(StrongClients):
    """While things go wrong, no due time has two effects, and all lie on one grid, in order. No
    gap is wider than what the leader after it was to make up; in the end the ticks are up to date.
    """

    name = "pulse"
    service = ServiceConfig(log_entries=40, kept_entries=10)

    def __init__(self) -> None:
        super().__init__()
        self.beats: dict[str, dict[int, Beat]] = {table: {} for table in INTERVALS_MS}
        """Per schedule, by the key of their record, as any node has shown them."""

    def member(self, birth: Birth) -> Member:
        member = super().member(birth)
        member.tape = DueTape(birth.machine)
        return member

    def choose(self, rng: Random, number: int) -> Choice:
        return "Pulse", self.pick(rng, {"add": 5, "sum": 1}), ()

    def questions(self) -> Iterable[tuple[str, tuple[Value, ...]]]:
        return [("sum", ())]

    # --- while things go wrong -------------------------------------------------------------------

    def look(self) -> Sequence[str]:
        return [*super().look(), *self._new_beats()]

    def _new_beats(self) -> list[str]:
        wrong = []
        for member in self.processes():
            for table, known in self.beats.items():
                for key, entry in _records(member, table).items():
                    beat = Beat(entry.value["due"], entry.value["at"])
                    if key not in known:
                        wrong += _odd(known, key, beat, INTERVALS_MS[table])
                        known[key] = beat
                    elif known[key] != beat:
                        wrong.append(f"ticks differ: {member.id} has {beat} for {known[key]}")
        return wrong

    # --- in the end ------------------------------------------------------------------------------

    def verdict(self) -> Sequence[str]:
        return super().verdict() or self._late()

    def _late(self) -> list[str]:
        """The leader serves what is due by its own clock."""
        leaders = [m for m in self.processes() if m.engine.service.leads]
        late = []
        for leader in leaders:
            for table, beats in self.beats.items():
                newest = max((beat.due for beat in beats.values()), default=0)
                behind = leader.machine.clock.wall() - newest
                if behind > INTERVALS_MS[table] + LATE_MS:
                    late.append(f"late ticks: {table} is {behind} ms behind on {leader.id}")
        return late if leaders else ["nobody leads"]

    def judgement(self) -> Iterable[str]:
        for table, known in self.beats.items():
            beats = [known[key] for key in sorted(known)]
            self.figures["ticks"] += len(beats)
            yield from self._lost(beats, INTERVALS_MS[table])
        yield from self._sums()

    def _lost(self, beats: Sequence[Beat], interval: int) -> Iterable[str]:
        """Due times without an effect that the next leader to serve one was to make up."""
        if interval < UNDISTURBED_MS < beats[0].at - EPOCH_MS:
            yield f"late ticks: the first is {beats[0]}"
        for before, beat in pairwise(beats):
            missing = range(before.due + interval, beat.due, interval)
            self.figures["ticks that need not be made up"] += len(missing)
            lost = [due for due in missing if due > beat.at - CATCH_UP_MS]
            if lost:
                yield f"lost ticks: {lost} between {before} and {beat}"

    def _sums(self) -> list[str]:
        """Calls and ticks that change the same key count once each."""
        certain, open_ = len(self.results("add")), len(self.results("add", status=UNKNOWN))
        wrong = []
        for member in self.processes():
            entry = member.engine.strong.tables["Pulse.sums"].entries.get("all")
            added = (0 if entry is None else entry.value) - len(_records(member, "Pulse.beats#log"))
            if not certain <= added <= certain + open_:
                wrong.append(f"wrong sum: {member.id} has {added}, acknowledged were {certain}")
        return wrong


def _records(member: Member, table: str) -> dict[int, Any]:
    entries: dict[int, Any] = member.engine.strong.tables[table].entries
    return entries


def _odd(known: Mapping[int, Beat], key: int, beat: Beat, interval: int) -> list[str]:
    """What a beat breaks that nobody has seen before."""
    wrong = [
        f"double effect: {other} and {beat}" for other in known.values() if other.due == beat.due
    ]
    if not wrong:
        wrong = [
            f"order of ticks: {other} and {beat}"
            for k, other in known.items()
            if (k < key) != (other.due < beat.due)
        ]
    if beat.due % interval:
        wrong.append(f"off the grid: {beat}")
    return wrong
