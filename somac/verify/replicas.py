"""A lifecycle on several replicas, as finite systems for the explorer to walk.

Both systems begin in every state in which all replicas agree, and decide by `somart.merge`, the
runtime's own code. Messages arrive in any order, at any time, again, or not yet: a partition is a
delay. One replica may crash once; what it has stored survives, and it rejoins with that. A client
stays with the replica that acknowledged it, and sees what that one shows.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

from somart.merge import BEGINNING, Register, Stamp, deliverable, latest, moved, tick

from .kripke import Kripke, members

NOBODY = -1  # no replica is down, but one may crash
CRASHED = -2  # the one crash has been: replica r's is CRASHED - r
CLOCKS = (0, 1)  # readings of a clock: behind or ahead of the other replicas'

Finding = tuple[Hashable, ...]


@dataclass(frozen=True)
class Watch:
    """What no replica may show: `forbidden`, at all or once it has shown `start`."""

    forbidden: int
    start: int | None = None


class Observer:
    """What the replicas' histories are held against: the graph, and the user's properties."""

    def __init__(self, graph: Kripke, watches: Sequence[Watch]) -> None:
        self.graph = graph
        self.watches = tuple(watches)

    @cached_property
    def beyond(self) -> list[bytearray]:
        """Per state, those that one step or more lead to."""
        return [self.graph.forward(targets) for targets in self.graph.successors]

    def starts(self, state: int) -> int:
        """The watches that a state starts, as bits."""
        return sum(1 << k for k, watch in enumerate(self.watches) if watch.start == state)

    def shows(self, started: int, before: int, after: int) -> Iterator[Finding]:
        """What is wrong about a replica that shows one state and then another."""
        if after != before and not self.beyond[before][after]:
            yield "backwards", before, after
        for k, watch in enumerate(self.watches):
            if watch.forbidden == after and (watch.start is None or started >> k & 1):
                yield "watch", k


class Write(NamedTuple):
    """An acknowledged transition: where, from what to what, when, and which writes it had seen."""

    node: int
    source: int
    target: int
    stamp: Stamp
    seen: int  # bits: numbers of writes, itself included


class Merging(NamedTuple):
    """A state under `eventual` or `causal`. `wrong` is what the last step did wrong."""

    writes: tuple[Write, ...]  # the first one is what all agreed on
    shown: tuple[int, ...]  # per replica, the number of the write that it shows
    heard: tuple[int, ...]  # per replica, the writes that it has, as bits
    started: tuple[int, ...]  # per replica, the watches that have started
    down: int
    wrong: tuple[Finding, ...]


def replaced(items: tuple[int, ...], at: int, item: int) -> tuple[int, ...]:
    return (*items[:at], item, *items[at + 1 :])


class MergingSystem:
    """Replicas that acknowledge alone, tell each other, and let the latest write win."""

    def __init__(
        self, observer: Observer, replicas: int, writes: int, crash: bool, causal: bool = False
    ) -> None:
        self.observer = observer
        self.down = NOBODY if crash else CRASHED - replicas
        self.replicas = replicas
        self.most = writes + 1
        self.causal = causal

    def initial(self) -> Iterator[Merging]:
        count = self.replicas
        for state in members(self.observer.graph.reachable):
            agreed = Write(-1, state, state, BEGINNING, 1)
            started = (self.observer.starts(state),) * count
            yield Merging((agreed,), (0,) * count, (1,) * count, started, self.down, ())

    def steps(self, now: Merging) -> Iterator[tuple[str, Merging]]:
        if now.down >= 0:
            yield f"{now.down + 1} rejoins", now._replace(down=CRASHED - now.down, wrong=())
        for at in range(self.replicas):
            if at != now.down:
                yield from self._writes(now, at)
                yield from self._hears(now, at)
            if now.down == NOBODY and 1 < len(now.writes) < self.most:
                yield f"{at + 1} crashes", now._replace(down=at, wrong=())

    def breaks(self, now: Merging) -> tuple[Finding, ...]:
        if len(set(now.heard)) == 1 and len(set(now.shown)) > 1:
            return (*now.wrong, ("diverged",))
        return now.wrong

    def view(self, now: Merging) -> list[str]:
        """What each replica shows."""
        names = self.observer.graph.names
        shown = [names[now.writes[number].target] for number in now.shown]
        return ["(down)" if at == now.down else name for at, name in enumerate(shown)]

    def _writes(self, now: Merging, at: int) -> Iterator[tuple[str, Merging]]:
        number = len(now.writes)
        if number >= self.most or (at and number == 1):
            return  # the replicas are alike: let the first one begin
        mine = now.writes[now.shown[at]]
        names = self.observer.graph.names
        for target in self.observer.graph.successors[mine.target]:
            action = f"{at + 1} acknowledges {names[mine.target]} → {names[target]}"
            for clock in CLOCKS:
                stamp = tick(mine.stamp, clock, str(at + 1))
                seen = now.heard[at] | 1 << number
                write = Write(at, mine.target, target, stamp, seen)
                grown = now._replace(
                    writes=(*now.writes, write), heard=replaced(now.heard, at, seen)
                )
                yield action, self._shows(grown, at, number, ())

    def _hears(self, now: Merging, at: int) -> Iterator[tuple[str, Merging]]:
        """A write arrives. One that was heard before changes nothing: `latest` is idempotent."""
        names = self.observer.graph.names
        for number, write in enumerate(now.writes):
            if now.heard[at] >> number & 1 or not self._may_arrive(now, at, write):
                continue
            mine = now.shown[at]
            winner = latest(
                Register(mine, now.writes[mine].stamp), Register(number, write.stamp)
            ).value
            loser = mine if winner == number else number
            wrong = tuple(_lost(now.writes[loser], loser, now.writes[winner]))
            heard = now._replace(heard=replaced(now.heard, at, now.heard[at] | 1 << number))
            action = f"{at + 1} hears of {names[write.source]} → {names[write.target]}"
            yield action, self._shows(heard, at, winner, wrong)

    def _may_arrive(self, now: Merging, at: int, write: Write) -> bool:
        if not self.causal:
            return True
        delivered = _counts(now.writes, now.heard[at])
        return deliverable(delivered, str(write.node), _counts(now.writes, write.seen))

    def _shows(self, now: Merging, at: int, number: int, wrong: tuple[Finding, ...]) -> Merging:
        before, after = now.writes[now.shown[at]].target, now.writes[number].target
        if number != now.shown[at]:
            wrong += tuple(self.observer.shows(now.started[at], before, after))
        started = now.started[at] | self.observer.starts(after)
        return now._replace(
            shown=replaced(now.shown, at, number),
            started=replaced(now.started, at, started),
            wrong=wrong,
        )


def _counts(writes: Sequence[Write], which: int) -> dict[str, int]:
    """How many of some writes each node made."""
    found: dict[str, int] = {}
    for number, write in enumerate(writes):
        if number and which >> number & 1:
            found[str(write.node)] = found.get(str(write.node), 0) + 1
    return found


def _lost(loser: Write, number: int, winner: Write) -> Iterator[Finding]:
    """An acknowledged transition is lost when one that has not seen it overwrites it."""
    if not winner.seen >> number & 1 and loser.target != winner.target:
        yield "lost", loser.source, loser.target, winner.source, winner.target


class Proposal(NamedTuple):
    """A transition on its way to the log, with the revision that it was decided on."""

    node: int
    source: int
    target: int
    revision: int


class Logging(NamedTuple):
    """A state under `strong`. The log keeps what took effect: the rest changes nothing anywhere."""

    agreed: int
    log: tuple[Proposal, ...]
    underway: tuple[Proposal, ...]  # each may arrive any number of times; sorted
    made: int  # how many there have been
    applied: tuple[int, ...]  # per replica, how much of the log
    started: tuple[int, ...]
    down: int
    behind: int  # how much the crashed replica must apply before it answers again
    wrong: tuple[Finding, ...]


class LoggingSystem:
    """Replicas that send each transition through one log, and acknowledge what took effect.

    That the log is one and the same for all is consensus, which is not examined here.
    """

    def __init__(self, observer: Observer, replicas: int, writes: int, crash: bool) -> None:
        self.observer = observer
        self.down = NOBODY if crash else CRASHED - replicas
        self.replicas = replicas
        self.most = writes

    def initial(self) -> Iterator[Logging]:
        nothing = (0,) * self.replicas
        for state in members(self.observer.graph.reachable):
            started = (self.observer.starts(state),) * self.replicas
            yield Logging(state, (), (), 0, nothing, started, self.down, 0, ())

    def breaks(self, now: Logging) -> tuple[Finding, ...]:
        return now.wrong

    def view(self, now: Logging) -> list[str]:
        names = self.observer.graph.names
        shown = [names[_shown(now, length)] for length in now.applied]
        return ["(down)" if at == now.down else name for at, name in enumerate(shown)]

    def steps(self, now: Logging) -> Iterator[tuple[str, Logging]]:
        if now.down >= 0:
            behind = len(now.log)
            yield (
                f"{now.down + 1} rejoins",
                now._replace(down=CRASHED - now.down, behind=behind, wrong=()),
            )
        yield from self._arrivals(now)
        for at in range(self.replicas):
            if at == now.down:
                continue
            if not _recovering(now, at, now.applied[at]):
                yield from self._proposes(now, at)
            if now.applied[at] < len(now.log):
                yield self._applies(now, at)
            if now.down == NOBODY and now.applied[at]:
                applied = replaced(now.applied, at, 0)  # it replays the log from its beginning
                yield f"{at + 1} crashes", now._replace(down=at, applied=applied, wrong=())

    def _proposes(self, now: Logging, at: int) -> Iterator[tuple[str, Logging]]:
        if now.made >= self.most or (at and not now.made):
            return  # the replicas are alike: let the first one begin
        names = self.observer.graph.names
        revision = now.applied[at]
        value = _shown(now, revision)
        for target in self.observer.graph.successors[value]:
            sent = Proposal(at, value, target, revision)
            action = f"{at + 1} proposes {names[value]} → {names[target]}"
            underway = tuple(sorted({*now.underway, sent}))
            yield action, now._replace(underway=underway, made=now.made + 1, wrong=())

    def _arrivals(self, now: Logging) -> Iterator[tuple[str, Logging]]:
        names = self.observer.graph.names
        revision = len(now.log)
        for proposal in now.underway:
            if _takes_effect(proposal, revision):
                wrong = tuple(self._judged(now, proposal))
                action = f"the log takes {names[proposal.source]} → {names[proposal.target]}"
                log = (*now.log, proposal)
                yield action, now._replace(log=log, wrong=wrong)

    def _judged(self, now: Logging, proposal: Proposal) -> Iterator[Finding]:
        """An entry that takes effect must be a step from what was there: that is overwritten."""
        value = _shown(now, len(now.log))
        if proposal.source != value:
            yield "lost", value, value, proposal.source, proposal.target

    def _applies(self, now: Logging, at: int) -> tuple[str, Logging]:
        length = now.applied[at] + 1
        before, after = _shown(now, length - 1), _shown(now, length)
        wrong: tuple[Finding, ...] = ()
        started = now.started[at]
        if after != before and not _recovering(now, at, length):
            wrong = tuple(self.observer.shows(started, before, after))
            started |= self.observer.starts(after)
        return f"{at + 1} applies entry {length}", now._replace(
            applied=replaced(now.applied, at, length),
            started=replaced(now.started, at, started),
            wrong=wrong,
        )


def _recovering(now: Logging, at: int, length: int) -> bool:
    """Whether a replica that came back still lacks entries, and so does not answer yet."""
    return now.down == CRASHED - at and length < now.behind


def _takes_effect(proposal: Proposal, revision: int) -> bool:
    return not moved({"entity": proposal.revision}, {"entity": revision})


def _shown(now: Logging, length: int) -> int:
    """The state after the first entries of the log."""
    return now.log[length - 1].target if length else now.agreed
