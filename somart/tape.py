"""What a call takes from outside: values of `now`, `now_ms`, `today`, `random` (builtins §9, §10).

A tape that records notes them in order; a tape that replays gives them back, so that the same
call has the same result again. Without a tape the builtins cost what they always cost.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

Taken = tuple[str, Any]

_TAPE: ContextVar[Tape | None] = ContextVar("somart_tape", default=None)


class Tape:
    """Notes values by the builtin's name, or gives those back that were `recorded`.

    `missed` are the names for which a replay had no recorded value.
    """

    def __init__(self, recorded: Iterable[Taken] | None = None) -> None:
        self.taken: list[Taken] = []
        self.missed: list[str] = []
        self._replays = recorded is not None
        self._recorded = deque(recorded or ())

    @property
    def left(self) -> list[str]:
        """The names of recorded values that nobody has taken."""
        return [name for name, _ in self._recorded]

    def take(self, name: str, draw: Callable[[], Any]) -> Any:
        """The next value: the recorded one if its name fits, else a drawn one."""
        recorded = self._recorded
        if recorded and recorded[0][0] == name:
            value = recorded.popleft()[1]
        else:
            if self._replays:
                self.missed.append(name)
            value = draw()
        self.taken.append((name, value))
        return value

    @contextmanager
    def running(self) -> Iterator[Tape]:
        """The builtins use this tape inside the block, also in tasks that begin there."""
        token = _TAPE.set(self)
        try:
            yield self
        finally:
            _TAPE.reset(token)


def observe(name: str, draw: Callable[[], Any]) -> Any:
    """A value from outside, through the tape when there is one."""
    tape = _TAPE.get()
    return draw() if tape is None else tape.take(name, draw)
