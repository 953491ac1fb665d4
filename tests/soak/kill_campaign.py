"""SIGKILL under load, again and again: `python tests/soak/kill_campaign.py KILLS [SEED]`.

Eight clients, each on a keep-alive connection of its own, change the state of a built package
until it is killed. After every restart on the same data, all that was acknowledged must be there,
and no handler may have left half of its changes. Prints the figures of the campaign.
"""

from __future__ import annotations

import http.client
import json
import random
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1] / "cli"))

from servers import Server, python_module

from somac.cli import run_command

ROOT = Path(__file__).parents[2]
CLIENTS = 8
ENOUGH = 40  # acknowledgements before a kill: the load is on


@dataclass
class Tally:
    """What a campaign has seen."""

    kills: int = 0
    acknowledged: int = 0
    cut: int = 0  # requests whose answer never came
    stored_unheard: int = 0  # of these, found stored: on disk, but the kill came before the answer
    refused: int = 0  # handlers that failed after writing
    slowest_restart: float = 0.0


class Client:
    """One keep-alive connection."""

    def __init__(self, server: Server) -> None:
        host = server.url.removeprefix("http://")
        self._connection = http.client.HTTPConnection(host, timeout=60)

    def post(self, path: str, body: Any) -> tuple[int, Any]:
        """The status and the JSON answer. Raises OSError or HTTPException when there is none."""
        self._connection.request("POST", path, json.dumps(body).encode())
        answer = self._connection.getresponse()
        return answer.status, json.loads(answer.read())

    def close(self) -> None:
        self._connection.close()


@dataclass
class Life:
    """One life of the server: what clients were promised, and what they never heard of."""

    number: int
    promised: list[tuple[str, str]] = field(default_factory=list)
    cut: list[str] = field(default_factory=list)
    refused: int = 0
    enough: threading.Event = field(default_factory=threading.Event)

    def promise(self, key: str, state: str) -> None:
        self.promised.append((key, state))
        if len(self.promised) >= ENOUGH:
            self.enough.set()


Work = Callable[[Life, Client, str, int], None]
Audit = Callable[[Server], dict[str, str]]
"""The state of every stored key; AssertionError when half of a handler is there."""


def build(source: Path, folder: Path) -> list[str]:
    """Builds a program into `folder/dist`; the command that serves it."""
    assert run_command(["build", str(source), "-o", str(folder / "dist")]) == 0
    return python_module(f"dist.{source.stem}")


def work(life: Life, server: Server, name: str, step: Work) -> None:
    """A client's life: one step after the other until the server is gone."""
    client = Client(server)
    number = 0
    while True:
        number += 1
        key = f"{name}-{number:05}"
        try:
            step(life, client, key, number)
        except (OSError, http.client.HTTPException):
            life.cut.append(key)
            break
    client.close()


def one_life(server: Server, life: Life, step: Work, rng: random.Random) -> None:
    """Load from all clients, and SIGKILL somewhere in the middle of it."""
    names = [f"L{life.number:03}C{i}" for i in range(CLIENTS)]
    clients = [threading.Thread(target=work, args=(life, server, n, step)) for n in names]
    for client in clients:
        client.start()
    assert life.enough.wait(120), "the server does not answer"
    threading.Event().wait(rng.uniform(0, 0.25))
    server.kill()
    for client in clients:
        client.join(120)


def campaign(
    command: list[str], folder: Path, data: Path, step: Work, audit: Audit, kills: int, seed: int
) -> Tally:
    """Kills a server that often. Raises AssertionError when something was lost or torn."""
    rng = random.Random(seed)
    tally = Tally()
    expected: dict[str, set[str]] = {}
    server = Server(command, folder, data)
    try:
        for number in range(kills):
            life = Life(number)
            one_life(server, life, step, rng)
            for key, state in life.promised:
                expected.setdefault(key, set()).add(state)
            begin = time.monotonic()
            server = Server(command, folder, data)
            tally.slowest_restart = max(tally.slowest_restart, time.monotonic() - begin)
            found = audit(server)
            compare(found, expected, life)
            tally.kills += 1
            tally.acknowledged += len(life.promised)
            tally.cut += len(life.cut)
            tally.refused += life.refused
            tally.stored_unheard += sum(key in found and key not in expected for key in life.cut)
    finally:
        server.kill()
    return tally


ORDER = ["pending", "booked", "confirmed", "closed"]


def compare(found: dict[str, str], expected: dict[str, set[str]], life: Life) -> None:
    """Every promised key is there, at least as far as was promised."""
    for key, states in expected.items():
        assert key in found, f"life {life.number}: {key} was acknowledged and is lost"
        furthest = max(ORDER.index(state) for state in states)
        assert ORDER.index(found[key]) >= furthest, f"{key} was {states}, and is {found[key]}"


# --- the pricing example -------------------------------------------------------------------------


def trade(life: Life, client: Client, key: str, number: int) -> None:
    """Books a trade, and confirms every second one."""
    order = {"id": key, "symbol": "ACME", "quantity": number, "price": 2.5}
    status, answer = client.post("/book_trade", order)
    assert (status, answer["status"]) == (200, "pending")
    life.promise(key, "pending")
    if number % 2 == 0:
        status, answer = client.post(f"/confirm/{key}", {})
        assert (status, answer["status"]) == (200, "confirmed")
        life.promise(key, "confirmed")


def audit_trades(server: Server) -> dict[str, str]:
    trades = server.call("/blotter")
    assert all(trade["symbol"] == "ACME" and trade["price"] == 2.5 for trade in trades)
    return {trade["id"]: trade["status"] for trade in trades}


# --- the ledger, whose handlers write to five places ---------------------------------------------


def entry(life: Life, client: Client, key: str, number: int) -> None:
    """Books an entry, in one go or with others in the middle; closes some; fails some."""
    how = "book_slowly" if number % 3 == 0 else "book"
    status, answer = client.post(f"/{how}/{key}/{number}", {})
    assert (status, answer) == (200, {"result": number}), answer
    life.promise(key, "booked")
    if number % 2 == 0:
        assert client.post(f"/close/{key}", {})[0] == 200
        life.promise(key, "closed")
    if number % 5 == 0:
        status, answer = client.post(f"/refuse/{key}-refused", {})
        assert status == 500
        assert "refused" in answer["error"]
        life.refused += 1


def audit_ledger(server: Server) -> dict[str, str]:
    """Debits, credits, journal, states, totals and ids all tell the same story."""
    found = server.call("/audit")
    debits, states = dict(found["debits"]), dict(found["states"])
    assert dict(found["credits"]) == debits, "credits are not the debits"
    assert {e["id"]: e["amount"] for e in found["journal"]} == debits, "the journal differs"
    numbers = [e["number"] for e in found["journal"]]
    assert sorted(numbers) == list(range(1, len(debits) + 1)), "ids have gaps or repeat"
    assert set(states.values()) <= {"booked", "closed"}, "written, and still open"
    assert found["sum"] == sum(debits.values()), "the total differs"
    assert found["closed"] == sum(state == "closed" for state in states.values())
    assert not any(key.endswith("refused") for key in debits), "a failed handler left a trace"
    return states


PROGRAMS: dict[str, tuple[Path, Work, Audit]] = {
    "pricing": (ROOT / "examples" / "pricing" / "app.cell", trade, audit_trades),
    "ledger": (Path(__file__).parent / "ledger.cell", entry, audit_ledger),
}


def run(program: str, folder: Path, kills: int, seed: int) -> Tally:
    """A whole campaign on one of the programs, in an empty folder."""
    source, step, audit = PROGRAMS[program]
    command = build(source, folder)
    return campaign(command, folder, folder / "data", step, audit, kills, seed)


def main() -> None:
    """Campaigns on both programs from the command line."""
    kills = int(sys.argv[1]) if len(sys.argv) > 1 else 20
    seed = int(sys.argv[2]) if len(sys.argv) > 2 else time.time_ns() % 10**9
    for program in PROGRAMS:
        with tempfile.TemporaryDirectory(dir=Path.cwd()) as folder:
            begin = time.monotonic()
            tally = run(program, Path(folder), kills, seed)
            took = time.monotonic() - begin
        sys.stdout.write(f"{program}, seed {seed}, {took:.0f} s: {tally}\n")


if __name__ == "__main__":
    main()
