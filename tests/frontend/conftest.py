"""What the tests of the frontend share: parsing snippets of source text."""

from __future__ import annotations

import pytest
from frontend_snippets import body_of, expr_of, parse_text

__all__ = ["body_of", "expr_of", "parse_text"]


@pytest.fixture(scope="session", autouse=True)
def _grammar_is_built() -> None:
    """The first parse builds the grammar; no single test shall pay for it."""
    parse_text("cell A { }")
