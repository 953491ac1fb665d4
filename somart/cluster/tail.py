"""Copies of a node's traffic for those who watch (`bus tail`): bounded, and never in its way."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from msgspec import Struct
from msgspec.structs import fields

from .clocks import Clock
from .messages import Batch, Message, Signal, Traffic, Write, name_of

SHOWN = 120
"""Characters of a value or of a list of arguments."""

SUMMARY = 1_000
ITEMS = 3
"""Items of a list that are shown."""

CONCEALED = "(encrypted)"

Sink = Callable[[Traffic], bool]
"""Takes a copy without waiting; False when there is no room for it."""


class Watchers:
    """Those who watch a node. `concealed` tells the tables whose values nobody may see."""

    def __init__(self, clock: Clock, concealed: Callable[[str], bool]) -> None:
        self._clock = clock
        self._concealed = concealed
        self._lost: dict[Sink, int] = {}

    def __bool__(self) -> bool:
        return bool(self._lost)

    def add(self, sink: Sink) -> None:
        """Somebody watches from now on."""
        self._lost[sink] = 0

    def remove(self, sink: Sink) -> None:
        """Somebody has gone."""
        self._lost.pop(sink, None)

    def note(self, direction: str, peer: str, message: Message, size: int) -> None:
        """A message of `size` bytes was sent to (`out`) or has come from (`in`) a peer."""
        summary = summarise(message, self._concealed)
        now = self._clock.wall()
        for sink, lost in self._lost.items():
            copy = Traffic(now, direction, peer, name_of(message), size, summary, lost)
            self._lost[sink] = 0 if sink(copy) else lost + 1


def summarise(message: Message, concealed: Callable[[str], bool]) -> str:
    """A message in one line, without what nobody may see."""
    if isinstance(message, Signal):
        text = f"{message.name}{_cut(message.args)} from {message.origin} number {message.number}"
    elif isinstance(message, Batch):
        writes = [_write(write, concealed) for write in message.writes[:ITEMS]]
        more = len(message.writes) - len(writes)
        tail = [f"and {more} more"] if more > 0 else []
        text = f"{message.origin} number {message.number}: {', '.join([*writes, *tail])}"
    else:
        text = _struct(message, concealed)
    return text[:SUMMARY]


def _write(write: Write, concealed: Callable[[str], bool]) -> str:
    place = f"{write.table}[{_cut(write.key)}]"
    if write.kind is None:
        return f"{place} deleted"
    value = CONCEALED if concealed(write.table) else _cut(write.value)
    return f"{place} = {value}"


def _struct(value: Struct, concealed: Callable[[str], bool]) -> str:
    parts = []
    for field in fields(value):
        shown = _any(getattr(value, field.name), concealed)
        if shown:
            parts.append(f"{field.name}={shown}")
    return " ".join(parts)


def _any(value: Any, concealed: Callable[[str], bool]) -> str:
    if isinstance(value, Write):
        return _write(value, concealed)
    if isinstance(value, Struct):
        return f"({_struct(value, concealed)})"
    if isinstance(value, (list, tuple)):
        shown = [_any(item, concealed) for item in value[:ITEMS]]
        more = [f"… {len(value)}"] if len(value) > ITEMS else []
        return f"[{', '.join([*shown, *more])}]" if value else ""
    if isinstance(value, dict):
        shown = [f"{_cut(str(k))}: {_any(v, concealed)}" for k, v in list(value.items())[:ITEMS]]
        more = [f"… {len(value)}"] if len(value) > ITEMS else []
        return f"{{{', '.join([*shown, *more])}}}" if value else ""
    if isinstance(value, bytes):  # packed, and nobody here knows what of it may be seen
        return f"{len(value)} bytes" if value else ""
    return "" if value is None else _cut(str(value))


def _cut(text: str) -> str:
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}…"
