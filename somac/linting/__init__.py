"""Remarks on style and on likely slips (`soma lint`, spec 3 §10)."""

from .findings import Lint
from .report import json_report, text_report
from .rules import lint

__all__ = ["Lint", "json_report", "lint", "text_report"]
