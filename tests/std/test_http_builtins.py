"""`http_get` and `http_post` against a scripted server on 127.0.0.1."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

import pytest
import trio

from somart import std
from somart.errors import SomaError

Script = list[bytes]  # what the server answers, connection after connection


async def _session(
    script: Script, client: Callable[[str], Awaitable[Any]], piecewise: bool = False
) -> tuple[Any, list[bytes]]:
    """Runs a client against a server that plays the script; gives the result and the requests."""
    requests: list[bytes] = []
    answers = iter(script)

    async def serve(stream: trio.SocketStream) -> None:
        data = b""
        while b"\r\n\r\n" not in data:
            data += await stream.receive_some()
        head, _, body = data.partition(b"\r\n\r\n")
        for line in head.split(b"\r\n"):
            if line.lower().startswith(b"content-length:"):
                while len(body) < int(line.split(b":")[1]):
                    body += await stream.receive_some()
        requests.append(head + b"\r\n\r\n" + body)
        answer = next(answers)
        step = 1 if piecewise else max(len(answer), 1)
        try:
            for i in range(0, len(answer), step):
                await stream.send_all(answer[i : i + step])
            if answer == b"":
                await trio.sleep_forever()
        except trio.BrokenResourceError:
            return

    async with trio.open_nursery() as nursery:
        bound = partial(trio.serve_tcp, serve, 0, host="127.0.0.1")
        listeners = await nursery.start(bound)
        port = listeners[0].socket.getsockname()[1]
        with trio.fail_after(5):
            result = await client(f"http://127.0.0.1:{port}")
        nursery.cancel_scope.cancel()
    return result, requests


def run(script: Script, path: str = "/", piecewise: bool = False, *options: Any) -> Any:
    async def client(base: str) -> Any:
        return await std.http_get(base + path, *options)

    result, _ = trio.run(_session, script, client, piecewise)
    return result


def answer(body: bytes, head: bytes = b"HTTP/1.1 200 OK") -> bytes:
    return head + b"\r\nContent-Length: %d\r\n\r\n" % len(body) + body


@pytest.mark.parametrize("piecewise", [False, True])
@pytest.mark.parametrize(
    ("script", "expected"),
    [
        (answer(b"hi"), "hi"),
        (answer(b'{"b": 1, "a": 2.0}'), {"a": 2.0, "b": 1}),
        (answer(b"[oops"), "[oops"),
        (answer(b"5"), "5"),
        (b"HTTP/1.1 200 OK\r\n\r\nuntil the end", "until the end"),
        (
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n1\r\nc\r\n0\r\n\r\n",
            "abc",
        ),
        (b"HTTP/1.1 100 Continue\r\n\r\n" + answer(b"after"), "after"),
        (b"HTTP/1.1 204 No Content\r\n\r\n", ""),
    ],
)
def test_bodies(script: bytes, expected: Any, piecewise: bool) -> None:
    assert run([script], "/", piecewise) == expected


@pytest.mark.parametrize(
    ("script", "reason"),
    [
        (answer(b"no", b"HTTP/1.1 404 Not Found"), "status code 404"),
        (answer(b"no", b"HTTP/1.1 500 Oops"), "status code 500"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nshort", "closed before"),
        (b"garbage\r\n\r\n", "Network Error"),
        (b"HTTP/1.1 200 OK\r\n" + b"X: " + b"y" * 70_000 + b"\r\n\r\n", "headers too large"),
    ],
)
def test_failures_are_values_that_name_the_url(script: bytes, reason: str) -> None:
    result = run([script], "/page")
    assert set(result) == {"error"}
    assert "/page: " in result["error"]
    assert reason in result["error"]


def test_redirects_are_followed_up_to_a_limit() -> None:
    hop = b"HTTP/1.1 302 Found\r\nLocation: /next\r\nContent-Length: 0\r\n\r\n"
    assert run([hop, hop, answer(b"there")]) == "there"
    assert "Too Many Redirects" in run([hop] * 10)["error"]


def test_options_limit_time_and_size() -> None:
    assert run([answer(b"abcdef")], "/", False, {"max_bytes": 4}) == "abcd"
    assert "timed out" in run([b""], "/", False, {"timeout": 30})["error"]


def test_post_sends_json_and_parses_any_json() -> None:
    async def client(base: str) -> Any:
        return await std.http_post(base + "/a b?q=ü\r\nX: y", {"n": 1})

    result, requests = trio.run(_session, [answer(b"5", b"HTTP/1.1 201 Created")], client)
    assert result == 5
    head, _, body = requests[0].partition(b"\r\n\r\n")
    assert body == b'{"n": 1}'
    assert head.startswith(b"POST /a%20b?q=%C3%BCX:%20y HTTP/1.1\r\n")  # nothing is injected
    assert b"\r\nContent-Type: application/json" in head


@pytest.mark.parametrize(
    "url", ["ftp://x/", "http:///x", "nothing", "http://h:99999/", "http://[/"]
)
def test_bad_addresses(url: str) -> None:
    result = trio.run(std.http_get, url)
    assert result["error"].startswith(url)


def test_refused_connections_say_so() -> None:
    async def refused() -> Any:
        with trio.socket.socket() as unused:
            await unused.bind(("127.0.0.1", 0))
            return await std.http_get(f"http://127.0.0.1:{unused.getsockname()[1]}/")

    assert "Connection refused (os error 111)" in trio.run(refused)["error"]


def test_wrong_arguments() -> None:
    with pytest.raises(SomaError, match=r"^http_get\(url\)$"):
        trio.run(std.http_get, 5)
    with pytest.raises(SomaError, match=r"^http_post\(url, body\)$"):
        trio.run(std.http_post, "http://x/")
