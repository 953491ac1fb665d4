"""A hundred clients of several nodes change one key: every node is in the way of all others."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
import trio
from engine_hosts import Calls, Heard, Host, of_three, on_etcd, run

from somart import ProgramSpec, SomaError
from somart.errors import CONFLICT

pytestmark = pytest.mark.slow

CLIENTS, ADDITIONS = 100, 2


@pytest.fixture(params=["embedded", "etcd"])
def several(request: pytest.FixtureRequest, tmp_path: Path) -> Host:
    """The engines on which nodes can be in each other's way."""
    if request.param == "etcd":
        return on_etcd(request.getfixturevalue("endpoints"))
    return of_three(tmp_path)


def test_a_storm_ends_with_the_right_sum(several: Host, spec: ProgramSpec) -> None:
    async def test(call: Calls) -> None:
        acknowledged = 0
        errors: Counter[str] = Counter()

        async def client(node: int) -> None:
            nonlocal acknowledged
            for _ in range(ADDITIONS):
                try:
                    await call.at(node, "add", "sum", 1)
                    acknowledged += 1
                except SomaError as error:
                    errors[error.kind] += 1

        async with trio.open_nursery() as clients:
            for number in range(CLIENTS):
                clients.start_soon(client, number % len(call.apps))
        assert set(errors) <= {CONFLICT}, errors  # which says that nothing happened: try again
        assert errors[CONFLICT] <= CLIENTS * ADDITIONS // 20
        assert await call.everywhere("get", "sum") == [acknowledged] * len(call.apps)
        assert sum(await call.everywhere("here", "sum")) == acknowledged
        assert acknowledged + errors[CONFLICT] == CLIENTS * ADDITIONS

    run(several, spec, test, seconds=60)


def test_in_a_storm_every_commit_has_emitted_once(several: Host, spec: ProgramSpec) -> None:
    async def test(call: Calls) -> None:
        heard = [Heard(app) for app in call.apps]
        await call("put", "x", 60)
        async with trio.open_nursery() as clients:
            for number in range(60):
                clients.start_soon(call.at, number % len(call.apps), "sell", "x")
        assert await call("get", "x") == 0
        assert [len(each.events) for each in heard] == [60 // len(call.apps)] * len(call.apps)

    run(several, spec, test, seconds=60)
