"""What a program does with its memory is the same on every engine: alone, in a group of one, among
three nodes, and on etcd."""

from __future__ import annotations

import pytest
import trio
from engine_hosts import Calls, Host, run
from etcd_apps import until

from somart import ProgramSpec, SomaError

pytestmark = pytest.mark.slow


def test_slots_keep_what_was_written(host: Host, spec: ProgramSpec) -> None:
    async def test(call: Calls) -> None:
        assert await call("get", "tea") is None
        await call("put", "tea", 4)
        await call("put", "ale", 2)
        await call("put", "ünï/çode", 1 << 80)
        assert await call("add", "tea", 3) == 7
        assert await call("names") == ["ale", "tea", "ünï/çode"]
        assert await call("counts") == [2, 7, 1 << 80]
        assert await call("size") == 3
        await call("swap", "ale", "tea")
        assert [await call("get", name) for name in ("ale", "tea")] == [7, 2]
        assert await call("drop", "ale") is True
        assert await call("drop", "ale") is False
        assert await call("has", "ale") is False
        assert await call("names") == ["tea", "ünï/çode"]

    run(host, spec, test)


def test_values_come_back_equal_and_of_their_kind(host: Host, spec: ProgramSpec) -> None:
    thing = {
        "z": 1,
        "a": 2.0,
        "list": [1, "1", None, True, [1 << 70]],
        "map": {"y": {}, "b": -0.5},
        "text": 'quotes " and \\ and\nlines and €',
        "__map__": "a reserved key",
    }

    async def test(call: Calls) -> None:
        await call("keep", "t", thing)
        found = await call("kept", "t")
        assert found == thing
        assert list(found) == list(thing)
        assert [type(value) for value in found.values()] == [
            type(value) for value in thing.values()
        ]

    run(host, spec, test)


def test_a_transaction_sees_its_own_writes(host: Host, spec: ProgramSpec) -> None:
    async def test(call: Calls) -> None:
        assert await call("own_writes", "a") == [1, ["a2"], False]
        assert await call("names") == ["a2"]

    run(host, spec, test)


def test_logs_keep_the_order_of_the_commits(host: Host, spec: ProgramSpec) -> None:
    async def test(call: Calls) -> None:
        for number in range(12):
            await call("note", f"n{number}")
        assert await call("notes") == [f"n{number}" for number in range(12)]

    run(host, spec, test)


def test_versioned_slots_give_the_newest_value(host: Host, spec: ProgramSpec) -> None:
    async def test(call: Calls) -> None:
        for amount in (3, 1, 2):
            await call("price", "x", amount)
        assert await call("priced", "x") == 2

    run(host, spec, test)


def test_times_to_live_end(host: Host, spec: ProgramSpec) -> None:
    async def test(call: Calls) -> None:
        await call("put", "x", 1)  # there is a leader now
        await call("shortly", "x")
        assert await call("short_ones") == 1
        over = trio.current_time() + 0.4
        await until(lambda: trio.current_time() > over)
        assert await call("short_ones") == 0

    run(host, spec, test)


def test_capacity_is_kept_and_the_first_entry_makes_room(host: Host, spec: ProgramSpec) -> None:
    async def test(call: Calls) -> None:
        for name in ("a", "b", "a", "c", "d"):
            await call("remember", name)
        assert await call("remembered") == ["b", "c", "d"]
        await call("limit", "a")
        await call("limit", "b")
        with pytest.raises(SomaError, match=r"capacity\(2\) of slot 'few' reached"):
            await call("limit", "c")
        await call("limit", "b")  # is there already
        assert await call("limited") == ["a", "b"]

    run(host, spec, test)


def test_capacity_is_kept_when_all_come_at_once(host: Host, spec: ProgramSpec) -> None:
    async def test(call: Calls) -> None:
        refused = 0

        async def limit(name: str) -> None:
            nonlocal refused
            try:
                await call("limit", name)
            except SomaError as error:
                if "capacity(2)" not in str(error):
                    raise
                refused += 1

        async with trio.open_nursery() as clients:
            for number in range(9):
                clients.start_soon(limit, f"k{number}")
                clients.start_soon(call, "remember", f"k{number}")
        assert refused == 7
        assert len(await call("limited")) == 2
        assert len(await call("remembered")) == 3

    run(host, spec, test)


def test_what_is_immutable_is_set_once(host: Host, spec: ProgramSpec) -> None:
    async def test(call: Calls) -> None:
        won: list[int] = []

        async def fix(number: int) -> None:
            try:
                await call("fix", "a", number)
            except SomaError as error:
                if "is immutable" not in str(error):
                    raise
            else:
                won.append(number)

        async with trio.open_nursery() as clients:
            for number in range(9):
                clients.start_soon(fix, number)
        assert [await call("fixed", "a")] == won

    run(host, spec, test)


def test_who_looked_at_all_entries_sees_no_phantom(host: Host, spec: ProgramSpec) -> None:
    async def test(call: Calls) -> None:
        async with trio.open_nursery() as clients:
            for number in range(20):
                clients.start_soon(call, "add_if_fewer", f"k{number}", 4)
        assert await call("size") == 4
        async with trio.open_nursery() as clients:
            for number in range(12):
                clients.start_soon(call, "add", f"k{number % 2}", 1)
                clients.start_soon(call, "put_total", f"t{number:02}")
        sums = await call("totals")
        total = sum(await call("counts"))
        assert len(sums) == 12
        assert 4 <= min(sums) <= max(sums) <= total
        await call("put_total", "t99")
        assert (await call("totals"))[-1] == total
        assert await call("turn_over", "k0") == await call("names")

    run(host, spec, test)
