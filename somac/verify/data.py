"""The report for machines: `verify --json`, and what a certificate says.

The keys of §5.1 are always there. The others (`notes`, `replicas`, `cluster`, `steps`, `warnings`)
are there when there is something to say.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from ..frontend.diagnostics import Diagnostic, Severity
from ..frontend.source import Span
from .output import PER_CELL, counted
from .report import Block, Check, Report, Step, Survival, Verdict

NOTHING = '{"state_machines":[], "temporal":[], "passed": true}\n'

Data = dict[str, Any]


def json_report(report: Report) -> str:
    """Pretty, keys ascending; one fixed line when there is nothing to report."""
    if not report.blocks:
        return NOTHING
    data: Data = {
        "passed": report.passed,
        "state_machines": [_block(block) for block in report.blocks],
        "temporal": [
            {
                "state_machine": machine.machine,
                "properties": [_verdict(verdict) for verdict in machine.verdicts],
            }
            for machine in report.temporal
        ],
        **_given(
            cluster=[_survival(found) for found in report.survivals if found.of_cluster],
            replicas=[_survival(found) for found in report.survivals if not found.of_cluster],
            notes=list(report.notes),
            warnings=[_diagnostic(found) for found in report.diagnostics],
        ),
    }
    if report.cells > 1:
        data["note"] = PER_CELL
    return json.dumps(data, indent=2, sort_keys=True, ensure_ascii=False) + "\n"


def summary(report: Report) -> Data:
    """What a certificate says of a verification: counts, each property with its verdict, and what
    else was found. No path of the machine that builds is in it, so that builds are reproducible.

    `mistakes` are errors in the manifest; with any, nothing was verified.
    """
    wrong = [d.message for d in report.diagnostics if d.severity is Severity.ERROR]
    doubtful = [d for d in report.diagnostics if d.severity is Severity.WARNING]
    return {
        "passed": report.passed and not wrong,
        "mistakes": wrong,
        "checks": counted(report),
        "properties": [
            {
                "machine": machine.machine,
                "property": verdict.property,
                "passed": verdict.passed,
                **_given(steps=[_step(step, short=True) for step in verdict.steps]),
            }
            for machine in report.temporal
            for verdict in machine.verdicts
        ],
        **_given(
            replicas=[_findings(found) for found in report.survivals if not found.of_cluster],
            cluster=[_findings(found) for found in report.survivals if found.of_cluster],
            warnings=[found.message for found in doubtful],
        ),
    }


def _given(**values: list[Any]) -> Data:
    return {key: value for key, value in values.items() if value}


def _block(block: Block) -> Data:
    return {
        "name": block.name,
        "states": list(block.states),
        "initial": block.initial,
        "terminal_states": list(block.terminal),
        "checks": [_check(check) for check in block.checks],
    }


def _check(check: Check) -> Data:
    data: Data = {"status": check.status, "message": check.message}
    if check.trace:
        data["counter_example"] = list(check.trace)
    return data


def _verdict(verdict: Verdict) -> Data:
    data: Data = {
        "property": verdict.property,
        "passed": verdict.passed,
        "message": verdict.message,
        **_given(
            counter_example=list(verdict.counter_example),
            witness=list(verdict.witness),
            steps=[_step(step) for step in verdict.steps],
        ),
    }
    return data


def _step(step: Step, short: bool = False) -> Data:
    """Who takes a step, and where; `short` leaves of the file only its name."""
    data: Data = {"from": step.source, "to": step.target, "handlers": list(step.takers)}
    return {**data, **_place(step.place, short)}


def _place(span: Span | None, short: bool = False) -> Data:
    if span is None:
        return {}
    path = span.source.path
    return {**({"file": Path(path).name if short else path} if path else {}), "line": span.line}


def _survival(found: Survival) -> Data:
    """What becomes of a machine, or of the cluster, with the diagrams of what goes wrong."""
    return {
        "name": found.machine,
        "title": found.title,
        "checks": [
            {**_check(check), **_given(diagram=list(diagram))} for check, diagram in found.checks
        ],
    }


def _findings(found: Survival) -> Data:
    return {"machine": found.machine, "checks": [_check(check) for check, _ in found.checks]}


def _diagnostic(found: Diagnostic) -> Data:
    return {
        "level": found.severity.value,
        "message": found.message,
        **_place(found.span),
        **({} if found.span is None else {"column": found.span.column}),
    }
