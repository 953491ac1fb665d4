"""A closed-loop load generator: keep-alive clients on raw sockets, in a process of its own.

`load.py PORT CLIENTS SECONDS KIND` prints one JSON object: requests, errors, seconds, p50 and p99
in milliseconds. KIND is `add` or `put` (durable, ever new values).
"""

from __future__ import annotations

import json
import select
import socket
import sys
import time


class Client:
    """One connection with one request outstanding."""

    def __init__(self, port: int, number: int, kind: str) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.number = number
        self.kind = kind
        self.count = 0
        self.sent = 0.0
        self.buffer = b""
        self.length = 0  # of the answer before: the next one is mostly as long

    def receive(self) -> bytes | None:
        """The whole answer once it is here; some servers send head and body apart."""
        data = self.socket.recv(65536)
        if len(data) == self.length and not self.buffer:
            return data
        self.buffer += data
        head, blank, body = self.buffer.partition(b"\r\n\r\n")
        if not blank:
            return None
        length = int(head.lower().partition(b"content-length: ")[2].split(b"\r\n")[0])
        if len(body) < length:
            return None
        answer, self.buffer = self.buffer, b""
        self.length = len(answer)
        return answer

    def send(self, now: float) -> None:
        self.count += 1
        if self.kind == "put":
            body = b'{"k": "c%d-%d", "v": %d}' % (self.number, self.count % 50, self.count)
        else:
            body = b'{"a": %d, "b": 2}' % self.count
        path = self.kind.encode()
        self.sent = now
        self.socket.send(
            b"POST /%b HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
            b"Content-Length: %d\r\n\r\n%b" % (path, len(body), body)
        )


def percentile(ordered: list[float], share: float) -> float:
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))] * 1000


def run(port: int, clients: int, seconds: float, kind: str) -> dict[str, float]:
    """Drives the server for that long."""
    poller = select.epoll()  # without the layers of `selectors`: the generator must not be slower
    known: dict[int, Client] = {}
    for number in range(clients):
        client = Client(port, number, kind)
        known[client.socket.fileno()] = client
        poller.register(client.socket.fileno(), select.EPOLLIN)
        client.send(time.perf_counter())
    times: list[float] = []
    errors = 0
    begin = now = time.perf_counter()
    while now - begin < seconds:
        for descriptor, _ in poller.poll(1):
            client = known[descriptor]
            answer = client.receive()
            if answer is None:
                continue
            now = time.perf_counter()
            times.append(now - client.sent)
            errors += not answer.startswith(b"HTTP/1.1 200")
            client.send(now)
    times.sort()
    return {
        "requests": len(times),
        "errors": errors,
        "seconds": now - begin,
        "p50": percentile(times, 0.5),
        "p99": percentile(times, 0.99),
    }


if __name__ == "__main__":
    result = run(int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3]), sys.argv[4])
    sys.stdout.write(json.dumps(result) + "\n")
