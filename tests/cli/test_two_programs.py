"""Two served programs in processes of their own: WebSocket, `subscribe`, `link`, event streams."""

from __future__ import annotations

import re
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from servers import Server

WAIT_SECONDS = 20

UP = """
cell Up {
    memory { got: List<String> }
    on ws(m: String) {
        got.append(m)
        if m == "bad" { return 1 / 0 }
        emit said(m)
        "echo {m}"
    }
    on say(x: String) { emit said(x) emit other(1) }
    on pub(x: String) { publish("{x}ed", map("x", x)) }
    on received() { got.list }
    on stream() { sse("said", "pushed") }
}
"""

DOWN = """
cell Down {
    memory { heard: List<String> }
    on sub(url: String) { subscribe(url) }
    on con(url: String) { ws_connect(url) }
    on send(t: String) { ws_send(t) }
    on lnk(peer: String) { try { link(peer) } }
    on said(d: String) { heard.append(d) }
    on told() { heard.list }
}
"""


@contextmanager
def serving(folder: Path, name: str, source: str) -> Iterator[Server]:
    (folder / f"{name}.cell").write_text(source, encoding="utf-8")
    command = [sys.executable, "-m", "somac", "serve", f"{name}.cell"]
    server = Server(command, folder, folder / name)
    try:
        yield server
    finally:
        server.stop()


def eventually(get: Callable[[], Any], wanted: Any) -> None:
    """Asks again until the answer is the wanted one; fails when it never is."""
    end = time.monotonic() + WAIT_SECONDS
    while (found := get()) != wanted and time.monotonic() < end:
        pass
    assert found == wanted


def socket_of(server: Server) -> str:
    lines: list[str] = []
    eventually(
        lambda: bool(lines.extend(re.findall(r"ws://\S+", "".join(server.log))) or lines), True
    )
    return lines[0].replace("localhost", "127.0.0.1")


@pytest.mark.slow
def test_what_one_program_says_reaches_the_other(tmp_path: Path) -> None:
    with serving(tmp_path, "up", UP) as up, serving(tmp_path, "down", DOWN) as down:
        url = socket_of(up)
        assert down.call("/sub", {"url": url}) == {"status": "subscribed", "url": url}
        assert down.call("/con", {"url": url}) == {"status": "connected", "url": url}
        for message in ("hello", "bad"):
            assert down.call("/send", {"t": message}) == {}
        eventually(lambda: up.call("/received"), ["hello"])  # the failed handler left nothing
        up.call("/say/yo")
        eventually(lambda: down.call("/told"), ["hello", "yo"])
        refused = down.call("/lnk", {"peer": "127.0.0.1:1"})
        assert refused["error"] == "connect: Connection refused (os error 111)"
        eventually(lambda: "[bus] no handler for 'other'\n" in down.log, True)


@pytest.mark.slow
def test_a_stream_has_only_the_events_it_asked_for(tmp_path: Path) -> None:
    with (
        serving(tmp_path, "up", UP) as up,
        urllib.request.urlopen(up.url + "/stream", timeout=WAIT_SECONDS) as stream,
    ):
        assert stream.headers["Content-Type"] == "text/event-stream"
        assert stream.readline() == b"event: connected\n"
        for path in ("/say/a", "/pub/pass", "/pub/push"):
            up.call(path)
        lines = [stream.readline().decode() for _ in range(8)]
    assert "".join(lines) == (
        'data: {"status":"connected"}\n\nevent: said\ndata: a\n\n'
        'event: pushed\ndata: {"x": "push"}\n\n'
    )
