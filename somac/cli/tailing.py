"""`bus tail`: what a running node sends and receives, as it happens."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from .dialling import Door, Tls, with_bus
from .terminal import remark, say

if TYPE_CHECKING:
    from somart.cluster.channel import Channel
    from somart.cluster.messages import Traffic


def tail_bus(
    address: str,
    secret_file: str | None,
    tls: Tls,
    json: bool,
) -> int:
    """Prints the traffic of the node at that bus or HTTP address until it ends or Ctrl-C."""

    async def watch(channel: Channel) -> None:
        await _watch(channel, address, json)

    return with_bus(Door(address, secret_file, tls), "tail", watch)


async def _watch(channel: Channel, address: str, json: bool) -> None:
    from somart.cluster.messages import Message, Traffic

    remark(f"watching {channel.peer.id or address}")

    async def receive(batch: Sequence[tuple[Message, int]]) -> None:
        for message, _ in batch:
            if isinstance(message, Traffic):
                say(_as_json(message) if json else _as_line(message))
        _flush()

    await channel.run(receive)
    remark(f"the node has ended the connection{f': {channel.reason}' if channel.reason else ''}")


def _flush() -> None:
    import sys

    sys.stdout.flush()


def _as_json(traffic: Traffic) -> str:
    import msgspec

    return msgspec.json.encode(msgspec.structs.asdict(traffic)).decode()


def _as_line(traffic: Traffic) -> str:
    from somart.serve.log import printable

    time = datetime.fromtimestamp(traffic.time / 1000).strftime("%H:%M:%S.%f")[:-3]
    arrow = "→" if traffic.direction == "out" else "←"
    lost = f"({traffic.lost} messages not shown)\n" if traffic.lost else ""
    size = f"{traffic.size} B"
    return lost + printable(
        f"{time} {arrow} {traffic.peer}  {traffic.name}  {size}  {traffic.summary}"
    )
