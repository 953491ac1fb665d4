"""The command line of a node, and the whole node as a process with real sockets and signals."""

from __future__ import annotations

import http.client
import json
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from somart import ProgramSpec
from somart.node import main
from somart.options import make_parser, options_of
from somart.serve.site import served_cell

HERE = Path(__file__).parent
RUN = "import sys; from serve_cells import PROGRAM; from somart.node import main; "
RUN += "sys.exit(main(PROGRAM, sys.argv[1:]))"


class RunningNode:
    """A node in a process of its own."""

    def __init__(self, process: subprocess.Popen[str], lines: list[str]) -> None:
        self.process = process
        self.lines = lines
        self.port = int(self.line("listening on ").rpartition(":")[2])

    def line(self, start: str) -> str:
        return next(line for line in self.lines if line.startswith(start))

    def get(self, target: str) -> tuple[int, bytes]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        try:
            connection.request("GET", target)
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        self.process.send_signal(number)
        return self.process.wait(timeout=15)


@contextmanager
def node(data: Path, *options: str) -> Iterator[RunningNode]:
    command = [sys.executable, "-c", RUN, "-p", "0", "--data", str(data), *options]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, cwd=HERE)
    assert process.stderr is not None
    try:
        lines: list[str] = []
        for line in process.stderr:
            lines.append(line.rstrip("\n"))
            if line.startswith("websocket:"):
                break
        yield RunningNode(process, lines)
    finally:
        process.kill()
        process.wait()
        process.stderr.close()


@pytest.mark.slow
def test_a_node_from_banner_to_signal(tmp_path: Path) -> None:
    with node(tmp_path / "data") as running:
        port = running.port
        assert running.lines[:7] == [
            "soma serve v0.1.0",
            "cell: Shop",
            "handlers: [add, echo, boom, put, all_stock, shout, nap, headers, feed, _secret, ws]",
            f"database: {tmp_path}/data/soma.db",
            f"listening on http://localhost:{port}",
            f"dashboard: http://localhost:{port}/__soma/",
            "---",
        ]
        assert running.get("/add/1/2") == (200, b'{"result": 3}')
        assert running.get("/put/pen/3") == (200, b'{"ok": true}')
        assert running.get("/__soma/ready")[0] == 200
        assert running.stop() == 0
    with node(tmp_path / "data") as again:
        assert again.stop(signal.SIGINT) == 0


@pytest.mark.slow
def test_a_signal_lets_the_request_in_flight_finish(tmp_path: Path) -> None:
    with node(tmp_path / "data") as running:
        with socket.create_connection(("127.0.0.1", running.port), timeout=10) as client:
            client.sendall(b"GET /nap/400 HTTP/1.1\r\nHost: here\r\n\r\n")
            assert running.process.stderr is not None
            with socket.create_connection(("127.0.0.1", running.port), timeout=10) as other:
                other.sendall(b"GET /add/1/2 HTTP/1.1\r\nHost: here\r\n\r\n")
                assert other.recv(4096).startswith(b"HTTP/1.1 200")  # so the nap has begun
                running.process.send_signal(signal.SIGTERM)
                assert other.recv(4096) == b""
            answer = b"".join(iter(lambda: client.recv(4096), b""))
            assert answer.endswith(b'{"result": "rested"}')
        assert running.process.wait(timeout=15) == 0


HANDSHAKE = (
    b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)


def read_until(client: socket.socket, mark: bytes) -> bytes:
    data = b""
    while mark not in data:
        piece = client.recv(4096)
        assert piece, data
        data += piece
    return data


@pytest.mark.slow
def test_streams_and_sockets_over_tcp_end_with_the_node(tmp_path: Path) -> None:
    with node(tmp_path / "data") as running:
        port = int(running.line("websocket:").rpartition(":")[2])
        with (
            socket.create_connection(("127.0.0.1", port), timeout=10) as chat,
            socket.create_connection(("127.0.0.1", running.port), timeout=10) as stream,
        ):
            chat.sendall(HANDSHAKE)
            assert b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo=" in read_until(chat, b"\r\n\r\n")
            chat.sendall(b"\x81\x82\0\0\0\0hi")
            assert read_until(chat, b"}").endswith(b'{"got": "hi"}')
            stream.sendall(b"GET /feed HTTP/1.1\r\nHost: here\r\n\r\n")
            read_until(stream, b'"connected"}')
            assert running.get("/put/pen/3")[0] == 200
            assert b'data: ["pen", 3]' in read_until(stream, b"3]")
            assert b'{"event":"stocked","data":["pen", 3]}' in read_until(chat, b"}")
            running.process.send_signal(signal.SIGTERM)
            assert read_until(stream, b"0\r\n\r\n")
            assert chat.recv(100)[:4] == b"\x88\x02\x03\xe9"  # close, 1001: going away
        assert running.process.wait(timeout=15) == 0


@pytest.mark.slow
def test_what_was_acknowledged_survives_a_kill(tmp_path: Path) -> None:
    acknowledged: dict[str, int] = {}
    with node(tmp_path / "data", "--quiet") as running:
        enough = threading.Event()

        def put(worker: int) -> None:
            for number in range(100_000):
                try:
                    status, _ = running.get(f"/put/w{worker}-{number}/{number}")
                except (OSError, http.client.HTTPException):
                    return  # killed
                assert status == 200
                acknowledged[f"w{worker}-{number}"] = number
                if number == 20:
                    enough.set()

        workers = [threading.Thread(target=put, args=(n,)) for n in range(4)]
        for worker in workers:
            worker.start()
        assert enough.wait(20)
        running.process.kill()
        for worker in workers:
            worker.join()
    with node(tmp_path / "data", "--quiet") as again:
        stored = json.loads(again.get("/all_stock")[1])
        assert len(acknowledged) > 20
        assert {key: stored.get(key) for key in acknowledged} == acknowledged
        assert again.stop() == 0


@pytest.mark.slow
def test_slow_readers_and_large_answers_over_a_socket(tmp_path: Path) -> None:
    text = b"x" * 3_000_000
    with (
        node(tmp_path / "data") as running,
        socket.create_connection(("127.0.0.1", running.port), timeout=10) as client,
    ):
        head = b"POST /echo HTTP/1.1\r\nHost: here\r\nConnection: close\r\n"
        client.sendall(head + b"Content-Length: %d\r\n\r\n" % len(text) + text)
        answer = b"".join(iter(lambda: client.recv(4096), b""))
        assert answer.endswith(b'{"result": "' + text + b'"}')


def test_a_port_in_use_is_an_error(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    from serve_cells import PROGRAM

    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert main(PROGRAM, ["-p", str(port), "--data", str(tmp_path)]) == 1
    wanted = f"error: cannot start server on 127.0.0.1:{port}: Address already in use ("
    assert capsys.readouterr().err.startswith(wanted)


def test_a_program_without_handlers_is_an_error(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(ProgramSpec("empty", ()), ["-p", "0"]) == 1
    assert capsys.readouterr().err == "error: no cell found\n"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["-p", "65536"], "is not a port"),
        (["-p", "x"], "is not a port"),
        (["--nope"], "unrecognized arguments"),
        (["--join", "a"], "'a' is no address: HOST:PORT"),
        (["--join", "a:0"], "'a:0' is no address: HOST:PORT"),
        (["-p", "8080", "--join", "localhost:8082"], "a node cannot join itself"),
        (["--cluster-secret-file", "no/such"], "cannot read 'no/such'"),
        (["--tls-cert", "f"], "needs all of --tls-cert, --tls-key and --tls-ca"),
        (["--merge", "--discard-local"], "not allowed with"),
        (["--merge"], "--merge is for a node that joins others: add --join HOST:PORT"),
        (["--discard-local"], "--discard-local is for a node that joins others: add --join"),
        (["--dead-after", "0"], "'0' is not a number of seconds above 0"),
        (["--dead-after", "inf"], "'inf' is not a number of seconds above 0"),
        (["--node-id", "a b"], "'a b' is no node id"),
        (["--quiet", "--log-requests"], "not allowed with"),
    ],
)
def test_misuse(words: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(ProgramSpec("empty", ()), words) == 2
    assert message in capsys.readouterr().err


def test_defaults() -> None:
    parser = make_parser("app")
    options = options_of(parser, parser.parse_args([]))
    assert (options.port, options.host, str(options.data)) == (8080, "127.0.0.1", ".soma_data")
    assert options.log_requests
    assert not options.verbose
    quiet = options_of(parser, parser.parse_args(["--quiet"]))
    assert not quiet.log_requests


def test_the_served_cell() -> None:
    from somart import Cell, Value, handler

    class Silent(Cell):
        soma_name = "Silent"

    class First(Cell):
        soma_name = "First"

        @handler("go")
        def go(self) -> Value:
            return None

    class Web(Cell):
        soma_name = "Web"

        @handler("request", "method", "path", "body")
        def request(self, method: Value, path: Value, body: Value) -> Value:
            return None

    assert served_cell(ProgramSpec("p", (Silent,))) is None
    assert served_cell(ProgramSpec("p", (Silent, First))) is First
    assert served_cell(ProgramSpec("p", (Silent, First, Web))) is Web
