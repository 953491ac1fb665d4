"""Cell InventoryTests of app.cell."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ._somart import FAILURES, Cell, Value, ops, test_assert

if TYPE_CHECKING:
    from .program import App


class InventoryTests(Cell):
    """cell InventoryTests — app.cell:67"""

    soma_name = "InventoryTests"
    soma_kind = "test"
    if TYPE_CHECKING:
        app: App

    @test_assert("... == 10", op="==")
    def _assert_1(self) -> tuple[Value, Value]:
        return self.app.Inventory.receive("tea", 10)["stock"], 10

    @test_assert('... == "reserved"', op="==")
    def _assert_2(self) -> tuple[Value, Value]:
        return self.app.Inventory.reserve("O1", "tea", 4).get("status"), "reserved"

    @test_assert("... == 6", op="==")
    def _assert_3(self) -> tuple[Value, Value]:
        return self.app.Inventory.stock_of("tea")["stock"], 6

    @test_assert("... != ?", op="!=")
    def _assert_4(self) -> tuple[Value, Value]:
        _mark = self.savepoint()
        try:
            _outcome = ops.succeeded(self.app.Inventory.reserve("O2", "tea", 7))
        except FAILURES as _error:
            self.rollback(_mark)
            _outcome = ops.failed(_error)
        return _outcome.get("error"), None

    @test_assert('get_status("O2") == "new"', op="==")
    def _assert_5(self) -> tuple[Value, Value]:
        return self.app.Inventory.get_status("O2"), "new"

    @test_assert("... == 404", op="==")
    def _assert_6(self) -> tuple[Value, Value]:
        return self.app.Inventory.order_of("O2").get("_status"), 404

    @test_assert("... == 6", op="==")
    def _assert_7(self) -> tuple[Value, Value]:
        return self.app.Inventory.stock_of("tea")["stock"], 6

    @test_assert('... == "shipped"', op="==")
    def _assert_8(self) -> tuple[Value, Value]:
        return self.app.Inventory.ship("O1").get("status"), "shipped"

    @test_assert("... != ?", op="!=")
    def _assert_9(self) -> tuple[Value, Value]:
        _mark = self.savepoint()
        try:
            _outcome = ops.succeeded(self.app.Inventory.release("O1"))
        except FAILURES as _error:
            self.rollback(_mark)
            _outcome = ops.failed(_error)
        return _outcome.get("error"), None

    @test_assert('... == "reserved"', op="==")
    def _assert_10(self) -> tuple[Value, Value]:
        return self.app.Inventory.reserve("O3", "tea", 6).get("status"), "reserved"

    @test_assert('... == "released"', op="==")
    def _assert_11(self) -> tuple[Value, Value]:
        return self.app.Inventory.release("O3").get("status"), "released"

    @test_assert('report() == list(map("item", "tea", "stock", 6))', op="==")
    def _assert_12(self) -> tuple[Value, Value]:
        return self.app.Inventory.report(), [{"item": "tea", "stock": 6}]
