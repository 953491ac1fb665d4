"""`soma verify` as a command: streams, exit codes, manifests that cannot be read, several files."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest

MACHINE = 'cell A { state m { a -> b } on f() { transition(1, "b") } }'
CLEAN = MACHINE.replace("a -> b", "a -> b { guard { true } }")
PACKAGE = '[package]\nname = "app"\n'


def test_stdout_has_the_report_and_stderr_the_rest(soma, cell) -> None:
    done = soma("verify", cell(MACHINE))
    assert done.out.startswith(
        "\nState machine 'm': 2 states, initial 'a'\n  States: [a, b]\n\n  ✓ "
    )
    assert done.err == "Verifying app.cell...\nTemporal: 1 passed, 0 failed\n"
    assert "\x1b" not in done.out
    assert done.code == 0


def test_a_failed_property_is_exit_code_1(soma, cell) -> None:
    path = cell(MACHINE)
    cell(f'{PACKAGE}[verify]\nnever = ["b"]\n', "soma.toml")
    done = soma("verify", path)
    assert done.code == 1
    assert done.err.splitlines() == [
        "Verifying app.cell...",
        "steps of the counter-example to never(state == 'b'):",
        "  a → b: `f` (app.cell:1)",
        "soma.toml: 1 user-defined properties loaded",
        "Temporal: 1 passed, 1 failed",
    ]


@pytest.mark.slow
def test_strict_refuses_warnings(soma, cell) -> None:
    assert soma("verify", cell(MACHINE), "--strict").code == 1
    path = cell(CLEAN)
    assert soma("verify", path, "--strict").code == 0
    cell(f'{PACKAGE}[verify]\nnever = ["c"]\n', "soma.toml")
    done = soma("verify", path, "--strict")
    assert "state 'c' is unknown to state machine 'm'" in done.err
    assert done.code == 1
    assert soma("verify", path).code == 0


def test_json_is_all_of_stdout(soma, cell) -> None:
    done = soma("verify", cell(MACHINE), "--json")
    assert json.loads(done.out)["passed"] is True
    empty = soma("verify", cell("cell A { on f() { 1 } }"), "--json")
    assert json.loads(empty.out) == {"passed": True, "state_machines": [], "temporal": []}
    assert empty.err.endswith("No state machines found.\n")
    assert empty.code == 0


@pytest.mark.slow
@pytest.mark.parametrize(
    ("manifest", "place", "message"),
    [
        ("[verify\n", "soma.toml:1:8", "error: soma.toml: "),
        ('[verify]\nnever = ["b"]\n', "soma.toml:1:1", "error: soma.toml has no [package] name"),
        (f'{PACKAGE}[verify]\nnever = "b"\n', "soma.toml:4:1", "`never` in [verify] must be"),
        (f"{PACKAGE}[verify]\nctl = {{ x = 1 }}\n", "soma.toml:4:9", "must be a formula in quotes"),
        (f'{PACKAGE}[verify]\nctl = {{ x = "AG(a" }}\n', "soma.toml:4:18", "expected ')'"),
    ],
)
def test_a_manifest_with_a_mistake_is_an_error_with_its_place(
    soma, cell, manifest: str, place: str, message: str
) -> None:
    path = cell(MACHINE)
    cell(manifest, "soma.toml")
    done = soma("verify", path)
    assert message in done.err
    assert place in done.err
    assert (done.out, done.code) == ("", 1)


def test_a_formula_is_shown_with_a_caret(soma, cell) -> None:
    path = cell(MACHINE)
    cell(f'{PACKAGE}[verify]\nctl = {{ x = "AG(a $ b)" }}\n', "soma.toml")
    assert soma("verify", path).err.splitlines()[1:6] == [
        "error: soma.toml: formula `x`: unexpected character '$'",
        "  --> soma.toml:4:19",
        "  |",
        '4 | ctl = { x = "AG(a $ b)" }',
        "  |                   ^",
    ]


def test_several_files_are_one_report(soma, cell) -> None:
    first, second = cell(MACHINE), cell(MACHINE.replace("state m", "state n"), "b.cell")
    done = soma("verify", first, second)
    assert done.out.count("State machine '") == 2
    assert done.err.startswith("Verifying app.cell...\nVerifying b.cell...\n")
    assert "note: verification is per-cell" in done.err


def test_a_program_that_cannot_be_read(soma, cell) -> None:
    assert soma("verify", "missing.cell").code == 1
    done = soma("verify", cell("cell A {"))
    assert (done.out, done.code) == ("", 1)


@pytest.mark.slow
def test_a_machine_of_ten_thousand_states(soma, cell) -> None:
    """Wrong input that is only large: answered, not died of."""
    arrows = "\n".join(f"s{i} -> s{i + 1}" for i in range(10_000))
    done = soma("verify", cell(f"cell A {{ state m {{\n{arrows}\n}} }}"))
    assert done.code == 0
    assert "Traceback" not in done.err
    assert "10001 states" in done.out


@pytest.mark.slow
def test_colours_only_on_a_terminal(tmp_path: Path) -> None:
    path = tmp_path / "app.cell"
    path.write_text(MACHINE, "utf-8")
    ours, theirs = pty.openpty()
    environment = {k: v for k, v in os.environ.items() if k != "NO_COLOR"}
    done = subprocess.run(
        [sys.executable, "-m", "somac", "verify", str(path)],
        stdout=theirs,
        stderr=subprocess.PIPE,
        env=environment,
        timeout=60,
        check=False,
    )
    os.close(theirs)
    shown = os.read(ours, 4096).decode()
    os.close(ours)
    assert done.returncode == 0
    assert "\x1b[32m✓\x1b[0m" in shown
