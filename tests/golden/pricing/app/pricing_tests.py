"""Cell PricingTests of app.cell."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ._somart import FAILURES, Cell, Value, ops, test_assert

if TYPE_CHECKING:
    from .program import App


class PricingTests(Cell):
    """cell PricingTests — app.cell:131"""

    soma_name = "PricingTests"
    soma_kind = "test"
    if TYPE_CHECKING:
        app: App

    @test_assert('... == "pending"', op="==")
    async def _assert_1(self) -> tuple[Value, Value]:
        return (
            await self.app.PricingEngine.book_trade(
                {"id": "T1", "symbol": "ACME", "quantity": 100, "price": 40.0}
            )
        ).get("status"), "pending"

    @test_assert("... == 409", op="==")
    async def _assert_2(self) -> tuple[Value, Value]:
        return (await self.app.PricingEngine.book_trade({"id": "T1", "symbol": "ACME"})).get(
            "_status"
        ), 409

    @test_assert("... == 404", op="==")
    async def _assert_3(self) -> tuple[Value, Value]:
        return (await self.app.PricingEngine.trade("T9")).get("_status"), 404

    @test_assert("... == 42.5", op="==")
    def _assert_4(self) -> tuple[Value, Value]:
        return self.app.PricingEngine.quote("ACME", 42.5)["price"], 42.5

    @test_assert("... == 250", op="==")
    async def _assert_5(self) -> tuple[Value, Value]:
        return (await self.app.PricingEngine.trade("T1")).get("profit"), 250.0

    @test_assert("revalue() == 1", op="==")
    async def _assert_6(self) -> tuple[Value, Value]:
        return await self.app.PricingEngine.revalue(), 1

    @test_assert('... == "confirmed"', op="==")
    async def _assert_7(self) -> tuple[Value, Value]:
        return (await self.app.PricingEngine.confirm("T1")).get("status"), "confirmed"

    @test_assert('... == "executed"', op="==")
    async def _assert_8(self) -> tuple[Value, Value]:
        return (await self.app.PricingEngine.execute("T1")).get("status"), "executed"

    @test_assert("... != ?", op="!=")
    async def _assert_9(self) -> tuple[Value, Value]:
        _mark = self.savepoint()
        try:
            _outcome = ops.succeeded(await self.app.PricingEngine.cancel("T1"))
        except FAILURES as _error:
            self.rollback(_mark)
            _outcome = ops.failed(_error)
        return _outcome.get("error"), None

    @test_assert('... == "failed"', op="==")
    async def _assert_10(self) -> tuple[Value, Value]:
        return (await self.app.PricingEngine.reject("T1")).get("status"), "failed"

    @test_assert('... == "retrying"', op="==")
    async def _assert_11(self) -> tuple[Value, Value]:
        return (await self.app.PricingEngine.retry("T1")).get("status"), "retrying"

    @test_assert('... == "settled"', op="==")
    async def _assert_12(self) -> tuple[Value, Value]:
        return (await self.app.PricingEngine.settle("T1")).get("status"), "settled"

    @test_assert('... == "require failed: unknown trade: constraint violated"', op="==")
    async def _assert_13(self) -> tuple[Value, Value]:
        _mark = self.savepoint()
        try:
            _outcome = ops.succeeded(await self.app.PricingEngine.confirm("T9"))
        except FAILURES as _error:
            self.rollback(_mark)
            _outcome = ops.failed(_error)
        return _outcome.get("error"), "require failed: unknown trade: constraint violated"

    @test_assert('get_status("T9") == "pending"', op="==")
    async def _assert_14(self) -> tuple[Value, Value]:
        return await self.app.PricingEngine.get_status_async("T9"), "pending"

    @test_assert("len(blotter()) == 1", op="==")
    async def _assert_15(self) -> tuple[Value, Value]:
        return len(await self.app.PricingEngine.blotter()), 1

    @test_assert("... == 0", op="==")
    async def _assert_16(self) -> tuple[Value, Value]:
        return (await self.app.PricingEngine.freeze())["frozen"], 0
