"""Hand-written cells in the form that the compiler generates."""

from __future__ import annotations

import trio

from somart import (
    Arrow,
    Cell,
    MachineDecl,
    ProgramSpec,
    Prop,
    SlotDecl,
    Value,
    after,
    every,
    handler,
    invariant,
    require_failed,
    test_assert,
    test_property,
)


class Clock:
    """Milliseconds that pass only when told."""

    def __init__(self) -> None:
        self.now = 1_700_000_000_000

    def __call__(self) -> int:
        return self.now


class Gauge(Cell):
    """cell Gauge"""

    soma_name = "Gauge"

    seen = SlotDecl("seen", "Map<String, Int>", (Prop("persistent"),))
    scratch = SlotDecl("scratch", "Map<String, Int>", (Prop("ephemeral"),))
    lamp = MachineDecl(
        "lamp",
        "dark",
        (
            Arrow("dark", "lit", guard="_guard_lamp_1", effect="_effect_lamp_1"),
            Arrow("lit", "dark"),
            Arrow("*", "broken"),
        ),
    )

    @invariant("seen", source="seen.len <= 5")
    def _invariant_1(self, _slot_len: int, _slot_name: str, _key: str) -> Value:
        return self.seen.len() <= 5

    def _guard_lamp_1(self, _from: str, _to: str, _id: str) -> Value:
        return {"0": False, "odd": 1}.get(_id, True)

    def _effect_lamp_1(self, _from: str, _to: str, _id: str) -> Value:
        self.scratch.set("lit", _id)
        return None

    @handler("feed", "name", "v")
    def feed(self, name: Value, v: Value) -> Value:
        self.seen.set(name, (self.seen.get(name) or 0) + v)
        return self.seen.get(name)

    @handler("feed_and_fail", "name", "v")
    def feed_and_fail(self, name: Value, v: Value) -> Value:
        self.seen.set(name, v)
        self.transition(name, "lit")
        self.next_id()
        self.emit("alarm", name)
        raise require_failed("no: constraint violated")

    @handler("get", "name")
    def get(self, name: Value) -> Value:
        return self.seen.get(name)

    @handler("keys")
    def keys(self) -> Value:
        return self.seen.keys()

    @handler("light", "name", "to")
    def light(self, name: Value, to: Value) -> Value:
        return self.transition(name, to)

    @handler("status", "name")
    def status(self, name: Value) -> Value:
        return [self.get_status(name), self.valid_transitions(name)]

    @handler("ident")
    def ident(self) -> Value:
        return self.next_id()

    @handler("shout", "who")
    def shout(self, who: Value) -> Value:
        self.emit("alarm", who)
        self.publish("loud", who)
        return None

    @handler("ask", "cell", "name")
    def ask(self, cell: Value, name: Value) -> Value:
        return self.delegate(cell, name)

    @handler("slow_add", "name", "v")
    async def slow_add(self, name: Value, v: Value) -> Value:
        before = self.seen.get(name) or 0
        await trio.lowlevel.checkpoint()
        self.seen.set(name, before + v)
        return before + v

    @every(1_000)
    def _every_1(self) -> Value:
        self.scratch.set("ticks", (self.scratch.get("ticks") or 0) + 1)
        return None

    @every(700)
    def _every_2(self) -> Value:
        raise require_failed("tick: constraint violated")

    @after(1_500)
    def _after_1(self) -> Value:
        self.scratch.set("after", 1)
        return None

    @handler("peek", "key")
    def peek(self, key: Value) -> Value:
        return self.scratch.get(key)


class Siren(Cell):
    """cell Siren"""

    soma_name = "Siren"
    heard = SlotDecl("heard", "List<String>")

    @handler("alarm", "who")
    def alarm(self, who: Value) -> Value:
        self.heard.append(who)
        return None

    @handler("all")
    def all(self) -> Value:
        return self.heard.list()

    @handler("state")
    def state(self) -> Value:
        return self.get_status("t")

    @handler("slow_feed", "name", "v")
    async def slow_feed(self, name: Value, v: Value) -> Value:
        return await self.delegate_async("Gauge", "slow_add", name, v)


class Checks(Cell):
    """cell test Checks"""

    soma_name = "Checks"
    soma_kind = "test"

    @test_assert('feed("x", 1) == 1', op="==")
    def _assert_1(self) -> tuple[Value, Value]:
        return self.app.Gauge.feed("x", 1), 1  # type: ignore[attr-defined]

    @test_assert('feed("x", 1) == 1', op="==")
    def _assert_2(self) -> tuple[Value, Value]:
        return self.app.Gauge.feed("x", 1), 1  # type: ignore[attr-defined]

    @test_assert("...")
    def _assert_3(self) -> Value:
        return []

    @test_assert('light("0", "lit")')
    def _assert_4(self) -> Value:
        return self.app.Gauge.light("0", "lit")  # type: ignore[attr-defined]

    @test_property("small", "x", 0, 10, count=20)
    def _property_1(self, x: Value) -> Value:
        return x < 10

    @test_property("tiny", "x", 5, 6, count=3)
    def _property_2(self, x: Value) -> Value:
        return x < 5

    @test_property("empty", "x", 5, 5)
    def _property_3(self, x: Value) -> Value:
        return True


PROGRAM = ProgramSpec(name="gauge", cells=(Gauge, Siren), tests=(Checks,), package=__package__)
