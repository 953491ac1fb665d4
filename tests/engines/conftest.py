"""The program of these tests, and everything that may carry it out."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "etcd"))

from engine_hosts import Host, embedded, of_three, on_etcd, standalone
from etcd_apps import program
from etcd_members import ETCD, Members

from somart import ProgramSpec


@pytest.fixture(scope="module")
def endpoints(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, ...]]:
    """One member of etcd, if it is there."""
    if ETCD is None:
        pytest.skip("no `etcd` on this machine (Debian: apt-get install etcd-server)")
    found = Members(tmp_path_factory.mktemp("etcd"), 1)
    yield found.endpoints
    found.close()


@pytest.fixture(scope="session")
def spec() -> ProgramSpec:
    return program(Path(__file__).with_name("shop.cell"))


@pytest.fixture(params=["standalone", "embedded", "embedded in three", "etcd"])
def host(request: pytest.FixtureRequest, tmp_path: Path) -> Host:
    """Each engine in its turn."""
    if request.param == "etcd":
        return on_etcd(request.getfixturevalue("endpoints"))
    if request.param == "embedded in three":
        return of_three(tmp_path)
    return {"standalone": standalone, "embedded": embedded}[request.param]
