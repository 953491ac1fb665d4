"""Cell JobQueueTests of app.cell."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ._somart import FAILURES, Cell, Value, ops, test_assert

if TYPE_CHECKING:
    from .program import App


class JobQueueTests(Cell):
    """cell JobQueueTests — app.cell:104"""

    soma_name = "JobQueueTests"
    soma_kind = "test"
    if TYPE_CHECKING:
        app: App

    @test_assert('... == "queued"', op="==")
    async def _assert_1(self) -> tuple[Value, Value]:
        return (await self.app.JobQueue.submit({"id": "J1", "task": "resize"})).get(
            "status"
        ), "queued"

    @test_assert("... == 409", op="==")
    async def _assert_2(self) -> tuple[Value, Value]:
        return (await self.app.JobQueue.submit({"id": "J1"})).get("_status"), 409

    @test_assert('... == "w1"', op="==")
    async def _assert_3(self) -> tuple[Value, Value]:
        return (await self.app.JobQueue.claim("w1")).get("worker"), "w1"

    @test_assert('... == "idle"', op="==")
    async def _assert_4(self) -> tuple[Value, Value]:
        return (await self.app.JobQueue.claim("w2")).get("status"), "idle"

    @test_assert('... == "queued"', op="==")
    async def _assert_5(self) -> tuple[Value, Value]:
        return (await self.app.JobQueue.fail_("J1", "disk full")).get("status"), "queued"

    @test_assert("... == 2", op="==")
    async def _assert_6(self) -> tuple[Value, Value]:
        return (await self.app.JobQueue.claim("w2")).get("attempts"), 2

    @test_assert('... == "completed"', op="==")
    async def _assert_7(self) -> tuple[Value, Value]:
        return (await self.app.JobQueue.complete("J1", "done")).get("status"), "completed"

    @test_assert("... != ?", op="!=")
    async def _assert_8(self) -> tuple[Value, Value]:
        _mark = self.savepoint()
        try:
            _outcome = ops.succeeded(await self.app.JobQueue.cancel("J1"))
        except FAILURES as _error:
            self.rollback(_mark)
            _outcome = ops.failed(_error)
        return _outcome.get("error"), None

    @test_assert('... == "queued"', op="==")
    async def _assert_9(self) -> tuple[Value, Value]:
        return (await self.app.JobQueue.submit({"id": "J2", "ttl_ms": 0 - 1})).get(
            "status"
        ), "queued"

    @test_assert("sweep() == 1", op="==")
    async def _assert_10(self) -> tuple[Value, Value]:
        return await self.app.JobQueue.sweep(), 1

    @test_assert('... == "expired"', op="==")
    async def _assert_11(self) -> tuple[Value, Value]:
        return (await self.app.JobQueue.job("J2")).get("status"), "expired"

    @test_assert("... == 2", op="==")
    async def _assert_12(self) -> tuple[Value, Value]:
        return (await self.app.JobQueue.stats())["jobs"], 2
