"""What the tests of the command line share: a way to call it, and built packages."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
Soma = Callable[..., "Done"]


@dataclass(frozen=True)
class Done:
    """What a command printed, and its exit code."""

    out: str
    err: str
    code: int


@pytest.fixture(scope="session")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture
def soma(tmp_path: Path, cache: Path) -> Soma:
    """Runs `soma …` in a process of its own, in the test's folder."""

    def call(*args: str | Path, stdin: str = "") -> Done:
        done = subprocess.run(
            [sys.executable, "-m", "somac", *map(str, args)],
            cwd=tmp_path,
            env={**os.environ, "SOMA_CACHE_DIR": str(cache), "NO_COLOR": "1"},
            input=stdin.encode(),
            capture_output=True,
            timeout=60,
            check=False,
        )
        return Done(done.stdout.decode(), done.stderr.decode(), done.returncode)

    return call


@pytest.fixture
def cell(tmp_path: Path) -> Callable[..., Path]:
    """Writes a source file into the test's folder."""

    def write(text: str, name: str = "app.cell") -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")
        return path.relative_to(tmp_path)

    return write
