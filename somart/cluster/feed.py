"""Events of one node for the SSE and WebSocket clients of all others (spec 3 §8.4, §8.6).

An event leaves after its transaction is durable, once to each node that there is a link with; a
client of a node that is cut off does not see it, as one that was not connected. What a transaction
of strong cells emits is in its entry of the log: each node shows it when it applies the entry, also
when the node that ran the handler has died since.
"""

from __future__ import annotations

from ..consensus.proposal import Emitted
from ..events import Event, EventHub
from ..values import jsontext
from .core import ClusterCore
from .messages import Signal


class Feed:
    """Carries events between the event hubs of nodes. Attach it to the hub of its own node."""

    def __init__(self, core: ClusterCore, hub: EventHub, origin: str, boot: int) -> None:
        self._core = core
        self._hub = hub
        self._origin = origin
        self._number = boot << 40
        self._seen: dict[str, int] = {}
        hub.attach(self, carries=True)

    def offer(self, event: Event) -> bool:
        """Sends an event of this node's own to all others."""
        context = self._core.context
        if context.linked:
            self._number += 1
            args = jsontext.to_json(list(event.args))
            signal = Signal(self._origin, self._number, event.name, args, event.published)
            for peer in sorted(context.linked):
                context.send(peer, signal)
            context.wake()
        return True

    def close(self) -> None:
        """There are no more events."""

    def applied(self, emitted: tuple[Emitted, ...], own: bool) -> None:
        """What a transaction of the log has emitted, on this node (`own`) or another one."""
        events = [
            Event(name, tuple(args), published)
            for name, text, published in emitted
            if isinstance(args := jsontext.from_json(text), list)
        ]
        if own:
            self._hub.deliver(events, agreed=True)
        else:
            self._hub.show(events)

    def receive(self, signal: Signal) -> None:
        """An event of another node: for this node's clients; it goes no further."""
        if signal.number <= self._seen.get(signal.origin, 0):
            return
        self._seen[signal.origin] = signal.number
        args = jsontext.from_json(signal.args)
        if isinstance(args, list):
            self._hub.show([Event(signal.name, tuple(args), signal.published)])
