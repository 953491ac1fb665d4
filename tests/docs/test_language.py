"""Every example of docs/language.md prints what the page says."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

PAGE = Path(__file__).parents[2] / "docs" / "language.md"
EXAMPLE = re.compile(r"```soma\n(.*?)```\n```output\n(.*?)```", re.S)


def program(text: str) -> str:
    """A block is a whole program, or the body of a handler `run`."""
    if text.startswith("cell"):
        return text
    return f"cell Page {{ on run() {{\n{text}\n}} }}\n"


EXAMPLES = EXAMPLE.findall(PAGE.read_text(encoding="utf-8"))


def test_every_soma_block_has_an_output() -> None:
    assert len(EXAMPLES) == PAGE.read_text(encoding="utf-8").count("```soma")


@pytest.mark.slow
@pytest.mark.parametrize(("text", "expected"), EXAMPLES, ids=range(1, len(EXAMPLES) + 1))
def test_example(text: str, expected: str, tmp_path: Path) -> None:
    (tmp_path / "page.cell").write_text(program(text), encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-m", "somac", "run", "page.cell"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    printed = done.stdout
    if not text.startswith("cell") and printed.endswith("null\n") and "null\n" not in expected[-5:]:
        printed = printed[: -len("null\n")]  # a body that ends in print yields ()
    assert (done.stderr, printed) == ("", expected)
