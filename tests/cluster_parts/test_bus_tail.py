"""`bus tail`: copies of a node's traffic, readable, bounded, without what nobody may see."""

from __future__ import annotations

from typing import Any

import pytest
import trio
from bus_parts import SECRET, Memo, connect, hello, run, running_bus, until

from somart.cluster.config import ClusterConfig
from somart.cluster.messages import (
    Batch,
    Handled,
    Heartbeat,
    MemberState,
    Signal,
    Traffic,
    VersionWire,
    Write,
    encode,
)
from somart.cluster.outputs import Send
from somart.cluster.tail import CONCEALED, Watchers, summarise
from somart.consensus.messages import Append, Entry

VERSION = VersionWire((1, 0, "a"))


def nothing_concealed(_table: str) -> bool:
    return False


def test_summaries_say_what_matters_in_one_line() -> None:
    def of(message: Any) -> str:
        return summarise(message, lambda table: table == "Q.keys")

    assert of(Signal("a-1", 7, "tick", "[1, 2]")) == "tick[1, 2] from a-1 number 7"
    writes = [
        Write("Q.jobs", "j1", VERSION, "int", "5"),
        Write("Q.keys", "k", VERSION, "string", "hush"),
        Write("Q.jobs", "j2", VERSION, None, ""),
        Write("Q.jobs", "j3", VERSION, "int", "6"),
    ]
    expected = (
        f"a number 5: Q.jobs[j1] = 5, Q.keys[k] = {CONCEALED}, Q.jobs[j2] deleted, and 1 more"
    )
    assert of(Batch("a", 5, 4, {}, writes)) == expected
    entries = (Entry(7, 2, "data", b"hush"),)
    shown = of(Append(2, "a~1", 6, 2, 5, 3, entries))
    assert "[(index=7 term=2 kind=data data=4 bytes)]" in shown
    assert "hush" not in shown
    assert of(Handled(3)) == "count=3 failed=0"
    long = of(Signal("a", 1, "x" * 256, "y" * 10_000))
    assert len(long) < 500
    everything = of(Batch("a", 1, 0, {}, [Write("t", "k" * 9_999, VERSION, "s", "v" * 9_999)] * 9))
    assert len(everything) <= 1_000


def test_a_copy_can_always_travel() -> None:
    for message in (
        Batch("a" * 256, 1, 0, {}, [Write("t" * 256, "k" * 9_999, VERSION, "s", "v" * 9_999)] * 9),
        Signal("o" * 256, 2**63, "n" * 256, "é" * 10_000),
    ):
        copies: list[Traffic] = []
        watchers = Watchers(Stopped(), nothing_concealed)
        watchers.add(lambda copy, copies=copies: bool(copies.append(copy)) or True)
        watchers.note("out", "p", message, 10)
        assert encode(1, copies[0])


class Stopped:
    """A clock that stands still."""

    def monotonic(self) -> int:
        return 0

    def wall(self) -> int:
        return 1_000


def test_what_a_slow_watcher_misses_is_counted() -> None:
    watchers = Watchers(Stopped(), nothing_concealed)
    assert not watchers
    seen: list[Traffic] = []
    room = [True, False, False, True]

    def sink(copy: Traffic) -> bool:
        if room.pop(0):
            seen.append(copy)
            return True
        return False

    watchers.add(sink)
    for n in range(4):
        watchers.note("in", "b", Handled(n), 20)
    assert [(copy.summary, copy.lost) for copy in seen] == [
        ("count=0 failed=0", 0),
        ("count=3 failed=0", 2),
    ]
    watchers.remove(sink)
    assert not watchers


def test_a_watcher_sees_both_directions_and_changes_nothing() -> None:
    async def test() -> None:
        core, seen = Memo(), []
        concealed = running_bus(core, secret=SECRET, concealed=lambda table: table == "Q.keys")

        async def receive(batch: Any) -> None:
            seen.extend(message for message, _ in batch)

        async def ignore(_batch: object) -> None:
            return

        async with concealed as on_a, trio.open_nursery() as nursery:
            peer = await connect(on_a, hello("b"), SECRET)
            nursery.start_soon(peer.run, ignore)
            watcher = await connect(on_a, hello("w", role="tail"), SECRET)
            nursery.start_soon(watcher.run, receive)
            await until(lambda: core.hellos and on_a.bus._watchers)
            member = MemberState("b", "b:1", "b:2", 3, "alive", "ready")
            peer.send(Heartbeat(5, [member]))
            await until(lambda: core.heard)
            core.outputs.append(
                Send("b", Batch("a", 1, 0, {}, [Write("Q.keys", "k", VERSION, "s", "hush")]))
            )
            on_a.bus.pump()
            await until(lambda: len(seen) == 2)
            first, second = seen
            assert (first.direction, first.peer, first.name) == ("in", "b", "CLUSTER HEARTBEAT")
            assert first.summary.startswith("number=5 gossip=[(id=b address=b:1 http=b:2")
            assert (second.direction, second.name) == ("out", "EVENT _cluster_set")
            assert second.size > 20
            assert "hush" not in second.summary
            assert core.events == ["+b"]
            nursery.cancel_scope.cancel()

    run(test)


@pytest.mark.slow
def test_a_watcher_that_does_not_read_never_slows_the_node() -> None:
    async def test() -> None:
        core = Memo()
        config = ClusterConfig(watch_frames=50)
        async with running_bus(core, config=config) as on_a, trio.open_nursery() as nursery:
            watcher = await connect(on_a, hello("w", role="tail"))  # never reads
            peer = await connect(on_a, hello("b"))
            heard = 0

            async def count(batch: Any) -> None:
                nonlocal heard
                heard += len(batch)

            nursery.start_soon(peer.run, count)
            await until(lambda: core.hellos and on_a.bus._watchers)
            block = Signal("a", 1, "tick", "x" * 4_000)
            for _ in range(10_000):
                core.outputs.append(Send("b", block))
                on_a.bus.pump()
                await trio.lowlevel.checkpoint()
            await until(lambda: heard == 10_000)
            assert on_a.log == []
            assert on_a.bus._watchers
            nursery.cancel_scope.cancel()
            watcher.close("done")
            with trio.CancelScope(shield=True):
                await watcher.run(count)

    run(test)
