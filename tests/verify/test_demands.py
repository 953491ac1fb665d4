"""What soma.toml can demand (reference §5.3, §7), with sound answers and mistakes that have a place."""  # noqa: E501

from __future__ import annotations

import pytest
from verify_programs import machine, report_on

from somac.frontend.diagnostics import Severity
from somac.verify.output import text_report
from somac.verify.report import Report, Verdict

JOB = machine(
    "initial: queued queued -> running running -> failed failed -> queued running -> done"
)


def verdicts(toml: str, program: str = JOB) -> list[tuple[str, bool, str, str]]:
    """Property, verdict, message and counter-example of all but `deadlock_free`."""
    found = report_on(program, toml).verdicts[1:]
    return [(v.property, v.passed, v.message, " → ".join(v.counter_example)) for v in found]


def one(toml: str, program: str = JOB) -> tuple[bool, str, str]:
    ((_, passed, message, trace),) = verdicts(toml, program)
    return passed, message, trace


def test_eventually_is_refuted_by_the_retry_cycle_of_the_paper() -> None:
    assert one('[verify]\neventually = ["done"]') == (
        False,
        "exists a path that never satisfies the predicate",
        "queued → running → failed → queued → ... cycle back to 'queued'",
    )


def test_eventually_ends_in_a_sink() -> None:
    assert one('[verify]\neventually = ["failed"]')[2] == "queued → running → done"


def test_fairness_rules_the_retry_cycle_out() -> None:
    assert one('[verify]\neventually = ["done"]\nfair = ["running -> done"]')[0]
    assert one('[verify]\neventually = ["done"]\nfair = [["running -> done", "x -> y"]]')[0]
    assert not one('[verify]\neventually = ["done"]\nfair = ["running -> failed"]')[0]


def test_fairness_towards_a_wildcard() -> None:
    program = machine("initial: a a -> b -> a * -> end")
    assert not one('[verify]\neventually = ["end"]', program)[0]
    assert one('[verify]\neventually = ["end"]\nfair = ["* -> end"]', program)[0]


def test_never_and_always_have_shortest_counter_examples() -> None:
    found = verdicts('[verify]\nnever = ["failed", "lost"]\nalways = ["queued"]')
    assert found == [
        (
            "never(state == 'failed')",
            False,
            "violated: state 'failed' is reachable",
            "queued → running → failed",
        ),
        ("never(state == 'lost')", True, "never reached in any execution", ""),
        ("always(state == 'queued')", False, "violated in state 'running'", "queued → running"),
    ]
    assert one('[verify]\nalways = ["a"]', machine("initial: a a -> a")) == (
        True,
        "holds in all 1 reachable states",
        "",
    )


def test_after_never_means_what_it_says() -> None:
    toml = '[verify.after.failed]\nnever = ["done", "lost"]\neventually = ["queued"]'
    assert verdicts(toml) == [
        (
            "after('failed', state in [queued])",
            True,
            "after 'failed', all paths eventually satisfy the predicate",
            "",
        ),
        (
            "after('failed', state != 'done')",
            False,
            "after reaching 'failed', predicate can be avoided",
            "queued → running → failed → queued → running → done",
        ),
        (
            "after('failed', state != 'lost')",
            True,
            "after 'failed', all paths eventually satisfy the predicate",
            "",
        ),
    ]


def test_after_never_of_the_state_itself() -> None:
    assert one('[verify.after.done]\nnever = ["done"]')[0]
    assert not one('[verify.after.queued]\nnever = ["queued"]')[0]
    loop = machine("initial: a a -> b * -> b")
    assert one('[verify.after.b]\nnever = ["b"]', loop)[2] == "a → b → b"  # `* -> b` leads there


def test_after_eventually_joins_stem_and_cycle() -> None:
    passed, message, trace = one('[verify.after.running]\neventually = ["done"]')
    assert (passed, message) == (False, "after reaching 'running', predicate can be avoided")
    assert trace == "queued → running → failed → queued → running → ... cycle back to 'running'"


def test_after_sections_are_sorted() -> None:
    toml = '[verify.after.running]\nnever = ["x1"]\n[verify.after.done]\nnever = ["x2"]'
    names = [name for name, *_ in verdicts(toml)]
    assert names == ["after('done', state != 'x2')", "after('running', state != 'x1')"]


# --- formulas ------------------------------------------------------------------------------------


def test_formulas_hold_or_fail_with_a_trace() -> None:
    toml = (
        "[verify.ctl]\n"
        'ends = "AG(running -> AF(done | failed))"\n'
        'retries = "EF failed"\n'
        'certain = "AG AF done"\n'
        'never_again = "EX EX EX EX done"\n'
    )
    found = report_on(JOB, toml).verdicts[1:]
    assert [(v.property, v.passed, v.message) for v in found] == [
        ("ends: AG(running -> AF(done | failed))", True, "holds on all paths"),
        ("retries: EF(failed)", True, "some path shows it"),
        ("certain: AG(AF(done))", False, "violated"),
        ("never_again: EX(EX(EX(EX(done))))", False, "no path shows it"),
    ]
    assert found[1].witness == ("queued", "running", "failed")
    assert found[2].counter_example[-1] == "... cycle back to 'queued'"
    assert found[3] == Verdict(found[3].property, False, "no path shows it")


def test_witnesses_are_printed() -> None:
    text = text_report(report_on(JOB, '[verify]\nctl = { can = "EF done" }'))
    assert text.endswith(
        "  ✓ can: EF(done) — some path shows it\n    witness: queued → running → done\n"
    )


# --- several machines ----------------------------------------------------------------------------

TWO = "cell A { state m { a -> b } state n { c -> d } }"


def test_a_section_for_one_machine() -> None:
    report = report_on(TWO, '[verify]\nnever = ["x"]\n[verify.n]\neventually = ["d"]')
    counts = {t.machine: len(t.verdicts) for t in report.temporal}
    assert counts == {"m": 2, "n": 3}
    assert report.user_properties == 2


def test_a_list_for_all_machines_warns_where_it_cannot_hold() -> None:
    report = report_on(TWO, '[verify]\neventually = ["d"]')
    assert messages(report) == ["soma.toml: state 'd' is unknown to state machine 'm'"]
    assert report.diagnostics[0].fix == "move the property to [verify.n]"
    assert not messages(report_on(TWO, '[verify]\nnever = ["d"]\n[verify.after.c]\nnever = ["a"]'))


def test_a_formula_is_about_the_machines_that_have_its_states() -> None:
    report = report_on(TWO, '[verify]\nctl = { x = "EF d" }')
    assert [len(t.verdicts) for t in report.temporal] == [1, 2]


def test_final_states_of_one_machine_leave_the_other_alone() -> None:
    report = report_on(TWO, '[verify]\nfinal = ["b"]')
    assert report.passed


# --- warnings and mistakes -----------------------------------------------------------------------


def messages(report: Report) -> list[str]:
    return [d.message for d in report.diagnostics]


@pytest.mark.parametrize(
    ("toml", "message", "line", "column"),
    [
        ('[verify]\nnever = ["dune"]', "state 'dune' is unknown to state machine 'm'", 4, 11),
        ('[verify.after.dune]\nnever = ["done"]', "state 'dune' is unknown to state machine 'm'", 3, 15),  # noqa: E501
        ('[verify]\nfinal = ["done", "dune"]', "`final` in [verify] names the unknown state 'dune'", 4, 19),  # noqa: E501
        ('[verify]\nfair = ["a -> done"]', "`fair` in [verify] names the unknown state 'a'", 4, 10),
        ('[verify]\nctl = { x = "AG(dune -> done)" }', "state 'dune' is unknown to state machine 'm'", 4, 17),  # noqa: E501
        ('[verify]\nctl = { x = "AG(failed & done -> queued)" }', "'x' holds vacuously: nothing reaches 'failed & done' (state machine 'm')", 4, 9),  # noqa: E501
    ],
)  # fmt: skip
def test_doubtful_properties_are_warnings_with_a_place(
    toml: str, message: str, line: int, column: int
) -> None:
    report = report_on(JOB, toml)
    assert f"soma.toml: {message}" in messages(report)
    found = report.diagnostics[messages(report).index(f"soma.toml: {message}")]
    assert found.severity is Severity.WARNING
    assert found.span is not None
    assert (found.span.line, found.span.column) == (line, column)
    assert report.warned


@pytest.mark.parametrize(
    ("toml", "message", "line", "column"),
    [
        ('[verify]\nctl = { x = "AG(done" }', "formula `x`: expected ')', found the end of the formula", 4, 21),  # noqa: E501
        ('[verify.ctl]\nx = "AG done $"', "formula `x`: unexpected character '$'", 4, 14),
        ('[verify]\neventualy = ["done"]', "unknown key `eventualy` in [verify]", 4, 1),
        ('[verify.job]\nnever = ["done"]', "[verify.job] names no state machine of the program", 3, 9),  # noqa: E501
        ('[verify.m]\nnevr = ["done"]', "unknown key `nevr` in [verify.m]", 4, 1),
        ('[verify.after.done]\nalways = ["x"]', "unknown key `always` in [verify.after.done]", 4, 1),  # noqa: E501
        ('[verify]\nfair = ["done"]', '`fair` needs arrows like "a -> b", not "done"', 4, 10),
    ],
)  # fmt: skip
def test_mistakes_are_errors_with_a_place(toml: str, message: str, line: int, column: int) -> None:
    report = report_on(JOB, toml)
    (found,) = report.diagnostics
    assert found.message == f"soma.toml: {message}"
    assert found.severity is Severity.ERROR
    assert not report.blocks
    assert found.span is not None
    assert (found.span.line, found.span.column) == (line, column)


def test_an_unreachable_beginning_is_vacuous() -> None:
    report = report_on(machine("initial: a a -> b c -> d"), '[verify.after.c]\nnever = ["d"]')
    assert report.verdicts[1].message == "state 'c' is unreachable (vacuously true)"
    assert messages(report) == [
        "soma.toml: state 'c' is unreachable: 'after('c', state != 'd')' says nothing"
        " (state machine 'm')"
    ]
