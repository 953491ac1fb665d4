"""One service, with the test for its driver: what it sends and when, whom it believes."""

from __future__ import annotations

import pytest
from hunts import HUNTS, QUICK


@pytest.mark.parametrize("name", QUICK)
def test_service(name: str) -> None:
    HUNTS[name]()
