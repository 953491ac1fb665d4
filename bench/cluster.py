"""Clusters of three nodes on the loopback address, against etcd, Redis and a service by hand.

`python bench/cluster.py [SECONDS]`: real processes, everything synced to disk before it is
acknowledged, all servers at once and the measurements of what is compared one after the other, so
that a noisy machine hits all alike. Rates and waiting times say little on a machine that has other
things to do; what a request costs all three nodes in CPU time says more, and is shown beside.
"""

from __future__ import annotations

import http.client
import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterable
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

import processes
from figures import Figure, print_table
from processes import BUS_ABOVE_HTTP, HERE, Server

LOAD = str(HERE / "peers" / "cluster_load.py")
CLIENTS = (1, 16, 64)
FEW_AND_MANY = (1, 64)
VISIBLE_WRITES = 100
COMPARED_WRITES, WARMING = 1_000, 200
KEYS, PADDING = 50, "x" * 230
ROUNDS = 2


class Sample(NamedTuple):
    """One measurement. Times in milliseconds, CPU in microseconds per request."""

    name: str
    clients: int
    rate: float
    p50: float
    p99: float
    cpu: float
    client_cpu: float
    errors: int


def load(
    name: str, kind: str, servers: Iterable[Server], ports: str, clients: int, seconds: float
) -> Sample:
    """Runs clients; `servers` are those whose CPU time counts."""
    servers = list(servers)
    before = sum(one.cpu for one in servers)
    command = [sys.executable, LOAD, kind, ports, str(clients), str(seconds)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    if done.returncode:
        raise RuntimeError(f"{name}: {done.stderr[-2_000:]}")
    used = sum(one.cpu for one in servers) - before
    found = json.loads(done.stdout)
    share = found["seconds"] / seconds  # of the CPU time: the warming-up is not counted
    count = max(1, found["requests"])
    each = share * 1e6 / count
    return Sample(
        name,
        clients,
        count / found["seconds"],
        found["p50"],
        found["p99"],
        used * each,
        found["cpu"] * each,
        found["errors"],
    )


def median(samples: list[Sample]) -> Sample:
    """The middle one by rate."""
    return sorted(samples, key=lambda sample: sample.rate)[len(samples) // 2]


def show(title: str, samples: list[Sample]) -> None:
    head = f"{'clients':>8}{'per s':>9}{'p50 ms':>9}{'p99 ms':>9}{'CPU µs':>9}{'client µs':>11}"
    lines = ["", f"{title:44}{head}"]
    for one in samples:
        wrong = f"  {one.errors} ERRORS" if one.errors else ""
        lines.append(
            f"{one.name:44}{one.clients:8}{one.rate:9.0f}{one.p50:9.2f}{one.p99:9.2f}"
            f"{one.cpu:9.0f}{one.client_cpu:11.0f}{wrong}"
        )
    sys.stdout.write("\n".join(lines) + "\n")
    sys.stdout.flush()


def ratio(name: str, ours: float, theirs: float, goal: float, at_most: bool = False) -> Figure:
    detail = f"{ours:.4g} against {theirs:.4g}"
    return Figure(name, ours / theirs, goal, at_most=at_most, detail=detail)


# --- strong --------------------------------------------------------------------------------------


def strong(seconds: float) -> list[Figure]:
    """Puts, reads and a read-modify-write, by way of the leader."""
    figures: list[Figure] = []
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(dir=".")))
        ours = stack.enter_context(processes.nodes(HERE / "strong.cell", folder))
        leader = processes.leader_of(ours)
        http, bus = str(leader.port), str(leader.port + BUS_ABOVE_HTTP)
        rows = [("HTTP put", "http-put", ours, http), ("bus put", "bus-put", ours, bus)]
        rows.append(("HTTP linearizable read", "http-read", ours, http))
        if not (lacking := processes.missing("etcd") or _lacks_client()):
            etcd = stack.enter_context(processes.etcd(folder))
            chief = processes.etcd_leader(etcd) or etcd[0]
            service = stack.enter_context(processes.etcd_service(folder, chief.port))
            rows += [
                ("etcd put, gRPC", "etcd-put", etcd, str(chief.port)),
                ("etcd linearizable read, gRPC", "etcd-read", etcd, str(chief.port)),
                ("Starlette and etcd, put", "http-put", [*etcd, service], str(service.port)),
                ("Starlette and etcd, add", "http-add", [*etcd, service], str(service.port)),
            ]
        rows.append(("HTTP add", "http-add", ours, http))
        found: dict[tuple[str, int], Sample] = {}
        for clients in CLIENTS:
            for name, kind, servers, ports in rows:
                found[name, clients] = load(name, kind, servers, ports, clients, seconds)
        show("strong, three nodes", [found[name, c] for name, *_ in rows for c in CLIENTS])
        if lacking:
            sys.stdout.write(f"no comparison with etcd: {lacking}\n")
        else:
            figures += against_etcd(found)
        best = max(found["HTTP put", 64].rate, found["bus put", 64].rate)
        figures.append(
            ratio("linearizable reads / puts, 64", found[rows[2][0], 64].rate, best, 2.0)
        )
    return figures


def against_etcd(found: dict[tuple[str, int], Sample]) -> list[Figure]:
    etcd = "etcd put, gRPC"
    figures = []
    for way in ("bus put", "HTTP put"):
        own = found[way, 1].p50
        figures.append(ratio(f"{way}, 1 client, p50 / etcd's", own, found[etcd, 1].p50, 2.0, True))
        for clients in CLIENTS[1:]:
            own, other = found[way, clients].rate, found[etcd, clients].rate
            figures.append(ratio(f"{way}s per second / etcd's, {clients}", own, other, 1.0))
    for kind in ("put", "add"):
        for clients in CLIENTS:
            own = found[f"HTTP {kind}", clients].rate
            other = found[f"Starlette and etcd, {kind}", clients].rate
            figures.append(ratio(f"handler {kind} / Starlette and etcd, {clients}", own, other, 2))
    own, other = found["HTTP put", 64].cpu, found["Starlette and etcd, put", 64].cpu
    figures.append(ratio("CPU of a put, all processes / theirs, 64", own, other, 1.0, True))
    return figures


def _lacks_client() -> str:
    try:
        import aetcd  # noqa: F401
    except ImportError:
        return "aetcd"
    return ""


# --- fail-over -----------------------------------------------------------------------------------


def fail_over(profile: str, goal: float) -> Figure:
    """From the death of the leader to the next write that another node accepts."""
    times = []
    for _ in range(ROUNDS):
        with tempfile.TemporaryDirectory(dir=".") as name:
            folder = Path(name)
            cell = folder / "app.cell"
            cell.write_text((HERE / "strong.cell").read_text())
            (folder / "soma.toml").write_text(
                f'[package]\nname = "app"\n\n[cluster]\nprofile = "{profile}"\n'
            )
            with processes.nodes(cell, folder) as found:
                leader = processes.leader_of(found)
                other = next(one for one in found if one is not leader)
                post(other.port, "put", '{"k": "before", "v": "x"}')
                leader.kill()
                began = time.perf_counter()
                while not _accepted(other.port):
                    continue
                times.append((time.perf_counter() - began) * 1000)
    detail = ", ".join(f"{one:.0f}" for one in times)
    return Figure(f"fail-over, {profile} profile", max(times), goal, unit="ms", detail=detail)


def _accepted(port: int) -> bool:
    try:
        return bool(post(port, "put", '{"k": "after", "v": "y"}'))
    except OSError:
        return False


def post(port: int, path: str, body: str) -> bytes:
    """The body of the answer. Raises OSError for all but 200."""
    request = urllib.request.Request(f"http://127.0.0.1:{port}/{path}", data=body.encode())
    request.add_header("Content-Type", "application/json")
    with urllib.request.urlopen(request, timeout=10) as answer:
        data: bytes = answer.read()
        return data


# --- eventual ------------------------------------------------------------------------------------


def eventual(seconds: float) -> list[Figure]:
    """Writes acknowledged by one node, and when the others see them."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(dir=".")))
        cell = HERE / "eventual.cell"
        ours = stack.enter_context(processes.nodes(cell, folder))
        alone = stack.enter_context(processes.standalone(cell, folder))
        rows = [
            ("put on one of three nodes", "http-put", ours, str(ours[0].port)),
            ("put on a node without a cluster", "http-put", [alone], str(alone.port)),
        ]
        lacking = processes.missing("redis-server")
        if not lacking:
            redis = stack.enter_context(processes.redis(folder))
            rows.append(("Redis SET, synced, one replica", "redis-set", redis, str(redis[0].port)))
        found: dict[tuple[str, int], list[Sample]] = {}
        for _ in range(ROUNDS):
            for clients in FEW_AND_MANY:
                for name, kind, servers, ports in rows:
                    sample = load(name, kind, servers, ports, clients, seconds)
                    found.setdefault((name, clients), []).append(sample)
        middle = {key: median(samples) for key, samples in found.items()}
        show("eventual", [middle[name, c] for name, *_ in rows for c in FEW_AND_MANY])
        figures = [over_a_local_one(ours[0], alone), seen_elsewhere(ours)]
        if lacking:
            sys.stdout.write(f"no comparison with Redis: {lacking}\n")
            return figures
        for clients in FEW_AND_MANY:
            mine, other = (middle[rows[n][0], clients].rate for n in (0, 2))
            figures.append(ratio(f"eventual puts / Redis SETs, {clients}", mine, other, 0.0))
    return figures


def over_a_local_one(clustered: Server, alone: Server) -> Figure:
    """What the cluster adds to a write: one request to each node in turn, so that whatever else the
    machine does hits both alike."""
    callers = Caller(clustered.port), Caller(alone.port)
    times: tuple[list[float], list[float]] = ([], [])
    for number in range(COMPARED_WRITES + WARMING):
        body = f'{{"k": "c{number % KEYS}", "v": "{number:012}{PADDING}"}}'
        for caller, taken in zip(callers, times, strict=True):
            began = time.perf_counter()
            caller.post("put", body)
            taken.append((time.perf_counter() - began) * 1000)
    own, plain = (statistics.median(taken[WARMING:]) for taken in times)
    detail = f"{own:.2f} against {plain:.2f}, in turn"
    return Figure(
        "eventual write over a local one, p50", own - plain, 0.4, unit="ms", detail=detail
    )


def seen_elsewhere(found: list[Server]) -> Figure:
    """From the acknowledgement of a write until both others show it."""
    writer, *readers = (Caller(one.port) for one in found)
    times = []
    for number in range(VISIBLE_WRITES):
        writer.post("put", f'{{"k": "seen", "v": "{number}"}}')
        began = time.perf_counter()
        for reader in readers:
            while f'"{number}"'.encode() not in reader.post("read", '{"k": "seen"}'):
                continue
        times.append((time.perf_counter() - began) * 1000)
    times.sort()
    p99 = times[int(len(times) * 0.99)]
    detail = f"p50 {statistics.median(times):.1f}, the read included"
    return Figure("visible on the others, p99", p99, 20.0, unit="ms", detail=detail)


class Caller:
    """A connection that is kept."""

    def __init__(self, port: int) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)

    def post(self, path: str, body: str) -> bytes:
        """The body of the answer. Raises OSError for all but 200."""
        kind = {"Content-Type": "application/json"}
        self._connection.request("POST", f"/{path}", body.encode(), kind)
        answer = self._connection.getresponse()
        data: bytes = answer.read()
        if answer.status != 200:
            raise OSError(f"{path}: {answer.status} {data!r}")
        return data


def main() -> None:
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that all servers are ended, too
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 0.8
    wanted = sys.argv[2:] or ["eventual", "strong", "failover"]
    figures: list[Figure] = []
    if "eventual" in wanted:
        figures += eventual(seconds)
    if "strong" in wanted:
        figures += strong(seconds)
    if "failover" in wanted:
        figures += [fail_over("normal", 2_000), fail_over("fast", 500)]
    loads = ", ".join(f"{load:.1f}" for load in os.getloadavg())
    sys.stdout.write(f"\nload average {loads} on {os.cpu_count()} cores\n")
    print_table(figures)


if __name__ == "__main__":
    main()
