"""Seeded defects in the rules by which replicas settle: the model of replicas must catch each."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import pytest

from somac.verify import endless, replicas
from somac.verify.explorer import explore
from somac.verify.kripke import Kripke
from somac.verify.replicas import LoggingSystem, MergingSystem, Observer, Setting
from somart.merge import Register, Stamp, Vector, covers, deliverable, latest, moved, tick

CHAIN = Kripke(["a", "b", "c"], [[1], [2], []])
STEP = Kripke(["a", "b"], [[1], []])
FORK = Kripke(["a", "b", "c"], [[1, 2], [], []])
RING = Kripke(["a", "b"], [[1], [0]])
Entry = Register[Any]


def kinds(system: MergingSystem | LoggingSystem) -> set[object]:
    """The kinds of what goes wrong in a system; a client's begin with "client"."""
    steps: Any = system.steps
    breaks: Any = system.breaks
    found: Any = explore(system.initial(), steps, breaks, 5_000)  # some mutants never end
    return {name[0] for name in found.broken}


def without_ties(mine: Entry, other: Entry) -> Entry:
    return other if other.stamp[:2] > mine.stamp[:2] else mine


def without_counter(mine: Entry, other: Entry) -> Entry:
    return other if other.stamp.physical > mine.stamp.physical else mine


def first_wins(mine: Entry, other: Entry) -> Entry:
    return other if other.stamp < mine.stamp else mine


def last_to_arrive(mine: Entry, other: Entry) -> Entry:
    return other


def never_told(mine: Entry, other: Entry) -> Entry:
    return mine


def by_the_wall_clock(last: Stamp, now: int, node: str) -> Stamp:
    return Stamp(now, 0, node)


def without_counting(last: Stamp, now: int, node: str) -> Stamp:
    return Stamp(max(now, last.physical), last.logical, node)


def at_once(delivered: Vector, sender: str, message: Vector) -> bool:
    return True


def in_its_senders_order(delivered: Vector, sender: str, message: Vector) -> bool:
    return message.get(sender, 0) == delivered.get(sender, 0) + 1


def after_others(delivered: Vector, sender: str, message: Vector) -> bool:
    return all(delivered.get(n, 0) >= count for n, count in message.items() if n != sender)


def without_comparing(read: Iterable[str], changed: Mapping[str, int], at: int) -> str | None:
    return None


def unless_new(read: Iterable[str], changed: Mapping[str, int], at: int) -> str | None:
    return moved(read, changed, at) if at else None


def one_behind(read: Iterable[str], changed: Mapping[str, int], at: int) -> str | None:
    return moved(read, changed, at + 1)


def whoever_asks(known: Vector, token: Vector) -> bool:
    return True


# a mutant, what it stands in for, where, and the kind of finding that gives it away
MUTANTS: list[tuple[Callable[..., object], str, Kripke, str, Setting, str]] = [
    (without_ties, "latest", FORK, "eventual", Setting(2, 2), "diverged"),
    (without_counter, "latest", CHAIN, "eventual", Setting(2, 2), "diverged"),
    (first_wins, "latest", STEP, "eventual", Setting(2, 1), "diverged"),
    (last_to_arrive, "latest", FORK, "eventual", Setting(2, 2), "diverged"),
    (never_told, "latest", STEP, "causal", Setting(3, 1), "diverged"),
    (by_the_wall_clock, "tick", CHAIN, "eventual", Setting(2, 2), "diverged"),
    (without_counting, "tick", CHAIN, "eventual", Setting(2, 2), "diverged"),
    (at_once, "deliverable", CHAIN, "causal", Setting(2, 2), "early"),
    (in_its_senders_order, "deliverable", CHAIN, "causal", Setting(3, 2), "early"),
    (after_others, "deliverable", CHAIN, "causal", Setting(2, 2), "early"),
    (without_comparing, "moved", FORK, "strong", Setting(2, 2), "lost"),
    (unless_new, "moved", FORK, "strong", Setting(2, 2), "lost"),
    (one_behind, "moved", FORK, "strong", Setting(2, 2, client=True), "client"),
    (whoever_asks, "covers", STEP, "causal", Setting(2, 1, client=True), "client"),
]
RULES = {
    "latest": latest,
    "tick": tick,
    "deliverable": deliverable,
    "moved": moved,
    "covers": covers,
}


def system(graph: Kripke, level: str, setting: Setting) -> MergingSystem | LoggingSystem:
    observer = Observer(graph, [])
    if level == "strong":
        return LoggingSystem(observer, setting)
    return MergingSystem(observer, setting, level == "causal")


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda row: row[0].__name__)
def test_the_model_catches_a_broken_rule(
    mutant: tuple[Callable[..., object], str, Kripke, str, Setting, str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    broken, name, graph, level, setting, kind = mutant
    assert getattr(replicas, name) is RULES[name]
    assert kind not in kinds(system(graph, level, setting))
    monkeypatch.setattr(replicas, name, broken)
    assert kind in kinds(system(graph, level, setting))


@pytest.mark.parametrize(
    ("name", "broken", "level"),
    [
        ("latest", never_told, "eventual"),
        ("latest", last_to_arrive, "eventual"),
        ("deliverable", lambda *_: False, "causal"),
        ("moved", without_comparing, "strong"),
    ],
)
@pytest.mark.slow
def test_replicas_that_are_never_told_do_not_converge(
    name: str, broken: Callable[..., object], level: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = endless.endless(RING, level)
    assert found is not None
    assert endless.converges(*found) is None
    monkeypatch.setattr(endless, name, broken)
    found = endless.endless(RING, level)
    assert found is not None
    if name == "moved":  # replicas agree on a log whatever is in it; here one entry undoes another
        assert any(
            action[0] == "takes" and action[2] != state.tail[-1]
            for state, leaving in zip(found[1].states, found[1].steps, strict=True)
            for action, _ in leaving
        )
        return
    differing = endless.converges(*found)
    assert differing is not None
    trace, _ = differing
    assert len(set(found[0].view(trace[-1][1]))) == 2
