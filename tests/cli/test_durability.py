"""One process at a time on a data directory. What kills do to it: tests/soak/kill_campaign.py."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from servers import Server

from somac.cli import run_command

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the built pricing engine in `dist/`."""
    folder = tmp_path_factory.mktemp("durable")
    source = str(ROOT / "examples" / "pricing" / "app.cell")
    assert run_command(["build", source, "-o", str(folder / "dist")]) == 0
    return folder


@pytest.mark.slow
def test_a_second_process_on_the_data_is_refused(folder: Path, tmp_path: Path) -> None:
    server = Server([sys.executable, "-m", "dist.app"], folder, tmp_path / "data")
    try:
        with pytest.raises(AssertionError, match="no server came up"):
            Server([sys.executable, "-m", "dist.app"], folder, tmp_path / "data")
    finally:
        assert server.stop() == 0
