"""Cell PricingEngine of app.cell."""

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


class PricingEngine(Cell):
    """cell PricingEngine — app.cell:4"""

    soma_name = "PricingEngine"
    soma_scale = ScaleSpec(
        replicas=50, shard="trades", consistency="strong", tolerance=2, cpu=4, memory="8Gi"
    )
    if TYPE_CHECKING:
        app: App

    trades = SlotDecl(
        "trades", "Map<String, Map>", (Prop("persistent"), Prop("consistent")), shared=True
    )
    greeks = SlotDecl("greeks", "Map<String, Map>", (Prop("persistent"),), shared=True)
    price_cache = SlotDecl("price_cache", "Map<String, Float>", (Prop("ephemeral"), Prop("local")))
    events = SlotDecl("events", "Map<String, Int>", (Prop("ephemeral"), Prop("local")))
    trade_lifecycle = MachineDecl(
        "trade_lifecycle",
        "pending",
        (
            Arrow("pending", "confirmed"),
            Arrow("confirmed", "executed"),
            Arrow("executed", "settled"),
            Arrow("pending", "cancelled"),
            Arrow("confirmed", "cancelled"),
            Arrow("executed", "failed"),
            Arrow("failed", "retrying"),
            Arrow("retrying", "settled"),
            Arrow("retrying", "failed"),
            Arrow("*", "eod_frozen"),
        ),
        shared=True,
    )

    @handler("book_trade", "data", memory_only=True)
    async def book_trade(self, data: Value) -> Value:
        """on book_trade(data: Map) — app.cell:52"""
        if ops.entry(data, "id") is None:
            raise require_failed("a trade needs an id: constraint violated")
        if ops.entry(data, "symbol") is None:
            raise require_failed("a trade needs a symbol: constraint violated")
        if await self.trades.has(ops.entry(data, "id")):
            return std.response(
                409, {"error": f"trade {ops.text(ops.entry(data, 'id'))} is booked already"}
            )
        booked: dict[str, Value] = {
            "id": ops.entry(data, "id"),
            "symbol": ops.entry(data, "symbol"),
            "quantity": _value if (_value := ops.entry(data, "quantity")) is not None else 0,
            "price": _value_2 if (_value_2 := ops.entry(data, "price")) is not None else 0.0,
            "booked_ms": std.now_ms(),
        }
        await self.trades.set(ops.entry(data, "id"), booked)
        self._tally("booked")
        return await self.trade(ops.entry(data, "id"))

    @handler("quote", "symbol", "price")
    def quote(self, symbol: Value, price: Value) -> Value:
        """on quote(symbol: String, price: Float) — app.cell:65"""
        self.price_cache.set(symbol, _value if (_value := std.to_float(price)) is not None else 0.0)
        self._tally("quotes")
        return {"symbol": symbol, "price": self.price_cache.get(symbol)}

    @handler("confirm", "id", memory_only=True)
    async def confirm(self, id_: Value) -> Value:
        """on confirm(id: String) — app.cell:71"""
        return await self._move(id_, await self.transition_async(id_, "confirmed"))

    @handler("execute", "id", memory_only=True)
    async def execute(self, id_: Value) -> Value:
        """on execute(id: String) — app.cell:72"""
        return await self._move(id_, await self.transition_async(id_, "executed"))

    @handler("settle", "id", memory_only=True)
    async def settle(self, id_: Value) -> Value:
        """on settle(id: String) — app.cell:73"""
        return await self._move(id_, await self.transition_async(id_, "settled"))

    @handler("reject", "id", memory_only=True)
    async def reject(self, id_: Value) -> Value:
        """on reject(id: String) — app.cell:74"""
        return await self._move(id_, await self.transition_async(id_, "failed"))

    @handler("retry", "id", memory_only=True)
    async def retry(self, id_: Value) -> Value:
        """on retry(id: String) — app.cell:75"""
        return await self._move(id_, await self.transition_async(id_, "retrying"))

    @handler("cancel", "id", memory_only=True)
    async def cancel(self, id_: Value) -> Value:
        """on cancel(id: String) — app.cell:76"""
        return await self._move(id_, await self.transition_async(id_, "cancelled"))

    @handler("_move", "id", "step", memory_only=True)
    async def _move(self, id_: Value, step: Value) -> Value:
        """on _move(id: String, step: Map) — app.cell:79"""
        if not await self.trades.has(id_):
            raise require_failed("unknown trade: constraint violated")
        self._tally(ops.entry(step, "to"))
        self.emit("trade_moved", id_, ops.entry(step, "from"), ops.entry(step, "to"))
        return await self.trade(id_)

    @handler("trade", "id", memory_only=True)
    async def trade(self, id_: Value) -> Value:
        """on trade(id: String) — app.cell:86"""
        found = await self.trades.get(id_)
        if found is None:
            return std.response(404, {"error": f"unknown trade {ops.text(id_)}"})
        mark = (
            _value
            if (_value := self.price_cache.get(ops.entry(found, "symbol"))) is not None
            else ops.entry(found, "price")
        )
        return std.with_(
            std.with_(
                std.with_(found, "status", await self.get_status_async(id_)),
                "value",
                ops.mul(ops.entry(found, "quantity"), mark),
            ),
            "profit",
            ops.mul(ops.entry(found, "quantity"), ops.sub(mark, ops.entry(found, "price"))),
        )

    @handler("blotter", memory_only=True)
    async def blotter(self) -> Value:
        """on blotter() — app.cell:96"""
        _value = await self.trades.keys()

        async def _step(id_: Value) -> Value:
            return await self.trade(id_)

        return std.sort_by(await std.map_async(_value, Lambda("id", _step)), "id")

    @handler("risk", memory_only=True)
    async def risk(self) -> Value:
        """on risk() — app.cell:98"""
        return await self.greeks.values()

    @handler("stats", memory_only=True)
    async def stats(self) -> Value:
        """on stats() — app.cell:100"""
        return {
            "trades": await self.trades.len(),
            "events": [
                f"{ops.text(k)}: {ops.text(self.events.get(k))}" for k in self.events.keys()
            ],
        }

    @handler("revalue", memory_only=True)
    async def revalue(self) -> Value:
        """on revalue() — app.cell:103"""
        open_: list[Value] = [
            t
            for t in await self.blotter()
            if ops.eq(t.get("status"), "pending") or ops.eq(t.get("status"), "confirmed")
        ]
        positions: dict[str, Value] = std.group_by(open_, "symbol")
        for group in ops.iterate(positions):
            quantity = std.sum_by(ops.entry(group, "value"), "quantity")
            mark = (
                _value
                if (_value := self.price_cache.get(ops.entry(group, "key"))) is not None
                else ops.entry(std.nth(ops.entry(group, "value"), 0), "price")
            )
            await self.greeks.set(
                ops.entry(group, "key"),
                {
                    "symbol": ops.entry(group, "key"),
                    "delta": quantity,
                    "exposure": ops.mul(quantity, mark),
                },
            )
        return await self.greeks.len()

    @handler("freeze", memory_only=True)
    async def freeze(self) -> Value:
        """on freeze() — app.cell:115"""
        frozen = 0
        for t in await self.blotter():
            if (
                ops.ne(t.get("status"), "settled")
                and ops.ne(t.get("status"), "cancelled")
                and ops.ne(t.get("status"), "eod_frozen")
            ):
                await self.transition_async(t.get("id"), "eod_frozen")
                frozen += 1
        return {"frozen": frozen}

    @handler("_tally", "event")
    def _tally(self, event: Value) -> Value:
        """on _tally(event: String) — app.cell:126"""
        self.events.set(
            event, ops.add(_value if (_value := self.events.get(event)) is not None else 0, 1)
        )
        return None

    @every(30_000)
    async def _every_1(self) -> Value:
        """every — app.cell:128"""
        return await self.revalue()
