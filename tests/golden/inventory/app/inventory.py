"""Cell Inventory of app.cell."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ._somart import (
    Arrow,
    Cell,
    MachineDecl,
    Prop,
    SlotDecl,
    Value,
    handler,
    invariant,
    ops,
    require_failed,
    std,
)

if TYPE_CHECKING:
    from .program import App


class Inventory(Cell):
    """cell Inventory — app.cell:4"""

    soma_name = "Inventory"
    if TYPE_CHECKING:
        app: App

    stock = SlotDecl("stock", "Map<String, Int>", (Prop("persistent"), Prop("consistent")))
    orders = SlotDecl("orders", "Map<String, Map>", (Prop("persistent"), Prop("consistent")))
    order = MachineDecl(
        "order",
        "new",
        (Arrow("new", "reserved"), Arrow("reserved", "shipped"), Arrow("reserved", "released")),
    )

    @invariant("stock", source="(stock.get(_key) ?? 0) >= 0")
    def _invariant_1(self, _slot_len: int, _slot_name: str, _key: str) -> Value:
        return ops.ge(_value if (_value := self.stock.get(_key)) is not None else 0, 0)

    @handler("receive", "item", "quantity")
    def receive(self, item: Value, quantity: Value) -> Value:
        """on receive(item: String, quantity: Int) — app.cell:29"""
        if not ops.gt(quantity, 0):
            raise require_failed("receive at least one: constraint violated")
        self.stock.set(
            item, ops.add(_value if (_value := self.stock.get(item)) is not None else 0, quantity)
        )
        return self.stock_of(item)

    @handler("reserve", "order", "item", "quantity")
    def reserve(self, order: Value, item: Value, quantity: Value) -> Value:
        """on reserve(order: String, item: String, quantity: Int) — app.cell:36"""
        if not ops.gt(quantity, 0):
            raise require_failed("reserve at least one: constraint violated")
        self.transition(order, "reserved")
        self.orders.set(order, {"order": order, "item": item, "quantity": quantity})
        self.stock.set(
            item, ops.sub(_value if (_value := self.stock.get(item)) is not None else 0, quantity)
        )
        return self.order_of(order)

    @handler("ship", "order")
    def ship(self, order: Value) -> Value:
        """on ship(order: String) — app.cell:44"""
        self.transition(order, "shipped")
        return self.order_of(order)

    @handler("release", "order")
    def release(self, order: Value) -> Value:
        """on release(order: String) — app.cell:49"""
        self.transition(order, "released")
        reserved = self.orders.get(order)
        self.stock.set(
            ops.entry(reserved, "item"),
            ops.add(self.stock.get(ops.entry(reserved, "item")), ops.entry(reserved, "quantity")),
        )
        return self.order_of(order)

    @handler("order_of", "order")
    def order_of(self, order: Value) -> Value:
        """on order_of(order: String) — app.cell:56"""
        found = self.orders.get(order)
        if found is None:
            return std.response(404, {"error": f"unknown order {ops.text(order)}"})
        return std.with_(found, "status", self.get_status(order))

    @handler("stock_of", "item")
    def stock_of(self, item: Value) -> Value:
        """on stock_of(item: String) — app.cell:62"""
        return {
            "item": item,
            "stock": _value if (_value := self.stock.get(item)) is not None else 0,
        }

    @handler("report")
    def report(self) -> Value:
        """on report() — app.cell:64"""
        return [self.stock_of(item) for item in self.stock.keys()]
