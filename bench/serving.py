"""HTTP in requests per CPU-second of the server process, and durable puts per second.

`python bench/serving.py [ROUNDS] [SECONDS]`: all servers run at once, the rounds are interleaved,
so that a noisy machine hits all alike. The load generator is another process. Prints a table of
medians and the ratios that the project promises.
"""

from __future__ import annotations

import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from figures import Figure, print_table

PEERS = Path(__file__).parent / "peers"
CLIENTS = 32
START_SECONDS = 20.0
TICKS = os.sysconf("SC_CLK_TCK")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def cpu_seconds(pid: int) -> float:
    """User and system time of a process so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


class Server:
    """A server process and what it was measured to do."""

    def __init__(self, name: str, command: list[str], port: int) -> None:
        self.name = name
        self.port = port
        self.process = subprocess.Popen([sys.executable, *command], stderr=subprocess.DEVNULL)
        self.per_cpu: list[float] = []
        self.per_second: list[float] = []
        self.p99: list[float] = []

    def wait_until_it_listens(self) -> None:
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            time.sleep(0.05)
        raise RuntimeError(f"{self.name} does not listen")

    def measure(self, seconds: float, kind: str) -> None:
        """One round."""
        before = cpu_seconds(self.process.pid)
        command = [str(PEERS / "load.py"), str(self.port), str(CLIENTS), str(seconds), kind]
        done = subprocess.run([sys.executable, *command], capture_output=True, check=True)
        used = cpu_seconds(self.process.pid) - before
        result = json.loads(done.stdout)
        if result["errors"]:
            raise RuntimeError(f"{self.name}: {result['errors']} errors")
        self.per_cpu.append(result["requests"] / max(used, 1 / TICKS))
        self.per_second.append(result["requests"] / result["seconds"])
        self.p99.append(result["p99"])


@contextmanager
def running(name: str, script: str, *args: str) -> Iterator[Server]:
    """A server for the time of a measurement; it is ended by its own process id."""
    port = free_port()
    words = [str(port) if word == "PORT" else word for word in args]
    server = Server(name, [str(PEERS / script), *words], port)
    try:
        server.wait_until_it_listens()
        yield server
    finally:
        server.process.terminate()
        server.process.wait(timeout=20)


def interleave(servers: list[Server], rounds: int, seconds: float, kind: str) -> None:
    for server in servers:
        server.measure(min(seconds, 0.5), kind)  # warm up
        for samples in (server.per_cpu, server.per_second, server.p99):
            samples.clear()
    for _ in range(rounds):
        for server in servers:
            server.measure(seconds, kind)


def table(title: str, servers: list[Server]) -> None:
    lines = [title, f"{'server':28}{'req/CPU-s':>12}{'(range)':>20}{'req/s':>10}{'p99 ms':>9}"]
    for server in servers:
        middle = statistics.median(server.per_cpu)
        spread = f"({min(server.per_cpu):.0f}-{max(server.per_cpu):.0f})"
        rate, tail = statistics.median(server.per_second), statistics.median(server.p99)
        lines.append(f"{server.name:28}{middle:12.0f}{spread:>20}{rate:10.0f}{tail:9.2f}")
    sys.stdout.write("\n".join(lines) + "\n")


def bench_json(rounds: int, seconds: float, data: str) -> list[Figure]:
    """JSON POST to a trivial handler."""
    with ExitStack() as stack:
        options = ("-p", "PORT", "--data", data, "--quiet")
        servers = [
            stack.enter_context(running("somart", "soma_app.py", "grouped", *options)),
            *(
                stack.enter_context(running(f"uvicorn + {name}", "asgi_peers.py", name, "PORT"))
                for name in ("starlette", "fastapi")
            ),
        ]
        interleave(servers, rounds, seconds, "add")
    table(f"JSON POST, {CLIENTS} keep-alive clients", servers)
    own, starlette, fastapi = (statistics.median(server.per_cpu) for server in servers)
    return [
        over("JSON POST per CPU-second over Starlette", own, starlette, 1.5),
        over("JSON POST per CPU-second over FastAPI", own, fastapi, 3.0),
    ]


def bench_put(rounds: int, seconds: float, data: str) -> list[Figure]:
    """Durable puts: group commit against one commit per request, the same server otherwise."""
    with ExitStack() as stack:
        servers = [
            stack.enter_context(
                running(
                    name, "soma_app.py", name, "-p", "PORT", "--data", f"{data}/{name}", "--quiet"
                )
            )
            for name in ("grouped", "ungrouped")
        ]
        interleave(servers, rounds, seconds, "put")
    table(f"durable put, {CLIENTS} keep-alive clients", servers)
    grouped, ungrouped = (statistics.median(server.per_second) for server in servers)
    return [over("durable put over HTTP, grouped over single", grouped, ungrouped, 5.0)]


def over(name: str, ours: float, theirs: float, goal: float) -> Figure:
    detail = f"{ours:.0f} against {theirs:.0f}"
    return Figure(name, ours / theirs, goal, at_most=False, detail=detail)


def figures(rounds: int = 5, seconds: float = 2.0) -> list[Figure]:
    """Both measurements."""
    with tempfile.TemporaryDirectory(dir=".") as data:
        return [*bench_json(rounds, seconds, f"{data}/json"), *bench_put(rounds, seconds, data)]


if __name__ == "__main__":
    print_table(figures(*map(int, sys.argv[1:2]), *map(float, sys.argv[2:3])))
