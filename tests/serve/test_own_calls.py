"""Handlers that call their own server over HTTP: no dead-lock, no lost update, an end."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import pytest
import trio
import trio.testing

from somart import (
    App,
    Cell,
    ProgramSpec,
    SlotDecl,
    SomaError,
    StandaloneEngine,
    Value,
    handler,
    ops,
    std,
)
from somart.serve.http import HttpServer
from somart.serve.limits import ServeLimits
from somart.serve.log import ServerLog
from somart.serve.site import Site, SiteOptions


class Caller(Cell):
    """Calls the server that it is served by."""

    soma_name = "Caller"
    numbers = SlotDecl("numbers", "Map<String, Int>")
    url = ""
    runs = 0

    @handler("bump", "key")
    def bump(self, key: Value) -> Value:
        number = (self.numbers.get(key) or 0) + 1
        self.numbers.set(key, number)
        return number

    @handler("slow_bump", "key")
    async def slow_bump(self, key: Value) -> Value:
        before = self.numbers.get(key) or 0
        await std.sleep(20)
        self.numbers.set(key, before + 1)
        return before + 1

    @handler("through", "name", "key")
    async def through(self, name: Value, key: Value) -> Value:
        """Reads, lets the server change what was read, and reads again."""
        type(self).runs += 1
        before = [self.numbers.get(key) or 0, self.numbers.len(), self.numbers.values()]
        got = await std.http_post(f"{self.url}/{name}/{key}", {})
        return [before[0], ops.field(got, "result"), self.numbers.get(key)]

    @handler("twice", "key")
    async def twice(self, key: Value) -> Value:
        return await std.http_get(f"{self.url}/through/slow_bump/{key}")

    @handler("forever", "depth")
    async def forever(self, depth: Value) -> Value:
        got = await std.http_get(f"{self.url}/forever/{depth + 1}")
        return depth if type(got) is dict and "error" in got else ops.field(got, "result")


class Outside(Cell):
    """A cell that is not served."""

    soma_name = "Outside"

    @handler("ask", "url")
    async def ask(self, url: Value) -> Value:
        return ops.field(await std.http_get(f"{url}/slow_bump/k"), "result")


Body = Callable[[App, str], Awaitable[None]]


def serve(body: Body, opened: bool = True) -> None:
    """Serves the program on a free port while the body runs, for ten seconds at most."""

    async def main() -> None:
        Caller.runs = 0
        with App(ProgramSpec("own", (Caller, Outside)), StandaloneEngine(None)) as app:
            site = Site(app, Caller, SiteOptions(), ServerLog(requests=False))
            server = HttpServer(site, ServeLimits())
            listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
            Caller.url = f"http://127.0.0.1:{listeners[0].socket.getsockname()[1]}"
            if opened:
                site.open()
            with trio.fail_after(10):
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(server.serve, listeners)
                    await body(app, Caller.url)
                    nursery.cancel_scope.cancel()
            for listener in listeners:
                await listener.aclose()
            assert not app.calls._running

    trio.run(main)


@pytest.mark.parametrize("name", ["bump", "slow_bump"])
def test_a_handler_may_call_its_own_server(name: str) -> None:
    async def body(app: App, url: str) -> None:
        assert await app.invoke("Caller", "through", [name, "k"]) == [0, 1, 1]
        assert await app.invoke("Caller", "through", [name, "k"]) == [1, 2, 2]

    serve(body)
    assert Caller.runs == 2, "what it asked for is no conflict, so it does not run again"


def test_calls_of_calls() -> None:
    async def body(app: App, url: str) -> None:
        assert await app.invoke("Caller", "twice", ["k"]) == [0, 1, 1]

    serve(body)


def test_while_the_program_starts() -> None:
    async def body(app: App, url: str) -> None:
        assert await app.invoke("Caller", "through", ["bump", "k"]) == [0, 1, 1]

    serve(body, opened=False)


@pytest.mark.slow
def test_updates_of_others_are_not_lost() -> None:
    async def body(app: App, url: str) -> None:
        async with trio.open_nursery() as nursery:
            for _ in range(5):
                nursery.start_soon(app.invoke, "Caller", "through", ["slow_bump", "k"])
                nursery.start_soon(app.invoke, "Outside", "ask", [url])
                nursery.start_soon(std.http_get, f"{url}/slow_bump/k")
        with app.transaction():
            total = app.top_level[0].numbers.get("k")  # type: ignore[attr-defined]
        assert total >= 15
        assert total == 10 + Caller.runs, "only a run that was undone has called again"

    serve(body)


def test_a_handler_that_calls_itself_for_ever_ends() -> None:
    async def body(app: App, url: str) -> None:
        assert await app.invoke("Caller", "forever", [0]) == 32

    serve(body)


def test_names_of_calls_that_do_not_run_mean_nothing() -> None:
    async def body(app: App, url: str) -> None:
        stream = await trio.open_tcp_stream("127.0.0.1", int(url.rpartition(":")[2]))
        async with stream:
            head = "GET /bump/k HTTP/1.1\r\nHost: a\r\nSoma-Call: {}\r\n\r\n"
            await stream.send_all(head.format("0123456789abcdef, \xff").encode("latin-1"))
            assert (await stream.receive_some(4096)).endswith(b'{"result": 1}')
            await stream.send_all(head.format(",".join("a" * 33)).encode())
            assert (await stream.receive_some(4096)).startswith(b"HTTP/1.1 508 ")

    serve(body)


def test_other_hosts_do_not_learn_of_calls(monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[bytes] = []

    async def open_tcp(host: str, port: int, tls: bool) -> Any:
        ours, theirs = trio.testing.memory_stream_pair()
        stream = Recording(ours, sent)
        await theirs.send_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
        return stream

    monkeypatch.setattr("somart.std.http_exchange.open_tcp", open_tcp)

    async def main() -> None:
        with App(ProgramSpec("own", (Caller, Outside)), StandaloneEngine(None)) as app:
            app.calls.ports.add(8080)
            for url in ("http://example.org", "http://example.org:8080", "http://127.0.0.1"):
                try:
                    await app.invoke("Outside", "ask", [url])
                except SomaError:
                    continue

    trio.run(main)
    assert [b"Soma-Call" in head for head in sent] == [False, True, True]


class Recording:
    """A stream that notes what is sent."""

    def __init__(self, stream: Any, sent: list[bytes]) -> None:
        self._stream = stream
        self._sent = sent

    async def send_all(self, data: bytes) -> None:
        self._sent.append(data)
        await self._stream.send_all(data)

    async def receive_some(self, count: int) -> bytes:
        return bytes(await self._stream.receive_some(count))

    async def __aenter__(self) -> Recording:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stream.aclose()
