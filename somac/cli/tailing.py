"""`bus tail`: what a running node sends and receives, as it happens."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from .process import INTERRUPTED
from .terminal import remark, report, say

if TYPE_CHECKING:
    from somart.cluster.messages import Traffic
    from somart.cluster.protection import Protection

MISUSE = 2
TLS_OPTIONS = "TLS needs all of --tls-cert, --tls-key and --tls-ca"


def tail_bus(
    address: str,
    secret_file: str | None,
    tls: tuple[str | None, str | None, str | None],
    json: bool,
) -> int:
    """Prints the traffic of the node at that bus or HTTP address until it ends or Ctrl-C."""
    import trio

    from somart.cluster.channel import LinkError
    from somart.cluster.options import split_address
    from somart.cluster.protection import ProtectionError

    if split_address(address) is None:
        report(f"'{address}' is no address: HOST:PORT")
        return MISUSE
    if any(tls) and not all(tls):
        report(TLS_OPTIONS)
        return MISUSE
    code = 0
    try:
        trio.run(_watch, address, _protection(secret_file, tls), json)
    except* KeyboardInterrupt:
        code = INTERRUPTED
    except* (LinkError, ProtectionError, OSError) as group:
        report(f"cannot watch {address}: {group.exceptions[0]}")
        code = 1
    return code


def _protection(secret_file: str | None, tls: tuple[str | None, ...]) -> Protection:
    from somart.cluster.options import TlsFiles
    from somart.cluster.protection import Protection, tls_of

    secret = None if secret_file is None else Path(secret_file).read_bytes().strip()
    files = [Path(file) for file in tls if file is not None]
    return Protection(secret, tls_of(TlsFiles(*files)) if files else None)


async def _watch(address: str, protection: Protection, json: bool) -> None:
    from somart.cluster.channel import LinkError, dial
    from somart.cluster.config import ClusterConfig
    from somart.cluster.handshake import Hello
    from somart.cluster.messages import Message, Traffic
    from somart.cluster.options import bus_above

    me, config = Hello("tail", "bus tail"), ClusterConfig()
    try:
        channel = await dial(address, me, protection, config, lambda _peer: None)
    except LinkError as error:
        above = bus_above(address)
        if not error.speaks_http or above is None:
            raise
        channel = await dial(above, me, protection, config, lambda _peer: None)
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
