"""What a person is told who writes a property wrongly: the place, and what was probably meant."""

from __future__ import annotations

import pytest
from verify_programs import machine, manifest_of, report_on

from somac.frontend.diagnostics import Diagnostic
from somac.frontend.load import load_text
from somac.manifest import parse_manifest
from somac.verify import verify
from somac.verify.properties import COMPARED_MAX

PROGRAM = machine("new -> paid paid -> settled")


def findings(toml: str, program: str = PROGRAM) -> list[Diagnostic]:
    report = report_on(program, f"[verify]\n{toml}\n")
    return [d for d in report.diagnostics if d.code.startswith(("E28", "W28"))]


@pytest.mark.parametrize(
    ("formula", "at", "hint"),
    [
        ("new U paid", "U", "until is written E[a U b] or A[a U b]"),
        ("G paid", "paid", "say for which paths: AG (all) or EG (some)"),
        ("F (paid)", "(paid", "say for which paths: AF (all) or EF (some)"),
        ("EE paid", "paid", "there is no operator EE: use EX EF EG AX AF AG, E[a U b] or A[a U b]"),
        ("AG new paid", "paid", "join two parts by `&`, `|` or `->`"),
        ("AG (new == paid)", "== paid", "a state is named alone: `AG !cancelled`"),
        ("AG(new => AF paid)", "=> AF", "implication is `->`"),
        ("AG(new", None, None),
        ("AG new)", ")", None),
    ],
)
def test_formulas(formula: str, at: str | None, hint: str | None) -> None:
    (found,) = findings(f'ctl = {{ x = "{formula}" }}')
    assert found.message.startswith("soma.toml: formula `x`: ")
    assert found.hint == hint
    assert found.span is not None
    rest = found.span.source.text[found.span.start :]
    assert rest.startswith(at if at is not None else '" }')


@pytest.mark.parametrize(
    ("toml", "hint"),
    [
        ('never = ["Paid"]', "did you mean 'paid'?"),
        ('eventually = ["setled"]', "did you mean 'settled'?"),
        ('never = ["gone"]', "the states are new, paid, settled"),
        ('final = ["gone"]', "the states are new, paid, settled"),
        ('ctl = { x = "AG !gone" }', "the states are new, paid, settled"),
        ('fair = ["new -> pade"]', "did you mean 'paid'?"),
    ],
)
def test_states_that_no_machine_has(toml: str, hint: str) -> None:
    (found,) = findings(toml)
    assert found.code == "W282"
    assert found.hint == hint


def test_the_states_of_a_large_machine_are_neither_listed_nor_compared() -> None:
    arrows = " ".join(f"state{i} -> state{i + 1}" for i in range(10))
    (found,) = findings('never = ["gone"]', machine(arrows))
    assert found.hint is None
    arrows = " ".join(f"state{i} -> state{i + 1}" for i in range(COMPARED_MAX))
    (found,) = findings('never = ["state_5"]', machine(arrows))
    assert found.hint is None


def test_what_is_no_toml_is_one_error_with_its_place(tmp_path) -> None:
    text = "verify: never cancelled\n"
    _, (found,) = parse_manifest(text, tmp_path / "soma.toml", "app")
    assert found.message.startswith("soma.toml: ")
    assert found.span is not None
    assert (found.span.line, found.span.column) == (1, 7)


def test_a_formula_as_long_as_a_book_is_told_the_limit() -> None:
    loaded = load_text(PROGRAM)
    assert loaded.program is not None
    toml = f'[verify]\nctl = {{ x = "{"!" * 10_001}new" }}'
    (found,) = verify([loaded.program], manifest_of(toml), lambda _: False).diagnostics
    assert found.message.endswith("the formula is longer than 10000 characters")
