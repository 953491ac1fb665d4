"""Strong cells on one member of etcd: transactions, reads, ids, logs, ticks, refusals."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import trio
import trio.testing
from etcd_apps import Node, fresh_prefix, nodes, program, run, until
from etcd_members import Members, needs_etcd

from somart import ProgramSpec, SomaError
from somart.engines.etcd.client import EtcdClient, from_wire, to_wire
from somart.engines.etcd.order import Times
from somart.engines.etcd.settings import EtcdOptions, endpoint_of
from somart.errors import DEPOSED, NO_QUORUM, TYPE, UNKNOWN
from somart.timers import TICK, Tick

pytestmark = [pytest.mark.slow, needs_etcd]


async def call(node: Node, handler: str, *args: Any) -> Any:
    return await node.app.invoke("Bank", handler, list(args))


def client_of(member: Members) -> EtcdClient:
    return EtcdClient(EtcdOptions(tuple(endpoint_of(one) for one in member.endpoints)))


def test_what_one_node_has_acknowledged_every_node_reads(
    spec: ProgramSpec, member: Members
) -> None:
    async def test() -> None:
        async with nodes(spec, member.endpoints, 2) as (a, b):
            for number in range(30):
                await call(a, "put", "x", number)
                assert await call(b, "get", "x") == number
                await call(b, "finish", f"c{number}", "closed")
                assert await call(a, "state_of", f"c{number}") == "closed"

    run(test)


def test_a_conflict_storm_ends_with_the_right_sum(spec: ProgramSpec, member: Members) -> None:
    async def test() -> None:
        async with nodes(spec, member.endpoints, 3) as found:
            async with trio.open_nursery() as clients:
                for number in range(100):
                    clients.start_soon(call, found[number % 3], "add", "sum", 1)
            assert [await call(node, "get", "sum") for node in found] == [100] * 3
            # what stays on the node changes exactly with what does not
            assert sum([await call(node, "visits", "sum") for node in found]) == 100

    run(test)


def test_a_hundred_clients_of_one_node_all_have_their_turn(
    spec: ProgramSpec, member: Members
) -> None:
    async def test() -> None:
        async with nodes(spec, member.endpoints, 1) as (a,):
            async with trio.open_nursery() as clients:
                for _ in range(150):
                    clients.start_soon(call, a, "add", "sum", 1)
            assert await call(a, "get", "sum") == 150

    run(test)


def test_transfers_keep_the_total_at_every_read(spec: ProgramSpec, member: Members) -> None:
    async def test() -> None:
        names = ["a", "b", "c", "d"]
        totals: list[int] = []

        async def mover(node: Node, shift: int) -> None:
            for step in range(15):
                source, target = names[(step + shift) % 4], names[(step * 3 + shift + 1) % 4]
                if source != target:
                    with suppress(SomaError):  # not enough
                        await call(node, "move", source, target, 7)

        async def reader(node: Node) -> None:
            for _ in range(15):
                totals.append(await call(node, "total"))

        async with nodes(spec, member.endpoints, 3) as found:
            for name in names:
                await call(found[0], "put", name, 50)
            async with trio.open_nursery() as clients:
                for index, node in enumerate(found):
                    clients.start_soon(mover, node, index)
                    clients.start_soon(mover, node, index + 2)
                    clients.start_soon(reader, node)
            assert set(totals) == {200}

    run(test)


def test_the_number_of_keys_is_part_of_what_was_read(spec: ProgramSpec, member: Members) -> None:
    async def test() -> None:
        async with nodes(spec, member.endpoints, 3) as found:
            async with trio.open_nursery() as clients:
                for number in range(30):
                    node = found[number % 3]
                    clients.start_soon(call, node, "open_if_fewer", f"k{number}", 5)
            assert len(await call(found[0], "names")) == 5

    run(test)


def test_logs_have_one_order_on_all_nodes_and_after_a_restart(
    spec: ProgramSpec, member: Members
) -> None:
    async def test() -> None:
        prefix = fresh_prefix()
        async with nodes(spec, member.endpoints, 2, prefix) as (a, b):
            async with trio.open_nursery() as clients:
                for number in range(20):
                    clients.start_soon(call, (a, b)[number % 2], "note", f"t{number}")
            first = await call(a, "notes")
            assert await call(b, "notes") == first
            assert sorted(first) == sorted(f"t{number}" for number in range(20))
            await call(a, "note", "last")
        async with nodes(spec, member.endpoints, 1, prefix) as (c,):
            assert await call(c, "notes") == [*first, "last"]

    run(test)


def test_a_deleted_key_is_gone_everywhere_and_may_come_back(
    spec: ProgramSpec, member: Members
) -> None:
    async def test() -> None:
        async with nodes(spec, member.endpoints, 2) as (a, b):
            await call(a, "put", "x", 1)
            await call(b, "remove", "x")
            assert await call(a, "names") == []
            await call(a, "put", "x", 2)
            assert await call(b, "get", "x") == 2

    run(test)


def test_entries_end_when_their_time_is_over_on_all_nodes(
    spec: ProgramSpec, member: Members
) -> None:
    async def test() -> None:
        async with nodes(spec, member.endpoints, 2) as (a, b):
            await call(a, "shortly", "x")
            assert await call(b, "short_ones") == 1
            ended = trio.current_time() + 0.3
            await until(lambda: trio.current_time() > ended)
            assert await call(b, "short_ones") == 0
            await call(b, "shortly", "x")
            assert await call(a, "short_ones") == 1

    run(test)


def test_ids_are_never_given_twice(spec: ProgramSpec, member: Members) -> None:
    async def test() -> None:
        found: list[int] = []

        async def take(node: Node) -> None:
            for _ in range(60):
                found.append(await call(node, "number"))

        async with (
            nodes(spec, member.endpoints, 2) as running,
            trio.open_nursery() as clients,
        ):
            for node in running:
                clients.start_soon(take, node)
        assert len(set(found)) == 120

    run(test)


def test_a_transaction_beyond_etcds_limits_is_refused_with_their_names(
    spec: ProgramSpec, member: Members
) -> None:
    async def test() -> None:
        async with nodes(spec, member.endpoints, 1) as (a,):
            with pytest.raises(SomaError, match=r"\d+ operations, and etcd takes 128 \(its --max"):
                await call(a, "fill", 300)
            with pytest.raises(SomaError, match=r"bytes, and etcd takes .*--max-request-bytes"):
                await call(a, "wide", "x" * 2_000_000)
            with pytest.raises(SomaError) as refused:
                await call(a, "fill", 300)
            assert refused.value.kind == TYPE
            await call(a, "fill", 100)
            await call(a, "wide", "x" * 1_300_000)
            assert len(await call(a, "names")) == 100

    run(test)


def test_without_etcd_reads_and_writes_are_refused_in_time(
    spec: ProgramSpec, tmp_path: Path
) -> None:
    members = Members(tmp_path, 1)

    async def test() -> None:
        async with nodes(spec, members.endpoints, 1) as (a,):
            await call(a, "put", "x", 1)
            members.kill(0)

            async def refused(handler: str, *args: Any, first: bool = False) -> None:
                began = trio.current_time()
                with pytest.raises(SomaError) as error:
                    await call(a, handler, *args)
                assert trio.current_time() - began < 5
                on_its_way = first and error.value.kind == UNKNOWN
                assert error.value.kind == NO_QUORUM or on_its_way

            # It may go out over a connection whose end nobody has heard of yet: then nobody knows.
            await refused("put", "x", 2, first=True)
            async with trio.open_nursery() as clients:
                clients.start_soon(refused, "get", "x")
                clients.start_soon(refused, "put", "x", 2)
            members.start(0)
            members.wait()
            await call(a, "put", "x", 4)
            assert await call(a, "get", "x") == 4

    try:
        run(test)
    finally:
        members.close()


def test_an_etcd_that_has_gone_back_is_believed(spec: ProgramSpec, tmp_path: Path) -> None:
    members = Members(tmp_path, 1)

    async def test() -> None:
        async with nodes(spec, members.endpoints, 1) as (a,):
            for number in range(20):
                await call(a, "put", "x", number)
                await call(a, "note", "t")
            members.kill(0)
            members.wipe(0)
            members.start(0)
            members.wait()
            assert await call(a, "get", "x") == 0
            assert await call(a, "notes") == []
            await call(a, "put", "y", 1)
            assert await call(a, "names") == ["y"]
            assert any("gone back" in note for note in a.notes)

    try:
        run(test)
    finally:
        members.close()


def test_a_member_that_hangs_leaves_the_outcome_unknown(spec: ProgramSpec, tmp_path: Path) -> None:
    import signal

    members = Members(tmp_path, 1)

    async def test() -> None:
        times = Times(give_up=1.5)
        async with nodes(spec, members.endpoints, 1, times=times) as (a,):
            await call(a, "put", "x", 1)
            members.signal(0, signal.SIGSTOP)
            with pytest.raises(SomaError) as unknown:
                await call(a, "add", "x", 10)
            assert unknown.value.kind == UNKNOWN
            with pytest.raises(SomaError) as refused:
                await call(a, "get", "x")
            assert refused.value.kind == NO_QUORUM
            members.signal(0, signal.SIGCONT)
            members.wait()
            assert await call(a, "get", "x") in (1, 11)
            before = await call(a, "get", "x")
            await call(a, "add", "x", 100)
            assert await call(a, "get", "x") == before + 100

    try:
        run(test)
    finally:
        members.close()


def test_who_waits_for_etcd_is_told_when_the_node_stops(spec: ProgramSpec, tmp_path: Path) -> None:
    import signal

    members = Members(tmp_path, 1)

    async def test() -> None:
        kinds: dict[str, str] = {}

        async def ask(node: Node, handler: str, *args: Any) -> None:
            with pytest.raises(SomaError) as told:
                await call(node, handler, *args)
            kinds[handler] = told.value.kind

        async with nodes(spec, members.endpoints, 1) as (a,):
            await call(a, "put", "x", 1)
            members.signal(0, signal.SIGSTOP)
            async with trio.open_nursery() as clients:
                clients.start_soon(ask, a, "get", "x")
                clients.start_soon(ask, a, "put", "x", 2)
                await trio.testing.wait_all_tasks_blocked(0.05)  # both questions are on their way
                a.stop()
            await ask(a, "names")
        assert kinds == {"get": NO_QUORUM, "put": UNKNOWN, "names": NO_QUORUM}

    try:
        run(test)
    finally:
        members.close()


def test_what_happened_while_the_history_was_compacted_is_loaded(
    spec: ProgramSpec, member: Members
) -> None:
    async def test() -> None:
        prefix = fresh_prefix()
        client = client_of(member)
        async with nodes(spec, member.endpoints, 2, prefix) as (a, b):
            await call(a, "put", "x", 1)
            await call(a, "put", "gone", 1)
            assert await call(b, "get", "x") == 1
            key = to_wire(f"{prefix}Bank.accounts/late")
            b.engine.mirror.applied = 1  # as if it had been away for long
            watching = b.engine.etcd
            await call(a, "remove", "gone")
            await client.call("kv/put", {"key": key, "value": to_wire('["5","int",0,0]')})
            answer = await client.call("kv/range", {"key": key})
            revision = answer["header"]["revision"]
            await client.call("kv/compaction", {"revision": revision, "physical": True})
            b.engine.mirror.applied = 1
            assert watching._watching is not None
            watching._watching.cancel()
            await until(lambda: b.engine.mirror.applied >= int(revision))
            assert await call(b, "names") == ["late", "x"]
            assert await call(b, "get", "late") == 5
        await client.aclose()

    run(test)


def test_damaged_rows_count_as_absent_and_are_told(spec: ProgramSpec, member: Members) -> None:
    async def test() -> None:
        prefix = fresh_prefix()
        client = client_of(member)
        for name, value in (("odd", "{"), ("strange", '["x","int",0,0]')):
            key = to_wire(f"{prefix}Bank.accounts/{name}")
            await client.call("kv/put", {"key": key, "value": to_wire(value)})
        async with nodes(spec, member.endpoints, 1, prefix) as (a,):
            assert await call(a, "names") == []
            assert sum("is damaged" in note for note in a.notes) == 2
            await call(a, "put", "odd", 3)
            assert await call(a, "get", "odd") == 3
        await client.aclose()

    run(test)


def test_the_keys_are_where_the_documentation_says(spec: ProgramSpec, member: Members) -> None:
    async def test() -> None:
        prefix = fresh_prefix()
        client = client_of(member)
        async with nodes(spec, member.endpoints, 1, prefix) as (a,):
            await call(a, "put", "ünï/x", 7)
            key = to_wire(f"{prefix}Bank.accounts/ünï/x")
            answer = await client.call("kv/range", {"key": key})
            assert from_wire(answer["kvs"][0]["value"]).startswith('["7","int",')
            nodes_key = {"key": to_wire(f"{prefix}!node/n0")}
            assert (await client.call("kv/range", nodes_key))["kvs"]
        assert "kvs" not in await client.call("kv/range", nodes_key)  # its lease is given back
        await client.aclose()

    run(test)


def test_ticks_are_fenced_by_the_leaders_term(spec: ProgramSpec, member: Members) -> None:
    async def test() -> None:
        async with nodes(spec, member.endpoints, 2) as (a, b):

            await until(lambda: a.engine.fence().leads or b.engine.fence().leads)
            leads, follows = (a, b) if a.engine.fence().leads else (b, a)
            assert not follows.engine.fence().leads

            async def tick(node: Node, due: int, term: int) -> None:
                token = TICK.set(Tick("Bank.every", due, term))
                try:
                    await call(node, "add", "ticks", 1)
                finally:
                    TICK.reset(token)

            term = leads.engine.fence().term
            await tick(leads, 1_000, term)
            for node, due, old in ((leads, 1_000, term), (follows, 2_000, term - 1)):
                with pytest.raises(SomaError) as late:
                    await tick(node, due, old)
                assert late.value.kind == DEPOSED
            assert await call(follows, "get", "ticks") == 1
            assert follows.engine.fence().ticks["Bank.every"] == (1_000, term)
            leads.stop()  # gives its lease back
            await until(lambda: follows.engine.fence().leads)
            assert follows.engine.fence().term > term
            await tick(follows, 2_000, follows.engine.fence().term)
            assert await call(follows, "get", "ticks") == 2

    run(test)


def test_a_node_whose_lease_was_lost_gets_another_one(spec: ProgramSpec, member: Members) -> None:
    async def test() -> None:
        client = client_of(member)
        async with nodes(spec, member.endpoints, 1) as (a,):
            await call(a, "put", "x", 1)
            lease = a.engine.session.lease
            await client.call("lease/revoke", {"ID": str(lease)})
            await call(a, "add", "x", 1)
            assert await call(a, "get", "x") == 2
            assert a.engine.session.lease not in (0, lease)
        await client.aclose()

    run(test)


def test_encrypted_slots_do_not_go_to_etcd(tmp_path: Path, member: Members) -> None:
    file = tmp_path / "vault.cell"
    file.write_text(
        "cell Vault { memory { keys: Map<String, String> [persistent, encrypted] }\n"
        "scale { replicas: 3 consistency: strong }\n"
        "on put(k: String, v: String) { keys.set(k, v) } }"
    )

    async def test() -> None:
        async with nodes(program(file), member.endpoints, 1):
            raise AssertionError("started")

    with pytest.raises(ExceptionGroup) as refused:
        run(test)
    assert refused.group_contains(SomaError, match=r"encrypted.*plain text")
