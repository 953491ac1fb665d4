"""A lifecycle on two replicas that go on for ever, for properties of whole paths.

Here the number of transitions has no bound, the number of those under way has: a replica does not
acknowledge another one while a whole window of its own have not reached the other. What all have
heard and nobody shows is dropped, and stamps are told apart by their order only, so there are
finitely many states. A crash is a delay: what a replica has stored survives.

Assumed are that the network is fair (what it could deliver again and again it delivers, a link that
is cut heals again and again) and that somebody keeps calling, as on one node.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Hashable, Iterable, Iterator, Sequence
from typing import Any, NamedTuple, cast

from somart.merge import BEGINNING, Register, Stamp, deliverable, latest, moved, tick

from .ctl import parse
from .explorer import Trace, Unfolded, unfold
from .kripke import Kripke
from .product import Product
from .replicas import Action

REPLICAS = 2
EVERYBODY = (1 << REPLICAS) - 1
# How many own transitions of a replica the other may not have heard of, and how many states a model
# with so wide a window may have: half a second each.
WINDOWS = ((2, 8_000), (1, 25_000))
CALLS_AND_CUTS = ("acknowledges", "proposes", "cut")


class Live(NamedTuple):
    """A transition that matters: some replica shows it, or has not heard of it."""

    node: int
    source: int
    target: int
    heard: int  # replicas, as bits
    seen: int  # under `causal`: the live transitions that its author had seen, as bits of places


class Merged(NamedTuple):
    """A state under `eventual` or `causal`: what is live, earliest stamp first; per replica the
    place of what it shows; whether the link is cut."""

    live: tuple[Live, ...]
    shown: tuple[int, ...]
    cut: bool


class _Model(ABC):
    """What both models share: a graph, a window, and what is shown."""

    replicas = REPLICAS

    def __init__(self, graph: Kripke, window: int) -> None:
        self.graph = graph
        self.window = window

    @abstractmethod
    def shows(self, now: Any, at: int) -> int:
        """The state that a replica shows."""

    def view(self, now: Any) -> list[str]:
        """What each replica shows."""
        return [self.graph.names[self.shows(now, at)] for at in range(REPLICAS)]


class EndlessMerging(_Model):
    """Replicas that acknowledge alone; the latest transition wins."""

    def __init__(self, graph: Kripke, window: int, causal: bool) -> None:
        super().__init__(graph, window)
        self.causal = causal

    def initial(self) -> Iterator[Merged]:
        start = self.graph.initial
        yield Merged((Live(-1, start, start, EVERYBODY, 0),), (0,) * REPLICAS, False)

    def shows(self, now: Merged, at: int) -> int:
        """The state that a replica shows."""
        return now.live[now.shown[at]].target

    def settled(self, now: Merged) -> bool:
        """Whether nothing is under way."""
        return all(write.heard == EVERYBODY for write in now.live)

    def steps(self, now: Merged) -> Iterator[tuple[Action, Merged]]:
        if not self.settled(now) or now.cut:
            yield ("heals" if now.cut else "cut", 0), now._replace(cut=not now.cut)
        for at in range(REPLICAS):
            own = sum(w.node == at and w.heard != EVERYBODY for w in now.live)
            if own < self.window:
                yield from self._writes(now, at)
            if not now.cut:
                yield from self._hears(now, at)

    def _writes(self, now: Merged, at: int) -> Iterator[tuple[Action, Merged]]:
        place = now.shown[at]
        mine = now.live[place]
        known = sum(1 << k for k, write in enumerate(now.live) if write.heard >> at & 1)
        ahead = 2 * len(now.live)
        for target in self.graph.successors[mine.target]:
            for clock in (0, ahead) if place + 1 < len(now.live) else (0,):
                stamp = tick(_stamp(place, mine), clock, str(at))
                stamps = [_stamp(k, write) for k, write in enumerate(now.live)]
                rank = sum(other < stamp for other in stamps)
                seen = _shifted(known, rank) | 1 << rank if self.causal else 0
                live = [w._replace(seen=_shifted(w.seen, rank)) for w in now.live]
                live.insert(rank, Live(at, mine.target, target, 1 << at, seen))
                shown = [k + (k >= rank) for k in now.shown]
                shown[at] = rank
                yield ("acknowledges", at, mine.target, target), _tidy(live, shown, now.cut)

    def _hears(self, now: Merged, at: int) -> Iterator[tuple[Action, Merged]]:
        mine = now.shown[at]
        known = sum(1 << k for k, write in enumerate(now.live) if write.heard >> at & 1)
        for place, write in enumerate(now.live):
            if write.heard >> at & 1 or (self.causal and not self._next(now, known, write)):
                continue
            kept = latest(
                Register(mine, _stamp(mine, now.live[mine])), Register(place, _stamp(place, write))
            ).value
            live = list(now.live)
            live[place] = write._replace(heard=write.heard | 1 << at)
            shown = list(now.shown)
            shown[at] = kept
            yield ("hears", at, write.source, write.target), _tidy(live, shown, now.cut)

    def _next(self, now: Merged, known: int, write: Live) -> bool:
        """Whether causal delivery lets a transition through. What is no longer live has been
        delivered everywhere, and counts on neither side."""
        return deliverable(_counts(now.live, known), str(write.node), _counts(now.live, write.seen))


def _stamp(place: int, write: Live) -> Stamp:
    """A stamp in the order of the places, with room in between."""
    return BEGINNING if write.node < 0 and not place else Stamp(2 * place, 0, str(write.node))


def _counts(live: Sequence[Live], which: int) -> dict[str, int]:
    found: dict[str, int] = {}
    for place, write in enumerate(live):
        if which >> place & 1 and write.node >= 0:
            found[str(write.node)] = found.get(str(write.node), 0) + 1
    return found


def _shifted(bits: int, at: int) -> int:
    """Bits of places after one has been put in at a place."""
    low = bits & ((1 << at) - 1)
    return low | (bits & ~((1 << at) - 1)) << 1


def _without(bits: int, at: int) -> int:
    """Bits of places after one has been taken out."""
    low = bits & ((1 << at) - 1)
    return low | bits >> (at + 1) << at


def _tidy(live: list[Live], shown: list[int], cut: bool) -> Merged:
    """Drops what all have heard and nobody shows; nobody asks where the rest was seen."""
    for place in range(len(live) - 1, -1, -1):
        if live[place].heard == EVERYBODY and place not in shown:
            del live[place]
            live = [w._replace(seen=_without(w.seen, place)) for w in live]
            shown = [k - (k > place) for k in shown]
    kept = (
        w._replace(node=-1, source=w.target, seen=0) if w.heard == EVERYBODY else w for w in live
    )
    return Merged(tuple(kept), tuple(shown), cut)


class Sent(NamedTuple):
    """A transition on its way to the log, decided on an entry of the tail. Of one that was decided
    on an older entry (-1) it does not matter which it is."""

    node: int
    source: int
    target: int
    revision: int


class Logged(NamedTuple):
    """A state under `strong`: the states after the entries of the log that some replica has not
    applied, the one before them first; how many of them each has applied; what is on its way, one
    of each replica at most; whether the link is cut."""

    tail: tuple[int, ...]
    applied: tuple[int, ...]
    underway: tuple[Sent, ...]
    cut: bool


class EndlessLogging(_Model):
    """Replicas that send each transition through one log, and learn what took effect."""

    def initial(self) -> Iterator[Logged]:
        yield Logged((self.graph.initial,), (0,) * REPLICAS, (), False)

    def shows(self, now: Logged, at: int) -> int:
        """The state that a replica shows."""
        return now.tail[now.applied[at]]

    def settled(self, now: Logged) -> bool:
        """Whether nothing is under way."""
        return not now.underway and len(now.tail) == 1

    def steps(self, now: Logged) -> Iterator[tuple[Action, Logged]]:
        if now.cut or not self.settled(now):
            yield ("heals" if now.cut else "cut", 0), now._replace(cut=not now.cut)
        for at in range(REPLICAS):
            if all(sent.node != at for sent in now.underway):
                value, revision = self.shows(now, at), now.applied[at]
                for target in self.graph.successors[value]:
                    sent = Sent(at, value, target, revision)
                    underway = tuple(sorted((*now.underway, sent)))
                    yield ("proposes", at, value, target), now._replace(underway=underway)
            if now.applied[at] + 1 < len(now.tail) and not now.cut:
                yield self._applies(now, at)
        if not now.cut:
            yield from self._arrives(now)

    def _arrives(self, now: Logged) -> Iterator[tuple[Action, Logged]]:
        last = len(now.tail) - 1
        for sent in now.underway:
            left = tuple(other for other in now.underway if other is not sent)
            if moved(("entity",), {"entity": last}, sent.revision) is not None:
                yield ("refuses", *sent[:3]), now._replace(underway=left)
            elif last < self.window:
                tail = (*now.tail, sent.target)
                yield ("takes", *sent[:3]), now._replace(tail=tail, underway=left)

    def _applies(self, now: Logged, at: int) -> tuple[Action, Logged]:
        applied = list(now.applied)
        applied[at] += 1
        action = ("applies", at, self.shows(now, at), now.tail[applied[at]])
        done = min(applied)
        underway = tuple(
            s._replace(revision=s.revision - done) if s.revision >= done else Sent(s.node, 0, 0, -1)
            for s in now.underway
        )
        return action, Logged(now.tail[done:], tuple(k - done for k in applied), underway, now.cut)


Endless = EndlessMerging | EndlessLogging


def endless(graph: Kripke, consistency: str) -> tuple[Endless, Unfolded[Any]] | None:
    """The model of two replicas and its graph, with as wide a window as it takes; None if even the
    narrowest has too many states."""
    for window, limit in WINDOWS:
        model: Endless
        if consistency == "strong":
            model = EndlessLogging(graph, window)
        else:
            model = EndlessMerging(graph, window, consistency == "causal")
        unfolded: Unfolded[Any] = unfold(model.initial(), cast(Any, model.steps), limit)
        if unfolded.complete:
            return model, unfolded
    return None


def converges(model: Endless, unfolded: Unfolded[Any]) -> tuple[Trace[Any], int | None] | None:
    """Why replicas may go on differing after calls and cuts have ceased, wherever they were by
    then; None if they come to show the same, in whichever order the last steps are taken."""
    agree = bytearray(len(set(model.view(state))) == 1 for state in unfolded.states)
    calm = Product(unfolded, {"agree": agree}, kept=lambda action: action[0] not in CALLS_AND_CUTS)
    settling = parse("AF AG agree")
    at = calm.checker.states(settling).find(0)
    if at < 0:
        return None
    stem = Product(unfolded, {}).graph.shortest_path(0, at.__eq__) or [at]
    path, loop = calm.counter_example(settling, at)
    trace = unfolded.trace(stem) + path[1:]
    return trace, None if loop is None else loop + len(stem) - 1


def product_of(
    model: Endless, unfolded: Unfolded[Any], fair: Iterable[Iterable[tuple[int, int]]] = ()
) -> Product[Any]:
    """The graph with its fairness, labelled with the states that the first replica shows: the other
    is like it. `fair` are the user's constraints: arrows of which one is taken at last if they are
    possible again and again, on a replica that decides alone, or else at the end of the log."""
    graph = model.graph
    arrows = [frozenset(edges) for edges in fair]

    def constraints(action: Action) -> Iterator[Hashable]:
        kind, at, *arrow = action
        if kind in ("acknowledges", "proposes"):
            yield "somebody calls"
        elif kind != "cut":
            yield action
        if kind in (
            "acknowledges",
            "takes",
        ):  # alone, each replica is fair; through the log, all are
            who = at if kind == "acknowledges" else "the log"
            yield from ((who, k) for k, edges in enumerate(arrows) if tuple(arrow) in edges)

    def offers(state: Any) -> Iterator[Hashable]:
        if isinstance(state, Logged):
            for k, edges in enumerate(arrows):
                if any(source == state.tail[-1] for source, _ in edges):
                    yield "the log", k

    def rests(state: Any) -> bool:
        return model.settled(state) and bool(graph.ends[model.shows(state, 0)])

    shown = [model.shows(state, 0) for state in unfolded.states]
    labels = {
        name: bytearray(state == number for state in shown)
        for number, name in enumerate(graph.names)
    }
    return Product(unfolded, labels, constraints, rests, offers)
