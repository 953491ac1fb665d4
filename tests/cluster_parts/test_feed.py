"""Events of one node reach the clients of the others, once, and go no further."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import trio

from somart.cluster.feed import Feed
from somart.cluster.messages import Signal
from somart.events import Event, EventHub


class Node:
    def __init__(self, name: str, boot: int = 1) -> None:
        self.sent: list[tuple[str, Signal]] = []
        context = SimpleNamespace(
            linked={"b": True, "c": True},
            send=lambda to, signal: self.sent.append((to, signal)),
            wake=lambda: None,
        )
        core: Any = SimpleNamespace(context=context)
        self.hub = EventHub()
        self.feed = Feed(core, self.hub, name, boot)


def test_an_event_goes_to_every_linked_node_with_its_arguments() -> None:
    one, other = Node("a~1"), Node("b~1")

    async def run() -> None:
        with other.hub.subscribe() as feed:
            one.hub.deliver([Event("sold", ("T1", 5)), Event("shown", (None,), published=True)])
            assert [to for to, _ in one.sent] == ["b", "c", "b", "c"]
            for _, signal in one.sent:  # each of them twice: doublets are passed over
                other.feed.receive(signal)
            assert await feed.receive() == Event("sold", ("T1", 5))
            assert await feed.receive() == Event("shown", (None,), published=True)
            other.hub.close()
            assert [event async for event in feed] == []

    trio.run(run)
    assert other.sent == []


def test_the_numbers_of_a_restarted_node_go_on() -> None:
    before, after, other = Node("a~1", boot=1), Node("a~1", boot=2), Node("b~1")
    before.hub.deliver([Event("x", ())])
    after.hub.deliver([Event("y", ())])

    async def run() -> None:
        with other.hub.subscribe() as feed:
            for node in (before, after):
                other.feed.receive(node.sent[0][1])
            assert [(await feed.receive()).name, (await feed.receive()).name] == ["x", "y"]

    trio.run(run)
