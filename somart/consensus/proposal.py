"""What the entries of the log carry: write sets with what they depend on (decision 013)."""

from __future__ import annotations

from typing import NamedTuple

import msgspec
from msgspec import Struct

from ..timers import Tick

Key = str | int
Row = tuple[str, str, int, int]
"""Stored value, type, time of the write, time of its end: as in `memory/codec.py`."""

APPENDED = -1
"""The key of a log record that gets its number when it is applied."""


Emitted = tuple[str, str, bool]
"""An emitted event: its name, its arguments (a JSON list), and whether it was only published."""


class TransactionId(NamedTuple):
    """The `number`-th proposal of one run (`session`) of a node."""

    node: str
    session: int
    number: int


class Proposal(Struct, frozen=True, array_like=True, tag="TX"):
    """A transaction: applied iff nothing that it read has changed after revision `at`.

    `keys` are single keys that were read, `shapes` tables whose set of keys was, `tables` tables
    that were read as a whole. `oldest`: no number of this session below it will come again.
    """

    id: TransactionId
    oldest: int
    at: int
    keys: tuple[tuple[str, Key], ...]
    shapes: tuple[str, ...]
    tables: tuple[str, ...]
    writes: tuple[tuple[str, Key, Row | None], ...]
    due: Tick | None = None
    events: tuple[Emitted, ...] = ()


class IdRange(Struct, frozen=True, array_like=True, tag="IDS"):
    """The next `count` ids of a counter, for the node that asks."""

    id: TransactionId
    oldest: int
    counter: str
    count: int


Command = Proposal | IdRange

_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(tuple[Command, ...])


def pack(commands: tuple[Command, ...]) -> bytes:
    """The data of an entry: commands that are applied one after the other."""
    return _encoder.encode(commands)


def unpack(data: bytes) -> tuple[Command, ...]:
    """Raises msgspec.DecodeError for anything else."""
    return _decoder.decode(data)
