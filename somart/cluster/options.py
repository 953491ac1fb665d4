"""How a node takes part in a cluster: command line, environment and `soma.toml` together."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from .config import ClusterConfig

MAX_PORT = 65_535
MIN_SECRET_BYTES = 16
LocalData = Literal["ask", "merge", "discard"]
BUS_OFFSET = 2
"""The bus listens on the HTTP port + 2 (spec 3 §8.1)."""


@dataclass(frozen=True, slots=True)
class TlsFiles:
    """The certificate and key of this node, and the authority that signs those of all members."""

    certificate: Path
    key: Path
    authority: Path


@dataclass(frozen=True, slots=True)
class ClusterOptions:
    """Seeds to join, protection of the bus, and what becomes of data that a joining node brings.

    `advertise` is the address that others dial, when it is not the one listened on.
    """

    join: tuple[str, ...] = ()
    secret: bytes | None = field(default=None, repr=False)
    tls: TlsFiles | None = None
    insecure: bool = False
    local_data: LocalData = "ask"
    advertise: str | None = None
    config: ClusterConfig = field(default_factory=ClusterConfig)


def add_cluster_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the options of a cluster node."""
    group = parser.add_argument_group("cluster")
    add = group.add_argument
    add(
        "--join",
        metavar="HOST:PORT",
        action="append",
        default=[],
        help="become a node of the cluster of this member: its bus (HTTP port + 2) or HTTP address",
    )
    add("--cluster-secret-file", type=Path, metavar="FILE", help="a secret that all nodes share")
    add("--tls-cert", type=Path, metavar="FILE", help="this node's certificate for the bus (PEM)")
    add("--tls-key", type=Path, metavar="FILE", help="the key of that certificate (PEM)")
    add("--tls-ca", type=Path, metavar="FILE", help="the authority that signs all nodes' (PEM)")
    add(
        "--insecure",
        action="store_true",
        help="let the bus listen on other addresses than loopback without secret and TLS",
    )
    add("--advertise", metavar="HOST", help="the address at which other nodes find this one")
    add(
        "--dead-after",
        type=_interval,
        metavar="SECONDS",
        help="a member that is dead or gone for so long gives up its place and its vote "
        f"(default {ClusterConfig().forget_ms // 1000})",
    )
    data = group.add_mutually_exclusive_group()
    data.add_argument("--merge", action="store_true", help="bring this node's own data along")
    data.add_argument(
        "--discard-local", action="store_true", help="set this node's own data aside, and join"
    )


def cluster_options_of(
    parser: argparse.ArgumentParser,
    found: argparse.Namespace,
    environment: Mapping[str, str],
    seeds: tuple[str, ...],
    http_port: int,
    intervals: Mapping[str, int],
) -> ClusterOptions:
    """The options behind parsed arguments: `--join`, else `SOMA_SEEDS`, else `[cluster] seeds`.

    Leaves the process with code 2 on misuse.
    """
    given = tuple(found.join) or _words(environment.get("SOMA_SEEDS", "")) or seeds
    for address in given:
        if split_address(address) is None:
            parser.error(f"'{address}' is no address: HOST:PORT, the port from 1 to {MAX_PORT}")
    own = http_port + BUS_OFFSET
    joined = tuple(address for address in given if not _is_own(address, own))
    if found.join and not joined:
        parser.error("a node cannot join itself: --join takes the address of another one")
    if found.dead_after is not None:
        intervals = {**intervals, "forget_ms": found.dead_after}
    try:
        config = ClusterConfig().adjusted(intervals)
    except ValueError as error:
        parser.error(f"[cluster] in soma.toml: {error}")
    kept: LocalData = "merge" if found.merge else "discard" if found.discard_local else "ask"
    if kept != "ask" and not given:
        option = "--merge" if found.merge else "--discard-local"
        parser.error(f"{option} is for a node that joins others: add --join HOST:PORT")
    return ClusterOptions(
        join=joined,
        secret=_secret(parser, found.cluster_secret_file),
        tls=_tls(parser, found),
        insecure=found.insecure,
        local_data=kept,
        advertise=found.advertise,
        config=config,
    )


def _interval(word: str) -> int:
    """Seconds as milliseconds."""
    try:
        milliseconds = int(float(word) * 1000)
    except (ValueError, OverflowError):
        milliseconds = 0
    if milliseconds < 1:
        raise argparse.ArgumentTypeError(f"'{word}' is not a number of seconds above 0")
    return milliseconds


def split_address(address: str) -> tuple[str, int] | None:
    """Host and port of `host:port` or `[v6]:port`; None when it is neither."""
    host, _, word = address.rpartition(":")
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
    elif ":" in host:
        return None
    if not host or not word.isascii() or not word.isdigit() or not 0 < int(word) <= MAX_PORT:
        return None
    return host, int(word)


def bus_above(address: str) -> str | None:
    """The bus of the node that serves HTTP at that address."""
    found = split_address(address)
    return None if found is None else join_address(found[0], found[1] + BUS_OFFSET)


def join_address(host: str, port: int) -> str:
    """The text of an address that `split_address` reads."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _words(text: str) -> tuple[str, ...]:
    return tuple(word.strip() for word in text.split(",") if word.strip())


def _is_own(address: str, bus_port: int) -> bool:
    found = split_address(address)
    loopback = ("localhost", "127.0.0.1", "::1")
    return found is not None and found[0] in loopback and found[1] in (bus_port, bus_port - 2)


def _secret(parser: argparse.ArgumentParser, file: Path | None) -> bytes | None:
    if file is None:
        return None
    try:
        secret = file.read_bytes().strip()
    except OSError as error:
        parser.error(f"--cluster-secret-file: cannot read '{file}': {error.strerror}")
    if len(secret) < MIN_SECRET_BYTES:
        parser.error(
            f"--cluster-secret-file: '{file}' has {len(secret)} bytes, a secret needs at least "
            f"{MIN_SECRET_BYTES} (try: head -c 32 /dev/urandom | base64 > {file})"
        )
    return secret


def _tls(parser: argparse.ArgumentParser, found: argparse.Namespace) -> TlsFiles | None:
    files = (found.tls_cert, found.tls_key, found.tls_ca)
    if not any(files):
        return None
    if not all(files):
        parser.error("TLS on the bus needs all of --tls-cert, --tls-key and --tls-ca")
    for file in files:
        if not file.is_file():
            parser.error(f"cannot read '{file}'")
    return TlsFiles(*files)
