"""What holds for all tests."""

from required import pytest_runtest_makereport

__all__ = ["pytest_runtest_makereport"]
