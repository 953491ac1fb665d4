"""Members of etcd that the tests of a file share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from etcd_apps import bank
from etcd_members import Members

from somart import ProgramSpec


@pytest.fixture(scope="session")
def spec(tmp_path_factory: pytest.TempPathFactory) -> ProgramSpec:
    """The program of most tests."""
    return bank(tmp_path_factory.mktemp("bank"))


@pytest.fixture(scope="module")
def member(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Members]:
    """One member, that nobody ends but the fixture."""
    found = Members(tmp_path_factory.mktemp("etcd"), 1)
    yield found
    found.close()


@pytest.fixture(scope="module")
def three(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Members]:
    """Three members; a test that ends one starts it again."""
    found = Members(tmp_path_factory.mktemp("etcd3"), 3)
    yield found
    found.close()
