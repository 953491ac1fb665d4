"""Requests that are answered where they were read: groups, order, failures, clients that leave."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
import trio
import trio.testing
from serve_cells import Client, Harness, run, serving

from somart import SomaError, StandaloneEngine
from somart.engines.base import Conflict
from somart.engines.database import Changes, Database, storage_error
from somart.serve import http, polling
from somart.serve.limits import ServeLimits
from somart.serve.log import ServerLog

CLIENTS = 20
GET = b"GET /add/1/2 HTTP/1.1\r\nHost: here\r\n\r\n"
THREE = b'{"result": 3}'


@pytest.fixture(autouse=True)
def sockets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Harness, "transport", "sockets")


class Gated(StandaloneEngine):
    """An engine whose commits become durable when the gate is open."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.gate = trio.Event()
        self.groups: list[int] = []

    async def wait_durable(self, ticket: int) -> None:
        await self.gate.wait()
        await super().wait_durable(ticket)

    def _write(self, batch: list[object]) -> SomaError | None:  # type: ignore[override]
        self.groups.append(len(batch))
        return super()._write(batch)  # type: ignore[arg-type]


def put(name: str, number: int = 1) -> bytes:
    return b"GET /put/%b/%d HTTP/1.1\r\nHost: here\r\n\r\n" % (name.encode(), number)


async def silent(client: Client) -> bool:
    """Whether no answer has come."""
    await trio.testing.wait_all_tasks_blocked()
    with trio.move_on_after(0.01):
        await client.stream.receive_some(100)
        return False
    return True


def test_requests_that_come_together_share_a_commit_and_wake_nobody(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def test() -> None:
        engine = Gated(tmp_path)
        async with serving(engine=engine) as server:
            monkeypatch.setattr(server.site, "respond", None)  # what connections' tasks would call
            clients = [server.client() for _ in range(CLIENTS)]
            for number, client in enumerate(clients):
                await client.send(put(f"k{number}", number))
            assert all([await silent(client) for client in clients])
            engine.gate.set()
            for client in clients:
                assert (await client.answer())[2] == b'{"ok": true}'
            assert engine.groups == [CLIENTS]
            assert len(await clients[0].json("GET", "/all_stock")) == CLIENTS

    run(test)


def test_each_request_of_a_lost_group_hears_of_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_: Database, changes: Changes) -> None:
        raise storage_error(f"no room for {len(changes)}")

    async def test() -> None:
        async with serving(engine=StandaloneEngine(tmp_path)) as server:
            clients = [server.client() for _ in range(3)]
            assert (await clients[0].ask("GET", "/put/kept/1"))[0] == 200
            with monkeypatch.context() as patched:
                patched.setattr(Database, "write", refuse)
                for client in clients:
                    await client.send(put("lost"))
                answers = [await client.answer() for client in clients]
            assert {(status, body) for status, _, body in answers} == {
                (500, b'{"error": "storage error: no room for 1"}')
            }
            for client in clients:  # and goes on
                assert await client.json("GET", "/all_stock") == {"kept": 1}

    run(test)


def test_a_commit_that_lost_to_another_runs_again(tmp_path: Path) -> None:
    class Late(StandaloneEngine):
        waits = 0

        async def wait_durable(self, ticket: int) -> None:
            self.waits += 1
            await super().wait_durable(ticket)
            if self.waits == 1:
                raise Conflict

    async def test() -> None:
        engine = Late(tmp_path)
        async with serving(engine=engine) as server:
            client = server.client()
            assert (await client.ask("GET", "/put/a/1"))[2] == b'{"ok": true}'
            assert engine.waits == 2
            assert (await client.ask("GET", "/add/1/2"))[2] == THREE

    run(test)


def test_what_follows_a_request_waits_for_its_answer(tmp_path: Path) -> None:
    async def test() -> None:
        engine = Gated(tmp_path)
        async with serving(engine=engine) as server:
            client = server.client()
            await client.send(put("a"))
            assert await silent(client)
            await client.send(GET[:20])
            assert await silent(client)
            await client.send(GET[20:] + put("b"))
            assert await silent(client)
            assert list(server.site.app.engine.table("Shop.stock", None).entries) == ["a"]  # type: ignore[arg-type]
            engine.gate.set()
            bodies = [(await client.answer())[2] for _ in range(3)]
            assert bodies == [b'{"ok": true}', THREE, b'{"ok": true}']

    run(test)


@pytest.mark.parametrize("half", [True, False])
def test_a_client_that_leaves_before_its_answer(half: bool, tmp_path: Path) -> None:
    async def test() -> None:
        out = io.StringIO()
        engine = Gated(tmp_path)
        log = ServerLog(requests=False, stream=out)
        async with serving(engine=engine, log=log) as server:
            leaver, other = server.client(), server.client()
            for client in (leaver, other):
                await client.send(put("a"))
                assert await silent(client)
            if half:
                assert isinstance(leaver.stream, trio.SocketStream)
                await leaver.stream.send_eof()
            else:
                await leaver.stream.aclose()
            await trio.testing.wait_all_tasks_blocked()
            engine.gate.set()
            assert (await other.answer())[0] == 200
            if half:
                assert (await leaver.answer())[0] == 200
                assert await leaver.ended() == b""
            await trio.testing.wait_all_tasks_blocked()
            assert len(server.server._connections) == 1
        assert out.getvalue() == ""

    run(test)


def test_an_answer_that_does_not_fit_is_sent_in_full() -> None:
    async def test() -> None:
        async with serving() as server:
            client = server.client()
            text = b"x" * 3_000_000
            await client.send(
                b"POST /echo HTTP/1.1\r\nHost: here\r\nContent-Length: 3000000\r\n\r\n"
            )
            async with trio.open_nursery() as nursery:
                nursery.start_soon(client.send, text)
                assert (await client.answer())[2] == b'{"result": "%b"}' % text
            assert (await client.ask("GET", "/add/1/2"))[2] == THREE

    run(test)


def test_a_client_that_does_not_read_a_large_answer_is_given_up() -> None:
    async def test() -> None:
        async with serving(limits=ServeLimits(send_seconds=5)) as server:
            client = server.client()
            await client.ask("POST", "/put", b'{"k": "k", "v": "%b"}' % (b"x" * 2_000_000))
            await client.send(b"GET /all_stock HTTP/1.1\r\nHost: here\r\n\r\n")
            await trio.sleep(10)
            assert not server.server._connections

    run(test)


def test_who_sends_without_end_is_not_alone() -> None:
    async def test() -> None:
        async with serving(limits=ServeLimits(turn_reads=1, receive_bytes=len(GET))) as server:
            flood, other = server.client(), server.client()
            await flood.send(GET * 500)
            assert (await other.ask("GET", "/add/1/2"))[2] == THREE
            assert server.server._connections
            for _ in range(500):
                assert (await flood.answer())[2] == THREE

    run(test)


def test_stopping_answers_what_is_held_and_closes(tmp_path: Path) -> None:
    async def test() -> None:
        engine = Gated(tmp_path)
        async with serving(engine=engine) as server:
            idle, held = server.client(), server.client()
            assert (await idle.ask("GET", "/add/1/2"))[2] == THREE
            await held.send(put("a"))
            assert await silent(held)
            server.server.stop()
            assert await idle.ended() == b""
            engine.gate.set()
            status, headers, _ = await held.answer()
            assert (status, headers["connection"]) == (200, "close")
            assert await held.ended() == b""

    run(test)


def test_after_the_grace_what_is_held_ends_without_an_answer(tmp_path: Path) -> None:
    async def test() -> None:
        engine = Gated(tmp_path)
        async with serving(engine=engine, limits=ServeLimits(grace_seconds=2)) as server:
            held = server.client()
            await held.send(put("a"))
            assert await silent(held)
            server.server.stop()
            assert await held.ended() == b""
            engine.gate.set()

    run(test)


def test_a_handler_that_waits_keeps_its_turn() -> None:
    async def test() -> None:
        async with serving() as server:
            napping, quick = server.client(), server.client()
            await napping.send(b"GET /nap/1000 HTTP/1.1\r\nHost: here\r\n\r\n")
            await trio.testing.wait_all_tasks_blocked()
            await quick.send(GET)
            assert await silent(quick)
            assert (await napping.answer())[2] == b'{"result": "rested"}'
            assert (await quick.answer())[2] == THREE

    run(test)


@pytest.mark.parametrize("reason", ["no epoll", "no watches left"])
def test_sockets_that_are_not_watched_together(
    reason: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError("no space left")

    async def test() -> None:
        if reason == "no epoll":
            monkeypatch.setattr(http, "make_poller", lambda _: None)
        else:
            monkeypatch.setattr(polling.Poller, "add", refuse)
        async with serving(engine=StandaloneEngine(tmp_path)) as server:
            client = server.client()
            assert (await client.ask("GET", "/put/a/1"))[2] == b'{"ok": true}'
            assert (await client.ask("GET", "/add/1/2"))[2] == THREE

    run(test)
