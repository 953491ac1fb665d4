"""Finds the members of etcd that `tests/etcd` starts."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "etcd"))

from etcd_members import ETCD, Members


@pytest.fixture(scope="session")
def endpoints(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, ...]]:
    """One member of etcd, if it is there."""
    if ETCD is None:
        pytest.skip("no `etcd` on this machine (Debian: apt-get install etcd-server)")
    found = Members(tmp_path_factory.mktemp("etcd"), 1)
    yield found.endpoints
    found.close()
