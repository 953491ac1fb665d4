"""The examples: they check clean, their tests pass, they build to clean packages, they serve."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from somac.cli import run_command

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = sorted(path.parent.name for path in (ROOT / "examples").glob("*/app.cell"))
LINES_MAX = {"pricing": 150, "jobqueue": 120, "chat": 90}


def app(name: str) -> str:
    return str(ROOT / "examples" / name / "app.cell")


@pytest.fixture(autouse=True)
def _own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SOMA_CACHE_DIR", str(tmp_path / "cache"))


def test_all_examples_are_there() -> None:
    assert EXAMPLES == ["chat", "inventory", "jobqueue", "kv", "pricing", "pricing-paper"]


@pytest.mark.parametrize(("name", "lines"), LINES_MAX.items())
def test_the_papers_sizes_hold(name: str, lines: int) -> None:
    assert len(Path(app(name)).read_text("utf-8").splitlines()) <= lines


@pytest.mark.parametrize("name", EXAMPLES)
def test_an_example_is_complete(name: str) -> None:
    folder = ROOT / "examples" / name
    assert {"app.cell", "soma.toml", "README.md"} <= {path.name for path in folder.iterdir()}


@pytest.mark.parametrize("name", EXAMPLES)
def test_it_checks_without_errors(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command(["check", app(name)]) == 0
    out, err = capsys.readouterr()
    assert "error" not in out.replace("no errors", "")
    assert err == ""


@pytest.mark.slow
@pytest.mark.parametrize("name", EXAMPLES)
def test_its_own_tests_pass(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    code = run_command(["test", app(name)])
    out, _ = capsys.readouterr()
    assert code == 0, out
    assert re.search(r"\n(\d+) tests: \1 passed, 0 failed\n$", out)


@pytest.mark.parametrize("name", ["pricing", "jobqueue", "chat"])
def test_lifecycles_are_used_by_the_handlers(name: str) -> None:
    """Every state but the initial one is the target of some literal transition."""
    from somac.frontend import nodes as n
    from somac.frontend.load import load
    from somac.frontend.program import sections

    program = load(app(name)).program
    assert program is not None
    machine = sections(program.cells[0], n.Machine)[0]
    text = Path(app(name)).read_text("utf-8")
    used = set(re.findall(r'transition\([^()]*,\s*"(\w+)"\)', text))
    assert {t.target for t in machine.transitions} <= used | {machine.initial}


def test_an_executed_trade_is_never_cancelled() -> None:
    """The sound reading of [verify.after.executed] never = ["cancelled"], on the graph."""
    from somac.frontend import nodes as n
    from somac.frontend.load import load
    from somac.frontend.program import sections

    program = load(app("pricing")).program
    assert program is not None
    machine = sections(program.cells[0], n.Machine)[0]
    reached, todo = set(), ["executed"]
    while todo:
        state = todo.pop()
        for arrow in machine.transitions:
            if arrow.source in (state, "*") and arrow.target not in reached:
                reached.add(arrow.target)
                todo.append(arrow.target)
    assert "settled" in reached
    assert "cancelled" not in reached


@pytest.mark.slow
@pytest.mark.parametrize("name", EXAMPLES)
def test_its_package_is_clean(name: str, tmp_path: Path) -> None:
    """mypy --strict, ruff and black have nothing to say, with the package's own settings."""
    dist = tmp_path / "dist"
    assert run_command(["build", app(name), "-o", str(dist)]) == 0
    tools = [["ruff", "check", "."], ["black", "--check", "-q", "."]]
    if name in ("pricing", "inventory"):  # 15 s each
        tools.append(["mypy", "--strict", "-p", "app"])
    for tool in tools:
        done = subprocess.run(
            [sys.executable, "-m", *tool], cwd=dist, capture_output=True, text=True, timeout=240
        )
        assert done.returncode == 0, f"{tool}\n{done.stdout}{done.stderr}"
