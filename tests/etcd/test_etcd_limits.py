"""What etcd takes is limited: by its operators' flags, by its disk. Nothing that it refuses is left
in doubt."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import trio
from etcd_apps import Node, nodes, run
from etcd_members import Members, needs_etcd

from somart import ProgramSpec, SomaError
from somart.engines.etcd.client import EtcdClient, to_wire
from somart.engines.etcd.settings import EtcdOptions, endpoint_of
from somart.errors import NO_QUORUM

pytestmark = [pytest.mark.slow, needs_etcd]


def on_member(folder: Path, flag: str, value: int, spec: ProgramSpec, test: Test) -> None:
    """Runs a test on a node, with a member that has a flag."""
    member = Members(folder, 1, (flag, str(value)))

    async def on_node() -> None:
        async with nodes(spec, member.endpoints, 1) as (node,):
            client = EtcdClient(EtcdOptions((endpoint_of(member.endpoints[0]),)))
            await test(node, client)
            await client.aclose()

    try:
        run(on_node)
    finally:
        member.close()


Test = Callable[[Node, EtcdClient], Awaitable[None]]


async def refused(node: Node, why: str, handler: str, *args: Any) -> None:
    """A call that etcd refuses, at once and for good."""
    began = trio.current_time()
    with pytest.raises(SomaError, match=f"etcd refuses the transaction: .*{why}") as found:
        await node.app.invoke("Bank", handler, list(args))
    assert found.value.kind == NO_QUORUM
    assert trio.current_time() - began < 3


def test_operators_may_allow_fewer_operations(spec: ProgramSpec, tmp_path: Path) -> None:
    async def test(node: Node, client: EtcdClient) -> None:
        await refused(node, "too many operations in txn request", "fill", 50)
        await node.app.invoke("Bank", "fill", [5])
        assert len(await node.app.invoke("Bank", "names", [])) == 5

    on_member(tmp_path, "--max-txn-ops", 20, spec, test)


@pytest.mark.parametrize(
    ("size", "why"), [(30_000, "request is too large"), (1_300_000, "message larger than max")]
)
def test_operators_may_allow_fewer_bytes(
    spec: ProgramSpec, tmp_path: Path, size: int, why: str
) -> None:
    async def test(node: Node, client: EtcdClient) -> None:
        await refused(node, why, "wide", "x" * size)
        await node.app.invoke("Bank", "wide", ["x" * 10_000])
        assert len(await node.app.invoke("Bank", "notes", [])) == 1

    on_member(tmp_path, "--max-request-bytes", 20_000, spec, test)


def test_an_etcd_without_space_can_be_read(spec: ProgramSpec, tmp_path: Path) -> None:
    async def test(node: Node, client: EtcdClient) -> None:
        await node.app.invoke("Bank", "put", ["x", 1])
        for _ in range(5):
            await node.app.invoke("Bank", "wide", ["x" * 200_000])
        with suppress(SomaError):
            for _ in range(100):
                await node.app.invoke("Bank", "wide", ["x" * 200_000])
        await refused(node, "database space exceeded", "put", "x", 2)
        assert await node.app.invoke("Bank", "get", ["x"]) == 1
        # What the operators do about it.
        first, last = (
            to_wire(f"{node.engine.mirror.prefix}Bank.history{end}") for end in ("", "~")
        )
        gone = await client.call("kv/deleterange", {"key": first, "range_end": last})
        revision = gone["header"]["revision"]
        await client.call("kv/compaction", {"revision": revision, "physical": True})
        await client.call("maintenance/defragment", {}, 10)
        alarms = await client.call("maintenance/alarm", {"action": "GET"})
        for alarm in alarms["alarms"]:
            await client.call("maintenance/alarm", {**alarm, "action": "DEACTIVATE"})
        await node.app.invoke("Bank", "put", ["x", 3])
        assert await node.app.invoke("Bank", "get", ["x"]) == 3
        assert await node.app.invoke("Bank", "notes", []) == []

    on_member(tmp_path, "--quota-backend-bytes", 2_000_000, spec, test)
