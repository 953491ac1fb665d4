"""Size: linear work, no recursion over states."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from somac.frontend import limits
from somac.frontend import nodes as n
from somac.frontend.program import Program
from somac.frontend.source import Source
from somac.manifest import Manifest
from somac.verify import verify
from somac.verify.report import Report
from somac.verify.survival import LARGEST


def chain(size: int, *more: tuple[str, str]) -> Program:
    arrows = [(f"s{i}", f"s{i + 1}") for i in range(size)]
    machine = n.Machine("m", None, (), "s0", tuple(n.Transition(a, b) for a, b in (*arrows, *more)))
    return Program(Source("a.cell", ""), (), (n.Cell("cell", "A", (machine,)),))


def judged(program: Program, **verify_section: object) -> Report:
    return verify([program], Manifest(verify=verify_section), lambda _: False)


@pytest.mark.slow
def test_thirty_thousand_states() -> None:
    report = judged(chain(30_000), eventually=["s30000"], never=["s29999"])
    assert [verdict.passed for verdict in report.verdicts] == [True, True, False]
    assert len(report.verdicts[2].counter_example) == 30_000


@pytest.mark.slow
def test_many_wildcards_and_many_ends() -> None:
    program = chain(
        2000, *(("*", f"x{i}") for i in range(20)), *(("s9", f"t{i}") for i in range(500))
    )
    report = judged(program, eventually=["x0"])
    assert not report.passed
    assert (
        report.blocks[0].checks[0].message == f"{2001 + 520} states, {2500 + 20 * 2520} transitions"
    )


def test_terminal_states_beyond_measure_are_said_to_be_unexamined() -> None:
    program = chain(1, *(("s0", f"t{i}") for i in range(6000)))
    assert any("is not examined" in c.message for c in judged(program).checks)


def verified(folder: Path, name: str = "app.cell") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "somac", "verify", name],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


@pytest.mark.slow
def test_a_hundred_thousand_states_from_the_command_line(tmp_path: Path) -> None:
    size = 100_000
    arrows = "\n".join(f"s{i} -> s{i + 1}" for i in range(size))
    scale = "memory { m: Map<String> [persistent] } scale { replicas: 3 shard: m }"
    (tmp_path / "app.cell").write_text(f"cell A {{ {scale} state m {{\n{arrows}\n}} }}", "utf-8")
    toml = f"""
        [package]
        name = "app"
        [verify]
        eventually = ["s{size}"]
        never = ["s{size - 1}"]
        ctl = {{ forth = "AG !EX s0", on = "AG(s5 -> AF s{size})" }}
    """
    (tmp_path / "soma.toml").write_text(toml, "utf-8")
    done = verified(tmp_path)
    assert done.returncode == 1
    assert f"✓ {size + 1} states, {size} transitions\n" in done.stdout
    assert (
        f"✗ never(state == 's{size - 1}') — violated: state 's{size - 1}' is reach" in done.stdout
    )
    assert "Temporal: 4 passed, 1 failed" in done.stderr
    unexamined = [line for line in done.stderr.splitlines() if "not examined" in line]
    assert unexamined == [f"  ⚠ not examined: more than {LARGEST} states"]


@pytest.mark.slow
def test_a_mistake_among_a_hundred_thousand_states_is_one_message(tmp_path: Path) -> None:
    arrows = [f"s{i} -> s{i + 1}" for i in range(100_000)]
    arrows[90_000] = "s90000 => s90001"
    text = "cell A { state m {\n" + "\n".join(arrows) + "\n} }"
    (tmp_path / "app.cell").write_text(text, "utf-8")
    done = verified(tmp_path)
    assert (done.stdout, done.returncode) == ("", 1)
    assert done.stderr.splitlines() == [
        "Verifying app.cell...",
        "error: expected '->', found '=>'",
        "  --> app.cell:90002:8",
        "      |",
        "90002 | s90000 => s90001",
        "      |        ^",
        "      = hint: an arrow between states, or of a `match`, is written `->`",
    ]


@pytest.mark.slow
def test_a_file_too_long_is_told_the_limit(tmp_path: Path) -> None:
    arrows = "\n".join(f"    state_number_{i} -> state_number_{i + 1}" for i in range(100_000))
    (tmp_path / "app.cell").write_text(f"cell A {{ state m {{\n{arrows}\n}} }}", "utf-8")
    done = verified(tmp_path)
    assert (done.stdout, done.returncode) == ("", 1)
    assert f"source file is longer than {limits.FILE_CHARACTERS} characters" in done.stderr
