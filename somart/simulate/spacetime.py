"""A trace to read: time runs down, nodes stand side by side."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from ..cluster.messages import (
    Alive,
    Gossip,
    Heartbeat,
    Join,
    Members,
    Message,
    ProbeRequest,
    SyncDiffers,
    SyncRequest,
    name_of,
)
from .world import Traced

_QUIET = (
    Heartbeat,
    Alive,
    ProbeRequest,
    Gossip,
    Join,
    Members,
    SyncRequest,
    SyncDiffers,
)
"""Messages that are shown only in a complete trace."""
_DETAIL_CHARS = 160
_UP, _DOWN, _HERE, _PAUSED = "│", " ", "●", "┊"


def render(
    trace: Sequence[Traced], nodes: Sequence[str], most: int | None = 120, complete: bool = False
) -> Iterator[str]:
    """The lines of a trace; of a long one the last `most`, `complete` with membership and
    comparisons."""
    chosen = [line for line in trace if complete or not _is_noise(line)]
    columns = dict.fromkeys(nodes, _DOWN)
    lines = [_row(line, columns) for line in chosen]
    yield f"{'seconds':>9}  {' '.join(f'{node:<3}' for node in nodes)}"
    if most is not None and len(lines) > most:
        yield f"{'…':>9}  ({len(lines) - most} events before)"
        lines = lines[-most:]
    yield from lines


def _is_noise(line: Traced) -> bool:
    if line.event != "receive":
        return line.event in ("link up", "link down")
    return isinstance(line.detail[1], _QUIET)


def _row(line: Traced, columns: dict[str, str]) -> str:
    if line.event in ("start", "resume"):
        columns[line.node] = _UP
    elif line.event == "pause":
        columns[line.node] = _PAUSED
    shown = " ".join(f"{_HERE if node == line.node else mark:<3}" for node, mark in columns.items())
    if line.event in ("crash", "stop"):
        columns[line.node] = _DOWN
    return f"{line.at / 1000:>9.3f}  {shown}  {_told(line)}".rstrip()


def _told(line: Traced) -> str:
    if line.event == "receive":
        peer, message = line.detail
        detail = f"from {peer}: {_message(message)}"
    else:
        detail = str(line.detail)
    if len(detail) > _DETAIL_CHARS:
        detail = detail[: _DETAIL_CHARS - 1] + "…"
    return f"{line.event} {detail}"


def _message(message: Message) -> str:
    show: Callable[[Any], str] = _fields
    return f"{name_of(message)} {show(message)}"


def _fields(message: Any) -> str:
    values = ((name, getattr(message, name)) for name in message.__struct_fields__)
    return " ".join(
        f"{name}={_value(value)}" for name, value in values if value not in ("", [], {})
    )


def _value(value: Any) -> str:
    if hasattr(value, "__struct_fields__"):
        return f"({_fields(value)})"
    if isinstance(value, list):
        return f"[{', '.join(map(_value, value))}]"
    return str(value)
