"""Links between programs: `link("host:port")`, `[peers]`, and those that others make (spec 3 §8.6).

What a program emits goes to all its links; what arrives calls a handler, never a private one, with
its list of arguments. A handler that emits again what has called it passes the same signal on, by
its origin and number: nobody handles it twice, whichever way it comes, and it is not sent back
where it came from. Signals that cause each other over links end after `config.hops` of them.
"""

from __future__ import annotations

import random
from collections import OrderedDict, deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, NamedTuple

import trio

from ..engines.base import DURABLE, Conflict
from ..errors import SomaError, no_handler
from ..serve.log import printable
from ..serve.site import served_cell
from ..values.jsontext import InvalidJSON, parse_json, to_json
from .backoff import Backoff
from .channel import Channel, LinkError, dial, innermost
from .config import ClusterConfig
from .frames import Received
from .handshake import Hello
from .messages import Handled, Message, Signal
from .protection import Protection

if TYPE_CHECKING:
    from ..app import App, Ended
    from ..cell import Cell
    from ..events import Event
    from ..values import Value

ANSWER_EVERY = 64
"""Signals after which an answer goes out although others are on their way to disk."""

Log = Callable[[str], None]
Observe = Callable[[str, str, Message, int], None]
"""Direction, peer, message, size: for `bus tail`."""


class Doublets:
    """Which signals have come already: the last `memory` numbers of the last `origins` origins."""

    def __init__(self, memory: int = 8_192, origins: int = 1_024) -> None:
        self._memory = memory
        self._origins = origins
        self._seen: OrderedDict[str, tuple[set[int], deque[int]]] = OrderedDict()

    def is_new(self, origin: str, number: int) -> bool:
        """Whether a signal comes for the first time; it has come then."""
        found = self._seen.get(origin)
        if found is None:
            found = self._seen[origin] = (set(), deque())
            if len(self._seen) > self._origins:
                self._seen.popitem(last=False)
        else:
            self._seen.move_to_end(origin)
        numbers, order = found
        if number in numbers:
            return False
        numbers.add(number)
        order.append(number)
        if len(order) > self._memory:
            numbers.discard(order.popleft())
        return True


class _Cause(NamedTuple):
    """The signal whose handler is running."""

    signal: Signal
    args: list[Value]
    channel: Channel


_CAUSE: ContextVar[_Cause | None] = ContextVar("somart_cause", default=None)


@contextmanager
def _because_of(cause: _Cause) -> Iterator[None]:
    token = _CAUSE.set(cause)
    try:
        yield
    finally:
        _CAUSE.reset(token)


class Links:
    """The links of an app. `me` is whom they introduce; `log` gets a line per trouble.

    Attached to the app's events, it sends on what handlers emit. `run` makes and mends the links
    that this side dials; those that others make are given to `serve`.
    """

    def __init__(
        self,
        app: App,
        me: Hello,
        *,
        config: ClusterConfig,
        protection: Protection,
        rng: random.Random,
        log: Log,
    ) -> None:
        self._app = app
        self._me = me
        self._config = config
        self._protection = protection
        self._rng = rng
        self._log = log
        self._channels: dict[Channel, None] = {}
        self._dialled: dict[str, Channel | None] = {}
        self._wanted: deque[tuple[str, Channel | None]] = deque()
        self._more = trio.Event()
        self._number = 0
        self._doublets = Doublets()
        self._told: set[str] = set()
        self.observe: Observe | None = None
        self.running = False
        self._closing = False
        served = served_cell(app.spec)
        self._served = next((c for c in app.top_level if type(c) is served), None)
        app.events.attach(self)

    @property
    def instance(self) -> str:
        """By which the other side knows this process."""
        return self._me.instance

    @property
    def open(self) -> int:
        """How many links there are."""
        return len(self._channels)

    # --- what goes out ---------------------------------------------------------------------------

    def offer(self, event: Event) -> bool:
        """Sends an event of the app to all links; always True: the feed goes on."""
        if event.published or not self._channels:
            return True
        try:
            signal, source = self._signal(event)
        except ValueError as error:
            self._log(f"[bus] cannot send '{event.name}': {error}")
            return True
        if signal.hops > self._config.hops:
            self._log_once(
                f"[bus] '{event.name}' is not sent on: signals that cause each other have crossed "
                f"{self._config.hops} links"
            )
            return True
        for channel in list(self._channels):
            if channel is not source:
                self._send(channel, signal)
        return True

    def close(self) -> None:
        """The feed of events has ended: links end when what is queued has been sent, for good."""
        self._closing = True
        for channel in list(self._channels):
            channel.finish()

    def _signal(self, event: Event) -> tuple[Signal, Channel | None]:
        """What to send, and the link that it must not go back to."""
        args = to_json(list(event.args))
        cause = _CAUSE.get()
        if cause is None:
            self._number += 1
            return Signal(self._me.instance, self._number, event.name, args), None
        hops = cause.signal.hops + 1
        if cause.signal.name == event.name and to_json(cause.args) == args:
            known = cause.signal
            return Signal(known.origin, known.number, event.name, args, hops=hops), cause.channel
        self._number += 1
        return Signal(self._me.instance, self._number, event.name, args, hops=hops), None

    def _send(self, channel: Channel, message: Message, at_once: bool = False) -> None:
        try:
            size = channel.post(message) if at_once else channel.send(message)
        except ValueError as error:
            self._log(f"[bus] cannot send to {_shown(channel)}: {printable(str(error))}")
            return
        if at_once:
            channel.flush()
        if self.observe is not None and size:
            self.observe("out", channel.peer.id, message, size)

    # --- what comes in ---------------------------------------------------------------------------

    async def serve(self, channel: Channel) -> None:
        """A link until its end."""
        link = _Link(self, channel)
        self._channels[channel] = None
        try:
            await link.run()
        except Exception as error:  # a fault of the runtime: it costs this link, nobody else
            self._log(f"[bus] internal error: {printable(repr(innermost(error)))}")
            channel.close("an internal error")
        finally:
            self._channels.pop(channel, None)
        if channel.reason is not None:
            self._log(f"[bus] link with {_shown(channel)} closed: {printable(channel.reason)}")

    def find(self, signal: Signal, dialled: bool) -> Cell:
        """The cell that handles a signal: of a link that this side dialled the first that can,
        else the served one (spec 3 §8.6). Raises SomaError."""
        if not signal.name.startswith("_"):
            if not dialled and self._served and signal.name in self._served.soma_handlers:
                return self._served
            for cell in self._app.top_level if dialled else ():
                if signal.name in cell.soma_handlers:
                    return cell
        raise no_handler(signal.name, "the bus")

    def is_new(self, signal: Signal) -> bool:
        """Whether this process has neither sent nor handled the signal."""
        if signal.origin == self._me.instance:
            return False
        return self._doublets.is_new(signal.origin, signal.number)

    def failed(self, signal: Signal, reason: str | None) -> None:
        """Says that a signal was not handled; None: there is no handler for it."""
        name = printable(signal.name)
        if reason is None:
            self._log_once(f"[bus] no handler for '{name}'")
        else:
            self._log(f"[bus] error in '{name}': {printable(reason)}")

    def _log_once(self, line: str) -> None:
        if line not in self._told and len(self._told) < 1_000:
            self._told.add(line)
            self._log(line)

    # --- links that this side makes --------------------------------------------------------------

    async def connect(self, address: str) -> None:
        """A link with that bus, kept from now on. Raises LinkError when there is none at first."""
        if address in self._dialled:
            return
        channel = await self._dial(address)
        if address not in self._dialled:
            self._keep(address, channel)
        else:  # somebody else was quicker
            channel.finish()
            self._keep("", channel)

    def keep(self, address: str) -> None:
        """A link with that bus as soon as it can be had."""
        if address not in self._dialled:
            self._keep(address, None)

    def _keep(self, address: str, channel: Channel | None) -> None:
        if address:
            self._dialled[address] = channel
        if channel is not None:
            self._channels[channel] = None  # what is emitted from now on goes there
        self._wanted.append((address, channel))
        self._more.set()

    async def run(self) -> None:
        """Makes and serves the links that this side dials, until cancelled."""
        self.running = True
        try:
            async with trio.open_nursery() as nursery:
                while True:
                    while self._wanted:
                        address, channel = self._wanted.popleft()
                        if address:
                            nursery.start_soon(self._mend, address, channel)
                        elif channel is not None:
                            nursery.start_soon(self.serve, channel)
                    self._more = trio.Event()
                    await self._more.wait()
        finally:
            self.running = False
            self._dialled.clear()
            self._wanted.clear()
            self._channels.clear()

    async def _mend(self, address: str, channel: Channel | None) -> None:
        backoff = Backoff(self._config, self._rng)
        said = False
        while not self._closing:
            if channel is not None:
                backoff.reset()
                await self.serve(channel)
                await trio.sleep(backoff.pause())
                channel = None
                continue
            try:
                channel = await self._dial(address)
            except LinkError as error:
                channel = None
                if not said:
                    self._log(f"[bus] cannot connect to {address}: {error}; trying on")
                said = True
                await trio.sleep(backoff.pause())
            else:
                said = False
                self._log(f"[bus] connected to {address}")

    async def _dial(self, address: str) -> Channel:
        return await dial(address, self._me, self._protection, self._config, self._unwelcome)

    def _unwelcome(self, peer: Hello) -> str | None:
        return "it is this process itself" if peer.instance == self._me.instance else None


class _Link:
    """One link: handlers begin in the order of their signals, and so do the answers.

    A handler that need not wait is run where its signal is read; its commit becomes durable while
    the next ones run, and so commits share their way to disk.
    """

    def __init__(self, links: Links, channel: Channel) -> None:
        self._links = links
        self._app = links._app
        self._channel = channel
        self._running: deque[tuple[_Cause, Ended]] = deque()
        self._room = trio.Semaphore(links._config.signals)
        self._more: trio.Event | None = None
        self._drained = trio.Event()
        self._count = self._failed = 0

    async def run(self) -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._end_runs)
            await self._channel.run(self._receive)
            await self._drain()
            nursery.cancel_scope.cancel()

    async def _receive(self, batch: Sequence[Received]) -> None:
        links = self._links
        for message, size in batch:
            if links.observe is not None:
                links.observe("in", self._channel.peer.id, message, size)
            if isinstance(message, Signal):
                await self._handle(message)
            elif not isinstance(message, Handled):
                self._channel.close(f"{type(message).__name__} is nothing for a link")
                return
        if not self._running:
            self._answer()

    async def _handle(self, signal: Signal) -> None:
        if not self._links.is_new(signal):
            return await self._done()
        try:
            cell = self._links.find(signal, self._channel.dialled)
        except SomaError:
            return await self._done(signal, None)
        try:
            args = parse_json(signal.args)
            if type(args) is not list:
                raise InvalidJSON("no list of arguments")
        except InvalidJSON as error:
            return await self._done(signal, str(error))
        cause = _Cause(signal, args, self._channel)
        with _because_of(cause):
            try:
                ended = self._app.begin(cell.soma_name, signal.name, args)
                if ended is not None:
                    return await self._later(cause, ended)
                await self._drain()
                await self._app.invoke(cell.soma_name, signal.name, args)
            except SomaError as error:
                return await self._done(signal, str(error))
        await self._done()

    async def _done(self, signal: Signal | None = None, reason: str | None = None) -> None:
        """A signal is through; answers come in the order of the signals."""
        await self._drain()
        if signal is not None:
            self._links.failed(signal, reason)
            self._failed += 1
        self._count += 1

    async def _later(self, cause: _Cause, ended: Ended) -> None:
        if not self._running and ended[2] == DURABLE:
            return self._end(cause, ended, None)
        try:
            self._room.acquire_nowait()  # without a turn of the event loop
        except trio.WouldBlock:
            await self._room.acquire()
        self._running.append((cause, ended))
        if self._more is not None:
            self._more.set()

    async def _drain(self) -> None:
        """Waits for the runs that are on their way to disk."""
        while self._running:
            self._drained = trio.Event()
            await self._drained.wait()

    async def _end_runs(self) -> None:
        running = self._running
        while True:
            if not running:
                self._drained.set()
                self._answer()
                self._more = trio.Event()
                await self._more.wait()
                self._more = None
            cause, ended = running[0]
            await self._settle(cause, ended)
            running.popleft()
            self._room.release()
            if self._count >= ANSWER_EVERY:
                self._answer()

    async def _settle(self, cause: _Cause, ended: Ended) -> None:
        """Waits until a run counts. One that others were quicker than runs once more."""
        lost = None
        try:
            if ended[2] != DURABLE:
                await self._app.engine.wait_durable(ended[2])
        except SomaError as error:
            lost = error
        except Conflict:
            with _because_of(cause):
                return await self._again(cause)
        self._end(cause, ended, lost)

    async def _again(self, cause: _Cause) -> None:
        self._count += 1
        signal = cause.signal
        try:
            cell = self._links.find(signal, self._channel.dialled)
            await self._app.invoke(cell.soma_name, signal.name, cause.args)
        except SomaError as error:
            self._links.failed(signal, str(error))
            self._failed += 1

    def _end(self, cause: _Cause, ended: Ended, lost: SomaError | None) -> None:
        self._count += 1
        with _because_of(cause):
            try:
                if lost is not None:
                    raise lost
                self._app.end(ended)
            except SomaError as error:
                self._links.failed(cause.signal, str(error))
                self._failed += 1

    def _answer(self) -> None:
        if self._count:
            self._links._send(self._channel, Handled(self._count, self._failed), at_once=True)
            self._count = self._failed = 0


def _shown(channel: Channel) -> str:
    return printable(channel.peer.id or channel.peer.address or "a peer")
