"""A machine that stops leaves a write-ahead log with a torn end: whole handlers, or nothing."""

from __future__ import annotations

import random
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from kill_campaign import PROGRAMS, audit_ledger

from somac.codegen import generate, load_in_memory
from somac.frontend.load import load
from somac.manifest import Manifest
from somart import App, ProgramSpec, SomaError, StandaloneEngine

Damage = Callable[[bytes, random.Random], bytes]


class InProcess:
    """An app where `audit_ledger` expects a server."""

    def __init__(self, app: App) -> None:
        self._app = app

    def call(self, path: str) -> Any:
        return self._app.call("Ledger", path.removeprefix("/"), [])


def cut(log: bytes, rng: random.Random) -> bytes:
    return log[: rng.randrange(len(log))]


def flip(log: bytes, rng: random.Random) -> bytes:
    at = rng.randrange(32, len(log))  # behind the header of the file
    return log[:at] + bytes([log[at] ^ 1 << rng.randrange(8)]) + log[at + 1 :]


def zero(log: bytes, rng: random.Random) -> bytes:
    """Pages that were given to the file and never written."""
    at = rng.randrange(32, len(log))
    return log[:at] + bytes(len(log) - at)


@pytest.fixture(scope="module")
def ledger() -> ProgramSpec:
    loaded = load(PROGRAMS["ledger"][0])
    assert loaded.program is not None
    return load_in_memory(generate(loaded.program, Manifest(), runtime="somart"))


@pytest.fixture(scope="module")
def crashed(ledger: ProgramSpec, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What lies on the disk after 150 calls, before anything is folded into the database."""
    folder = tmp_path_factory.mktemp("crashed")
    with App(ledger, StandaloneEngine(folder / "live")) as app:
        for number in range(50):
            key = f"k{number}"
            app.call("Ledger", "book", [key, number])
            if number % 2:
                app.call("Ledger", "close", [key])
            with pytest.raises(SomaError, match="refused"):
                app.call("Ledger", "refuse", [f"{key} refused"])
        shutil.copytree(folder / "live", folder / "copy")
    assert (folder / "copy" / "soma.db-wal").stat().st_size > 100_000
    return folder / "copy"


@pytest.mark.slow
@pytest.mark.parametrize("damage", [cut, flip, zero])
def test_a_torn_log_holds_whole_handlers(
    damage: Damage, ledger: ProgramSpec, crashed: Path, tmp_path: Path
) -> None:
    rng = random.Random(7)
    survivors = set()
    for attempt in range(25):
        data = tmp_path / str(attempt)
        shutil.copytree(crashed, data)
        log = (data / "soma.db-wal").read_bytes()
        (data / "soma.db-wal").write_bytes(damage(log, rng))
        with App(ledger, StandaloneEngine(data)) as app:
            states = audit_ledger(InProcess(app))  # type: ignore[arg-type]
            booked = len(states)
            assert sorted(states) == sorted(f"k{i}" for i in range(booked)), "a prefix of the calls"
            app.call("Ledger", "book", ["again", 7])
        with App(ledger, StandaloneEngine(data)) as app:
            assert audit_ledger(InProcess(app)) == {**states, "again": "booked"}  # type: ignore[arg-type]
        survivors.add(booked)
    assert len(survivors) > 5, "the damage was in different places"
