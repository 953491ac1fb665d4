"""Closed-loop clients of the servers that `bench/cluster.py` compares, in a process of their own.

`cluster_load.py KIND PORTS CLIENTS SECONDS`: each client has one request outstanding; clients are
spread over the ports (`1,2,3`). Prints one JSON object: requests, errors, seconds, p50 and p99 in
milliseconds, and the CPU time of this process. Values are 250 bytes and ever new ones, since
databases don't write what has not changed. What happens in the first quarter is not counted.

KIND: `http-put`, `http-add`, `http-read` (JSON POST), `bus-put` (a signal to a handler, answered
when its commit is durable), `redis-set`, `etcd-put`, `etcd-read` (gRPC by aetcd).
"""

from __future__ import annotations

import asyncio
import json
import random
import select
import socket
import sys
import time
from collections.abc import Callable
from typing import Any

WARM_SHARE = 0.25
KEYS = 50
"""Each client writes so many keys of its own."""

PADDING = "x" * 230
RECEIVE_BYTES = 65_536


class Tally:
    """What the clients have seen."""

    def __init__(self, seconds: float) -> None:
        self.began = time.perf_counter()
        self.counted_from = self.began + seconds * WARM_SHARE
        self.until = self.began + seconds
        self.times: list[float] = []
        self.errors = 0
        self.cpu = time.process_time()

    def note(self, sent: float, now: float, good: bool = True) -> bool:
        """Counts one answer; False: it was the last one."""
        if now >= self.counted_from:
            self.times.append(now - sent)
            self.errors += not good
        return now < self.until

    def result(self) -> dict[str, float]:
        """Everything in one object."""
        times = sorted(self.times) or [0.0]
        return {
            "requests": len(self.times),
            "errors": self.errors,
            "seconds": self.until - self.counted_from,
            "p50": _percentile(times, 0.5),
            "p99": _percentile(times, 0.99),
            "cpu": time.process_time() - self.cpu,
        }


def _percentile(ordered: list[float], share: float) -> float:
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))] * 1000


def key(client: int, count: int) -> str:
    return f"c{client}-{count % KEYS}"


def value(client: int, count: int) -> str:
    return f"{client:06}-{count:012}{PADDING}"


# --- text protocols on raw sockets ---------------------------------------------------------------


def _http(path: str, body: str) -> bytes:
    head = f"POST /{path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
    return f"{head}Content-Length: {len(body)}\r\n\r\n{body}".encode()


def http_put(client: int, count: int) -> bytes:
    return _http("put", f'{{"k": "{key(client, count)}", "v": "{value(client, count)}"}}')


def http_add(client: int, count: int) -> bytes:
    return _http("add", f'{{"k": "{key(client, count)}", "v": {count}}}')


def http_read(client: int, count: int) -> bytes:
    return _http("read", f'{{"k": "{key(client, count)}"}}')


def redis_set(client: int, count: int) -> bytes:
    name, text = key(client, count), value(client, count)
    return f"*3\r\n$3\r\nSET\r\n${len(name)}\r\n{name}\r\n${len(text)}\r\n{text}\r\n".encode()


def http_answer(data: bytes) -> bool | None:
    """Whether it is a good answer, None while it is not all there."""
    head, blank, body = data.partition(b"\r\n\r\n")
    if not blank:
        return None
    length = int(head.lower().partition(b"content-length: ")[2].split(b"\r\n")[0])
    return head.startswith(b"HTTP/1.1 200") if len(body) >= length else None


def redis_answer(data: bytes) -> bool | None:
    return data == b"+OK\r\n" if data.endswith(b"\r\n") else None


TEXT: dict[str, tuple[Callable[[int, int], bytes], Callable[[bytes], bool | None]]] = {
    "http-put": (http_put, http_answer),
    "http-add": (http_add, http_answer),
    "http-read": (http_read, http_answer),
    "redis-set": (redis_set, redis_answer),
}


class TextClient:
    """One connection."""

    def __init__(self, port: int, number: int, kind: str) -> None:
        self.make, self.judge = TEXT[kind]
        self.socket = socket.create_connection(("127.0.0.1", port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.number = number
        self.count = 0
        self.sent = 0.0
        self.buffer = b""

    def send(self, now: float) -> None:
        self.count += 1
        self.sent = now
        self.socket.sendall(self.make(self.number, self.count))

    def receive(self) -> bool | None:
        data = self.socket.recv(RECEIVE_BYTES)
        if not data:
            raise ConnectionError("the server has hung up")
        self.buffer += data
        good = self.judge(self.buffer)
        if good is not None:
            self.buffer = b""
        return good


def run_text(kind: str, ports: list[int], clients: int, seconds: float) -> Tally:
    """Drives clients of a text protocol in one loop over epoll."""
    poller = select.epoll()
    known: dict[int, TextClient] = {}
    tally = Tally(seconds)
    for number in range(clients):
        client = TextClient(ports[number % len(ports)], number, kind)
        known[client.socket.fileno()] = client
        poller.register(client.socket.fileno(), select.EPOLLIN)
        client.send(time.perf_counter())
    going = True
    while going:
        for descriptor, _ in poller.poll(10) or [(None, 0)]:
            if descriptor is None:
                raise TimeoutError("no answer for ten seconds")
            client = known[descriptor]
            good = client.receive()
            if good is None:
                continue
            now = time.perf_counter()
            going = tally.note(client.sent, now, good)
            client.send(now)
    return tally


# --- etcd by gRPC --------------------------------------------------------------------------------


async def run_etcd(kind: str, ports: list[int], clients: int, seconds: float) -> Tally:
    """Coroutines that share one channel for each port, as users of the client library do."""
    import aetcd

    channels = [aetcd.Client(host="127.0.0.1", port=port) for port in ports]
    for channel in channels:
        await channel.connect()
    tally = Tally(seconds)

    async def one(number: int) -> None:
        channel = channels[number % len(channels)]
        count, going = 0, True
        while going:
            count += 1
            name = key(number, count).encode()
            sent = time.perf_counter()
            if kind == "etcd-put":
                await channel.put(name, value(number, count).encode())
            else:
                await channel.get(name)
            going = tally.note(sent, time.perf_counter())

    await asyncio.gather(*(one(number) for number in range(clients)))
    for channel in channels:
        await channel.close()
    return tally


# --- signals over the bus ------------------------------------------------------------------------


async def run_bus(ports: list[int], clients: int, seconds: float) -> Tally:
    """A link for each client; a signal is answered when its handler's commit is durable."""
    import trio

    from somart.cluster.channel import dial
    from somart.cluster.config import ClusterConfig
    from somart.cluster.handshake import Hello
    from somart.cluster.messages import Handled, Signal
    from somart.cluster.protection import Protection

    config = ClusterConfig()
    tally = Tally(seconds)

    async def one(number: int) -> None:
        origin = f"load-{random.getrandbits(64):x}"
        address = f"127.0.0.1:{ports[number % len(ports)]}"
        channel = await dial(
            address, Hello("link", origin, origin), Protection(None), config, lambda _: None
        )
        count, sent = 0, 0.0

        def send(now: float) -> None:
            nonlocal count, sent
            count, sent = count + 1, now
            args = json.dumps([key(number, count), value(number, count)])
            channel.send(Signal(origin, count, "put", args))

        async def receive(batch: Any) -> None:
            for message, _ in batch:
                if not isinstance(message, Handled):
                    continue
                now = time.perf_counter()
                if tally.note(sent, now, not message.failed):
                    send(now)
                else:
                    channel.finish()

        send(time.perf_counter())
        await channel.run(receive)

    async with trio.open_nursery() as nursery:
        for number in range(clients):
            nursery.start_soon(one, number)
    return tally


def run(kind: str, ports: list[int], clients: int, seconds: float) -> Tally:
    if kind in TEXT:
        return run_text(kind, ports, clients, seconds)
    if kind == "bus-put":
        import trio

        return trio.run(run_bus, ports, clients, seconds)
    return asyncio.run(run_etcd(kind, ports, clients, seconds))


if __name__ == "__main__":
    ports = [int(word) for word in sys.argv[2].split(",")]
    found = run(sys.argv[1], ports, int(sys.argv[3]), float(sys.argv[4])).result()
    sys.stdout.write(json.dumps(found) + "\n")
