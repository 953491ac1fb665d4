"""What goes wrong on replicas: the traces behind the lines, and what they do to verdicts."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any, Protocol

from somart.merge import tick

from .explorer import Trace
from .lifecycle import Lifecycle
from .refinement import Driver, takers
from .replicas import CLOCKS, Merging, MergingSystem
from .report import Step, Survival, Verdict

DOWN = "(down)"  # what a replica shows while it is away


class Shown(Protocol):
    """What a story asks of the system that its trace walks."""

    replicas: int

    def view(self, now: Any) -> Sequence[str]:
        """What each replica shows."""


@dataclass(frozen=True)
class Story:
    """A trace of a system at the end of which something is wrong: `text` says what, and `refutes`
    which property of the user it refutes, if one."""

    text: str
    refutes: str
    trace: Trace[Any]
    system: Shown
    life: Lifecycle
    driver: Driver

    @property
    def shown(self) -> list[list[str]]:
        """What each replica shows, at first and after each event."""
        return [list(self.system.view(state)) for _, state in self.trace]

    @property
    def causal(self) -> bool:
        """Whether messages wait for what their senders had seen."""
        return isinstance(self.system, MergingSystem) and self.system.causal

    @property
    def path(self) -> tuple[str, ...]:
        """The states of an entity from the beginning, as one replica shows them: the replica that
        the last event changes. Empty when that changes none, but what a client has seen."""
        rows = self.shown
        changed = [
            at for at, states in enumerate(zip(*rows[-2:], strict=True)) if len({*states}) > 1
        ]
        if not changed:
            return ()
        states = [step.source for step in stem(self)]
        for row in rows:
            state = row[changed[0]]
            if state != DOWN and states[-1:] != [state]:
                states.append(state)
        return tuple(states)


@dataclass(frozen=True)
class Event:
    """One event of a story; replicas and acknowledged writes count from 1. A replica that
    `acknowledges` takes `step` with its clock at `clock`; one that `hears` is told of `write`."""

    kind: str
    replica: int
    step: Step | None = None
    clock: int = 0
    write: int = 0


def stem(story: Story) -> tuple[Step, ...]:
    """How an entity comes to where all replicas agree, when the story begins."""
    graph = story.life.graph
    agreed = graph.index[story.shown[0][0]]
    path = graph.shortest_path(graph.initial, lambda state: state == agreed) or []
    return _steps(story, path)


def events(story: Story) -> list[Event]:
    """The events of a story, for running programs to go through. Raises ValueError for stories of
    the log: replicas without a cluster have none."""
    if not isinstance(story.system, MergingSystem):
        raise ValueError("it is about the log of a cluster, which programs on their own lack")
    found = []
    for (_, before), (action, after) in pairwise(story.trace):
        kind, at, *_ = action
        if kind == "acknowledges":
            found.append(_acknowledged(story, story.system, before, after))
        elif kind == "hears":
            new = before[2][at] ^ after[2][at]
            write = new.bit_length() - 1 if new else after[1][at]
            found.append(Event(kind, at + 1, write=write))
        else:
            found.append(Event(kind, at + 1))
    return found


def _acknowledged(story: Story, system: MergingSystem, before: Merging, after: Merging) -> Event:
    write = system.table[after[0][-1]]
    mine = system.table[before[0][before[1][write.node]]]
    clock = next(c for c in CLOCKS if tick(mine.stamp, c, str(write.node + 1)) == write.stamp)
    (step,) = _steps(story, [write.source, write.target])
    return Event("acknowledges", write.node + 1, step, clock)


def _steps(story: Story, path: Sequence[int]) -> tuple[Step, ...]:
    names = story.life.names
    return takers(story.driver, story.life, [(names[a], names[b]) for a, b in pairwise(path)])


def on_replicas(
    verdicts: Iterable[Verdict], survival: Survival | None, consistency: str
) -> Iterator[Verdict]:
    """Verdicts on one node, with those turned that the declared consistency refutes: what the user
    has stated does not hold of what the user has declared."""
    told = {story.refutes: story for story in survival.stories} if survival is not None else {}
    for verdict in verdicts:
        story = told.get(verdict.property)
        if story is None or not verdict.passed:
            yield verdict
            continue
        message = f"holds on one node, fails on replicas (consistency: {consistency})"
        yield replace(verdict, passed=False, message=message, counter_example=story.path)
