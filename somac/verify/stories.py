"""What goes wrong on replicas: the traces behind the lines, and what they do to verdicts."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

from .explorer import Trace
from .lifecycle import Lifecycle
from .refinement import Driver
from .report import Survival, Verdict

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
    def path(self) -> tuple[str, ...]:
        """The states that one replica shows, one after the other: the replica that the last event
        changes. Empty when that changes none, but what a client has seen."""
        rows = self.shown
        changed = [
            at for at, states in enumerate(zip(*rows[-2:], strict=True)) if len({*states}) > 1
        ]
        if not changed:
            return ()
        states: list[str] = []
        for row in rows:
            state = row[changed[0]]
            if state != DOWN and states[-1:] != [state]:
                states.append(state)
        return tuple(states)


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
