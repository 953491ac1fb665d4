"""kill -9 under load: every acknowledged trade survives, and no half of a handler is left."""

from __future__ import annotations

import random
import sys
import threading
from pathlib import Path

import pytest
from servers import Server, python_module

from somac.cli import run_command

ROOT = Path(__file__).resolve().parents[2]
CLIENTS = 8


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the built pricing engine in `dist/`."""
    folder = tmp_path_factory.mktemp("durable")
    source = str(ROOT / "examples" / "pricing" / "app.cell")
    assert run_command(["build", source, "-o", str(folder / "dist")]) == 0
    return folder


def book(server: Server, name: str, acknowledged: list[str], enough: threading.Event) -> None:
    """Books and confirms trades until the server is gone."""
    number = 0
    while True:
        number += 1
        key = f"{name}-{number:05}"
        try:
            server.call("/book_trade", {"id": key, "symbol": "ACME", "quantity": 1, "price": 2.5})
            acknowledged.append(key)
            if number % 2 == 0:
                server.call(f"/confirm/{key}", {})
                acknowledged.append(f"{key} confirmed")
        except OSError:
            return
        if len(acknowledged) >= 20:
            enough.set()


def kill_under_load(folder: Path, data: Path, life: int) -> list[str]:
    """One life of the server: load from several clients, SIGKILL; what was acknowledged."""
    server = Server(python_module("dist.app"), folder, data)
    acknowledged: list[str] = []
    enough = threading.Event()
    clients = [
        threading.Thread(target=book, args=(server, f"L{life}C{i}", acknowledged, enough))
        for i in range(CLIENTS)
    ]
    for client in clients:
        client.start()
    assert enough.wait(60)
    threading.Event().wait(random.uniform(0, 0.15))  # anywhere in the middle of the work
    server.kill()
    for client in clients:
        client.join(60)
    return list(acknowledged)


def verify(folder: Path, data: Path, expected: set[str]) -> None:
    server = Server(python_module("dist.app"), folder, data)
    try:
        trades = {trade["id"]: trade["status"] for trade in server.call("/blotter")}
    finally:
        assert server.stop() == 0
    for promise in expected:
        key, _, state = promise.partition(" ")
        assert key in trades, f"{key} was acknowledged and is lost"
        assert not state or trades[key] == state, f"{promise}, but it is {trades[key]}"
    assert set(trades.values()) <= {"pending", "confirmed"}


def lives(folder: Path, tmp_path: Path, count: int) -> None:
    data = tmp_path / "data"
    expected: set[str] = set()
    for life in range(count):
        expected.update(kill_under_load(folder, data, life))
        verify(folder, data, expected)
    assert len(expected) >= 20 * count


@pytest.mark.slow
def test_nothing_acknowledged_is_lost(folder: Path, tmp_path: Path) -> None:
    lives(folder, tmp_path, 3)


@pytest.mark.soak
def test_nothing_acknowledged_is_lost_twenty_times(folder: Path, tmp_path: Path) -> None:
    lives(folder, tmp_path, 20)


@pytest.mark.slow
def test_a_second_process_on_the_data_is_refused(folder: Path, tmp_path: Path) -> None:
    server = Server([sys.executable, "-m", "dist.app"], folder, tmp_path / "data")
    try:
        with pytest.raises(AssertionError, match="no server came up"):
            Server([sys.executable, "-m", "dist.app"], folder, tmp_path / "data")
    finally:
        assert server.stop() == 0
