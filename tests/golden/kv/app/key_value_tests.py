"""Cell KeyValueTests of app.cell."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ._somart import Cell, Value, ops, test_assert

if TYPE_CHECKING:
    from .program import App


class KeyValueTests(Cell):
    """cell KeyValueTests — app.cell:46"""

    soma_name = "KeyValueTests"
    soma_kind = "test"
    if TYPE_CHECKING:
        app: App

    @test_assert("... == 1", op="==")
    def _assert_1(self) -> tuple[Value, Value]:
        return ops.entry(self.app.KeyValue.request("PUT", "/kv/a", "one", {}), "version"), 1

    @test_assert('... == "one"', op="==")
    def _assert_2(self) -> tuple[Value, Value]:
        return ops.entry(self.app.KeyValue.request("GET", "/kv/a", "", {}), "value"), "one"

    @test_assert("... == 409", op="==")
    def _assert_3(self) -> tuple[Value, Value]:
        return (
            ops.entry(
                self.app.KeyValue.request("PUT", "/kv/a", "two", {"version": "0"}), "_status"
            ),
            409,
        )

    @test_assert("... == 2", op="==")
    def _assert_4(self) -> tuple[Value, Value]:
        return (
            ops.entry(
                self.app.KeyValue.request("PUT", "/kv/a", "two", {"version": "1"}), "version"
            ),
            2,
        )

    @test_assert('... == list("a")', op="==")
    def _assert_5(self) -> tuple[Value, Value]:
        return ops.entry(self.app.KeyValue.request("GET", "/kv", "", {}), "entries"), ["a"]

    @test_assert("... == true", op="==")
    def _assert_6(self) -> tuple[Value, Value]:
        return ops.entry(self.app.KeyValue.request("DELETE", "/kv/a", "", {}), "deleted"), True

    @test_assert("... == 404", op="==")
    def _assert_7(self) -> tuple[Value, Value]:
        return ops.entry(self.app.KeyValue.request("GET", "/kv/a", "", {}), "_status"), 404

    @test_assert("... == 405", op="==")
    def _assert_8(self) -> tuple[Value, Value]:
        return ops.entry(self.app.KeyValue.request("PATCH", "/kv/a", "", {}), "_status"), 405

    @test_assert("... == 404", op="==")
    def _assert_9(self) -> tuple[Value, Value]:
        return ops.entry(self.app.KeyValue.request("GET", "/elsewhere", "", {}), "_status"), 404
