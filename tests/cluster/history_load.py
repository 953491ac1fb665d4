"""Clients of real nodes that note what they ask and are told, as calls of a history.

A call has surely failed when no connection came about, or when the answer says so; it is unknown
when the answer says that, or when none came. All times are of one monotonic clock.
"""

from __future__ import annotations

import http.client
import itertools
import json
import random
import threading
import time
from collections import Counter
from collections.abc import Collection, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

from history_operations import EPOCH, Asked, Operations, Told, keep, wrong_with
from processes import Node, until

from somart.simulate.histories import FAIL, OK, UNKNOWN

CLIENTS = 6
PATIENCE = (1.5, 6.0)
"""Seconds until a client gives up: before the node would have said so, and after."""
PAUSE = 0.012
PAUSE_AFTER_FAILURE = 0.1
ROAMING = 0.1
"""How often a client goes to another node, though it is content."""


class Client:
    """One client: a call at a time, on a connection that it keeps or makes anew each time."""

    def __init__(self, load: Load, number: int, node: Node) -> None:
        self._load = load
        self._rng = random.Random(f"{load.seed}/{number}")
        self._keeps = number % 2 == 0
        self._patience = PATIENCE[number // 2 % len(PATIENCE)]
        self._process = next(load.processes)
        self._connection: http.client.HTTPConnection | None = None
        self._content = True
        self.node = node

    def one(self) -> None:
        """Some call; after one that failed, the next goes elsewhere."""
        load = self._load
        asked = load.operations.make(self._rng, next(load.numbers))
        self._content = self.call(asked).outcome == OK
        if not self._content or self._rng.random() < ROAMING:
            self.move(self._rng.choice(load.nodes))

    def move(self, node: Node) -> None:
        self.close()
        self.node = node

    def pause(self) -> float:
        """Seconds until the next call."""
        return self._rng.expovariate(1 / (PAUSE if self._content else PAUSE_AFTER_FAILURE))

    def call(self, asked: Asked) -> Told:
        """Asks, and notes what came of it."""
        load, answer, ended = self._load, None, None
        began = load.now()
        try:
            connection = self._connected()
        except OSError:
            outcome = FAIL  # nothing was sent
        else:
            outcome, answer = self._exchange(connection, asked)
        if outcome != UNKNOWN:
            ended = load.now()
        told = Told(asked, self.node.name, self._process, began, ended, outcome, answer)
        load.note(told)
        if outcome != OK or not self._keeps:
            self.close()
        if outcome == UNKNOWN:
            self._process = next(load.processes)
        return told

    def _connected(self) -> http.client.HTTPConnection:
        if self._connection is None:
            node = self.node
            made = http.client.HTTPConnection(node.address, node.port, timeout=self._patience)
            made.connect()
            self._connection = made
        elif self._connection.sock is None:  # the node has closed it after its last answer
            self._connection.connect()
        return self._connection

    def _exchange(self, connection: http.client.HTTPConnection, asked: Asked) -> tuple[str, Any]:
        try:
            connection.request("POST", f"/{asked.handler}", json.dumps(asked.arguments).encode())
            got = connection.getresponse()
            body = json.loads(got.read())
        except (OSError, http.client.HTTPException):
            return UNKNOWN, None
        if got.status == 200:
            return OK, body
        self._load.refused[got.status, _reason(body)] += 1
        # 500: an error of the program, or of its disk; nothing of the handler remains.
        surely = body.get("definite", got.status in (409, 500, 503))
        return (FAIL if surely else UNKNOWN), None

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None


def _reason(body: Any) -> str:
    return str(body.get("error", body)).partition("'")[0] if isinstance(body, dict) else str(body)


class Load:
    """Clients of all nodes, at work during the block."""

    def __init__(self, nodes: Sequence[Node], seed: int = 1, prefix: str = "") -> None:
        self.nodes = list(nodes)
        self.seed = seed
        self.operations = Operations(prefix)
        self.numbers = itertools.count(1)
        self.processes = itertools.count(1)
        self.told: list[Told] = []
        self.refused: Counter[tuple[int, str]] = Counter()
        self._start = time.monotonic_ns()
        self._stopping = threading.Event()
        self._pool = ThreadPoolExecutor(CLIENTS)
        self._lives: list[Future[None]] = []

    def __enter__(self) -> Load:
        self._lives = [self._pool.submit(self._work, number) for number in range(CLIENTS)]
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        self._pool.shutdown()
        for life in self._lives:
            life.result()  # raises what a client did not expect

    def _work(self, number: int) -> None:
        client = Client(self, number, self.nodes[number % len(self.nodes)])
        while not self._stopping.wait(client.pause()):
            client.one()
        client.close()

    def now(self) -> int:
        return time.monotonic_ns() - self._start

    def note(self, told: Told) -> None:
        self.told.append(told)
        if told.outcome == OK:
            self.operations.learn(told)

    def happened(self, since: int, names: Collection[str] = ()) -> int:
        """How many calls that began since then have happened, on nodes of these names."""
        return sum(
            one.outcome == OK and one.began >= since and (not names or one.node in names)
            for one in list(self.told)
        )

    def go_on(self, count: int, what: str, *nodes: Node) -> None:
        """Waits until so many more calls have happened, on each of the nodes if there are any."""
        since = self.now()
        groups: list[list[str]] = [[node.name] for node in nodes] or [[]]
        until(
            lambda: all(self.happened(since, names) >= count for names in groups),
            f"{count} calls {what}",
        )

    def trouble(self, node: Node) -> None:
        """Waits until a client has felt that something is wrong with that node."""
        since = self.now()
        until(
            lambda: any(
                one.node == node.name and one.outcome != OK and one.began >= since
                for one in list(self.told)
            ),
            f"{node.name} answers no more",
        )

    def outcomes(self) -> Counter[str]:
        return Counter(one.outcome for one in self.told)

    # --- afterwards ------------------------------------------------------------------------------

    def read_all(self) -> None:
        """Reads everything on every node, until it answers."""
        epochs = next(self.numbers) // EPOCH + 1
        wanted = list(self.operations.everything(epochs))
        with ThreadPoolExecutor(len(self.nodes)) as pool:
            list(pool.map(lambda item: self._read_on(*item, wanted), enumerate(self.nodes)))

    def _read_on(self, number: int, node: Node, wanted: Sequence[Asked]) -> None:
        client = Client(self, 2 * number, node)  # an even number: it keeps its connection
        for asked in wanted:
            until(lambda asked=asked: client.call(asked).outcome == OK, f"{node.name}: {asked}")
        client.close()

    def verdict(self, folder: Path) -> list[str]:
        """What is wrong with what clients were told; then the histories are left in the folder."""
        wrong = wrong_with(self.told)
        if wrong:
            keep(self.told, folder)
        return wrong
