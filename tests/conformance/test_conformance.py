"""Programs and what the language reference says they print.

Each `cases/<area>/<name>.cell` has beside it `<name>.toml`: the commands to run in one folder, one
after the other, and what each must give. A command is `run`, `test`, `check`, `parse`, `describe`,
`props` or `serve` with its arguments; the file's name goes in behind the command.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from somac.cli.commands import invoke

CASES = Path(__file__).parent / "cases"
PROCESS_SECONDS = 30
WITHOUT_FILE = {"props", "explain"}


@dataclass(frozen=True)
class Outcome:
    """What a command printed, and its exit code."""

    stdout: str
    stderr: str
    code: int


def collect() -> list[Any]:
    """One parameter per case; those that start processes are marked as slow."""
    found = []
    for path in sorted(CASES.glob("*/*.cell")):
        expected = tomllib.loads(path.with_suffix(".toml").read_text(encoding="utf-8"))
        slow = any(run.get("process") or run["args"][0] == "serve" for run in expected["run"])
        marks = [pytest.mark.slow] if slow else []
        name = f"{path.parent.name}/{path.stem}"
        found.append(pytest.param(path, expected, id=name, marks=marks))
    return found


@pytest.mark.parametrize(("path", "expected"), collect())
def test_case(
    path: Path,
    expected: dict[str, Any],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    source = tmp_path / path.name
    source.write_bytes(path.read_bytes())
    for name, text in expected.get("files", {}).items():
        target = tmp_path / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SOMA_CACHE_DIR", str(tmp_path / ".cache"))
    for run in expected["run"]:
        argv = command_line(run["args"], path.name)
        if argv[0] == "serve":
            from serving_cases import check_served

            check_served(argv, run["request"], tmp_path)
        elif run.get("process"):
            compare(run, in_own_process(argv, tmp_path))
        else:
            code = invoke(argv)
            captured = capsys.readouterr()
            compare(run, Outcome(captured.out, captured.err, code))


def command_line(args: list[str], file_name: str) -> list[str]:
    """The arguments with the file's name behind the command."""
    if args[0] in WITHOUT_FILE:
        return list(args)
    return [args[0], file_name, *args[1:]]


def in_own_process(argv: list[str], folder: Path) -> Outcome:
    """The same command in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-m", "somac", *argv],
        cwd=folder,
        capture_output=True,
        encoding="utf-8",
        timeout=PROCESS_SECONDS,
        env={**os.environ, "PYTHONIOENCODING": "utf-8"},
        check=False,
    )
    return Outcome(done.stdout, done.stderr, done.returncode)


def compare(run: dict[str, Any], outcome: Outcome) -> None:
    """Exact stdout (or parts of it, or JSON that contains the expected), parts of stderr, exit."""
    said = f"exit {outcome.code}, stderr:\n{outcome.stderr}"
    if "stdout" in run:
        assert outcome.stdout == run["stdout"], said
    for part in run.get("stdout_contains", ()):
        assert part in outcome.stdout, said
    if "json" in run:
        contains(json.loads(outcome.stdout), json.loads(run["json"]), "$")
    for part in run.get("stderr_contains", ()):
        assert part in outcome.stderr
    assert outcome.code == run.get("exit", 0), said


def contains(got: Any, wanted: Any, where: str) -> None:
    """Objects may have more members than wanted; everything else is equal."""
    if isinstance(wanted, dict):
        assert isinstance(got, dict), where
        for key, value in wanted.items():
            assert key in got, f"{where}.{key} of {got}"
            contains(got[key], value, f"{where}.{key}")
    elif isinstance(wanted, list):
        assert isinstance(got, list), where
        assert len(got) == len(wanted), f"{where}: {got}"
        for index, value in enumerate(wanted):
            contains(got[index], value, f"{where}[{index}]")
    else:
        assert got == wanted, where
