"""What clients of nodes on etcd were told while members and nodes died, judged by the checkers."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest
import trio
from etcd_apps import fresh_prefix, nodes, program, run, until
from etcd_clients import Clients
from etcd_members import Members, needs_etcd

from somart.engines.etcd.order import Times

pytestmark = [pytest.mark.slow, needs_etcd]

CLIENTS, CALLS = 9, 60
TIMES = Times(give_up=0.7)
"""Shorter than an election may take: some never learn what became of their calls."""


@pytest.mark.parametrize("fault", ["kill the leader", "stop the leader", "stop a follower"])
def test_histories_are_explained_while_a_member_of_etcd_and_a_node_fail(
    three: Members, fault: str
) -> None:
    spec = program(Path(__file__).with_name("records.cell"))
    place = fresh_prefix()

    async def test() -> None:
        async with nodes(spec, three.endpoints, 3, place, TIMES, rotate=True) as found:
            clients = Clients(list(found))
            async with trio.open_nursery() as nursery:
                for home in range(CLIENTS):
                    nursery.start_soon(clients.run, home)
                await under_way(clients)
                await trio.to_thread.run_sync(fail, three, fault)
                await answered(clients)
                clients.allow(CALLS)
                await answered(clients)
                clients.allow(CALLS)
                await trio.to_thread.run_sync(three.mend)
                await answered(clients)
                await under_way(clients)
                clients.nodes.remove(found[2])
                found[2].kill()
                await answered(clients)
                async with nodes(spec, three.endpoints, 1, place, TIMES, first=2) as (again,):
                    clients.nodes.append(again)
                    clients.allow(CALLS)
                    await answered(clients)
                    for node in clients.nodes:
                        await clients.read_all(node)
                nursery.cancel_scope.cancel()
            assert clients.outcomes()["ok"] > 3 * CALLS, clients.outcomes()
            clients.judge()

    try:
        run(test, 60)
    finally:
        three.mend()


async def under_way(clients: Clients) -> None:
    """Returns when some calls have been answered and others are to meet what comes."""
    clients.allow(CALLS)
    await until(lambda: clients.answered >= clients.allowed - 2 * CLIENTS)


async def answered(clients: Clients) -> None:
    """Returns when every call has ended."""
    await until(lambda: clients.answered == clients.allowed)


def fail(members: Members, fault: str) -> None:
    """Lets a member fail; returns when another one leads."""
    leader = members.leader()
    if fault == "kill the leader":
        members.kill(leader)
    else:
        index = leader if fault == "stop the leader" else (leader + 1) % 3
        members.signal(index, signal.SIGSTOP)
    if fault != "stop a follower":
        members.leader(besides=leader)
