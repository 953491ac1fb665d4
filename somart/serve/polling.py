"""All plain sockets of a server, watched together and read in one turn of the event loop.

A socket is registered once and edge-triggered, so that a request costs a read and a write and no
call to say that one waits again (epoll(7), "Edge-triggered"). What is ready is passed on at once,
without waking the task of the connection: that one sleeps until there is something to wait for.
Requests that have arrived together are so handled together, and their commits form one group.
"""

from __future__ import annotations

import os
import select
import sys

import trio

from .pipes import HOLD, LEAVE, Disconnected, Pipe, SocketPipe, StreamPipe, Take


class Poller:
    """Reads ready sockets, see above. `run` it as a task; `close` it after that."""

    def __init__(self, turn_reads: int) -> None:
        self._turn_reads = turn_reads
        self._epoll = select.epoll()
        self._mask = select.EPOLLIN | select.EPOLLRDHUP | select.EPOLLET
        self._last = select.EPOLLRDHUP | select.EPOLLHUP | select.EPOLLERR
        self._pipes: dict[int, PolledPipe] = {}

    async def run(self) -> None:
        """Watches until it is cancelled."""
        while True:
            await trio.lowlevel.wait_readable(self._epoll.fileno())
            self._turn()

    def _turn(self) -> None:
        """Reads until nothing is ready, or others want their turn."""
        left = self._turn_reads
        while left > 0:
            events = self._epoll.poll(0, left)
            if not events:
                return
            left -= len(events)
            for descriptor, mask in events:
                pipe = self._pipes.get(descriptor)
                if pipe is not None:
                    pipe.arrived(mask & self._last != 0)

    def add(self, pipe: PolledPipe, descriptor: int) -> None:
        """Watches a socket; what has arrived already is reported too. Raises OSError."""
        self._epoll.register(descriptor, self._mask)
        self._pipes[descriptor] = pipe

    def forget(self, descriptor: int) -> None:
        """Call it before the socket is closed: its number may come back at once."""
        if self._pipes.pop(descriptor, None) is not None and not self._epoll.closed:
            self._epoll.unregister(descriptor)

    def close(self) -> None:
        """Gives the descriptor up."""
        self._epoll.close()


def make_poller(turn_reads: int) -> Poller | None:
    """A poller where the system has epoll; elsewhere each socket is waited for by itself."""
    return Poller(turn_reads) if sys.platform == "linux" else None


class PolledPipe(SocketPipe):
    """A socket that a poller watches. One task at a time receives from it. May raise OSError."""

    in_place = True

    def __init__(self, stream: trio.SocketStream, poller: Poller) -> None:
        super().__init__(stream)
        self._poller = poller
        self._task: trio.lowlevel.Task | None = None
        self._take: Take = _leave
        self._limit = 0
        self._ready = False  # there may be something to read
        self._ending = False  # and the end after it, which is not reported again
        self._held = False
        self._leaving = False
        self._broken: OSError | None = None
        poller.add(self, self._fd)

    async def receive(self, limit: int) -> bytes:
        found = b""

        def keep(data: bytes) -> int:
            nonlocal found
            found = data
            return LEAVE

        await self.serve(limit, keep)
        return found

    async def serve(self, limit: int, take: Take) -> None:
        self._limit, self._take = limit, take
        self._leaving = False
        try:
            while True:
                if self._ready and not self._held:
                    await trio.lowlevel.checkpoint()  # who sends without end is not alone
                    self._read()
                else:
                    await self._park()
                if self._broken is not None:
                    raise Disconnected from self._broken
                if self._leaving:
                    return
        finally:
            self._held = False

    async def _park(self) -> None:
        self._task = trio.lowlevel.current_task()

        def abort(_: object) -> trio.lowlevel.Abort:
            self._task = None
            return trio.lowlevel.Abort.SUCCEEDED

        await trio.lowlevel.wait_task_rescheduled(abort)

    def _wake(self) -> None:
        task, self._task = self._task, None
        if task is not None:
            trio.lowlevel.reschedule(task)

    def arrived(self, ending: bool) -> None:
        """There is something to read, or the end."""
        self._ready = True
        if ending:
            self._ending = True
        if self._task is not None and not self._held:
            self._read()
            if self._ready or self._leaving:
                self._wake()

    def release(self, step: int) -> None:
        """Goes on after HOLD."""
        self._held = False
        if step is LEAVE:
            self._leaving = True
        if self._leaving or self._ready:
            self._wake()

    def _read(self) -> None:
        """Reads once, passes it on, and notes how to go on."""
        try:
            data = os.read(self._fd, self._limit)
        except BlockingIOError:
            self._ready = False
            return
        except OSError as error:
            self._broken = error
            return
        self._ready = self._ending or len(data) == self._limit
        step = self._take(data)
        if step is HOLD:
            self._held = True
        elif step is LEAVE:
            self._leaving = True

    async def close(self) -> None:
        self._poller.forget(self._fd)
        self._take = _leave  # its owner refers to this pipe
        await super().close()


def _leave(_: bytes) -> int:
    return LEAVE


def pipe_for(stream: trio.abc.Stream, poller: Poller | None = None) -> Pipe:
    """The quickest pipe for a stream."""
    if not isinstance(stream, trio.SocketStream) or os.name != "posix":
        return StreamPipe(stream)
    if poller is not None:
        try:
            return PolledPipe(stream, poller)
        except OSError:  # of the system's limit on watches: the slower way works still
            return SocketPipe(stream)
    return SocketPipe(stream)
