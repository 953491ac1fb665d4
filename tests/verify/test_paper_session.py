"""The paper's applications (reference §5.10): its lines where they are true, its bug, our mends."""

from __future__ import annotations

from pathlib import Path

import pytest

from somac.frontend.load import load
from somac.manifest import load_manifest
from somac.verify import verify
from somac.verify.output import tally_lines, text_report
from somac.verify.report import Report
from somart.capabilities import delivers

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"


def report_on_example(name: str) -> Report:
    path = EXAMPLES / name / "app.cell"
    program = load(path).program
    assert program is not None
    manifest, diagnostics = load_manifest(path)
    assert not diagnostics
    return verify([program], manifest, delivers)


def test_the_papers_lifecycle_lets_an_executed_trade_be_cancelled() -> None:
    report = report_on_example("pricing-paper")
    failed = [verdict for verdict in report.verdicts if not verdict.passed]
    assert [verdict.property for verdict in failed] == ["after('executed', state != 'cancelled')"]
    path = ["pending", "confirmed", "executed", "failed", "pending", "cancelled"]
    assert list(failed[0].counter_example) == path
    assert tally_lines(report)[:2] == [
        "soma.toml: 10 user-defined properties loaded",
        "Temporal: 4 passed, 1 failed",
    ]


def test_its_lines_are_the_papers() -> None:
    text = text_report(report_on_example("pricing-paper"))
    assert "not enforced by this runtime" not in text
    for line in (
        "  ✓ replicas: 50 instances declared",
        "  ✓ tolerance: survives 2 node failures (of 50 replicas)",
        "  ✓ quorum: 26/50 nodes needed — tolerates 24 failures",
        "  ✓ CAP: CP mode — consistent + partition-tolerant"
        " (availability reduced during partitions)",
        "  ✓ memory 'price_cache' is node-local — not distributed (fast path)",
        "  ✓ scheduler: 'every' blocks run on leader node only (leader = lowest node ID)",
        "17 passed, 8 warnings, 0 failures",
    ):
        assert f"{line}\n" in text
    assert "  ✓ 7 states, 13 transitions\n" in text
    assert "  ✓ termination: all 6 handlers structurally terminate\n" in text


@pytest.mark.parametrize(
    ("name", "temporal"), [("pricing", 5), ("jobqueue", 4), ("chat", 2), ("inventory", 1)]
)
def test_the_bundled_examples_pass(name: str, temporal: int) -> None:
    report = report_on_example(name)
    assert report.passed
    assert not report.diagnostics
    assert len(report.verdicts) == temporal
    assert not [c for c in report.checks if "never reached by any handler" in c.message]
    assert [c for c in report.checks if c.message.startswith("termination: all ")]


def test_the_job_queue_shows_the_papers_eighteen_checks() -> None:
    """The paper counts 15 lines and 4 properties, less the termination line, which is newer."""
    report = report_on_example("jobqueue")
    paper = [
        c
        for c in report.checks
        if c.status == "pass"
        and not c.message.startswith(("refinement", "think-isolated", "termination"))
    ]
    assert len(paper) + len(report.verdicts) == 18
