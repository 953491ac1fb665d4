"""The static rules. `check` runs all passes in the order in which the reference prints them."""

from __future__ import annotations

from .passes import check

__all__ = ["check"]
