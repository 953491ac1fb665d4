"""The options of a served node, for `soma serve` and for generated packages alike."""

from __future__ import annotations

import argparse
import os
import re
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TypeVar

from .cluster.options import ClusterOptions, add_cluster_arguments, cluster_options_of
from .engines.etcd.settings import EtcdOptions, etcd_options_of
from .serve.limits import DEFAULT_LIMITS, ServeLimits
from .spec import ManifestSpec, ServeSpec

T = TypeVar("T")

DEFAULT_PORT = 8080
DEFAULT_HOST = "127.0.0.1"
DEFAULT_DATA = ".soma_data"
MAX_PORT = 65_535
NODE_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]{0,127}")


@dataclass(frozen=True, slots=True)
class ServeOptions:
    """How a node serves. Port 0 means any free one; `static_root` is the folder `static/`."""

    port: int = DEFAULT_PORT
    host: str = DEFAULT_HOST
    data: Path = Path(DEFAULT_DATA)
    node_id: str | None = None
    verbose: bool = False
    log_requests: bool = True
    static_root: Path | None = None
    dashboard_everywhere: bool = False
    limits: ServeLimits = field(default=DEFAULT_LIMITS)
    cluster: ClusterOptions = field(default_factory=ClusterOptions)
    etcd: EtcdOptions | None = None


def _port(word: str) -> int:
    if not word.isascii() or not word.isdigit() or len(word) > 6 or int(word) > MAX_PORT:
        raise argparse.ArgumentTypeError(f"'{word}' is not a port from 0 to {MAX_PORT}")
    return int(word)


def make_parser(prog: str | None = None, description: str | None = None) -> argparse.ArgumentParser:
    """The parser; a caller may add arguments of its own before it parses."""
    parser = argparse.ArgumentParser(prog=prog, description=description, allow_abbrev=False)
    add = parser.add_argument
    add(
        "-p",
        "--port",
        type=_port,
        metavar="PORT",
        help=f"HTTP port, WebSocket is the next one; 0 picks free ones (default {DEFAULT_PORT})",
    )
    add("--host", help=f"address to listen on (default {DEFAULT_HOST})")
    add(
        "--data",
        type=Path,
        default=Path(DEFAULT_DATA),
        metavar="DIR",
        help=f"where persistent slots are kept (default {DEFAULT_DATA})",
    )
    add("--node-id", metavar="ID", help="the name of this node")
    add("--verbose", action="store_true", help="log arguments and answers of each request")
    add(
        "--dashboard-everywhere",
        action="store_true",
        help="show the status page under /__soma/ to other machines, too",
    )
    logs = parser.add_mutually_exclusive_group()
    logs.add_argument(
        "--log-requests",
        action="store_true",
        default=True,
        dest="log_requests",
        help="one line per request on stderr (the default)",
    )
    logs.add_argument(
        "--quiet", action="store_false", dest="log_requests", help="no line per request"
    )
    add_cluster_arguments(parser)
    return parser


def options_of(
    parser: argparse.ArgumentParser,
    found: argparse.Namespace,
    static_root: Path | None = None,
    manifest: ManifestSpec | None = None,
) -> ServeOptions:
    """The options behind parsed arguments; where they say nothing, what the manifest says.

    Leaves the process with code 2 on misuse.
    """
    manifest = manifest or ManifestSpec()
    defaults, seeds, node_id = manifest.serve, manifest.seeds, manifest.node_id
    port = _first(found.port, defaults.port, DEFAULT_PORT)
    return ServeOptions(
        port=port,
        host=_first(found.host, defaults.host, DEFAULT_HOST),
        data=found.data,
        node_id=_node_id(parser, found.node_id or os.environ.get("SOMA_NODE_ID") or node_id),
        verbose=found.verbose,
        log_requests=found.log_requests or found.verbose,
        static_root=static_root,
        dashboard_everywhere=found.dashboard_everywhere,
        limits=_limits(defaults),
        cluster=cluster_options_of(parser, found, os.environ, seeds, port, manifest.intervals),
        etcd=_etcd(parser, manifest),
    )


def _etcd(parser: argparse.ArgumentParser, manifest: ManifestSpec) -> EtcdOptions | None:
    try:
        return etcd_options_of(manifest.etcd, os.environ)
    except ValueError as error:
        parser.error(f"[cluster] in soma.toml: {error}")


def _node_id(parser: argparse.ArgumentParser, given: str | None) -> str | None:
    if given is not None and not NODE_ID.fullmatch(given):
        parser.error(f"'{given}' is no node id: letters, digits and . _ : - , at most 128 of them")
    return given


def _first(given: T | None, declared: T | None, default: T) -> T:
    if given is not None:
        return given
    return default if declared is None else declared


def _limits(declared: ServeSpec) -> ServeLimits:
    limits = DEFAULT_LIMITS
    if declared.max_body is not None:
        limits = replace(limits, body_bytes=declared.max_body)
    if declared.timeout is not None:
        seconds = declared.timeout
        limits = replace(limits, request_seconds=seconds, send_seconds=seconds)
    return limits
