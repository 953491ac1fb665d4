"""Connections under virtual time: keep-alive, deadlines, limits, streams, shutdown."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest
import trio
import trio.testing
from serve_cells import Client, Harness, opening_of_a_bus, run, serving

from somart.serve import pipes
from somart.serve.limits import ServeLimits
from somart.serve.log import ServerLog
from somart.serve.site import SiteOptions

GET = b"GET /add/1/2 HTTP/1.1\r\nHost: here\r\n\r\n"
THREE = b'{"result": 3}'


@pytest.fixture(params=["memory", "sockets"], autouse=True)
def transport(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Each test runs twice: by the tasks of connections alone, and in place for sockets."""
    monkeypatch.setattr(Harness, "transport", request.param)
    monkeypatch.setattr(pipes, "_is_loopback", lambda _: True)
    return str(request.param)


def test_keep_alive_goes_on_after_errors_of_the_program() -> None:
    async def test() -> None:
        async with serving() as server:
            client = server.client()
            assert await client.json("GET", "/add/1/2") == {"result": 3}
            status, _, body = await client.ask("GET", "/boom")
            assert (status, json.loads(body)) == (
                500,
                {"error": "cannot add Int and String: 1 + x"},
            )
            assert (await client.ask("GET", "/nope"))[0] == 404
            assert await client.json("POST", "/add", {"a": 2, "b": 3}) == {"result": 5}

    run(test)


def test_pipelined_requests_are_answered_in_order() -> None:
    async def test() -> None:
        async with serving() as server:
            client = server.client()
            await client.send(b"".join(GET.replace(b"/1/", b"/%d/" % n) for n in range(50)))
            answers = [json.loads((await client.answer())[2])["result"] for _ in range(50)]
            assert answers == [n + 2 for n in range(50)]

    run(test)


def test_a_request_byte_by_byte() -> None:
    async def test() -> None:
        async with serving() as server:
            client = server.client()
            chunked = b"POST /echo HTTP/1.1\r\nHost: here\r\nTransfer-Encoding: chunked\r\n\r\n"
            for byte in GET + chunked + b"3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n":
                await client.send(bytes([byte]))
            assert (await client.answer())[2] == THREE
            assert (await client.answer())[2] == b'{"result": "abcde"}'

    run(test)


def test_a_refused_request_closes_the_connection_after_earlier_answers() -> None:
    async def test() -> None:
        async with serving() as server:
            client = server.client()
            await client.send(GET + b"nonsense\r\n\r\n" + GET)
            assert (await client.answer())[2] == THREE
            status, headers, _ = await client.answer()
            assert (status, headers["connection"]) == (400, "close")
            assert await client.ended() == b""

    run(test)


def test_connection_close_and_http_1_0() -> None:
    async def test() -> None:
        async with serving() as server:
            client = server.client()
            await client.send(GET.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))
            _, headers, _ = await client.answer()
            assert headers["connection"] == "close"
            assert await client.ended() == b""
            old = server.client()
            await old.send(b"GET /add/1/2 HTTP/1.0\r\n\r\n")
            assert (await old.answer())[2] == THREE
            assert await old.ended() == b""

    run(test)


def test_an_upgrade_is_answered_as_an_ordinary_request_and_ends_there() -> None:
    async def test() -> None:
        async with serving() as server:
            client = server.client()
            await client.send(GET[:-2] + b"Connection: upgrade\r\nUpgrade: h2c\r\n\r\n" + GET)
            assert (await client.answer())[2] == THREE
            assert await client.ended() == b""

    run(test)


def test_expect_continue() -> None:
    async def test() -> None:
        async with serving() as server:
            client = server.client()
            head = b"POST /echo HTTP/1.1\r\nHost: here\r\nExpect: 100-continue\r\n"
            await client.send(head + b"Content-Length: 5\r\n\r\n")
            assert await client.until(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
            await client.send(b"hello")
            assert (await client.answer())[2] == b'{"result": "hello"}'
            await client.send(head + b"Content-Length: 99000000\r\n\r\n")
            assert (await client.answer())[0] == 413

    run(test)


def test_head_has_no_body() -> None:
    async def test() -> None:
        async with serving() as server:
            client = server.client()
            status, headers, _ = await client.ask("HEAD", "/add/1/2")
            assert (status, headers["content-length"]) == (200, str(len(THREE)))
            assert (await client.ask("GET", "/add/1/2"))[2] == THREE

    run(test)


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (b"GET /" + b"a" * 9000 + b" HTTP/1.1\r\nHost: here\r\n\r\n", 414),
        (b"GET / HTTP/1.1\r\nHost: here\r\nX: " + b"a" * 40_000 + b"\r\n\r\n", 431),
        (b"POST / HTTP/1.1\r\nHost: here\r\nContent-Length: 9000000\r\n\r\n", 413),
        (b"\x00\x01\x02 garbage \xff\xfe\r\n\r\n", 400),
        (b"TRACE / HTTP/1.1\r\nHost: here\r\n\r\n", 405),
        (b"POST /echo HTTP/1.1\r\nHost: here\r\nContent-Length: 1\r\n\r\n\xff", 400),
    ],
)
def test_what_is_refused(data: bytes, status: int) -> None:
    async def test() -> None:
        async with serving() as server:
            client = server.client()
            await client.send(data)
            assert (await client.answer())[0] == status
            assert await client.ended() == b""
            assert (await server.client().ask("GET", "/add/1/2"))[2] == THREE

    run(test)


@pytest.mark.parametrize(
    "start",
    [b"GET /add", GET[:-2], b"POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 9\r\n\r\nabc"],
)
def test_a_slow_request_times_out(start: bytes) -> None:
    async def test() -> None:
        async with serving(limits=ServeLimits(request_seconds=5)) as server:
            client = server.client()
            begin = trio.current_time()
            await client.send(start)
            assert (await client.answer())[0] == 408
            assert 4 < trio.current_time() - begin < 7

    run(test)


def test_trickling_does_not_extend_the_deadline() -> None:
    async def test() -> None:
        async with serving(limits=ServeLimits(request_seconds=5)) as server:
            client = server.client()
            begin = trio.current_time()

            async def trickle() -> None:
                while True:
                    try:
                        await client.send(b"a")
                    except trio.BrokenResourceError:
                        return
                    await trio.sleep(0.5)

            async with trio.open_nursery() as nursery:
                await client.send(b"GET /")
                nursery.start_soon(trickle)
                assert (await client.answer())[0] == 408
                await client.ended()
            assert trio.current_time() - begin < 10

    run(test)


def test_idle_connections_end_silently() -> None:
    async def test() -> None:
        async with serving(limits=ServeLimits(idle_seconds=5)) as server:
            client = server.client()
            await client.ask("GET", "/add/1/2")
            begin = trio.current_time()
            assert await client.ended() == b""
            assert 4 < trio.current_time() - begin < 7

    run(test)


def test_a_running_handler_has_no_deadline() -> None:
    async def test() -> None:
        async with serving(limits=ServeLimits(request_seconds=1, idle_seconds=1)) as server:
            assert await server.client().json("GET", "/nap/60000") == {"result": "rested"}

    run(test)


def test_one_client_too_many_is_turned_away() -> None:
    async def test() -> None:
        async with serving(limits=ServeLimits(connections=2)) as server:
            clients = [server.client() for _ in range(2)]
            for client in clients:
                await client.ask("GET", "/add/1/2")
            assert (await server.client().answer())[0] == 503
            await clients[0].stream.aclose()
            await trio.testing.wait_all_tasks_blocked()
            assert (await server.client().ask("GET", "/add/1/2"))[0] == 200

    run(test)


def test_handlers_cannot_inject_headers() -> None:
    async def test() -> None:
        async with serving() as server:
            client = server.client()
            body = {"name": "X-A", "value": "1\r\nSet-Cookie: evil"}
            status, headers, content = await client.ask(
                "POST", "/headers", json.dumps(body).encode()
            )
            assert (status, "set-cookie" in headers) == (500, False)
            assert "control characters" in json.loads(content)["error"]
            good = await client.ask("POST", "/headers", b'{"name": "X-A", "value": "1"}')
            assert good[1]["x-a"] == "1"

    run(test)


# --- pages, files, origins -----------------------------------------------------------------------


def test_health_ready_and_status_page() -> None:
    async def test() -> None:
        async with serving() as server:
            client = server.client()
            assert await client.json("GET", "/__soma/health") == {"status": "ok"}
            assert (await client.ask("GET", "/__soma/ready"))[0] == 200
            server.site.ready = False
            assert (await client.ask("GET", "/__soma/ready"))[0] == 503
            assert (await client.ask("GET", "/__soma/health"))[0] == 200
            status, headers, page = await client.ask("GET", "/__soma/")
            assert status == 200
            assert headers["content-type"].startswith("text/html")
            assert b"cell <code>Shop</code>" in page
            assert b"Map&lt;String, Int&gt;" in page

    run(test)


def test_the_status_page_is_for_this_machine() -> None:
    async def test() -> None:
        from somart.serve.message import Request

        async with serving() as server:
            assert (
                await server.site.respond(Request("GET", "/__soma/"), local=False)
            ).status == 403
            health = await server.site.respond(Request("GET", "/__soma/health"), local=False)
            assert health.status == 200
        everywhere = SiteOptions(page_everywhere=True)
        async with serving(everywhere) as server:
            assert (
                await server.site.respond(Request("GET", "/__soma/"), local=False)
            ).status == 200

    run(test)


def test_static_files_and_nothing_else(tmp_path: Path) -> None:
    root = tmp_path / "static"
    (root / "css").mkdir(parents=True)
    (root / "css" / "a b.css").write_text("p {}")
    (root / "x.unknown").write_text("?")
    (tmp_path / "soma.toml").write_text("secret")
    (tmp_path / "static2").mkdir()
    (tmp_path / "static2" / "s").write_text("secret")
    (root / "link").symlink_to(tmp_path / "soma.toml")
    (root / "out").symlink_to(tmp_path)

    async def test() -> None:
        async with serving(SiteOptions(static_root=root)) as server:
            client = server.client()
            status, headers, body = await client.ask("GET", "/static/css/a%20b.css?v=2")
            assert (status, body) == (200, b"p {}")
            assert headers["content-type"].startswith("text/css")
            tag = f"If-None-Match: {headers['etag']}"
            assert (await client.ask("GET", "/static/css/a%20b.css", b"", tag))[0] == 304
            _, headers, _ = await client.ask("GET", "/static/x.unknown")
            assert headers["content-type"] == "application/octet-stream"
            for name, wanted in {
                "nope": 404,
                "css": 404,
                "": 403,
                "../soma.toml": 403,
                "..%2fsoma.toml": 403,
                "%2e%2e/soma.toml": 403,
                "css/../../soma.toml": 403,
                "../static2/s": 403,
                "/etc/passwd": 403,
                "%2fetc%2fpasswd": 403,
                "link": 403,
                "out/soma.toml": 403,
                "..%5csoma.toml": 403,
                "x.unknown%00.css": 403,
                "%252e%252e/soma.toml": 404,
            }.items():
                status, _, body = await client.ask("GET", f"/static/{name}")
                assert (name, status, body) == (
                    name,
                    wanted,
                    b"forbidden" if wanted == 403 else b"not found",
                )

    run(test)


def test_origins_are_allowed_only_where_the_program_says() -> None:
    async def test() -> None:
        origin = "Origin: https://a.example"
        async with serving() as server:
            client = server.client()
            for method in ("GET", "OPTIONS"):
                _, headers, _ = await client.ask(method, "/add/1/2", b"", origin)
                assert "access-control-allow-origin" not in headers
        async with serving(SiteOptions(cors=("https://a.example",))) as server:
            client = server.client()
            _, headers, _ = await client.ask("GET", "/add/1/2", b"", origin)
            assert headers["access-control-allow-origin"] == "https://a.example"
            _, headers, _ = await client.ask("GET", "/add/1/2", b"", "Origin: https://b.example")
            assert "access-control-allow-origin" not in headers
        async with serving(SiteOptions(cors=("*",))) as server:
            status, headers, _ = await server.client().ask("OPTIONS", "/any", b"", origin)
            assert (status, headers["access-control-allow-origin"]) == (204, "*")
            assert headers["access-control-allow-methods"] == "GET, POST, PUT, DELETE, OPTIONS"
            assert headers["access-control-allow-headers"] == "Content-Type, Authorization"
            assert headers["access-control-max-age"] == "86400"

    run(test)


# --- log -----------------------------------------------------------------------------------------


def test_the_request_log_is_one_line_that_no_client_forges() -> None:
    out = io.StringIO()

    async def test() -> None:
        async with serving(log=ServerLog(stream=out)) as server:
            client = server.client()
            await client.ask("GET", "/add/1/2?x=%0aGET")
            await client.ask("GET", "/boom")

    run(test)
    first, second = out.getvalue().splitlines()
    assert first.startswith("GET /add/1/2?x=%0aGET → 500 ")
    assert second.startswith("GET /boom → 500 ")
    assert second.endswith("ms cannot add Int and String: 1 + x")


def test_who_takes_the_server_for_a_bus_is_told_so_and_leaves_no_line() -> None:
    out = io.StringIO()

    async def test() -> None:
        async with serving(log=ServerLog(stream=out)) as server:
            client = server.client()
            await client.send(opening_of_a_bus())
            status, _, body = await client.answer()
            assert status == 400
            assert b"the bus listens on this port + 2" in body
            assert out.getvalue() == ""
            stranger = server.client()
            await stranger.send(b"\x16\x03\x01 no request")
            assert (await stranger.answer())[0] == 400

    run(test)
    assert out.getvalue() == "- - → 400 0ms\n"


def test_control_characters_are_escaped_in_the_log() -> None:
    out = io.StringIO()
    ServerLog(stream=out).request("GET", "/a\nb\x1b[2J\u2028", 500, 0.0016, "x\ny")
    assert out.getvalue() == "GET /a\\nb\\x1b[2J\\u2028 → 500 2ms x\\ny\n"


def test_verbose_shows_arguments_and_the_answer() -> None:
    out = io.StringIO()

    async def test() -> None:
        async with serving(log=ServerLog(verbose=True, stream=out)) as server:
            await server.client().ask("GET", "/add/1/2")

    run(test)
    lines = out.getvalue().splitlines()
    assert lines[:2] == ["  signal: add", "  args: 1, 2"]
    assert lines[-1] == '  response body: {"result": 3}'


# --- event streams -------------------------------------------------------------------------------


async def chunk(client: Client) -> bytes:
    size = int(await client.until(b"\r\n"), 16)
    return (await client.until(b"\r\n"))[:-2] if size == 0 else (await exactly(client, size))


async def exactly(client: Client, size: int) -> bytes:
    while len(client.buffer) < size + 2:
        client.buffer += await client.stream.receive_some(65536)
    found, client.buffer = client.buffer[:size], client.buffer[size + 2 :]
    return found


def test_an_event_stream_filters_by_name_and_stays_alive() -> None:
    async def test() -> None:
        async with serving() as server:
            client, other = server.client(), server.client()
            await client.send(b"GET /feed HTTP/1.1\r\nHost: here\r\n\r\n")
            status, headers, _ = await client.answer()
            assert (status, headers["content-type"]) == (200, "text/event-stream")
            assert headers["cache-control"] == "no-cache"
            assert await chunk(client) == b'event: connected\ndata: {"status":"connected"}\n\n'
            await other.ask("GET", "/shout/x")
            await other.ask("GET", "/put/pen/3")
            assert await chunk(client) == b'event: stocked\ndata: ["pen", 3]\n\n'
            begin = trio.current_time()
            assert await chunk(client) == b": keepalive\n\n"
            assert 14 < trio.current_time() - begin < 16
            server.site.app.events.close()
            assert await chunk(client) == b""
            assert await client.ended() == b""

    run(test)


def test_a_client_that_leaves_ends_its_stream() -> None:
    async def test() -> None:
        async with serving() as server:
            client = server.client()
            await client.send(b"GET /feed HTTP/1.1\r\nHost: here\r\n\r\n")
            await client.until(b"connected\n")
            await client.stream.aclose()
            await trio.testing.wait_all_tasks_blocked()
            assert not server.server._connections
            assert not server.site.app.events._subscribers

    run(test)


def test_a_stream_that_breaks_while_sending_harms_nobody() -> None:
    async def test() -> None:
        out = io.StringIO()
        async with serving(log=ServerLog(requests=False, stream=out)) as server:
            client = server.client()
            await client.send(b"GET /feed HTTP/1.1\r\nHost: here\r\n\r\n")
            await client.until(b"connected\n")
            if isinstance(client.stream, trio.StapledStream):
                await client.stream.receive_stream.aclose()
            else:
                await client.stream.aclose()
            assert (await server.client().ask("GET", "/put/pen/3"))[0] == 200
            await trio.testing.wait_all_tasks_blocked()
            assert not server.site.app.events._subscribers
            assert (await server.client().ask("GET", "/put/pen/4"))[0] == 200
        assert out.getvalue() == ""

    run(test)


def test_a_fault_of_the_server_costs_one_client(monkeypatch: pytest.MonkeyPatch) -> None:
    async def test() -> None:
        out = io.StringIO()
        async with serving(log=ServerLog(requests=False, stream=out)) as server:
            with monkeypatch.context() as patched:
                for name in ("respond", "attempt"):
                    patched.setattr(server.site, name, lambda *_: 1 / 0)
                client = server.client()
                await client.send(GET)
                assert await client.ended() == b""
            assert (await server.client().ask("GET", "/add/1/2"))[2] == THREE
        assert "internal error: ZeroDivisionError" in out.getvalue()

    run(test)


def test_a_handler_that_blocks_the_loop_costs_others_no_deadline() -> None:
    async def test() -> None:
        async with serving(limits=ServeLimits(request_seconds=5)) as server:
            client = server.client()
            await client.send(GET[:20])
            await trio.testing.wait_all_tasks_blocked()
            clock = trio.lowlevel.current_clock()
            assert isinstance(clock, trio.testing.MockClock)
            clock.jump(100)  # as if a handler had run that long
            await trio.testing.wait_all_tasks_blocked()
            await client.send(GET[20:])
            assert (await client.answer())[2] == THREE

    run(test)


# --- shutdown ------------------------------------------------------------------------------------


def test_requests_in_flight_finish_and_idle_connections_end() -> None:
    async def test() -> None:
        async with serving() as server:
            busy, idle, stream = server.client(), server.client(), server.client()
            await idle.ask("GET", "/add/1/2")
            await stream.send(b"GET /feed HTTP/1.1\r\nHost: here\r\n\r\n")
            await stream.until(b"connected\n")
            await busy.send(b"GET /nap/3000 HTTP/1.1\r\nHost: here\r\n\r\n")
            await trio.testing.wait_all_tasks_blocked()
            server.site.stop()
            server.server.stop()
            server.site.app.events.close()
            assert await idle.ended() == b""
            assert (await stream.ended()).endswith(b"0\r\n\r\n")
            status, headers, body = await busy.answer()
            assert (status, headers["connection"]) == (200, "close")
            assert body == b'{"result": "rested"}'
            assert await busy.ended() == b""

    run(test)


def test_the_grace_is_bounded() -> None:
    async def test() -> None:
        async with serving(limits=ServeLimits(grace_seconds=2)) as server:
            busy = server.client()
            await busy.send(b"GET /nap/60000 HTTP/1.1\r\nHost: here\r\n\r\n")
            await trio.testing.wait_all_tasks_blocked()
            begin = trio.current_time()
            server.server.stop()
            assert await busy.ended() == b""
            assert trio.current_time() - begin < 4

    run(test)
