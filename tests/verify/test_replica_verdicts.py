"""Properties that the user states, of machines that the user distributes."""

from __future__ import annotations

import pytest
from verify_programs import lines, manifest_of, report_on

from somac.frontend.load import load_text
from somac.verify import verify
from somac.verify.data import json_report
from somac.verify.output import replica_lines, tally_lines, text_report
from somac.verify.report import Report

TRADE = """\
cell Pricing {{
    memory {{ trades: Map<String, Map> [persistent] }}
    scale {{ replicas: {replicas}  shard: trades  consistency: {level} }}
    state trade {{ initial: pending
        pending -> confirmed    confirmed -> executed    confirmed -> cancelled
        executed -> settled }}
}}
"""
AFTER = '[verify.after.executed]\nnever = ["cancelled"]\n'
PROPERTY = "after('executed', state != 'cancelled')"
MESSAGE = "holds on one node, fails on replicas (consistency: {})"


def trade(level: str, count: int = 3, delivered: bool = False, toml: str = AFTER) -> Report:
    program = load_text(TRADE.format(level=level, replicas=count)).program
    assert program is not None
    return verify([program], manifest_of(toml), lambda _: delivered)


@pytest.mark.parametrize("level", ["eventual", "causal"])
@pytest.mark.parametrize("delivered", [True, False])
def test_a_property_of_the_user_that_does_not_survive_has_failed(
    level: str, delivered: bool
) -> None:
    report = trade(level, delivered=delivered)
    free, refuted = report.verdicts
    assert (free.passed, refuted.passed, report.passed) == (True, False, False)
    assert (refuted.property, refuted.message) == (PROPERTY, MESSAGE.format(level))
    assert refuted.counter_example[-2:] == ("executed", "cancelled")
    assert "Temporal: 1 passed, 1 failed" in tally_lines(report)


def test_it_is_told_as_any_other_failure() -> None:
    report = trade("eventual")
    assert (
        f"  ✗ {PROPERTY} — {MESSAGE.format('eventual')}\n"
        "    counter-example: pending → confirmed → executed → cancelled\n"
    ) in text_report(report)
    assert '"passed": false' in json_report(report)
    assert f"  ✗ {PROPERTY} does not survive" in replica_lines(report)


def test_what_nobody_has_stated_is_a_warning() -> None:
    report = trade("eventual", toml="")
    assert "⚠ acknowledged transitions can be lost" in "\n".join(replica_lines(report))
    assert (report.passed, report.warned) == (True, True)


@pytest.mark.parametrize(("level", "count"), [("strong", 3), ("strong", 1), ("eventual", 1)])
def test_a_property_that_survives_is_as_it_was(level: str, count: int) -> None:
    report = trade(level, count)
    assert all(verdict.passed for verdict in report.verdicts)
    assert report.passed


def test_what_one_node_refutes_keeps_its_own_counter_example() -> None:
    report = trade("eventual", toml='[verify]\nnever = ["executed"]\n')
    (refuted,) = [verdict for verdict in report.verdicts if not verdict.passed]
    assert refuted.message == "violated: state 'executed' is reachable"
    assert [step.source for step in refuted.steps] == ["pending", "confirmed"]


def test_machines_without_replicas_are_not_asked() -> None:
    report = report_on("cell A { state m { a -> b a -> c } }", '[verify.after.b]\nnever = ["c"]')
    assert report.passed
    assert lines(report)[0] == "P 3 states, 2 transitions"
