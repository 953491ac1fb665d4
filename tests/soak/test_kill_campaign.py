"""What was acknowledged survives kill -9 and full disks; no handler leaves half of its changes."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from kill_campaign import CLIENTS, PROGRAMS, Client, Life, audit_ledger, build, run, work
from servers import Server

PAD = "x" * 4000
LIMIT = 512 * 1024
LIMITED = """
import resource, runpy, sys
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[1]), int(sys.argv[1])))
del sys.argv[1]
runpy.run_module("dist.ledger", run_name="__main__", alter_sys=True)
"""


@pytest.mark.slow
@pytest.mark.parametrize("program", PROGRAMS)
def test_three_kills(program: str, tmp_path: Path) -> None:
    tally = run(program, tmp_path, kills=3, seed=3)
    assert tally.kills == 3
    assert tally.acknowledged >= 3 * 40
    assert tally.cut > 0, "the kills came under load"


# --- full disks ----------------------------------------------------------------------------------


def fill(client: Client, pads: int) -> tuple[int, str]:
    """Writes until the disk refuses: how many writes were acknowledged so far, and the error."""
    for number in range(pads, pads + 10_000):
        status, answer = client.post("/pad", {"id": str(number), "text": PAD})
        if status != 200:
            assert status == 500
            return number, str(answer["error"])
    raise AssertionError("the disk never got full")


def check_reads(server: Server, client: Client, pads: int) -> None:
    """The state is what was acknowledged, and small failures leave no trace."""
    audit_ledger(server)
    assert server.call("/audit")["pads"] == pads
    assert client.post("/refuse/x", {})[0] == 500
    assert server.call("/audit")["pads"] == pads


@pytest.mark.slow
def test_a_file_that_must_not_grow(tmp_path: Path) -> None:
    usual = build(PROGRAMS["ledger"][0], tmp_path)
    data = tmp_path / "data"
    server = Server([sys.executable, "-c", LIMITED, str(LIMIT)], tmp_path, data)
    try:
        client = Client(server)
        assert client.post("/book/first/5", {})[0] == 200
        pads, error = fill(client, 0)
        assert pads > 10
        assert error.startswith("storage error: cannot write '")
        for _ in range(3):
            check_reads(server, client, pads)
            assert fill(client, pads)[0] >= pads
            pads = server.call("/audit")["pads"]
        client.close()
    finally:
        assert server.stop() == 0
    again = Server(usual, tmp_path, data)
    try:
        assert audit_ledger(again) == {"first": "booked"}
        assert again.call("/audit")["pads"] == pads
        assert again.call("/book/second/5", {}) == {"result": 5}
    finally:
        assert again.stop() == 0


def until_full(life: Life, client: Client, key: str, number: int) -> None:
    """Books entries until the disk refuses one."""
    how = "book_slowly" if number % 2 else "book"
    status, answer = client.post(f"/{how}/{key}/{number}", {})
    if status != 200:
        assert answer["error"].startswith("storage error: "), answer
        raise OSError("the disk is full")
    life.promise(key, "booked")


@pytest.mark.slow
def test_many_clients_fill_a_disk(tmp_path: Path) -> None:
    usual = build(PROGRAMS["ledger"][0], tmp_path)
    data = tmp_path / "data"
    server = Server([sys.executable, "-c", LIMITED, str(LIMIT)], tmp_path, data)
    life = Life(0)
    try:
        names = [f"C{i}" for i in range(CLIENTS)]
        clients = [Thread(target=work, args=(life, server, n, until_full)) for n in names]
        for client in clients:
            client.start()
        for client in clients:
            client.join(60)
        assert len(life.cut) == CLIENTS
        states = audit_ledger(server)
        assert states == dict(life.promised), "exactly what was acknowledged"
    finally:
        server.kill()
    again = Server(usual, tmp_path, data)
    try:
        assert audit_ledger(again) == states
    finally:
        assert again.stop() == 0


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of one MiB; only root may mount one."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount: list[Any] = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", folder]
    try:
        mounted = subprocess.run(mount, capture_output=True, timeout=10, check=False).returncode
    except OSError:
        mounted = 1
    if mounted != 0:
        pytest.skip("this user cannot mount a file system")
    yield folder
    subprocess.run(["umount", folder], timeout=10, check=True)


@pytest.mark.slow
def test_a_disk_that_gets_full_and_has_room_again(tmp_path: Path, small_disk: Path) -> None:
    command = build(PROGRAMS["ledger"][0], tmp_path)
    filler = small_disk / "filler"
    filler.write_bytes(b"x" * 300_000)
    server = Server(command, tmp_path, small_disk / "data")
    try:
        client = Client(server)
        assert client.post("/book/first/5", {})[0] == 200
        pads, error = fill(client, 0)
        assert error.endswith("database or disk is full")
        check_reads(server, client, pads)
        filler.unlink()
        more, _ = fill(client, pads)
        assert more > pads, "it stores again as soon as there is room"
        check_reads(server, client, more)
        client.close()
        server.kill()
    finally:
        server.kill()
    again = Server(command, tmp_path, small_disk / "data")
    try:
        assert audit_ledger(again) == {"first": "booked"}
        assert again.call("/audit")["pads"] == more
    finally:
        again.kill()
