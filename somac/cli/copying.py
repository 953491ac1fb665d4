"""`backup` and `restore`: the memory of a running node as a file, and a data directory of it."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from .dialling import Door, with_bus
from .terminal import report, say

if TYPE_CHECKING:
    from somart.cluster.channel import Channel
    from somart.cluster.messages import Message

AHEAD = 8
"""Pieces that are asked for before the first of them has come."""


def back_up(door: Door, output: str) -> int:
    """Writes what the node at that bus or HTTP address holds to a file, all of it or nothing."""
    from somart.backup import BackupError, verify

    target = Path(output)
    partial = target.with_name(f"{target.name}.partial")
    try:
        with partial.open("wb") as file:
            writer = _Writer(file.fileno(), door.address)
            code = with_bus(door, "admin", writer.use)
            os.fsync(file.fileno())
        if not code and writer.refused:
            report(f"no backup of {door.address}: {writer.refused}")
            code = 1
        if code:
            partial.unlink()
            return code
        found = verify(partial)
        os.replace(partial, target)
    except (BackupError, OSError) as error:
        partial.unlink(missing_ok=True)
        report(f"no backup of {door.address}: {_reason(error)}")
        return 1
    size = target.stat().st_size
    of = f" of node '{found.node}'" if found.node else ""
    say(f"backup of '{found.program}'{of} at revision {found.revision}")
    say(f"{found.rows} rows, {size} bytes: {target}")
    return 0


class _Writer:
    """Takes the pieces as they come. `refused`: why there are none."""

    def __init__(self, file: int, address: str) -> None:
        self._file = file
        self.refused = f"{address} ended the connection"

    async def use(self, channel: Channel) -> None:
        from somart.cluster.copying import BACKUP
        from somart.cluster.messages import Chunk, Command, Done

        async def receive(batch: Sequence[tuple[Message, int]]) -> None:
            for message, _ in batch:
                if isinstance(message, Done):
                    self.refused = message.text
                    channel.finish()
                elif isinstance(message, Chunk) and message.data:
                    _write_all(self._file, message.data)
                    channel.send(Command(BACKUP))
                elif isinstance(message, Chunk):
                    self.refused = ""
                    channel.finish()

        for _ in range(AHEAD):
            channel.send(Command(BACKUP))
        await channel.run(receive)


def _write_all(file: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(file, view) :]


def restore_data(file: str, data: str) -> int:
    """Makes a fresh data directory of a backup."""
    from somart.backup import BackupError, restore
    from somart.errors import SomaError

    try:
        found = restore(Path(file), Path(data))
    except (BackupError, SomaError, OSError) as error:
        report(f"nothing restored: {_reason(error)}")
        return 1
    say(f"restored '{found.program}' at revision {found.revision}: {found.rows} rows in {data}")
    if found.sealed:
        say(f"encrypted slots need the key of that node: copy its soma.key into {data}")
    say(f"start the first node with --data {data}, and let others --join it with fresh folders")
    return 0


def _reason(error: Exception) -> str:
    if isinstance(error, OSError) and error.strerror:
        return f"{error.strerror}: '{error.filename}'" if error.filename else error.strerror
    return str(error)
