"""The feed of emitted and published events: bounded, and never slowed down by a reader.

Events reach subscribers after the transaction that emitted them is durable (spec 3 §8.4).
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from . import limits

if TYPE_CHECKING:
    import trio


@dataclass(frozen=True, slots=True)
class Event:
    """An emitted signal, or one that `publish` pushed under a computed name (`published`)."""

    name: str
    args: tuple[Any, ...]
    published: bool = False

    @property
    def payload(self) -> Any:
        """The single argument, or the List of arguments when there are none or several."""
        return self.args[0] if len(self.args) == 1 else list(self.args)


class Subscription:
    """An async iterator of events; ends when closed or, `dropped`, when it was too slow."""

    def __init__(self, names: frozenset[str] | None, queue: int) -> None:
        import trio

        self.names = names
        self.dropped = False
        self._send: trio.MemorySendChannel[Event]
        self._receive: trio.MemoryReceiveChannel[Event]
        self._send, self._receive = trio.open_memory_channel(queue)

    def offer(self, event: Event) -> bool:
        """Hands over an event without waiting; False when the subscriber is to be dropped."""
        import trio

        if self.names is not None and event.name not in self.names:
            return True
        try:
            self._send.send_nowait(event)
        except trio.WouldBlock:
            self.dropped = True
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            return False
        return not self.dropped

    def close(self) -> None:
        """Ends the feed after the events that already wait."""
        self._send.close()

    async def __aiter__(self) -> AsyncIterator[Event]:
        async for event in self._receive:
            yield event

    async def receive(self) -> Event:
        """The next event. Raises `trio.EndOfChannel` when the feed has ended."""
        return await self._receive.receive()


class Listener(Protocol):
    """Takes events where they are delivered, without waiting; keeps its own bounds."""

    def offer(self, event: Event) -> bool:
        """One event; the answer does not matter."""

    def close(self) -> None:
        """There are no more events."""


class EventHub:
    """Hands every event to every subscriber; one that cannot keep up is dropped with a notice."""

    def __init__(self, queue: int = limits.EVENT_QUEUE) -> None:
        self._queue = queue
        self._subscribers: dict[Subscription, None] = {}
        self._listeners: list[Listener] = []
        self._carriers: list[Listener] = []
        self.dropped = 0

    @contextmanager
    def subscribe(self, names: Iterable[str] | None = None) -> Iterator[Subscription]:
        """A feed of the events with these names, or of all of them."""
        chosen = None if names is None else frozenset(names)
        subscription = Subscription(chosen, self._queue)
        self._subscribers[subscription] = None
        try:
            yield subscription
        finally:
            self._remove(subscription)

    def attach(self, listener: Listener, *, carries: bool = False) -> None:
        """Events go to the listener, too, from now on. `carries`: it takes them to other nodes."""
        (self._carriers if carries else self._listeners).append(listener)

    def deliver(self, events: Iterable[Event], *, agreed: bool = False) -> None:
        """Called with the events of a committed transaction, in their order. `agreed`: the other
        nodes have them, too, from the log."""
        listeners = self._listeners if agreed else self._listeners + self._carriers
        if listeners:
            events = list(events)
            for event in events:
                for listener in listeners:
                    listener.offer(event)
        self.show(events)

    def show(self, events: Iterable[Event]) -> None:
        """Events for subscribers only, such as those of other nodes."""
        if not self._subscribers:
            return
        for event in events:
            for subscription in list(self._subscribers):
                if not subscription.offer(event):
                    self.dropped += subscription.dropped
                    self._remove(subscription)

    def close(self) -> None:
        """Ends all feeds."""
        for listener in self._listeners + self._carriers:
            listener.close()
        self._listeners.clear()
        self._carriers.clear()
        for subscription in list(self._subscribers):
            self._remove(subscription)

    def _remove(self, subscription: Subscription) -> None:
        self._subscribers.pop(subscription, None)
        subscription.close()
