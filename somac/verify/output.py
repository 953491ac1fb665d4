"""The report as text, to the letter of §5.1. `somac.verify.data` has it for machines."""

from __future__ import annotations

from collections.abc import Iterator

from .report import Block, Report, Temporal, Verdict

MARKS = {"pass": ("✓", "32"), "warning": ("⚠", "33"), "fail": ("✗", "31")}
PER_CELL = "verification is per-cell. Cross-cell signal composition is not yet verified."
STEPS_MAX = 100  # steps of one trace that are explained


def text_report(report: Report, colour: bool = False) -> str:
    """What goes to stdout; empty when there is nothing to report."""
    if not report.blocks:
        return ""
    lines = [line for block in report.blocks for line in _block(block, colour)]
    count = counted(report)
    lines += [
        "",
        f"{count['pass']} passed, {count['warning']} warnings, {count['fail']} failures",
    ]
    for machine in report.temporal:
        lines += _temporal(machine, colour)
    return "".join(f"{line}\n" for line in lines)


def counted(report: Report) -> dict[str, int]:
    """How many structural lines passed, warn and failed."""
    count = dict.fromkeys(MARKS, 0)
    for check in report.checks:
        count[check.status] += 1
    return count


def _mark(status: str, colour: bool) -> str:
    mark, code = MARKS[status]
    return f"\x1b[{code}m{mark}\x1b[0m" if colour else mark


def _block(block: Block, colour: bool) -> Iterator[str]:
    yield ""
    yield f"State machine '{block.name}': {len(block.states)} states, initial '{block.initial}'"
    yield f"  States: [{', '.join(block.states)}]"
    yield ""
    for check in block.checks:
        yield f"  {_mark(check.status, colour)} {check.message}"
        if check.trace:
            yield f"    trace: {' → '.join(check.trace)}"


def _temporal(machine: Temporal, colour: bool) -> Iterator[str]:
    yield ""
    yield f"  Temporal properties for '{machine.machine}':"
    for verdict in machine.verdicts:
        mark = _mark("pass" if verdict.passed else "fail", colour)
        yield f"  {mark} {verdict.property} — {verdict.message}"
        if verdict.counter_example:
            yield f"    counter-example: {' → '.join(verdict.counter_example)}"
        if verdict.witness:
            yield f"    witness: {' → '.join(verdict.witness)}"


def step_lines(report: Report) -> list[str]:
    """Who takes each step of each counter-example and witness, for stderr."""
    lines = []
    for machine in report.temporal:
        for verdict in machine.verdicts:
            if verdict.steps:
                kind = "witness" if verdict.passed else "counter-example"
                lines.append(f"steps of the {kind} to {verdict.property}:")
                lines += _steps(verdict)
    return lines


def _steps(verdict: Verdict) -> Iterator[str]:
    for step in verdict.steps[:STEPS_MAX]:
        yield f"  {step.told}"
    if len(verdict.steps) > STEPS_MAX:
        yield f"  … {len(verdict.steps) - STEPS_MAX} more"


def replica_lines(report: Report) -> list[str]:
    """What becomes of each lifecycle on its replicas, for stderr: the report on stdout is as §5.1
    has it."""
    lines = []
    for machine in report.survivals:
        lines.append(machine.title)
        for check, diagram in machine.checks:
            lines.append(f"  {MARKS[check.status][0]} {check.message}")
            lines += [f"      {line}" for line in diagram]
    return lines


def note_lines(report: Report) -> list[str]:
    """What is true of the cells and the lines of §5.8 do not say, for stderr."""
    return [f"note: {note}" for note in report.notes]


def tally_lines(report: Report) -> list[str]:
    """The lines of stderr behind the report."""
    lines = []
    if report.user_properties:
        lines.append(f"soma.toml: {report.user_properties} user-defined properties loaded")
    if report.temporal:
        failed = sum(not verdict.passed for verdict in report.verdicts)
        lines.append(f"Temporal: {len(report.verdicts) - failed} passed, {failed} failed")
    if report.cells > 1:
        lines.append(f"note: {PER_CELL}")
    return lines
