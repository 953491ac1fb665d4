"""Cell Chat of app.cell."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ._somart import (
    Arrow,
    Cell,
    Lambda,
    MachineDecl,
    Prop,
    ScaleSpec,
    SlotDecl,
    Value,
    every,
    handler,
    ops,
    require_failed,
    std,
)

if TYPE_CHECKING:
    from .program import App


class Chat(Cell):
    """cell Chat — app.cell:3"""

    soma_name = "Chat"
    soma_scale = ScaleSpec(
        replicas=5, shard="messages", consistency="eventual", tolerance=1, memory="256Mi"
    )
    if TYPE_CHECKING:
        app: App

    messages = SlotDecl("messages", "Map<String, Map>", (Prop("persistent"),), shared=True)
    rooms = SlotDecl("rooms", "Map<String, Map>", (Prop("persistent"),), shared=True)
    online = SlotDecl("online", "Map<String, Int>", (Prop("ephemeral"), Prop("local")))
    message_lifecycle = MachineDecl(
        "message_lifecycle",
        "sent",
        (Arrow("sent", "delivered"), Arrow("delivered", "read"), Arrow("*", "expired")),
        shared=True,
    )

    @handler("post", "room", "user", "text", memory_only=True)
    async def post(self, room: Value, user: Value, text: Value) -> Value:
        """on post(room: String, user: String, text: String) — app.cell:27"""
        if room is None or user is None:
            raise require_failed("a message needs a room and a user: constraint violated")
        id_ = f"{ops.text(room)}-{self.next_id()}"
        self.online.set(user, std.now_ms())
        await self.rooms.set(room, {"name": room, "last": id_})
        await self.messages.set(
            id_,
            {
                "id": id_,
                "room": room,
                "user": user,
                "text": text if text is not None else "",
                "ms": std.now_ms(),
            },
        )
        self.emit("message", await self.message_view(id_))
        return await self.message_view(id_)

    @handler("deliver", "id", memory_only=True)
    async def deliver(self, id_: Value) -> Value:
        """on deliver(id: String) — app.cell:37"""
        return await self._moved(id_, await self.transition_async(id_, "delivered"))

    @handler("seen", "id", memory_only=True)
    async def seen(self, id_: Value) -> Value:
        """on seen(id: String) — app.cell:39"""
        return await self._moved(id_, await self.transition_async(id_, "read"))

    @handler("_moved", "id", "step", memory_only=True)
    async def _moved(self, id_: Value, step: Value) -> Value:
        """on _moved(id: String, step: Map) — app.cell:41"""
        if not await self.messages.has(id_):
            raise require_failed("unknown message: constraint violated")
        self.emit("receipt", step)
        return await self.message_view(id_)

    @handler("message_view", "id", memory_only=True)
    async def message_view(self, id_: Value) -> Value:
        """on message_view(id: String) — app.cell:47"""
        return std.with_(await self.messages.get(id_), "status", await self.get_status_async(id_))

    @handler("history", "room", memory_only=True)
    async def history(self, room: Value) -> Value:
        """on history(room: String) — app.cell:50"""
        _value = await self.messages.values()

        async def _step(m: Value) -> Value:
            return (
                ops.eq(ops.entry(m, "room"), room)
                and await self.get_status_async(ops.entry(m, "id")) != "expired"
            )

        _value_2 = std.sort_by(await std.filter_async(_value, Lambda("m", _step)), "ms")

        async def _step_2(m: Value) -> Value:
            return await self.message_view(ops.entry(m, "id"))

        return await std.map_async(_value_2, Lambda("m", _step_2))

    @handler("room_list", memory_only=True)
    async def room_list(self) -> Value:
        """on room_list() — app.cell:57"""
        return await self.rooms.values()

    @handler("people")
    def people(self) -> Value:
        """on people() — app.cell:59"""
        return self.online.keys()

    @handler("events")
    def events(self) -> Value:
        """on events() — app.cell:62"""
        return std.sse("message", "receipt")

    @handler("expire", "older_than_ms", memory_only=True)
    async def expire(self, older_than_ms: Value) -> Value:
        """on expire(older_than_ms: Int) — app.cell:64"""
        if type(older_than_ms) is int:
            return await self._expire_checked(older_than_ms)
        old: list[Value] = [
            m
            for m in await self.messages.values()
            if ops.lt(ops.entry(m, "ms"), ops.sub(std.now_ms(), older_than_ms))
        ]
        for m in old:
            if await self.get_status_async(ops.entry(m, "id")) != "expired":
                await self.transition_async(ops.entry(m, "id"), "expired")
        return len(old)

    async def _expire_checked(self, older_than_ms: int) -> Value:
        old: list[Value] = [
            m
            for m in await self.messages.values()
            if ops.lt(ops.entry(m, "ms"), std.now_ms() - older_than_ms)
        ]
        for m in old:
            if await self.get_status_async(ops.entry(m, "id")) != "expired":
                await self.transition_async(ops.entry(m, "id"), "expired")
        return len(old)

    @every(60_000)
    async def _every_1(self) -> Value:
        """every — app.cell:72"""
        return await self.expire(2592000000)
