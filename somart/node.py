"""A served node: what the command of a generated package and `soma serve` start (spec 3 §8.1)."""

from __future__ import annotations

import errno
import json
import os
import random
import secrets
import signal
import socket
import sys
import threading
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import trio

from .app import App
from .certificate import mismatch
from .cluster.alone import Alone
from .cluster.boot import Addresses, BootError, ClusterNode, in_cluster
from .cluster.bus import Bus
from .cluster.clocks import SystemClock
from .cluster.copying import backup_of
from .cluster.handshake import Hello
from .cluster.links import Links
from .cluster.options import BUS_OFFSET, join_address
from .cluster.protection import ProtectionError, protection_of, require_protection
from .collecting import rare_collections
from .engines.standalone import StandaloneEngine
from .errors import SomaError
from .idempotency import Answers
from .options import DEFAULT_HOST, MAX_PORT, ServeOptions, make_parser, options_of
from .serve.http import HttpServer
from .serve.log import ServerLog, printable
from .serve.site import Site, SiteOptions, Standing, served_cell
from .timers import run_timers

if TYPE_CHECKING:
    from .cell import Cell
    from .spec import ProgramSpec

VERSION = "0.1.0"

STACK_BYTES = 512 * 1024 * 1024
"""Address space for deep recursion of handlers, the same as under `soma run`."""

RECURSION_LIMIT = 220_000

JOIN_SECONDS = 5.0
"""Requests, timers and `on init` wait so long for a node that joins its cluster."""

Listeners = list[trio.SocketListener]


UNVERIFIED_HELP = "start although the package is not what its certificate says"


class StartFailure(Exception):
    """The node cannot start; the text is for the terminal."""


def main(
    spec: ProgramSpec,
    argv: Sequence[str],
    *,
    prog: str | None = None,
    static_root: Path | None = None,
    built: bool = False,
) -> int:
    """The command line of a generated package. Gives the exit code: 0, 1, or 2 for misuse.

    `static_root` is the folder `static/` of a program that is no package on disk. A package that
    was `built` starts only while it fits its certificate, or with `--unverified`.
    """
    parser = make_parser(prog or spec.package or spec.name, spec.manifest.description or None)
    parser.add_argument("--version", action="version", version=spec.manifest.version)
    if built:
        parser.add_argument("--unverified", action="store_true", help=UNVERIFIED_HELP)
    try:
        root = static_root or _package_static(spec)
        found = parser.parse_args(argv)
        options = options_of(parser, found, root, spec.manifest)
    except SystemExit as leaving:  # argparse has said why
        return leaving.code if isinstance(leaving.code, int) else 2
    if built and not _fits_certificate(spec, options, found.unverified):
        return 1
    return serve_program(spec, options)


def _package_folder(spec: ProgramSpec) -> Path | None:
    """Where a generated package lies."""
    file = getattr(sys.modules.get(spec.package or ""), "__file__", None)
    return None if file is None else Path(file).parent


def _package_static(spec: ProgramSpec) -> Path | None:
    """The folder `static/` of a generated package."""
    folder = _package_folder(spec)
    return None if folder is None else folder / "static"


def _fits_certificate(spec: ProgramSpec, options: ServeOptions, unverified: bool) -> bool:
    """Whether a built package may start; says what is wrong with it, if anything."""
    folder = _package_folder(spec)
    wrong = f"package '{spec.package}' is not loaded" if folder is None else mismatch(folder)
    if wrong is None:
        return True
    log = ServerLog(options.log_requests, options.verbose)
    if unverified:
        log.line(f"warning: {wrong}; its proofs may not hold")
    else:
        log.line(f"error: {wrong}; run `soma build` again, or start with --unverified")
    return unverified


def serve_program(spec: ProgramSpec, options: ServeOptions) -> int:
    """Serves until SIGTERM or SIGINT, which let requests in flight finish; gives the exit code.

    The event loop runs in a thread with a deep stack; the calling thread waits for signals. A
    second signal ends the grace.
    """
    stopper = Stopper()
    outcome: list[int] = []
    failure: list[BaseException] = []

    def body() -> None:
        limit = sys.getrecursionlimit()
        sys.setrecursionlimit(max(RECURSION_LIMIT, limit))
        try:
            with rare_collections():
                outcome.append(trio.run(_run_node, spec, options, stopper))
        except BaseException as error:
            failure.append(error)
        finally:
            sys.setrecursionlimit(limit)  # it counts for all threads, and theirs are shallow

    with _Signals(stopper):
        _deep_thread(body)
    if failure:
        raise failure[0]
    return outcome[0]


def _deep_thread(body: Callable[[], None]) -> None:
    sys.set_int_max_str_digits(0)
    before = threading.stack_size(STACK_BYTES)
    try:
        thread = threading.Thread(target=body, name="soma")
        thread.start()
    finally:
        threading.stack_size(before)
    thread.join()


class Stopper:
    """Carries the wish to stop from a signal handler, in any thread, to the event loop."""

    def __init__(self) -> None:
        self.requests = 0
        self._token: trio.lowlevel.TrioToken | None = None
        self._changed: trio.Event | None = None

    def request(self) -> None:
        """Stop; the second time, at once."""
        self.requests += 1
        if self._token is not None:
            try:
                self._token.run_sync_soon(self._notify)
            except trio.RunFinishedError:
                return

    def _notify(self) -> None:
        assert self._changed is not None
        self._changed.set()
        self._changed = trio.Event()

    async def wait(self, times: int) -> None:
        """Until stopping was asked for that many times."""
        if self._changed is None:
            self._changed = trio.Event()
            self._token = trio.lowlevel.current_trio_token()
        while self.requests < times:
            await self._changed.wait()


class _Signals:
    """SIGTERM and SIGINT ask to stop while this context lasts; only in the main thread."""

    def __init__(self, stopper: Stopper) -> None:
        self._stopper = stopper
        self._before: dict[int, Any] = {}

    def __enter__(self) -> None:
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGTERM, signal.SIGINT):
                self._before[number] = signal.signal(number, lambda *_: self._stopper.request())

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)


async def _run_node(spec: ProgramSpec, options: ServeOptions, stopper: Stopper) -> int:
    log = ServerLog(options.log_requests, options.verbose)
    try:
        node = Node(spec, options, log)
        await node.run(stopper)
    except (StartFailure, SomaError) as error:
        log.line(f"error: {error}")
        return 1
    return 0


class Node:
    """A program with its engine, timers and servers. Raises StartFailure from `run`."""

    def __init__(self, spec: ProgramSpec, options: ServeOptions, log: ServerLog) -> None:
        cell = served_cell(spec)
        if cell is None:
            raise StartFailure("no cell found")
        self._spec = spec
        self._cell: type[Cell] = cell
        self._options = options
        self._log = log
        self.http_port = 0
        self.socket_port: int | None = None
        self.bus_port: int | None = None
        self._member: ClusterNode | None = None
        self._answers: Answers | None = None

    def _join(self) -> ClusterNode | None:
        """What makes this process a node of a cluster, if it is to be one."""
        if not in_cluster(self._spec, self._options):
            return None
        try:
            return ClusterNode(self._spec, self._options, self._log.line)
        except (BootError, OSError) as error:
            raise StartFailure(str(error)) from error

    async def run(self, stopper: Stopper) -> None:
        """Starts in the order of spec 3 §8.1, serves, and stops without losing an answer."""
        http_listeners = await self._listen(self._options.port)
        self.http_port = _port_of(http_listeners)
        self._member = self._join()
        if self._member is not None:
            self._member.on_superseded = self._member.on_stop = stopper.request
        engine = self._member.engine if self._member else StandaloneEngine(self._options.data)
        self._answers = Answers(self._spec, engine)
        app = (self._spec.app_class or App)(self._spec, engine)
        app.calls.ports.add(self.http_port)
        try:
            await self._serve(app, http_listeners, stopper)
        finally:
            for listener in http_listeners:
                await listener.aclose()
            app.close()

    async def _serve(self, app: App, http_listeners: Listeners, stopper: Stopper) -> None:
        socket_listeners = await self._listen_for_sockets()
        bus_listeners, bus_line = await self._listen_for_bus()
        bus = self._bus(app, bus_listeners)
        site = self._site(app)
        server = HttpServer(site, self._options.limits)
        self._banner(app)
        self._log.line(bus_line)
        async with trio.open_nursery() as serving:
            serving.start_soon(self._end_now, stopper, serving.cancel_scope)
            async with trio.open_nursery() as servers:
                servers.start_soon(bus.run, bus_listeners)
                if self._member is not None:
                    servers.start_soon(self._member.run)
                async with trio.open_nursery() as clients:  # they need the bus to the end
                    clients.start_soon(server.serve, http_listeners)
                    if self._member is not None:
                        await self._member.wait_ready(JOIN_SECONDS, lambda: stopper.requests > 0)
                    await self._initialise(app)
                    for address in self._spec.manifest.peers.values():
                        bus.link(address)
                    stop_sockets = await self._start_sockets(site, clients, socket_listeners)
                    await self._open(app, site, stopper)
                    self._log.line("stopping")
                    site.stop()
                    server.stop()
                    stop_sockets()
                    app.events.close()
                if self._member is not None:
                    await self._member.leave()
                bus.stop()
            serving.cancel_scope.cancel()

    async def _open(self, app: App, site: Site, stopper: Stopper) -> None:
        """Timers run and requests are answered until the node is to stop."""
        async with trio.open_nursery() as timers:
            gate = None if self._member is None else self._member.gate()
            timers.start_soon(run_timers, app, self._log.line, gate)
            site.open()
            await stopper.wait(1)
            timers.cancel_scope.cancel()

    def _site(self, app: App) -> Site:
        options = SiteOptions(
            static_root=self._options.static_root,
            cors=tuple(self._spec.manifest.cors),
            page_everywhere=self._options.dashboard_everywhere,
            limits=self._options.limits,
        )
        return Site(app, self._cell, options, self._log, self._standing(), self._answers)

    def _standing(self) -> Standing:
        if self._member is not None:
            return self._member
        addresses = self._addresses(self.bus_port is not None)
        return Alone(self._options.node_id or addresses.bus or addresses.http, addresses)

    async def _end_now(self, stopper: Stopper, scope: trio.CancelScope) -> None:
        await stopper.wait(2)
        scope.cancel()

    async def _initialise(self, app: App) -> None:
        """`on init()`, or else `on start()`; an error is told and changes nothing."""
        name = next((n for n in ("init", "start") if n in self._cell.soma_handlers), None)
        if name is None:
            return
        try:
            await app.invoke(self._cell.soma_name, name, [])
        except SomaError as error:
            self._log.line(f"init: {name} failed: {printable(str(error))}")
        else:
            self._log.line(f"init: {name} executed")

    # --- listening -------------------------------------------------------------------------------

    async def _listen(self, port: int, host: str | None = None) -> Listeners:
        host = host or self._options.host
        try:
            listeners = await trio.open_tcp_listeners(port, host=host, backlog=1024)
        except OSError as error:
            reason = error.strerror or os.strerror(error.errno or 0)
            if error.errno == errno.EADDRINUSE:
                reason = f"{reason} (another port: -p {port + 10}, any free one: -p 0)"
            raise StartFailure(f"cannot start server on {host}:{port}: {reason}") from error
        if port == 0:  # each address of a name has got a port of its own: keep one
            for listener in listeners[1:]:
                await listener.aclose()
            del listeners[1:]
        return listeners

    async def _listen_for_sockets(self) -> Listeners:
        if "ws" not in self._cell.soma_handlers:
            return []
        port = 0 if self._options.port == 0 else self.http_port + 1
        if port > MAX_PORT:
            self._log.line(f"websocket: off, {port} is no port")
            return []
        listeners = await self._listen(port)
        self.socket_port = _port_of(listeners)
        return listeners

    async def _listen_for_bus(self) -> tuple[Listeners, str]:
        """The bus and its line of the banner. A node that is no cluster's can do without it."""
        cluster, needed = self._options.cluster, self._member is not None
        port = 0 if self._options.port == 0 else self.http_port + BUS_OFFSET
        if port > MAX_PORT:
            return [], f"bus: off, {port} is no port"
        host, secured = self._options.host, cluster.tls is not None
        unsafe = require_protection(host, cluster.secret, secured, cluster.insecure)
        if unsafe is not None and needed:
            raise StartFailure(unsafe)
        try:
            listeners = await self._listen(port, host if unsafe is None else DEFAULT_HOST)
        except StartFailure as error:
            if needed:
                raise
            return [], f"bus: off, {error}"
        self.bus_port = _port_of(listeners)
        limited = "" if unsafe is None else " for this machine only: it has neither secret nor TLS"
        return listeners, f"bus: listening on :{self.bus_port}{limited}"

    def _bus(self, app: App, listeners: Listeners) -> Bus:
        options = self._options
        try:
            protection = protection_of(options.cluster)
        except ProtectionError as error:
            raise StartFailure(str(error)) from error
        addresses = self._addresses(bool(listeners))
        name = options.node_id or addresses.bus or addresses.http
        instance = f"{name}-{secrets.token_hex(8)}"
        rng = random.Random(instance)
        config = options.cluster.config
        me = Hello("link", name, instance, addresses.bus, addresses.http)
        app.links = Links(
            app, me, config=config, protection=protection, rng=rng, log=self._log.line
        )
        member = self._member
        bus = Bus(
            me if member is None else self._member_hello(member, addresses),
            config=config,
            protection=protection,
            clock=SystemClock(),
            rng=rng,
            log=self._log.line,
            fault=self._log.fault,
            links=app.links,
            core=None if member is None else member.driver,
            concealed=_nothing if member is None else member.concealed,
            status=lambda: json.dumps(self._standing().status()),
            command=None if member is None else member.command,
            backup=partial(backup_of, self._spec, app.engine, member.id if member else name),
        )
        if member is not None:
            member.run_with(bus)
            member.feed(app.events)
        return bus

    def _member_hello(self, member: ClusterNode, addresses: Addresses) -> Hello:
        try:
            member.attach(addresses)
        except BootError as error:
            raise StartFailure(str(error)) from error
        return member.hello(addresses)

    def _addresses(self, with_bus: bool) -> Addresses:
        """Where others find this node."""
        host = self._options.cluster.advertise or self._shown_host().strip("[]")
        if host in ("0.0.0.0", "::"):
            host = socket.gethostname()
        bus = join_address(host, self.bus_port or 0) if with_bus else ""
        return Addresses(bus, join_address(host, self.http_port))

    async def _start_sockets(
        self, site: Site, nursery: trio.Nursery, listeners: Listeners
    ) -> Callable[[], None]:
        """Starts the WebSocket server if there is one; gives what stops it."""
        if not listeners:
            return lambda: None
        from .serve.websocket import SocketServer

        server = SocketServer(site, self._options.limits)
        nursery.start_soon(server.serve, listeners)
        self._log.line(f"websocket: listening on ws://{self._shown_host()}:{self.socket_port}")
        return server.stop

    # --- banner ----------------------------------------------------------------------------------

    def _shown_host(self) -> str:
        host = self._options.host
        if host in ("127.0.0.1", "::1", "localhost"):
            return "localhost"
        return f"[{host}]" if ":" in host else host

    def _banner(self, app: App) -> None:
        cell, line = self._cell, self._log.line
        line(f"soma serve v{VERSION}")
        line(f"cell: {cell.soma_name}")
        line(f"handlers: [{', '.join(cell.soma_handlers)}]")
        if (scale := cell.soma_scale) is not None:
            shard = scale.shard or "none"
            line(f"scale: replicas={scale.replicas} shard={shard} consistency={scale.consistency}")
        line(f"database: {self._database(app)}")
        url = f"http://{self._shown_host()}:{self.http_port}"
        line(f"listening on {url}")
        line(f"dashboard: {url}/__soma/")
        if self._shown_host() != "localhost":
            line(f"warning: other machines can reach {self._options.host}; nobody has to log in")
        line("---")

    def _database(self, app: App) -> Path:
        path = getattr(app.engine, "database_path", None)
        return path if isinstance(path, Path) else self._options.data / "soma.db"


def _nothing(_table: str) -> bool:
    return False


def _port_of(listeners: Listeners) -> int:
    return int(listeners[0].socket.getsockname()[1])
