"""Fifty nodes of the pricing example go on with 24 dead, and refuse with 25."""

from __future__ import annotations

import pytest
from fifty_nodes import REFUSED, fifty

from somart.simulate.history import UNKNOWN


@pytest.mark.slow
def test_fifty_nodes_of_the_pricing_example() -> None:
    assert fifty(seed=26).keys() <= {UNKNOWN, REFUSED}
