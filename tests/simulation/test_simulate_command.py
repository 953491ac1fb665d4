"""`somac simulate`: its lines, its exit code, and the command that repeats a failure."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from somac.cli import run_command
from somart.simulate.histories import HistoryError, read_history, write_operations
from somart.simulate.history import Operation
from somart.simulate.judging import judge

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
        (["--seeds", "0"], "--seeds is the number of runs, 1 or more"),
        (["--calls", "-5"], "--calls is the number of calls, 0 or more"),
        (["--minutes", "nan"], "--minutes is more than 0"),
        (["--minutes", "inf"], "--minutes is more than 0"),
        (["--only", "c4,c99999"], "--only: there is no call c99999; calls are c0-299"),
        (["--only", "f0", "--faults", "none"], "--only: seed 1 has no fault f0; it has 0"),
        (["--history", "calls.jsonl", "--seeds", "2"], "--history takes the calls of one run"),
    ],
)
def test_misuse(words: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command(["simulate", str(CELLS / "counters.cell"), *words]) == 2
    printed = capsys.readouterr()
    assert message in printed.err
    assert printed.out == ""


TWO = """
cell House {
    state door {
        initial: open
        open -> shut
    }
    state lamp {
        initial: dark
        dark -> lit
    }
    on light(id: String) { transition(id, "lit") }
}
"""


@pytest.mark.parametrize(
    ("section", "broken"),
    [("verify.door", False), ("verify.lamp", True), ("verify", True)],
)
def test_the_properties_of_one_machine_are_not_those_of_another(
    section: str, broken: bool, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    program = tmp_path / "house.cell"
    program.write_text(TWO)
    (tmp_path / "soma.toml").write_text(
        f'[package]\nname = "house"\n[{section}]\nnever = ["lit"]\n[{section}.after.dark]\n'
        'never = ["lit"]\n'
    )
    words = ["--nodes", "1", "--minutes", "0.2", "--calls", "3", "--faults", "none"]
    assert run_command(["simulate", str(program), *words]) == int(broken)
    assert ("verified property broken: lamp" in capsys.readouterr().out) == broken


def test_the_calls_of_a_run_are_written_as_a_history(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "calls.jsonl"
    words = ["--nodes", "2", "--minutes", "0.5", "--calls", "6", "--faults", "none"]
    words += ["--history", str(file)]
    assert run_command(["simulate", str(CELLS / "counters.cell"), *words]) == 0
    assert f"history: 6 calls written to {file}" in capsys.readouterr().err
    history = read_history(file.read_text().splitlines())
    assert history.model == "calls"
    assert [call.process for call in history.calls] == list(range(6))
    assert all(call.operation[0].startswith("Counters.") for call in history.calls)
    with pytest.raises(HistoryError, match="no such model: calls"):
        judge(history)


def test_a_history_tells_what_failed_and_what_nobody_knows() -> None:
    done = Operation(1, "n1", "A", "f", ("x", {"k": 1}), 10)
    done.end(12, "ok", {"a": [1, None]})
    failed = Operation(2, "n2", "A", "f", (), 11)
    failed.end(13, "error", "no quorum")
    lines = [
        json.loads(line)
        for line in write_operations([done, failed, Operation(3, "n1", "A", "f", (), 14)])
    ]
    assert lines[1]["operation"] == ["A.f", "x", {"k": 1}]
    assert [line["outcome"] for line in lines[1:]] == ["ok", "fail", "unknown"]
    assert [line["ended"] for line in lines[1:]] == [12, 13, None]
    assert [line["result"] for line in lines[1:]] == [{"a": [1, None]}, None, None]
    assert lines[2]["error"] == "no quorum"


def test_a_history_that_cannot_be_written_is_an_error(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["--nodes", "1", "--minutes", "0.1", "--calls", "1", "--history", str(tmp_path)]
    assert run_command(["simulate", str(CELLS / "counters.cell"), *words]) == 2
    assert f"--history: cannot write '{tmp_path}'" in capsys.readouterr().err
