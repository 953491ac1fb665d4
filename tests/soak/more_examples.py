"""A pytest plugin for `make soak`: only the tests of laws, with many times their examples.

`pytest -p more_examples --examples-factor 20` runs every Hypothesis test with twenty times its own
`max_examples`.
"""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import is_hypothesis_test, settings

_SETTINGS = "_hypothesis_internal_use_settings"  # where @settings leaves them


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--examples-factor", type=int, default=20, help="times the usual examples")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    factor: int = config.getoption("--examples-factor")
    items[:] = [item for item in items if is_hypothesis_test(getattr(item, "obj", None))]
    for item in items:
        holder, name = _where(item)
        usual = getattr(holder, name, None) or settings.default
        setattr(holder, name, settings(usual, max_examples=usual.max_examples * factor))


def _where(item: pytest.Item) -> tuple[Any, str]:
    """What holds the settings of a test: its function, or the class of a state machine."""
    of_class = getattr(item, "cls", None)
    if of_class is not None and hasattr(of_class, "settings"):
        return of_class, "settings"
    return getattr(item.obj, "__func__", item.obj), _SETTINGS  # type: ignore[attr-defined]
