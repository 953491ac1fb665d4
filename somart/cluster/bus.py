"""The bus under trio: listens, dials with back-off, and drives the core of a cluster.

Decisions lie elsewhere: who is trusted in `handshake.py`, what to send to whom in the core. Here
bytes move, and bounds are kept: of what waits for a link, of connections that have not proved
themselves, of lines in the log.
"""

from __future__ import annotations

import random
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Iterator, Sequence
from typing import Protocol

import trio

from ..errors import SomaError
from ..serve.log import printable
from .backoff import Backoff
from .channel import FAREWELL_SECONDS, HUNG_UP, Channel, LinkError, dial, innermost, shake
from .clocks import Clock
from .config import ClusterConfig
from .copying import BACKUP
from .frames import Received
from .handshake import Hello
from .identity import ITSELF, unwelcome
from .links import Links
from .messages import Chunk, Command, Done, Message, Status, Traffic
from .options import bus_above
from .outputs import Dial, Drop, Note, Output, Send, Undial
from .protection import Protection, is_loopback
from .quiet import Complaints
from .tail import Watchers

LONGEST_SLEEP_MS = 60_000

Listeners = Sequence[trio.SocketListener]
Log = Callable[[str], None]


class Driven(Protocol):
    """The core of a cluster, as the bus drives it. Never waits; times are `clock.monotonic()`."""

    def admit(self, hello: Hello) -> str:
        """Why a node that has proved itself may not have a link; empty if it may."""

    def connected(self, hello: Hello, dialled: str) -> None:
        """There is a link with a node, one at a time for each id. `dialled` is the address of the
        `Dial` that led to it, empty when the other side dialled."""

    def disconnected(self, peer: str) -> None:
        """The link with that node has gone; what was sent last may be lost."""

    def receive(self, peer: str, message: Message) -> None:
        """A message from a node, in the order in which it was sent."""

    def tick(self) -> None:
        """The time of `next_wakeup` has come."""

    def next_wakeup(self) -> int | None:
        """When to tick; None: not until something else happens."""

    def take(self) -> list[Output]:
        """What is to be done, in order; once."""

    def store(self) -> bool:
        """Called when that is done: stores what others wait for, if it takes no time. True: there
        is more to do."""


class Bus:
    """The bus of one node. `me` is how it introduces itself to other nodes.

    Without `core` it serves links and watchers only. `concealed` tells the tables whose values
    `bus tail` must not show; `status` makes the JSON for `cluster status`, `backup` the pieces of
    a backup; `fault` logs a failure of the node itself.
    """

    def __init__(
        self,
        me: Hello,
        *,
        config: ClusterConfig,
        protection: Protection,
        clock: Clock,
        rng: random.Random,
        log: Log,
        core: Driven | None = None,
        links: Links | None = None,
        concealed: Callable[[str], bool] = lambda _table: False,
        status: Callable[[], str] | None = None,
        command: Callable[[Command], Done] | None = None,
        backup: Callable[[], Awaitable[Iterator[bytes]]] | None = None,
        fault: Callable[[BaseException], None] | None = None,
    ) -> None:
        self._me = me
        self._config = config
        self._protection = protection
        self._clock = clock
        self._rng = rng
        self._log = log
        self._core = core
        self._links = links
        self._status = status
        self._command = command
        self._backup = backup
        self._fault = fault or (lambda error: log(f"internal error: {printable(repr(error))}"))
        self._watchers = Watchers(clock, concealed)
        self._peers: dict[str, Channel] = {}
        self._posted: dict[Channel, None] = {}
        self._authenticated = 0
        self._pending: OrderedDict[trio.CancelScope, None] = OrderedDict()
        self._dialling: dict[str, trio.CancelScope] = {}
        self._complaints = Complaints(clock, log)
        self._sleeping_until = 0
        self._woken = trio.Event()
        self._nursery: trio.Nursery | None = None
        self._stopping = False
        self._accepting = trio.CancelScope()
        self._all_gone = trio.Event()
        if links is not None:
            links.observe = self._observe

    @property
    def peers(self) -> tuple[str, ...]:
        """The ids of the nodes that there are links with."""
        return tuple(self._peers)

    @property
    def pending(self) -> int:
        """Connections that have not proved themselves yet."""
        return len(self._pending)

    def backlog(self, peer: str) -> tuple[int, int]:
        """Frames and bytes that wait for a node; (0, 0) without a link."""
        channel = self._peers.get(peer)
        return (0, 0) if channel is None else channel.backlog

    # --- life ------------------------------------------------------------------------------------

    async def run(self, listeners: Listeners) -> None:
        """Until cancelled, or `stop` and all links have ended. Closes the listeners."""
        try:
            async with trio.open_nursery() as nursery:
                self._nursery = nursery
                if self._core is not None:
                    nursery.start_soon(self._drive, self._core)
                if self._links is not None:
                    nursery.start_soon(self._links.run)
                with self._accepting:
                    if not listeners:  # it only dials
                        await trio.sleep_forever()
                    await trio.serve_listeners(
                        self._accept, list(listeners), handler_nursery=nursery
                    )
                for listener in listeners:
                    await listener.aclose()
                with trio.move_on_after(FAREWELL_SECONDS):
                    if self._authenticated:
                        await self._all_gone.wait()
                nursery.cancel_scope.cancel()
        finally:
            self._nursery = None
            for listener in listeners:
                await trio.aclose_forcefully(listener)

    def link(self, address: str) -> None:
        """Has a link with another program's bus (`[peers]`), as soon as it can be had."""
        if self._links is not None:
            self._links.keep(address)

    def stop(self) -> None:
        """Takes no more connections; links end when what is queued for them has been sent."""
        self.pump()
        self._stopping = True
        self._accepting.cancel()
        for scope in [*self._dialling.values(), *self._pending]:
            scope.cancel()
        for channel in self._peers.values():
            channel.finish()
        if self._links is not None:
            self._links.close()

    async def _drive(self, core: Driven) -> None:
        self.pump()
        while True:
            now = self._clock.monotonic()
            wakeup = core.next_wakeup()
            due = now + LONGEST_SLEEP_MS if wakeup is None else wakeup
            if due <= now:
                core.tick()
                self.pump()
                await trio.lowlevel.checkpoint()
                continue
            self._sleeping_until = due
            self._woken = trio.Event()
            with trio.move_on_after((due - now) / 1000):
                await self._woken.wait()

    def pump(self) -> None:
        """Does what the core asks for. To be called after anything that was told to the core."""
        core = self._core
        if core is None or self._nursery is None:
            return
        self._carry_out(core)
        while core.store():
            self._carry_out(core)
        wakeup = core.next_wakeup()
        if wakeup is not None and wakeup < self._sleeping_until:
            self._woken.set()

    def _carry_out(self, core: Driven) -> None:
        for output in core.take():
            self._do(output)
        for channel in self._posted:
            channel.flush()
        self._posted.clear()

    def _do(self, output: Output) -> None:
        match output:
            case Send(to, message):
                self._send(to, message)
            case Dial(address):
                self._start_dialling(address)
            case Undial(address):
                if (scope := self._dialling.pop(address, None)) is not None:
                    scope.cancel()
            case Drop(peer, reason):
                if (channel := self._peers.get(peer)) is not None:
                    channel.close(reason)
            case Note(text):
                self._log(text)

    def _send(self, to: str, message: Message) -> None:
        channel = self._peers.get(to)
        if channel is None:
            return
        try:
            size = channel.post(message)
        except ValueError as error:
            self._complaints.say(f"bus: cannot send to '{printable(to)}': {printable(str(error))}")
            return
        self._posted[channel] = None
        if self._watchers and size:
            self._watchers.note("out", to, message, size)

    # --- connections that others make ------------------------------------------------------------

    async def _accept(self, stream: trio.SocketStream) -> None:
        try:
            host = str(stream.socket.getpeername()[0])
        except OSError:
            host = "somebody"
        scope = trio.CancelScope()
        channel = None
        self._pending[scope] = None
        if len(self._pending) > self._config.pending_links:
            self._pending.popitem(last=False)[0].cancel()
        try:
            with scope:
                channel = await shake(
                    stream,
                    self._me,
                    self._protection,
                    self._config,
                    lambda peer: self._judge(peer, host),
                    dials=False,
                )
        except LinkError as error:
            if str(error) not in (DUPLICATE, HUNG_UP):  # it has another link, or only looked
                self._complaints.say(f"bus: refused {host}: {printable(str(error))}")
        except Exception as error:  # a fault of the node: it costs this connection, nobody else
            self._fault(innermost(error))
        finally:
            self._pending.pop(scope, None)
        if channel is not None:
            await self._serve(channel)
        elif scope.cancelled_caught and not self._stopping:
            self._complaints.say(f"bus: refused {host}: too many connections wait to be trusted")

    def _judge(self, peer: Hello, host: str) -> str | None:
        """Why a peer that has proved itself is refused, None if it is not."""
        if self._authenticated >= self._config.links:
            return "too many links"
        if peer.role == "node":
            return self._judge_node(peer, dialled=False)
        if peer.role == "link":
            if self._links is None:
                return "no links here"
            mine = peer.instance in (self._me.instance, self._links.instance)
            return "it is this process itself" if mine else None
        if not self._protection.authenticates and not is_loopback(host):
            deed = "command" if peer.role == "admin" else "watch"
            return f"only this machine may {deed} a bus without secret and TLS"
        offered = self._backup if peer.role == "admin" else self._status
        if peer.role in ("status", "admin") and offered is None:
            return "not a node of a cluster"
        return None

    async def _serve(self, channel: Channel, dialled: str = "") -> None:
        """A link until its end. A fault in what it calls costs this link, and is told."""
        self._authenticated += 1
        try:
            match channel.peer.role:
                case "node":
                    await self._serve_node(channel, dialled)
                case "link":
                    assert self._links is not None
                    await self._links.serve(channel)
                case "tail":
                    await self._serve_watcher(channel)
                case "status":
                    assert self._status is not None
                    channel.send(Status(self._status()))
                    channel.finish()
                    await channel.run(_ignore)
                case "admin":
                    await self._serve_operator(channel)
        except Exception as error:
            self._fault(innermost(error))
            channel.close("an internal error")
        finally:
            self._authenticated -= 1
            if not self._authenticated and self._stopping:
                self._all_gone.set()

    async def _serve_operator(self, channel: Channel) -> None:
        """One command, one answer; a backup is asked for piece by piece."""
        backup: Iterator[bytes] | None = None

        async def receive(batch: Sequence[Received]) -> None:
            nonlocal backup
            for message, _ in batch:
                if not isinstance(message, Command):
                    continue
                if message.name == BACKUP and self._backup is not None:
                    try:
                        backup = backup or await self._backup()
                        channel.send(Chunk(next(backup, b"")))
                    except SomaError as error:
                        channel.send(Done(str(error), True))
                    await trio.lowlevel.checkpoint()  # clients come in between
                    continue
                refused = Done("this is not a node of a cluster", True)
                channel.send(self._command(message) if self._command is not None else refused)
                channel.finish()
                self.pump()

        await channel.run(receive)

    async def _serve_watcher(self, channel: Channel) -> None:
        def sink(copy: Traffic) -> bool:
            return channel.backlog[0] < self._config.watch_frames and channel.send(copy) > 0

        self._watchers.add(sink)
        try:
            await channel.run(_ignore)
        finally:
            self._watchers.remove(sink)

    def _observe(self, direction: str, peer: str, message: Message, size: int) -> None:
        if self._watchers:
            self._watchers.note(direction, peer, message, size)

    # --- links with nodes ------------------------------------------------------------------------

    def _judge_node(self, peer: Hello, dialled: bool) -> str | None:
        if self._core is None:
            return "not a node of a cluster"
        if peer.role != "node":
            return f"'{peer.role}' instead of a node"
        reason = unwelcome(self._me, peer) or self._core.admit(peer)
        self.pump()
        if not reason and not self._prefers(peer, dialled):
            reason = DUPLICATE
        return reason or None

    def _prefers(self, peer: Hello, dialled: bool) -> bool:
        """Whether a new link with a node is better than the one there is, if any.

        Of two that were dialled at the same time both sides keep the one of the lower id. A node
        that dials although there is a link has lost it, or has been started again.
        """
        old = self._peers.get(peer.id)
        if old is None or old.peer.instance != peer.instance or old.dialled == dialled:
            return True
        if trio.current_time() - old.since > 2 * self._config.handshake_ms / 1000:
            return True
        return dialled == (self._me.id < peer.id)

    async def _serve_node(self, channel: Channel, dialled: str) -> None:
        core, peer = self._core, channel.peer.id
        assert core is not None
        if not self._prefers(channel.peer, channel.dialled):
            channel.close(DUPLICATE)
        elif (old := self._peers.get(peer)) is not None:
            self._lose(old)
            old.close(DUPLICATE)
        if channel.reason is None:
            self._peers[peer] = channel
            core.connected(channel.peer, dialled)
            self.pump()

        async def receive(batch: Sequence[Received]) -> None:
            if self._peers.get(peer) is not channel:
                return
            for message, size in batch:
                if self._watchers:
                    self._watchers.note("in", peer, message, size)
                core.receive(peer, message)
            self.pump()

        try:
            await channel.run(receive)
        finally:
            if self._peers.get(peer) is channel:
                self._lose(channel)
        if channel.reason not in (None, DUPLICATE):
            self._log(f"bus: link with '{printable(peer)}' closed: {printable(channel.reason)}")

    def _lose(self, channel: Channel) -> None:
        assert self._core is not None
        del self._peers[channel.peer.id]
        self._core.disconnected(channel.peer.id)
        self.pump()

    # --- connections that this node makes --------------------------------------------------------

    def _start_dialling(self, address: str) -> None:
        if address not in self._dialling and not self._stopping and self._nursery is not None:
            scope = self._dialling[address] = trio.CancelScope()
            self._nursery.start_soon(self._keep_dialling, address, scope)

    async def _keep_dialling(self, address: str, scope: trio.CancelScope) -> None:
        """Has a link with that address, again and again, until told otherwise.

        A link with a node that says it listens there will do, whoever has dialled it.
        """
        backoff = Backoff(self._config, self._rng)
        target, known, said = address, "", ""
        channel: Channel | None = None
        with scope:
            while True:
                present = self._link_with(known, address, target)
                if present is not None:
                    await present.ended.wait()
                    continue
                try:
                    channel = await self._dial(target)
                except LinkError as error:
                    if error.speaks_http and target == address:
                        target = bus_above(address) or address
                        continue
                    if str(error) in (ITSELF, f"refused: {ITSELF}"):
                        await trio.sleep_forever()  # until `Undial`: it will not be another one
                    if str(error) not in (said, DUPLICATE_SEEN, DUPLICATE):
                        said = str(error)
                        self._log(f"bus: cannot link with {address}: {printable(said)}")
                except Exception as error:
                    self._fault(innermost(error))
                else:
                    known, said = channel.peer.id, ""
                    backoff.reset()
                    assert self._nursery is not None
                    self._nursery.start_soon(self._serve, channel, address)
                    await channel.ended.wait()
                await trio.sleep(backoff.pause())

    def _link_with(self, known: str, *addresses: str) -> Channel | None:
        found = self._peers.get(known)
        if found is not None:
            return found
        for channel in self._peers.values():
            if channel.peer.address in addresses or channel.peer.http in addresses:
                return channel
        return None

    async def _dial(self, address: str) -> Channel:
        return await dial(
            address,
            self._me,
            self._protection,
            self._config,
            lambda peer: self._judge_node(peer, dialled=True),
        )


DUPLICATE = "there is another link already"
DUPLICATE_SEEN = f"refused: {DUPLICATE}"


async def _ignore(_batch: Sequence[Received]) -> None:
    """Those who only watch have nothing to say."""
