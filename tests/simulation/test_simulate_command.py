"""`somac simulate`: its lines, its exit code, and the command that repeats a failure."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from somac.cli import run_command

CELLS = Path(__file__).parent / "cells"

BROKEN = """
cell Doors {
    memory { notes: Map<String, Int> [persistent, eventual] }
    state door {
        initial: open
        open -> shut
        shut -> open
    }
    scale { replicas: 3, consistency: eventual }
    on shut(id: String) { transition(id, "shut") }
    on open(id: String) { transition(id, "open") }
}
"""


@pytest.mark.slow
def test_a_passing_run(capsys: pytest.CaptureFixture[str]) -> None:
    words = ["--nodes", "3", "--minutes", "2", "--seed", "3", "--calls", "40"]
    words += ["--seeds", "2", "--faults", "all"]
    assert run_command(["simulate", str(CELLS / "counters.cell"), *words]) == 0
    printed = capsys.readouterr().out.splitlines()
    assert [line.split(": ")[1] for line in printed[:2]] == ["ok", "ok"]
    assert printed[2] == "2 seeds: 2 passed, 0 failed"


@pytest.mark.slow
def test_a_broken_promise_is_shown_small(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    program = tmp_path / "doors.cell"
    program.write_text(BROKEN)
    (tmp_path / "soma.toml").write_text(
        '[package]\nname = "doors"\n[verify.after.shut]\nnever = ["open"]\n'
    )
    words = ["simulate", str(program), "--nodes", "2", "--minutes", "1", "--calls", "60"]
    assert run_command(words) == 1
    printed = capsys.readouterr().out
    assert "FAILED" in printed
    assert "verified property broken: door" in printed
    replay = re.search(r"replay: somac (simulate .*)", printed)
    assert replay is not None
    picks = re.search(r"--only (\S+)", replay[1])
    assert picks is not None
    assert picks[1].count("c") <= 2, "two calls are enough"
    assert run_command(replay[1].split()) == 1
    assert "verified property broken: door" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--faults", "flood"], "unknown fault 'flood'; there are partition, oneway"),
        (["--only", "x3"], "--only: 'x3' is neither a fault (f3) nor a call (c7, c7-9)"),
        (["--nodes", "0"], "--nodes is from 1 to 200"),
    ],
)
def test_misuse(words: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command(["simulate", str(CELLS / "counters.cell"), *words]) == 1
    assert message in capsys.readouterr().err
