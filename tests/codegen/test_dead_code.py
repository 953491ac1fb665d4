"""What follows a certain failure is not written: it would name what was never bound."""

from __future__ import annotations

import pytest

from somac.codegen import generate
from somac.frontend.load import load_text
from somac.manifest import Manifest


@pytest.mark.parametrize(
    "failing",
    ['let answer = think("why")', "let answer = nowhere(1)", "nowhere(2)", 'set_budget(5)'],
)  # fmt: skip
def test_code_behind_a_failure_is_left_out(failing: str) -> None:
    source = f"cell A {{ on f(x: Int) {{ print(x) {failing} let answer = x  answer + 1 }} }}"
    loaded = load_text(source)
    assert loaded.program is not None
    text = "".join(module.text for module in generate(loaded.program, Manifest()).modules)
    body = text[text.index("def f(") :]
    assert "raise u" in body
    assert "answer" not in body


def test_a_branch_that_fails_leaves_the_others() -> None:
    source = "cell A { on f(x: Int) { if x > 0 { nowhere(1) print(1) } print(2) x } }"
    loaded = load_text(source)
    assert loaded.program is not None
    text = "".join(module.text for module in generate(loaded.program, Manifest()).modules)
    assert "std.print(1)" not in text
    assert "print(2)" in text
