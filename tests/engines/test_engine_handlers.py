"""Handlers are transactions on every engine: lifecycles, ids, events, failures, other cells, and
many at the same time."""

from __future__ import annotations

import pytest
import trio
from engine_hosts import Calls, Heard, Host, run

from somart import ProgramSpec, SomaError
from somart.errors import REQUIRE_FAILED

pytestmark = pytest.mark.slow


def test_a_handler_that_fails_leaves_nothing_behind(host: Host, spec: ProgramSpec) -> None:
    async def test(call: Calls) -> None:
        heard = Heard(call.apps[0])
        with pytest.raises(SomaError) as failed:
            await call.at(0, "all_or_nothing", "x")
        assert failed.value.kind == REQUIRE_FAILED
        assert await call("get", "x") is None
        assert await call("state_of", "x") == "new"
        assert await call("notes") == []
        assert await call.at(0, "here", "x") == 0
        assert await call.at(0, "partly", "y") is not None
        assert await call("get", "y") == 1
        assert await call("notes") == []
        assert heard.told() == [("sold", ("y",))]

    run(host, spec, test)


def test_a_try_undoes_what_was_tried_and_nothing_else(host: Host, spec: ProgramSpec) -> None:
    async def test(call: Calls) -> None:
        heard = Heard(call.apps[0])
        await call("put", "b", 1)
        await call("put", "c", 0)
        assert await call.at(0, "salvage", ["a", "b", "c", "b"]) == ["b", "c"]
        assert await call("counts") == [0, 0]
        assert await call("notes") == ["took b"]
        assert heard.told() == [("sold", ("b",))]
        assert await call("nested", "n") == [1, False, True]
        assert await call("names") == ["b", "c", "n"]

    run(host, spec, test)


def test_invariants_hold(host: Host, spec: ProgramSpec) -> None:
    async def test(call: Calls) -> None:
        await call("put", "x", 1)
        await call("sell", "x")
        with pytest.raises(SomaError, match="memory invariant violated on 'stock'"):
            await call("sell", "x")
        assert await call("get", "x") == 0

    run(host, spec, test)


def test_of_those_who_sell_the_last_ones_some_are_refused(host: Host, spec: ProgramSpec) -> None:
    async def test(call: Calls) -> None:
        heard = [Heard(app) for app in call.apps]
        refused = 0

        async def sell() -> None:
            nonlocal refused
            try:
                await call("sell", "x")
            except SomaError as error:
                if error.kind != REQUIRE_FAILED:
                    raise
                refused += 1

        await call("put", "x", 5)
        async with trio.open_nursery() as clients:
            for _ in range(18):
                clients.start_soon(sell)
        assert refused == 13
        assert await call.everywhere("get", "x") == [0] * len(call.apps)
        assert (
            sum(len(each.events) for each in heard) == 5
        )  # a run that was in vain has told nothing

    run(host, spec, test)


def test_lifecycles_move_along_their_arrows_only(host: Host, spec: ProgramSpec) -> None:
    async def test(call: Calls) -> None:
        assert (await call("pay", "o"))["to"] == "paid"
        with pytest.raises(SomaError, match="invalid transition: paid → paid"):
            await call("pay", "o")
        assert await call("ways", "o") == ["sent"]
        await call("send", "o")
        assert await call("state_of", "o") == "sent"
        assert await call("pay_and_send", "p") == "sent"
        assert await call("notes") == ["o is paid", "p is paid"]  # their effects

    run(host, spec, test)


def test_a_guard_looks_at_what_is_there_when_it_counts(host: Host, spec: ProgramSpec) -> None:
    async def test(call: Calls) -> None:
        await call("put", "o", 0)
        with pytest.raises(SomaError, match="guard failed for transition new → paid"):
            await call("pay", "o")
        with pytest.raises(SomaError, match="guard failed"):
            await call("pay_all", ["n", "o"])
        assert await call.everywhere("state_of", "n") == ["new"] * len(call.apps)
        await call("put", "o", 1)
        await call("pay_all", ["n", "o"])
        assert await call("state_of", "o") == "paid"
        assert await call("notes") == ["n is paid", "o is paid"]

    run(host, spec, test)


def test_of_those_who_move_an_instance_one_does(host: Host, spec: ProgramSpec) -> None:
    async def test(call: Calls) -> None:
        moved: list[str] = []

        async def pay(id: str) -> None:
            try:
                await call("pay", id)
            except SomaError as error:
                if "invalid transition: paid → paid" not in str(error):
                    raise
            else:
                moved.append(id)

        async with trio.open_nursery() as clients:
            for number in range(24):
                clients.start_soon(pay, f"o{number % 3}")
        assert sorted(moved) == ["o0", "o1", "o2"]
        assert len(await call("notes")) == 3

    run(host, spec, test)


def test_ids_are_given_once_and_rise(host: Host, spec: ProgramSpec) -> None:
    async def test(call: Calls) -> None:
        found: list[list[int]] = [[] for _ in call.apps]

        async def take(index: int) -> None:
            for _ in range(5):
                found[index].append(await call.at(index, "number"))
                found[index] += await call.at(index, "numbers", 3)

        async with trio.open_nursery() as clients:
            for index in range(len(call.apps)):
                clients.start_soon(take, index)
        assert all(ids == sorted(ids) for ids in found)
        taken = [id for ids in found for id in ids]
        assert len(set(taken)) == len(taken) == 20 * len(call.apps)
        if len(call.apps) == 1:
            assert taken == list(range(1, 21))
            with pytest.raises(SomaError):
                await call("number_in_vain")
            assert await call("number") == 21

    run(host, spec, test)


def test_a_handler_and_those_it_delegates_to_are_one_transaction(
    host: Host, spec: ProgramSpec
) -> None:
    async def test(call: Calls) -> None:
        heard = Heard(call.apps[0])
        assert await call.at(0, "book", "x", 60) == 60
        with pytest.raises(SomaError, match="memory invariant violated on 'sums'"):
            await call.at(0, "book", "x", 60)
        with pytest.raises(SomaError, match="memory invariant violated on 'sums'"):
            await call.at(0, "book_too_much", "y")
        assert await call.everywhere("booked", "x") == [[60, 60]] * len(call.apps)
        assert await call.everywhere("booked", "y") == [[0, 0]] * len(call.apps)
        assert heard.told() == [("entered", ("x", 60))]

    run(host, spec, test)


def test_two_cells_change_together_whoever_else_writes(host: Host, spec: ProgramSpec) -> None:
    async def test(call: Calls) -> None:
        seen: list[list[int]] = []

        async def look() -> None:
            for _ in range(6):
                seen.append(await call("booked", "x"))

        async with trio.open_nursery() as clients:
            for _ in range(20):
                clients.start_soon(call, "book", "x", 5)
            clients.start_soon(look)
            clients.start_soon(look)
        assert all(in_stock == in_ledger for in_stock, in_ledger in seen)
        assert await call("booked", "x") == [100, 100]

    run(host, spec, test)


def test_handlers_at_the_same_time_behave_as_if_one_after_the_other(
    host: Host, spec: ProgramSpec
) -> None:
    async def test(call: Calls) -> None:
        async with trio.open_nursery() as clients:
            for number in range(60):
                clients.start_soon(call, "add", f"k{number % 3}", 1)
                clients.start_soon(call, "pay", f"o{number}")
                clients.start_soon(call, "note", str(number))
        assert await call("counts") == [20, 20, 20]
        # What stays on its node changes with what does not, once: runs that lost left nothing.
        for number in range(3):
            assert sum(await call.everywhere("here", f"k{number}")) == 20
        notes = [note for note in await call("notes") if not note.startswith("o")]
        assert sorted(notes, key=int) == [str(number) for number in range(60)]

    run(host, spec, test)
