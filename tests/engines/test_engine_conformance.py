"""What a program does is the same on every engine: alone, in a group of one, and on etcd."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import pytest
import trio
from engine_hosts import Host, embedded, on_etcd, standalone
from etcd_apps import program, until

from somart import App, ProgramSpec, SomaError
from somart.errors import REQUIRE_FAILED
from somart.events import Event

SOURCE = """
cell Shop {
    memory {
        stock: Map<String, Int> [persistent, consistent]
        invariant (stock.get(_key) ?? 0) >= 0
    }
    memory {
        things: Map<String, Map> [persistent]
        trail: List<String> [persistent]
        prices: Map<String, Int> [persistent, versioned]
        brief: Map<String, Int> [ttl(400)]
        near: Map<String, Int> [ephemeral, local]
    }
    state order { initial: new  new -> paid -> sent  new -> lost }
    scale { replicas: 3  consistency: strong }

    on put(name: String, count: Int) { stock.set(name, count) }
    on add(name: String, count: Int) {
        stock.set(name, (stock.get(name) ?? 0) + count)
        near.set(name, (near.get(name) ?? 0) + 1)
        stock.get(name)
    }
    on get(name: String) { stock.get(name) }
    on here(name: String) { near.get(name) ?? 0 }
    on has(name: String) { stock.has(name) }
    on drop(name: String) { stock.delete(name) }
    on names() { stock.keys }
    on counts() { stock.values }
    on size() { stock.len }
    on swap(a: String, b: String) {
        let first = stock.get(a)
        stock.set(a, stock.get(b))
        stock.set(b, first)
    }
    on keep(name: String, thing: Map) { things.set(name, thing) }
    on kept(name: String) { things.get(name) }
    on note(text: String) { trail.append(text) }
    on notes() { trail.list }
    on price(name: String, amount: Int) { prices.set(name, amount) }
    on priced(name: String) { prices.get(name) }
    on shortly(name: String) { brief.set(name, 1) }
    on short_ones() { brief.len }
    on pay(id: String) { transition(id, "paid") }
    on send(id: String) { transition(id, "sent") }
    on state_of(id: String) { get_status(id) }
    on number() { next_id() }
    on all_or_nothing(name: String) {
        stock.set(name, 5)
        transition(name, "paid")
        trail.append("paid {name}")
        near.set(name, 9)
        emit sold(name)
        require false else "no"
    }
    on partly(name: String) {
        stock.set(name, 1)
        let tried = try { _risky(name) }
        emit sold(name)
        tried.error
    }
    on _risky(name: String) {
        stock.set(name, 2)
        trail.append("lost")
        stock.set(name, 0 - 1)
    }
    on sell(name: String) {
        stock.set(name, (stock.get(name) ?? 0) - 1)
        emit sold(name)
    }
    on own_writes(name: String) {
        stock.set(name, 1)
        stock.set("{name}2", 2)
        stock.delete(name)
        list(stock.len, stock.keys, stock.has(name))
    }
}
"""


@pytest.fixture(scope="module")
def spec(tmp_path_factory: pytest.TempPathFactory) -> ProgramSpec:
    file = tmp_path_factory.mktemp("shop") / "shop.cell"
    file.write_text(SOURCE, encoding="utf-8")
    return program(file)


@pytest.fixture(params=["standalone", "embedded", "etcd"])
def host(request: pytest.FixtureRequest) -> Host:
    if request.param == "etcd":
        return on_etcd(request.getfixturevalue("endpoints"))
    return {"standalone": standalone, "embedded": embedded}[request.param]


Call = Callable[..., Awaitable[Any]]


class Heard:
    """What was emitted."""

    def __init__(self) -> None:
        self.events: list[Event] = []

    def offer(self, event: Event) -> bool:
        self.events.append(event)
        return True

    def close(self) -> None:
        return


def run(host: Host, spec: ProgramSpec, test: Callable[[Call, App], Awaitable[None]]) -> None:
    async def bounded() -> None:
        with trio.fail_after(20):
            async with host(spec) as app:

                async def call(handler: str, *args: Any) -> Any:
                    return await app.invoke("Shop", handler, list(args))

                await test(call, app)

    trio.run(bounded)


pytestmark = pytest.mark.slow


def test_slots_keep_what_was_written(host: Host, spec: ProgramSpec) -> None:
    async def test(call: Call, _: App) -> None:
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

    async def test(call: Call, _: App) -> None:
        await call("keep", "t", thing)
        found = await call("kept", "t")
        assert found == thing
        assert list(found) == list(thing)
        assert [type(value) for value in found.values()] == [
            type(value) for value in thing.values()
        ]

    run(host, spec, test)


def test_a_handler_that_fails_leaves_nothing_behind(host: Host, spec: ProgramSpec) -> None:
    async def test(call: Call, app: App) -> None:
        heard = Heard()
        app.events.attach(heard)
        with pytest.raises(SomaError) as failed:
            await call("all_or_nothing", "x")
        assert failed.value.kind == REQUIRE_FAILED
        assert await call("get", "x") is None
        assert await call("state_of", "x") == "new"
        assert await call("notes") == []
        assert await call("here", "x") == 0
        assert await call("partly", "y") is not None
        assert await call("get", "y") == 1
        assert await call("notes") == []
        assert [(event.name, event.args) for event in heard.events] == [("sold", ("y",))]

    run(host, spec, test)


def test_invariants_hold(host: Host, spec: ProgramSpec) -> None:
    async def test(call: Call, _: App) -> None:
        await call("put", "x", 1)
        await call("sell", "x")
        with pytest.raises(SomaError):
            await call("sell", "x")
        assert await call("get", "x") == 0

    run(host, spec, test)


def test_a_transaction_sees_its_own_writes(host: Host, spec: ProgramSpec) -> None:
    async def test(call: Call, _: App) -> None:
        assert await call("own_writes", "a") == [1, ["a2"], False]
        assert await call("names") == ["a2"]

    run(host, spec, test)


def test_lifecycles_move_along_their_arrows_only(host: Host, spec: ProgramSpec) -> None:
    async def test(call: Call, _: App) -> None:
        assert (await call("pay", "o"))["to"] == "paid"
        with pytest.raises(SomaError, match="invalid transition: paid → paid"):
            await call("pay", "o")
        await call("send", "o")
        assert await call("state_of", "o") == "sent"

    run(host, spec, test)


def test_logs_keep_the_order_of_the_commits(host: Host, spec: ProgramSpec) -> None:
    async def test(call: Call, _: App) -> None:
        for number in range(12):
            await call("note", f"n{number}")
        assert await call("notes") == [f"n{number}" for number in range(12)]

    run(host, spec, test)


def test_versioned_slots_give_the_newest_value(host: Host, spec: ProgramSpec) -> None:
    async def test(call: Call, _: App) -> None:
        for amount in (3, 1, 2):
            await call("price", "x", amount)
        assert await call("priced", "x") == 2

    run(host, spec, test)


def test_times_to_live_end(host: Host, spec: ProgramSpec) -> None:
    async def test(call: Call, _: App) -> None:
        await call("put", "x", 1)  # there is a leader now
        await call("shortly", "x")
        assert await call("short_ones") == 1
        over = trio.current_time() + 0.4
        await until(lambda: trio.current_time() > over)
        assert await call("short_ones") == 0

    run(host, spec, test)


def test_ids_rise(host: Host, spec: ProgramSpec) -> None:
    async def test(call: Call, _: App) -> None:
        found = [await call("number") for _ in range(20)]
        assert found == list(range(1, 21))

    run(host, spec, test)


def test_handlers_at_the_same_time_behave_as_if_one_after_the_other(
    host: Host, spec: ProgramSpec
) -> None:
    async def test(call: Call, _: App) -> None:
        async with trio.open_nursery() as clients:
            for number in range(60):
                clients.start_soon(call, "add", f"k{number % 3}", 1)
                clients.start_soon(call, "pay", f"o{number}")
                clients.start_soon(call, "note", str(number))
        assert await call("counts") == [20, 20, 20]
        assert [await call("here", f"k{number}") for number in range(3)] == [20, 20, 20]
        assert sorted(await call("notes"), key=int) == [str(number) for number in range(60)]

    run(host, spec, test)
