"""Links with the bus of a running node, for the commands that look at it or tell it something."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from .process import INTERRUPTED, nobody_reads
from .terminal import report

if TYPE_CHECKING:
    from somart.cluster.channel import Channel
    from somart.cluster.handshake import Role
    from somart.cluster.protection import Protection

MISUSE = 2
TLS_OPTIONS = "TLS needs all of --tls-cert, --tls-key and --tls-ca"
_DEEDS = {"tail": "watch", "status": "ask", "admin": "command"}

Tls = tuple[str | None, str | None, str | None]
"""Certificate, key and authority, or nothing."""


@dataclass(frozen=True, slots=True)
class Door:
    """The bus or HTTP address of a node, and what its bus wants to see."""

    address: str
    secret_file: str | None = None
    tls: Tls = (None, None, None)


def with_bus(door: Door, role: Role, use: Callable[[Channel], Awaitable[None]]) -> int:
    """Uses a link with a node until that ends or Ctrl-C; gives the exit code."""
    import trio

    from somart.cluster.channel import LinkError
    from somart.cluster.options import split_address
    from somart.cluster.protection import ProtectionError

    if split_address(door.address) is None:
        report(f"'{door.address}' is no address: HOST:PORT")
        return MISUSE
    if any(door.tls) and not all(door.tls):
        report(TLS_OPTIONS)
        return MISUSE
    try:
        secret = None if door.secret_file is None else _secret(Path(door.secret_file))
    except OSError as error:
        report(
            f"--secret-file: cannot read '{door.secret_file}': {error.strerror}"
            " (give the file that the nodes have as --cluster-secret-file)"
        )
        return MISUSE

    async def body() -> None:
        await use(await _dial(door.address, role, _protection(secret, door.tls)))

    code = 0
    try:
        trio.run(body)
    except* KeyboardInterrupt:
        code = INTERRUPTED
    except* BrokenPipeError:  # of stdout; those of sockets come as LinkError
        code = nobody_reads()
    except* (LinkError, ProtectionError, OSError) as group:
        report(f"cannot {_DEEDS[role]} {door.address}: {group.exceptions[0]}")
        code = 1
    return code


def _secret(file: Path) -> bytes:
    return file.read_bytes().strip()


def _protection(secret: bytes | None, tls: Tls) -> Protection:
    from somart.cluster.options import TlsFiles
    from somart.cluster.protection import Protection, tls_of

    files = [Path(file) for file in tls if file is not None]
    return Protection(secret, tls_of(TlsFiles(*files)) if files else None)


async def _dial(address: str, role: Role, protection: Protection) -> Channel:
    """At the address, or the bus above it when a web server answers there. Raises LinkError."""
    from somart.cluster.channel import LinkError, dial
    from somart.cluster.config import ClusterConfig
    from somart.cluster.handshake import Hello
    from somart.cluster.options import bus_above

    me, config = Hello(role, f"somac {role}"), ClusterConfig()
    try:
        return await dial(address, me, protection, config, lambda _peer: None)
    except LinkError as error:
        above = bus_above(address)
        if not error.speaks_http or above is None:
            raise
    return await dial(above, me, protection, config, lambda _peer: None)
