"""Cell ChatTests of app.cell."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ._somart import FAILURES, Cell, Value, ops, test_assert

if TYPE_CHECKING:
    from .program import App


class ChatTests(Cell):
    """cell ChatTests — app.cell:75"""

    soma_name = "ChatTests"
    soma_kind = "test"
    if TYPE_CHECKING:
        app: App

    @test_assert('... == "tea-1"', op="==")
    async def _assert_1(self) -> tuple[Value, Value]:
        return (await self.app.Chat.post("tea", "ann", "hello")).get("id"), "tea-1"

    @test_assert('... == "delivered"', op="==")
    async def _assert_2(self) -> tuple[Value, Value]:
        return (await self.app.Chat.deliver("tea-1")).get("status"), "delivered"

    @test_assert('... == "read"', op="==")
    async def _assert_3(self) -> tuple[Value, Value]:
        return (await self.app.Chat.seen("tea-1")).get("status"), "read"

    @test_assert("... != ?", op="!=")
    async def _assert_4(self) -> tuple[Value, Value]:
        _mark = self.savepoint()
        try:
            _outcome = ops.succeeded(await self.app.Chat.deliver("tea-1"))
        except FAILURES as _error:
            self.rollback(_mark)
            _outcome = ops.failed(_error)
        return _outcome.get("error"), None

    @test_assert("... != ?", op="!=")
    async def _assert_5(self) -> tuple[Value, Value]:
        _mark = self.savepoint()
        try:
            _outcome = ops.succeeded(await self.app.Chat.seen("nobody"))
        except FAILURES as _error:
            self.rollback(_mark)
            _outcome = ops.failed(_error)
        return _outcome.get("error"), None

    @test_assert('len(history("tea")) == 1', op="==")
    async def _assert_6(self) -> tuple[Value, Value]:
        return len(await self.app.Chat.history("tea")), 1

    @test_assert("expire(0 - 1000) == 1", op="==")
    async def _assert_7(self) -> tuple[Value, Value]:
        return await self.app.Chat.expire(0 - 1000), 1

    @test_assert('len(history("tea")) == 0', op="==")
    async def _assert_8(self) -> tuple[Value, Value]:
        return len(await self.app.Chat.history("tea")), 0

    @test_assert('people() == list("ann")', op="==")
    def _assert_9(self) -> tuple[Value, Value]:
        return self.app.Chat.people(), ["ann"]
