"""Links between programs: signals call public handlers, once, and endless talk ends (§8.6)."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import trio
from bus_parts import CONFIG, SECRET, Running, connect, hello, run, running_bus, until

from somart import App, Cell, ProgramSpec, Prop, SlotDecl, StandaloneEngine, Value, handler
from somart.cluster.channel import LinkError
from somart.cluster.handshake import Hello
from somart.cluster.links import Doublets, Links
from somart.cluster.messages import Handled, Message, Signal
from somart.cluster.protection import Protection
from somart.errors import SomaError, type_error


class Board(Cell):
    """The served cell: it remembers, emits, and answers."""

    soma_name = "Board"
    heard: list[tuple[Value, ...]]
    gate: trio.Event

    kept = SlotDecl("kept", "Map<String, Int>", (Prop("persistent"),))

    @handler("say", "name", "args")
    def say(self, name: Value, args: Value) -> Value:
        self.emit(name, *args)
        return None

    @handler("burst", "n")
    def burst(self, n: Value) -> Value:
        for i in range(n):
            self.emit("both", i, i)
        return None

    @handler("tick", "v")
    def tick(self, v: Value) -> Value:
        self.heard.append(("tick", v))
        self.emit("tick", v)  # on to all others
        return None

    @handler("both", "a", "b")
    def both(self, a: Value, b: Value) -> Value:
        self.heard.append(("both", a, b))
        return None

    @handler("nothing")
    def nothing(self) -> Value:
        self.heard.append(("nothing",))
        return None

    @handler("count", "n")
    def count(self, n: Value) -> Value:
        self.heard.append(("count", n))
        self.emit("count", n + 1)
        return None

    @handler("ask", "x")
    def ask(self, x: Value) -> Value:
        self.emit("answer", x * 2)
        return None

    @handler("answer", "y")
    def answer(self, y: Value) -> Value:
        self.heard.append(("answer", y))
        return None

    @handler("keep", "k", "n")
    def keep(self, k: Value, n: Value) -> Value:
        self.kept.set(k, n)
        self.heard.append(("keep", n))
        return None

    @handler("wait", "n")
    async def wait(self, n: Value) -> Value:
        await self.gate.wait()
        self.heard.append(("wait", n))
        return None

    @handler("bad", "v")
    def bad(self, v: Value) -> Value:
        raise type_error("bad luck")

    @handler("_secret", "v")
    def _secret(self, v: Value) -> Value:
        self.heard.append(("_secret", v))
        return None


class Aside(Cell):
    """A cell that is not served: only links that its own side makes reach it."""

    soma_name = "Aside"
    heard: list[Value]

    @handler("aside", "v")
    def aside(self, v: Value) -> Value:
        self.heard.append(v)
        return None


PROGRAM = ProgramSpec("board", (Board, Aside))


class Linked(Running):
    """A program with its bus."""

    def __init__(self, on: Running, app: App) -> None:
        super().__init__(on.bus, on.port, on.log)
        assert app.links is not None
        self.app, self.links = app, app.links
        self.board: Any = app.top_level[0]
        self.aside: Any = app.top_level[1]

    async def emit(self, name: str, *args: Value) -> None:
        await self.app.invoke("Board", "say", [name, list(args)])


@asynccontextmanager
async def program(
    id: str, secret: bytes | None = None, data: Path | None = None
) -> AsyncIterator[Linked]:
    with App(PROGRAM, StandaloneEngine(data)) as app:
        board, aside = app.top_level
        board.heard, board.gate, aside.heard = [], trio.Event(), []  # type: ignore[attr-defined]

        def make(me: Hello, log: list[str]) -> Links:
            app.links = Links(
                app,
                Hello("link", me.id, me.instance, me.address),
                config=CONFIG,
                protection=Protection(secret),
                rng=random.Random(1),
                log=log.append,
            )
            return app.links

        async with running_bus(id=id, secret=secret, links=make) as on:
            yield Linked(on, app)


async def settled(*programs: Linked) -> None:
    """Until what has been sent has been handled: nobody has said anything for a while."""
    before = None
    while (now := [len(p.board.heard) for p in programs]) != before:
        before = now
        await trio.sleep(0.03)


def test_arguments_arrive_as_they_were() -> None:
    async def test() -> None:
        async with program("a", SECRET) as a, program("b", SECRET) as b:
            await a.links.connect(b.address)
            values = [1, -(2**70), 2.5, True, None, "4\n2", "{}", [1, ["x"]], {"a": 1, "b": [None]}]
            for v in values:
                await a.emit("tick", v)
            await until(lambda: b.links.open)
            await b.emit("both", 1, [2])
            await a.emit("nothing")
            await a.emit("both", "x", "y")
            await until(lambda: len(b.board.heard) == len(values) + 2 and a.board.heard)
            assert [v for _, v in b.board.heard[: len(values)]] == values
            assert b.board.heard[-2:] == [("nothing",), ("both", "x", "y")]
            assert a.board.heard == [("both", 1, [2])]

    run(test)


@pytest.mark.slow
def test_a_burst_of_one_handler_arrives_whole() -> None:
    async def test() -> None:
        async with program("a") as a, program("b") as b:
            await a.links.connect(b.address)
            await a.app.invoke("Board", "burst", [10_000])
            await until(lambda: len(b.board.heard) == 10_000)
            assert b.board.heard == [("both", n, n) for n in range(10_000)]
            assert a.log == b.log == []

    run(test)


def test_private_handlers_and_wrong_arguments_are_refused() -> None:
    async def test() -> None:
        async with program("a") as a, program("b") as b:
            await a.links.connect(b.address)
            for name, args in [("_secret", [1]), ("both", [1]), ("bad", [1]), ("unheard", [])]:
                await a.emit(name, *args)
            await a.emit("_secret", 2)
            await a.emit("tick", "end")
            await until(lambda: b.board.heard)
            assert b.board.heard == [("tick", "end")]
            assert b.log == [
                "[bus] no handler for '_secret'",
                "[bus] error in 'both': both() expected 2 arguments, got 1",
                "[bus] error in 'bad': bad luck",
                "[bus] no handler for 'unheard'",
            ]

    run(test)


def test_the_dialling_side_reaches_all_its_cells_the_other_only_the_served_one() -> None:
    async def test() -> None:
        async with program("a") as a, program("b") as b:
            await a.links.connect(b.address)
            await until(lambda: b.links.open)
            await b.emit("aside", 1)
            await a.emit("aside", 2)
            await until(lambda: len(a.aside.heard) == 2 and b.log)
            assert sorted(a.aside.heard) == [1, 2]  # its own one, and that of b
            assert b.aside.heard == [1]  # its own one only
            assert b.log == ["[bus] no handler for 'aside'"]

    run(test)


def test_two_links_between_the_same_programs_deliver_once() -> None:
    async def test() -> None:
        async with program("a") as a, program("b") as b:
            await a.links.connect(b.address)
            await b.links.connect(a.address)
            await until(lambda: a.links.open == b.links.open == 2)
            for n in range(20):
                await a.emit("both", n, n)
                await b.emit("both", n, n)
            await until(lambda: len(a.board.heard) >= 20 <= len(b.board.heard))
            await settled(a, b)
            expected = [("both", n, n) for n in range(20)]
            assert a.board.heard == expected
            assert b.board.heard == expected

    run(test)


def test_a_signal_that_is_emitted_again_reaches_everybody_once() -> None:
    """Four programs in a ring, each of which passes on what it hears."""

    async def test() -> None:
        async with program("a") as a, program("b") as b, program("c") as c, program("d") as d:
            ring = [a, b, c, d]
            for one, next_one in zip(ring, [*ring[1:], a], strict=True):
                await one.links.connect(next_one.address)
            await until(lambda: all(one.links.open == 2 for one in ring))
            await a.emit("tick", {"b": 1, "a": 2})
            await until(lambda: all(other.board.heard for other in (b, c, d)))
            await settled(*ring)
            assert a.board.heard == []
            for other in (b, c, d):
                assert other.board.heard == [("tick", {"b": 1, "a": 2})]

    run(test)


def test_questions_are_answered_over_a_link() -> None:
    async def test() -> None:
        async with program("a") as a, program("b") as b:
            await a.links.connect(b.address)
            await a.emit("ask", 21)
            await until(lambda: a.board.heard)
            assert a.board.heard == [("answer", 42)]

    run(test)


def test_endless_talk_ends_after_some_links() -> None:
    async def test() -> None:
        async with program("a") as a, program("b") as b:
            await a.links.connect(b.address)
            await a.emit("count", 0)
            await until(lambda: a.log or b.log)
            heard = len(a.board.heard) + len(b.board.heard)
            assert heard == CONFIG.hops + 1
            line = (
                "[bus] 'count' is not sent on: signals that cause each other have crossed 32 links"
            )
            assert a.log + b.log == [line]

    run(test)


def test_links_are_mended() -> None:
    async def test() -> None:
        async with program("a") as a:
            async with program("b") as b:
                port = b.port
                await a.links.connect(b.address)
            await until(lambda: a.log)
            refused = f"[bus] cannot connect to 127.0.0.1:{port}: Connection refused (os error 111)"
            await until(lambda: f"{refused}; trying on" in a.log)
            async with program("c") as c:  # somebody else; the address of b is for b's return
                with pytest.raises(LinkError, match=r"^Connection refused"):
                    await c.links.connect(f"127.0.0.1:{port}")

    run(test)


def test_a_link_with_itself_is_refused() -> None:
    async def test() -> None:
        async with program("a") as a:
            with pytest.raises(LinkError, match="it is this process itself"):
                await a.links.connect(a.address)

    run(test)


def test_a_node_cannot_link_with_another_secret() -> None:
    async def test() -> None:
        async with program("a", b"one secret") as a, program("b", b"another one") as b:
            with pytest.raises(LinkError, match=r"^refused: not authenticated$"):
                await a.links.connect(b.address)
            await until(lambda: b.log)
            await b.emit("tick", 1)
            assert a.board.heard == []

    run(test)


@pytest.mark.parametrize("persistent", [False, True])
def test_signals_are_answered_when_their_commits_are_durable(
    persistent: bool, tmp_path: Path
) -> None:
    """In order, also where handlers that wait, fail or are unknown come in between."""

    async def test() -> None:
        async with (
            program("b", data=tmp_path if persistent else None) as b,
            trio.open_nursery() as nursery,
        ):
            done: list[Message] = []

            async def receive(batch: Any) -> None:
                done.extend(message for message, _ in batch)

            channel = await connect(b, hello("x", role="link"))
            nursery.start_soon(channel.run, receive)
            for n in range(300):
                channel.send(Signal("x", n, "keep", f'["k{n % 7}", {n}]'))
            channel.send(Signal("x", 299, "keep", '["again", 0]'))  # a doublet
            channel.send(Signal("x", 300, "wait", "[300]"))
            channel.send(Signal("x", 301, "bad", "[1]"))
            channel.send(Signal("x", 302, "keep", '["k", 302]'))
            await until(lambda: len(b.board.heard) == 300)
            assert counts(done) <= (301, 0)
            b.board.gate.set()
            await until(lambda: counts(done) == (304, 1))
            numbers = [found[1] for found in b.board.heard]
            assert numbers == [*range(300), 300, 302]
            nursery.cancel_scope.cancel()

    run(test)


def counts(done: list[Message]) -> tuple[int, int]:
    answers = [message for message in done if isinstance(message, Handled)]
    return sum(a.count for a in answers), sum(a.failed for a in answers)


def test_what_is_not_for_a_link_closes_it() -> None:
    from somart.cluster.messages import Heartbeat

    async def test() -> None:
        async with program("b") as b:
            channel = await connect(b, hello("x", role="link"))
            channel.send(Heartbeat(1, []))
            await channel.run(_ignore)
            await until(lambda: b.log)
            assert b.log == ["[bus] link with x closed: Heartbeat is nothing for a link"]

    async def _ignore(_batch: object) -> None:
        return

    run(test)


def test_doublets_are_told_within_bounds() -> None:
    doublets = Doublets(memory=10, origins=3)
    assert [doublets.is_new("a", n) for n in (1, 2, 1, 3, 2)] == [True, True, False, True, False]
    assert all(doublets.is_new("b", n) for n in range(100))
    assert doublets.is_new("b", 5)  # long ago
    for origin in ("c", "d", "e"):
        assert doublets.is_new(origin, 1)
    assert doublets.is_new("a", 1)
    assert len(doublets._seen) == 3


def test_a_broken_signal_is_told_and_changes_nothing() -> None:
    async def test() -> None:
        async with program("a") as a, program("b") as b:
            await a.links.connect(b.address)
            with pytest.raises(SomaError):
                await a.app.invoke("Board", "say", ["tick", 5])
            await a.emit("tick", "\ud800")
            await a.emit("tick", "fine")
            await until(lambda: b.board.heard)
            assert b.board.heard[-1] == ("tick", "fine")

    run(test)
