"""Size: linear work, no recursion over states."""

from __future__ import annotations

import pytest

from somac.frontend import nodes as n
from somac.frontend.program import Program
from somac.frontend.source import Source
from somac.manifest import Manifest
from somac.verify import verify
from somac.verify.report import Report


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
