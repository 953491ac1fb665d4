"""`pip install dist/`: into an environment that has neither somac nor somart."""

from __future__ import annotations

import subprocess
import sys
import venv
from pathlib import Path

import pytest
from servers import Server

from somac.cli import run_command

ROOT = Path(__file__).resolve().parents[2]

BASE = "{}.PROGRAM.cells[0].__mro__[1]"  # the class Cell of a package's own runtime


def run(*command: str | Path, cwd: Path) -> str:
    done = subprocess.run(
        [str(part) for part in command], cwd=cwd, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A new virtual environment; its pip uses whatever index the machine is set up for."""
    folder = tmp_path_factory.mktemp("environment") / "venv"
    venv.create(folder, with_pip=True)
    return folder


def build(name: str, out: Path, *options: str) -> Path:
    source = str(ROOT / "examples" / name / "app.cell")
    assert run_command(["build", source, "-o", str(out), *options]) == 0
    return out


def serves(command: list[str], folder: Path, path: str) -> None:
    server = Server(command, folder, folder / "data")
    try:
        assert server.call(path) == []
    finally:
        assert server.stop() == 0


@pytest.mark.slow
def test_two_packages_live_side_by_side(environment: Path, tmp_path: Path) -> None:
    pricing = build("pricing", tmp_path / "pricing-dist")
    chat = build("chat", tmp_path / "chat-dist", "--package", "talk")
    programs = environment / ("Scripts" if sys.platform == "win32" else "bin")
    python = programs / "python"
    run(python, "-m", "pip", "install", "--quiet", pricing, chat, cwd=tmp_path)
    for absent in ("somac", "somart"):
        missing = f"import importlib.util as u; assert u.find_spec('{absent}') is None"
        run(python, "-c", missing, cwd=tmp_path)
    serves([str(python), "-m", "app"], tmp_path, "/blotter")
    serves([str(programs / "pricing")], tmp_path, "/blotter")
    serves([str(programs / "chat")], tmp_path, "/history/tea")
    own = f"import app, talk; assert {BASE.format('app')} is not {BASE.format('talk')}"
    run(python, "-c", own, cwd=tmp_path)
    run(python, "-m", "pip", "uninstall", "--quiet", "--yes", "pricing", cwd=tmp_path)
    gone = "import importlib.util as u; assert u.find_spec('app') is None; import talk"
    run(python, "-c", gone, cwd=tmp_path)
    serves([str(python), "-m", "talk"], tmp_path, "/room_list")
