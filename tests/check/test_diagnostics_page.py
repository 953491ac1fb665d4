"""docs/diagnostics.md says what the catalogues say."""

from __future__ import annotations

from pathlib import Path

from somac.check.codes import CODES as CHECK_CODES
from somac.check.pages import page
from somac.frontend.codes import CODES as FRONTEND_CODES

PAGE = Path(__file__).resolve().parents[2] / "docs" / "diagnostics.md"


def test_the_page_is_current() -> None:
    assert PAGE.read_text("utf-8") == page(), "run python -m somac.check.pages"


def test_the_catalogues_share_no_code_and_explain_each() -> None:
    assert not FRONTEND_CODES.keys() & CHECK_CODES.keys()
    for code, info in {**FRONTEND_CODES, **CHECK_CODES}.items():
        assert code == info.code
        assert info.title
        assert info.explanation.endswith(".")
