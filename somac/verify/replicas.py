"""A lifecycle on several replicas, as finite systems for the explorer to walk.

Both systems begin in every state in which all replicas agree, and decide by `somart.merge`, the
runtime's own code. Messages arrive in any order, at any time, again, or not yet. A link that is cut
keeps them back until it heals: of two replicas their only link may be cut, of three one replica's
links. One replica may crash once; what it has stored survives, and it rejoins with that. A client
may read on any replica: under `causal` with what it has seen before as a token, under `strong`
where all is applied.

States are plain tuples, and what a step depends on is looked up: a machine has tens of thousands.
Replicas are alike but for their names, which break ties, and clocks make any order of stamps
without one; so it is enough that the first replica begins (symmetry reduction).
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

from somart.merge import (
    BEGINNING,
    Register,
    Stamp,
    covers,
    deliverable,
    latest,
    moved,
    tick,
)

from .kripke import Kripke, members

NOBODY = -1  # no replica is down, but one may crash
CRASHED = -2  # the one crash has been: replica r's is CRASHED - r
WHOLE = -1  # no link is cut; else the number of the replica whose links are
CLOCKS = (0, 1)  # readings of a clock: behind or ahead of the other replicas'

Finding = tuple[Hashable, ...]
Findings = tuple[Finding, ...]
Action = tuple[str | int, ...]  # what happens, at which replica, and to which states
Client = tuple[int, int, int]  # the state that it saw last, its token, the watches started
NO_CLIENT: Client = (-1, 0, 0)


@dataclass(frozen=True)
class Watch:
    """What no replica may show: `forbidden`, at all or once it has shown `start`."""

    forbidden: int
    start: int | None = None


@dataclass(frozen=True)
class Setting:
    """How much happens in a system: so many replicas and transitions, and what else there is."""

    replicas: int
    transitions: int
    crash: bool = False
    client: bool = False
    cuts: bool = True


class Observer:
    """What the replicas' histories are held against: the graph, and the user's properties."""

    def __init__(self, graph: Kripke, watches: Sequence[Watch]) -> None:
        self.graph = graph
        self.watches = tuple(watches)
        self._known: dict[tuple[int, int, int], tuple[int, Findings, Findings]] = {}

    @cached_property
    def beyond(self) -> list[bytearray]:
        """Per state, those that one step or more lead to."""
        return [self.graph.forward(targets) for targets in self.graph.successors]

    def starts(self, state: int) -> int:
        """The watches that a state starts, as bits."""
        return sum(1 << k for k, watch in enumerate(self.watches) if watch.start == state)

    def sees(self, started: int, before: int, after: int) -> tuple[int, Findings, Findings]:
        """What it means to be shown one state and then another: the watches that have started, and
        what is wrong about it, for a replica and for a client."""
        known = self._known.get((started, before, after))
        if known is None:
            wrong = tuple(self._wrong(started, before, after))
            told = tuple(("client", *finding) for finding in wrong)
            known = self._known[started, before, after] = (
                started | self.starts(after),
                wrong,
                told,
            )
        return known

    def _wrong(self, started: int, before: int, after: int) -> Iterator[Finding]:
        if after != before and not self.beyond[before][after]:
            yield "backwards", before, after
        for k, watch in enumerate(self.watches):
            if watch.forbidden == after and (watch.start is None or started >> k & 1):
                yield "watch", k


class System:
    """What both systems share: who is in touch with whom, and how steps are told."""

    def __init__(self, observer: Observer, setting: Setting) -> None:
        self.observer = observer
        self.setting = setting
        self.replicas = setting.replicas
        self.down = NOBODY if setting.crash else CRASHED - setting.replicas
        self.beginners = 1  # replicas that may take the first step
        # the replicas whose links can be cut: with two of them, the first one's are the second's
        self.cuttable = range(setting.replicas if setting.replicas > 2 else 1)
        if not setting.cuts:
            self.cuttable = range(0)

    def cutting(self, cut: int) -> Iterator[tuple[Action, int]]:
        """How links may change, and which are cut afterwards."""
        if cut != WHOLE:
            yield ("heals", cut), WHOLE
        else:
            for at in self.cuttable:
                yield ("cut", at), at

    def beginning(self) -> Iterator[tuple[int, tuple[int, ...], Client]]:
        """Every state in which the replicas may agree, what it starts, and the client there."""
        for state in members(self.observer.graph.reachable):
            started = self.observer.starts(state)
            client = (state, 1, started) if self.setting.client else NO_CLIENT
            yield state, (started,) * self.replicas, client

    def told(self, action: Action) -> str:
        """An action in words."""
        return told(action, self.observer.graph.names, self.replicas)


def told(action: Action, names: Sequence[str], replicas: int) -> str:
    """An action in words; replicas are counted from 1."""
    kind, at, *more = action
    step = " → ".join(names[int(state)] for state in more)
    if kind in ("cut", "heals"):
        links = f"the links of {int(at) + 1} are" if replicas > 2 else "the link is"
        return f"{links} {'cut' if kind == 'cut' else 'whole again'}"
    return WORDS[str(kind)].format(int(at) + 1, step)


def taken(actions: Iterable[Action | None]) -> list[tuple[int, int]]:
    """The steps that somebody's call takes among some actions."""
    calls = [a for a in actions if a and a[0] in ("acknowledges", "proposes")]
    return [(int(source), int(target)) for _, _, source, target in calls]


WORDS = {
    "acknowledges": "{} acknowledges {}",
    "hears": "{} hears of {}",
    "crashes": "{} crashes",
    "rejoins": "{} rejoins",
    "reads": "a client reads {1} at {0}",
    "proposes": "{} proposes {}",
    "takes": "the log takes {1} from {0}",
    "refuses": "the log refuses {1} from {0}",
    "applies": "{} applies {}",
}


class Write(NamedTuple):
    """An acknowledged transition: where, from what to what, when, and which writes it had seen."""

    node: int
    source: int
    target: int
    stamp: Stamp
    seen: int  # bits: places in the list of writes, its own included


# A state under `eventual` or `causal`: the writes (their numbers in the system's table; the first
# is what all agreed on); per replica the place in that list of the write that it shows, those that
# it has as bits, the watches that have started; who is down, who is cut off, the client, and what
# the last step did wrong.
Merging = tuple[
    tuple[int, ...], tuple[int, ...], tuple[int, ...], tuple[int, ...], int, int, Client, Findings
]


# What becomes of a replica when a write arrives: the step, the place of the write that it then
# shows, the states that it shows before and after if that is the other one, and what is lost.
Fate = tuple[Action, int, int, int, Findings]


def replaced(items: tuple[int, ...], at: int, item: int) -> tuple[int, ...]:
    return (*items[:at], item, *items[at + 1 :])


class MergingSystem(System):
    """Replicas that acknowledge alone, tell each other, and let the latest write win."""

    def __init__(self, observer: Observer, setting: Setting, causal: bool = False) -> None:
        super().__init__(observer, setting)
        self.causal = causal
        self.table: list[Write] = []
        self._numbers: dict[Write, int] = {}
        self._writing: dict[tuple[int, int, int], list[tuple[Action, int, int]]] = {}
        self._fates: dict[tuple[int, int, int, int, int], Fate] = {}
        self._arriving: dict[tuple[tuple[int, ...], int], list[int]] = {}
        self._served: dict[tuple[tuple[int, ...], int, int], bool] = {}

    def number(self, write: Write) -> int:
        """The number of a write in the table, which it enters if it is new."""
        found = self._numbers.setdefault(write, len(self.table))
        if found == len(self.table):
            self.table.append(write)
        return found

    def initial(self) -> Iterator[Merging]:
        for state, started, client in self.beginning():
            agreed = self.number(Write(-1, state, state, BEGINNING, 1))
            zeros, ones = (0,) * self.replicas, (1,) * self.replicas
            yield (agreed,), zeros, ones, started, self.down, WHOLE, client, ()

    def steps(self, now: Merging) -> list[tuple[Action, Merging]]:
        """All that may happen next."""
        writes, shown, heard, started, down, cut, client, _ = now
        found: list[tuple[Action, Merging]] = []
        begun = len(writes) > 1
        if down >= 0:
            back = (writes, shown, heard, started, CRASHED - down, cut, client, ())
            found.append((("rejoins", down), back))
        elif down == NOBODY and 1 < len(writes) <= self.setting.transitions:
            for at in range(self.replicas):
                gone = (writes, shown, heard, started, at, cut, client, ())
                found.append((("crashes", at), gone))
        if begun:
            for action, after in self.cutting(cut):
                found.append((action, (writes, shown, heard, started, down, after, client, ())))
        for at in range(self.replicas):
            if at != down:
                if len(writes) <= self.setting.transitions and (begun or at < self.beginners):
                    self._writes(now, at, found)
                if begun:
                    self._hears(now, at, found)
        if client is not NO_CLIENT and begun:
            self._reads(now, found)
        return found

    def breaks(self, now: Merging) -> Findings:
        """What is wrong about a state and the step that led to it."""
        shown, heard = now[1], now[2]
        if heard.count(heard[0]) == len(heard) and shown.count(shown[0]) != len(shown):
            return (*now[7], ("diverged",))
        return now[7]

    def view(self, now: Merging) -> list[str]:
        """What each replica shows."""
        names, writes, down = self.observer.graph.names, now[0], now[4]
        shown = [names[self.table[writes[place]].target] for place in now[1]]
        return ["(down)" if at == down else name for at, name in enumerate(shown)]

    def _writes(self, now: Merging, at: int, found: list[tuple[Action, Merging]]) -> None:
        writes, shown, heard, started, down, cut, client, _ = now
        place = len(writes)
        seen = heard[at] | 1 << place
        mine = writes[shown[at]]
        possible = self._writing.get((mine, at, seen))
        if possible is None:
            possible = self._writing[mine, at, seen] = list(self._possible(mine, at, seen))
        for action, number, target in possible:
            begun, wrong, _ = self.observer.sees(started[at], self.table[mine].target, target)
            following = (
                (*writes, number),
                replaced(shown, at, place),
                replaced(heard, at, seen),
                replaced(started, at, begun),
                down,
                cut,
                client,
                wrong,
            )
            found.append((action, following))

    def _possible(self, mine: int, at: int, seen: int) -> Iterator[tuple[Action, int, int]]:
        """The transitions that a replica may acknowledge, with each reading of its clock."""
        shown = self.table[mine]
        for target in self.observer.graph.successors[shown.target]:
            for clock in CLOCKS:
                stamp = tick(shown.stamp, clock, str(at + 1))
                write = Write(at, shown.target, target, stamp, seen)
                action = ("acknowledges", at, shown.target, target)
                yield action, self.number(write), target

    def _hears(self, now: Merging, at: int, found: list[tuple[Action, Merging]]) -> None:
        """A write arrives, perhaps again."""
        writes, shown, heard, started, down, cut, client, _ = now
        mine, known = shown[at], heard[at]
        arriving = self._arriving.get((writes, known))
        if arriving is None:
            arriving = self._arriving[writes, known] = self._may_arrive(writes, known)
        for place in arriving:
            number = writes[place]
            if cut >= 0 and (cut == at) != (cut == self.table[number].node):
                continue
            fate = self._fates.get((writes[mine], mine, number, place, at))
            if fate is None:
                fate = self._settled(writes[mine], mine, number, place, at)
            action, kept, before, after, wrong = fate
            if kept == mine and known >> place & 1:
                continue  # it arrived again, and changed nothing
            if self.causal and self.table[number].seen & ~(known | 1 << place):
                wrong = (*wrong, ("early", before, after))
            begun = started
            if kept != mine:
                watches, bad, _ = self.observer.sees(started[at], before, after)
                wrong += bad
                begun = replaced(started, at, watches)
            shows, has = replaced(shown, at, kept), replaced(heard, at, known | 1 << place)
            found.append((action, (writes, shows, has, begun, down, cut, client, wrong)))

    def _may_arrive(self, writes: tuple[int, ...], known: int) -> list[int]:
        """The places of the writes that a replica with some of them may be told of now."""
        places = range(1, len(writes))
        if not self.causal:
            return list(places)
        delivered = self._counts(writes, known)
        made = [self.table[number] for number in writes]
        return [
            place
            for place in places
            if deliverable(delivered, str(made[place].node), self._counts(writes, made[place].seen))
        ]

    def _settled(self, number: int, mine: int, other: int, place: int, at: int) -> Fate:
        """What becomes of a replica that shows one write and is told of another."""
        here, there = self.table[number], self.table[other]
        kept = latest(Register(mine, here.stamp), Register(place, there.stamp)).value
        loser, lost, winner = (here, mine, there) if kept == place else (there, place, here)
        wrong: Findings = ()
        if not winner.seen >> lost & 1 and loser.target != winner.target:
            wrong = (("lost", loser.source, loser.target, winner.source, winner.target),)
        action = ("hears", at, there.source, there.target)
        fate = self._fates[number, mine, other, place, at] = (
            action,
            kept,
            here.target,
            there.target,
            wrong,
        )
        return fate

    def _reads(self, now: Merging, found: list[tuple[Action, Merging]]) -> None:
        """The client reads somewhere, if its token allows it."""
        writes, shown, heard, started, down, cut, (saw, token, watching), _ = now
        for at in range(self.replicas):
            if at == down or not self._serves(writes, heard[at], token):
                continue
            after = self.table[writes[shown[at]]].target
            begun, _, wrong = self.observer.sees(watching, saw, after)
            client = (after, heard[at] | token if self.causal else 1, begun)
            if client != now[6] or wrong:
                read = (writes, shown, heard, started, down, cut, client, wrong)
                found.append((("reads", at, after), read))

    def _serves(self, writes: tuple[int, ...], known: int, token: int) -> bool:
        """Whether a replica answers a client: under `causal`, when it has what the client saw."""
        served = self._served.get((writes, known, token))
        if served is None:
            has, wanted = self._counts(writes, known), self._counts(writes, token)
            served = self._served[writes, known, token] = not self.causal or covers(has, wanted)
        return served

    def _counts(self, writes: Sequence[int], which: int) -> dict[str, int]:
        """How many of some writes each node made."""
        found: dict[str, int] = {}
        for place, number in enumerate(writes):
            if place and which >> place & 1:
                node = str(self.table[number].node)
                found[node] = found.get(node, 0) + 1
        return found


class Proposal(NamedTuple):
    """A transition on its way to the log, with the revision that it was decided on."""

    node: int
    source: int
    target: int
    revision: int


# A state under `strong`. The log keeps what took effect, the rest changes nothing anywhere: the
# state that all agreed on; the log; the proposals underway, each of which may arrive any number of
# times, sorted; how many there have been; per replica how much of the log it has applied, and the
# watches that have started; who is down; how much the crashed replica must apply before it answers
# again; who is cut off; the client; what the last step did wrong.
Logging = tuple[
    int,
    tuple[Proposal, ...],
    tuple[Proposal, ...],
    int,
    tuple[int, ...],
    tuple[int, ...],
    int,
    int,
    int,
    Client,
    Findings,
]


class LoggingSystem(System):
    """Replicas that send each transition through one log, and acknowledge what took effect.

    That the log is one and the same for all is consensus, which is not examined here. It is where
    the majority is: who is cut off neither reaches it nor hears of it, nor do both of two replicas.
    """

    def initial(self) -> Iterator[Logging]:
        zeros = (0,) * self.replicas
        for state, started, client in self.beginning():
            yield state, (), (), 0, zeros, started, self.down, 0, WHOLE, client, ()

    def breaks(self, now: Logging) -> Findings:
        """What is wrong about the step that led to a state."""
        return now[10]

    def view(self, now: Logging) -> list[str]:
        """What each replica shows."""
        names, down = self.observer.graph.names, now[6]
        shown = [names[_shown(now[0], now[1], length)] for length in now[4]]
        return ["(down)" if at == down else name for at, name in enumerate(shown)]

    def steps(self, now: Logging) -> list[tuple[Action, Logging]]:
        """All that may happen next."""
        agreed, log, underway, made, applied, started, down, behind, cut, client, _ = now
        rest = (agreed, log, underway, made, applied, started)
        found: list[tuple[Action, Logging]] = []
        if down >= 0:
            back = (*rest, CRASHED - down, len(log), cut, client, ())
            found.append((("rejoins", down), back))
        if made:
            for action, after in self.cutting(cut):
                found.append((action, (*rest, down, behind, after, client, ())))
        self._arrives(now, found)
        for at in range(self.replicas):
            if at == down:
                continue
            if not _recovering(down, behind, at, applied[at]):
                self._proposes(now, at, found)
                if client is not NO_CLIENT and applied[at] == len(log) and self.hears(cut, at):
                    self._reads(now, at, found)
            if applied[at] < len(log) and self.hears(cut, at):
                self._applies(now, at, found)
            if down == NOBODY and applied[at]:
                fresh = replaced(applied, at, 0)  # it replays the log from its beginning
                gone = (agreed, log, underway, made, fresh, started, at, behind, cut, client, ())
                found.append((("crashes", at), gone))
        return found

    def hears(self, cut: int, at: int) -> bool:
        """Whether a replica is in touch with the majority."""
        return cut == WHOLE or (self.replicas > 2 and at != cut)

    def _proposes(self, now: Logging, at: int, found: list[tuple[Action, Logging]]) -> None:
        agreed, log, underway, made, applied, started, down, behind, cut, client, _ = now
        if made >= self.setting.transitions or (at >= self.beginners and not made):
            return
        value = _shown(agreed, log, applied[at])
        for target in self.observer.graph.successors[value]:
            sent = tuple(sorted({*underway, Proposal(at, value, target, applied[at])}))
            after = (agreed, log, sent, made + 1, applied, started, down, behind, cut, client, ())
            found.append((("proposes", at, value, target), after))

    def _arrives(self, now: Logging, found: list[tuple[Action, Logging]]) -> None:
        """A proposal reaches the log. What takes effect must be a step from what it overwrites."""
        agreed, log, underway, made, applied, started, down, behind, cut, client, _ = now
        for sent in underway:
            if self.hears(cut, sent.node) and _takes_effect(sent, len(log)):
                value = _shown(agreed, log, len(log))
                wrong: Findings = ()
                if sent.source != value:
                    wrong = (("lost", value, value, sent.source, sent.target),)
                grown = (*log, sent)
                after = (agreed, grown, underway, made, applied, started)
                action = ("takes", sent.node, sent.source, sent.target)
                found.append((action, (*after, down, behind, cut, client, wrong)))

    def _applies(self, now: Logging, at: int, found: list[tuple[Action, Logging]]) -> None:
        agreed, log, underway, made, applied, started, down, behind, cut, client, _ = now
        length = applied[at] + 1
        before, after = _shown(agreed, log, length - 1), _shown(agreed, log, length)
        wrong: Findings = ()
        if after != before and not _recovering(down, behind, at, length):
            begun, wrong, _ = self.observer.sees(started[at], before, after)
            started = replaced(started, at, begun)
        done = replaced(applied, at, length)
        following = (agreed, log, underway, made, done, started, down, behind, cut, client, wrong)
        found.append((("applies", at, before, after), following))

    def _reads(self, now: Logging, at: int, found: list[tuple[Action, Logging]]) -> None:
        """The client reads on a replica that has made sure that it has applied all there is."""
        saw, token, watching = now[9]
        after = _shown(now[0], now[1], now[4][at])
        begun, _, wrong = self.observer.sees(watching, saw, after)
        if (after, begun) != (saw, watching) or wrong:
            found.append((("reads", at, after), (*now[:9], (after, token, begun), wrong)))


def _recovering(down: int, behind: int, at: int, length: int) -> bool:
    """Whether a replica that came back still lacks entries, and so does not answer yet."""
    return down == CRASHED - at and length < behind


def _takes_effect(sent: Proposal, revision: int) -> bool:
    return moved(("entity",), {"entity": revision}, sent.revision) is None


def _shown(agreed: int, log: tuple[Proposal, ...], length: int) -> int:
    """The state after the first entries of the log."""
    return log[length - 1].target if length else agreed
