"""Cell JobQueue of app.cell."""

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


class JobQueue(Cell):
    """cell JobQueue — app.cell:4"""

    soma_name = "JobQueue"
    soma_scale = ScaleSpec(
        replicas=10, shard="jobs", consistency="eventual", tolerance=2, memory="1Gi"
    )
    if TYPE_CHECKING:
        app: App

    jobs = SlotDecl("jobs", "Map<String, Map>", (Prop("persistent"),), shared=True)
    workers = SlotDecl("workers", "Map<String, Int>", (Prop("ephemeral"), Prop("local")))
    metrics = SlotDecl("metrics", "Map<String, Int>", (Prop("ephemeral"), Prop("local")))
    job_lifecycle = MachineDecl(
        "job_lifecycle",
        "queued",
        (
            Arrow("queued", "claimed"),
            Arrow("claimed", "running"),
            Arrow("running", "completed"),
            Arrow("running", "failed"),
            Arrow("failed", "queued"),
            Arrow("queued", "cancelled"),
            Arrow("claimed", "cancelled"),
            Arrow("*", "expired"),
        ),
        shared=True,
    )

    @handler("submit", "data", memory_only=True)
    async def submit(self, data: Value) -> Value:
        """on submit(data: Map) — app.cell:31"""
        id_ = ops.text(
            _value if (_value := ops.entry(data, "id")) is not None else f"J{self.next_id()}"
        )
        if await self.jobs.has(id_):
            return std.response(409, {"error": f"job {id_} exists already"})
        expires = ops.add(
            std.now_ms(),
            _value_2 if (_value_2 := ops.entry(data, "ttl_ms")) is not None else 3600000,
        )
        await self.jobs.set(
            id_,
            {
                "id": id_,
                "task": _value_3 if (_value_3 := ops.entry(data, "task")) is not None else "none",
                "attempts": 0,
                "expires_ms": expires,
            },
        )
        self._tally("submitted")
        return await self.job(id_)

    @handler("claim", "worker", memory_only=True)
    async def claim(self, worker: Value) -> Value:
        """on claim(worker: String) — app.cell:41"""
        if type(worker) is str:
            return await self._claim_checked(worker)
        self.workers.set(worker, std.now_ms())
        for entry in await self.jobs.values():
            if await self.get_status_async(ops.entry(entry, "id")) == "queued":
                await self.transition_async(ops.entry(entry, "id"), "claimed")
                await self.transition_async(ops.entry(entry, "id"), "running")
                await self.jobs.set(
                    ops.entry(entry, "id"),
                    std.with_(
                        entry,
                        "worker",
                        worker,
                        "attempts",
                        ops.add(ops.entry(entry, "attempts"), 1),
                    ),
                )
                return await self.job(ops.entry(entry, "id"))
        return {"id": None, "status": "idle"}

    async def _claim_checked(self, worker: str) -> Value:
        self.workers.set(worker, std.now_ms())
        for entry in await self.jobs.values():
            if await self.get_status_async(ops.entry(entry, "id")) == "queued":
                await self.transition_async(ops.entry(entry, "id"), "claimed")
                await self.transition_async(ops.entry(entry, "id"), "running")
                await self.jobs.set(
                    ops.entry(entry, "id"),
                    std.with_(
                        entry,
                        "worker",
                        worker,
                        "attempts",
                        ops.add(ops.entry(entry, "attempts"), 1),
                    ),
                )
                return await self.job(ops.entry(entry, "id"))
        return {"id": None, "status": "idle"}

    @handler("complete", "id", "result", memory_only=True)
    async def complete(self, id_: Value, result: Value) -> Value:
        """on complete(id: String, result: String) — app.cell:54"""
        await self.transition_async(id_, "completed")
        return await self._note(id_, "result", result)

    @handler("fail", "id", "reason", memory_only=True)
    async def fail_(self, id_: Value, reason: Value) -> Value:
        """on fail(id: String, reason: String) — app.cell:60"""
        await self.transition_async(id_, "failed")
        if ops.lt(ops.entry(await self.jobs.get(id_), "attempts"), 3):
            await self.transition_async(id_, "queued")
        return await self._note(id_, "reason", reason)

    @handler("cancel", "id", memory_only=True)
    async def cancel(self, id_: Value) -> Value:
        """on cancel(id: String) — app.cell:66"""
        await self.transition_async(id_, "cancelled")
        return await self._note(id_, "reason", "cancelled by the client")

    @handler("job", "id", memory_only=True)
    async def job(self, id_: Value) -> Value:
        """on job(id: String) — app.cell:68"""
        found = await self.jobs.get(id_)
        if found is None:
            return std.response(404, {"error": f"unknown job {ops.text(id_)}"})
        return std.with_(found, "status", await self.get_status_async(id_))

    @handler("stats", memory_only=True)
    async def stats(self) -> Value:
        """on stats() — app.cell:74"""
        _value = await self.jobs.keys()

        async def _step(id_: Value) -> Value:
            return {"status": await self.get_status_async(id_)}

        states: list[Value] = std.agg(
            await std.map_async(_value, Lambda("id", _step)), "status", "status:count"
        )
        return {"jobs": await self.jobs.len(), "workers": self.workers.len(), "by_status": states}

    @handler("sweep", memory_only=True)
    async def sweep(self) -> Value:
        """on sweep() — app.cell:80"""
        overdue: list[Value] = [
            j for j in await self.jobs.values() if ops.le(ops.entry(j, "expires_ms"), std.now_ms())
        ]
        for j in overdue:
            status = await self.get_status_async(ops.entry(j, "id"))
            if status != "completed" and status != "cancelled" and status != "expired":
                await self.transition_async(ops.entry(j, "id"), "expired")
                self._tally("expired")
        return _value if (_value := self.metrics.get("expired")) is not None else 0

    @handler("_note", "id", "key", "value", memory_only=True)
    async def _note(self, id_: Value, key: Value, value: Value) -> Value:
        """on _note(id: String, key: String, value: String) — app.cell:92"""
        if not await self.jobs.has(id_):
            raise require_failed("unknown job: constraint violated")
        await self.jobs.set(id_, std.with_(await self.jobs.get(id_), key, value))
        self.emit("job_changed", id_, await self.get_status_async(id_))
        return await self.job(id_)

    @handler("_tally", "name")
    def _tally(self, name: Value) -> Value:
        """on _tally(name: String) — app.cell:99"""
        self.metrics.set(
            name, ops.add(_value if (_value := self.metrics.get(name)) is not None else 0, 1)
        )
        return None

    @every(5_000)
    async def _every_1(self) -> Value:
        """every — app.cell:101"""
        return await self.sweep()
