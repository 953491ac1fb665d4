"""Tests that a machine must not leave out: those of clusters in networks that are cut, and of etcd.

They are skipped where a machine lacks what they need. Where all can be had, as root under `CI`, a
skip would hide that nobody has run them: there it is a failure.
"""

from __future__ import annotations

import os
import re
from collections.abc import Generator, Mapping

import pytest

LACKS = re.compile(r"\betcd\b|namespace|\bthe command\b")
"""What a reason for a skip says when one of these is missing."""


def must_run(reason: str, environment: Mapping[str, str], user: int) -> bool:
    """Whether a test that was skipped for that reason should have been run."""
    strict = environment.get("CI", "").lower() not in ("", "0", "false") and user == 0
    return strict and LACKS.search(reason) is not None


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Turns such skips into failures, with their reason."""
    report = yield
    if report.skipped and isinstance(report.longrepr, tuple):
        reason = report.longrepr[2]
        if must_run(reason, os.environ, os.geteuid()):
            report.outcome = "failed"
            report.longrepr = f"{reason}\nroot under CI has to run this test, not to skip it"
    return report
