"""The order of transactions and reads, as etcd decides it: what `consensus.Service` is to a log.

A watch keeps the mirror up to date. Proposals become etcd transactions, sent until etcd answers or
the time is over; a read asks for the revision of the last transaction, and waits until it is here.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import aclosing
from dataclasses import dataclass
from heapq import heappop, heappush
from itertools import count

import trio

from ...consensus.proposal import Proposal, TransactionId
from ...consensus.service import Done, Failure, Ready
from ...consensus.state import DEPOSED, Outcome
from .client import (
    DENIED,
    EXHAUSTED,
    INVALID,
    NOT_FOUND,
    PRECONDITION,
    EtcdClient,
    EtcdError,
    Json,
    key_after,
)
from .leases import Session
from .mirror import Lane, Mirror, Plan, Verdict
from .settings import Endpoint

PAGE = 1_000
LANES = 64
PAUSE_SECONDS = 0.02
_REFUSALS = frozenset({INVALID, EXHAUSTED, PRECONDITION, DENIED})
"""Codes of what etcd will not do the next time either: too large, no space, not allowed."""
_BUSY = "too many requests"
"""The one of them that passes."""


@dataclass(frozen=True, slots=True)
class Times:
    """In seconds. `give_up`: for a client's answer; `stale`: a watch that is so late is cut."""

    give_up: float = 4.0
    stale: float = 1.0


@dataclass(slots=True)
class _Pending:
    plan: Plan
    done: Done
    record: str
    sent: bool = False
    """An attempt without an answer may have been applied, or may be yet."""


class EtcdOrder:
    """For one event loop: works while `run` does."""

    def __init__(
        self,
        client: EtcdClient,
        mirror: Mirror,
        session: Session,
        note: Callable[[str], None],
        times: Times = Times(),
        in_flight: int = 4_096,
    ) -> None:
        self._client = client
        self._mirror = mirror
        self.session = session
        self._note = note
        self._times = times
        self._in_flight = in_flight
        self.loaded = trio.Event()
        self._nursery: trio.Nursery | None = None
        self._give, self._take = trio.open_memory_channel[Lane](LANES)
        for index in range(LANES):
            self._give.send_nowait(Lane(str(index)))
        self._pending = 0
        self._number = 0
        self._readers: list[tuple[Ready, float]] = []
        self._asked = trio.Event()
        self._waiting: list[tuple[int, int, trio.Event]] = []
        self._count = count()
        self._wanted = 0
        self._behind_since = 0.0
        self._watching: trio.CancelScope | None = None

    @property
    def revision(self) -> int:
        """That of the newest change that is here."""
        return self._mirror.applied

    @property
    def endpoint(self) -> Endpoint:
        """The member of etcd that is asked now."""
        return self._client.endpoint

    async def run(self) -> None:
        """Until it is cancelled. Who still waits then is told that nothing is known."""
        try:
            async with trio.open_nursery() as nursery:
                self._nursery = nursery
                nursery.start_soon(self.session.run)
                nursery.start_soon(self._follow)
                nursery.start_soon(self._watch_the_watch)
                nursery.start_soon(self._serve_reads)
        finally:
            self._nursery = None
            for ready, _ in self._readers:
                ready(Failure("the node is stopping", definite=True))
            with trio.CancelScope(shield=True):
                await self._client.aclose()

    # --- the watch -------------------------------------------------------------------------------

    async def _follow(self) -> None:
        failing = False
        while True:
            endpoint = self._client.endpoint
            try:
                if not self.loaded.is_set():
                    await self._load()
                failing = False
                with trio.CancelScope() as self._watching:
                    await self._watch()
                if self._watching.cancelled_caught:
                    self._client.turn_from(endpoint)
            except EtcdError as error:
                if not failing:
                    self._note(f"etcd: {error}")
                failing = True
            finally:
                self._watching = None
            await trio.sleep(0.2 if failing else PAUSE_SECONDS)

    async def _load(self) -> None:
        """Reads everything at one revision, page by page."""
        first, pairs, revision = self._mirror.first, list[Json](), 0
        while True:
            message: Json = {"key": first, "range_end": self._mirror.last, "limit": str(PAGE)}
            if revision:
                message["revision"] = str(revision)
            answer = await self._client.ask("kv/range", message, self._times.give_up)
            revision = revision or int(answer["header"]["revision"])
            page = answer.get("kvs", [])
            pairs += page
            if not answer.get("more"):
                break
            first = key_after(page[-1]["key"])
        self._mirror.load(pairs, revision)
        self.loaded.set()
        self._moved()

    async def _watch(self) -> None:
        mirror = self._mirror
        async with aclosing(
            self._client.watch(mirror.first, mirror.last, mirror.applied + 1)
        ) as results:
            async for result in results:
                if result.get("canceled"):
                    if int(result.get("compact_revision", 0)):
                        self.loaded = trio.Event()  # what has happened is forgotten: load again
                    raise EtcdError(str(result.get("cancel_reason", "watch ended")), sent=False)
                mirror.apply(result.get("events", ()))
                self._moved()

    async def _watch_the_watch(self) -> None:
        """A member that is cut off from the others says nothing: ask another one then."""
        while True:
            await trio.sleep(self._times.stale / 4)
            if self._wanted <= self.revision:
                self._behind_since = trio.current_time()
            elif trio.current_time() - self._behind_since > self._times.stale:
                self._behind_since = trio.current_time()
                if self._watching is not None:
                    self._watching.cancel()

    def _begin_anew(self) -> None:
        """etcd has gone back: somebody has restored an older state. Load everything."""
        self._note("etcd: its revisions have gone back; loading everything")
        self._mirror.doubt()
        self.loaded = trio.Event()
        if self._watching is not None:
            self._watching.cancel()

    def _moved(self) -> None:
        applied = self.revision
        while self._waiting and self._waiting[0][0] <= applied:
            heappop(self._waiting)[2].set()

    async def _here(self, revision: int) -> None:
        """Returns when the mirror has come to a revision."""
        if revision <= self.revision and self.loaded.is_set():
            return
        if self._wanted <= self.revision:
            self._behind_since = trio.current_time()
        self._wanted = max(self._wanted, revision)
        event = trio.Event()
        heappush(self._waiting, (revision, next(self._count), event))
        await event.wait()

    # --- reads -----------------------------------------------------------------------------------

    def read(self, ready: Ready, now: int) -> None:
        """Calls `ready` when all that was acknowledged before now is here."""
        if self._nursery is None:
            ready(Failure("this node has no connection to etcd yet", definite=True))
            return
        self._readers.append((ready, trio.current_time() + self._times.give_up))
        self._asked.set()

    async def _serve_reads(self) -> None:
        """All that gathers while one question is on its way shares the next one."""
        assert self._nursery is not None
        while True:
            await self._asked.wait()
            self._asked = trio.Event()
            readers, self._readers = self._readers, []
            if not readers:
                continue
            message = {"key": self._mirror.wire("#clock")}
            left = max(0.01, readers[0][1] - trio.current_time())
            try:
                answer = await self._client.ask("kv/range", message, left)
            except EtcdError as error:
                self._fail_readers(readers, str(error))
                continue
            except trio.Cancelled:  # `run` tells them
                self._readers[:0] = readers
                raise
            if int(answer["header"]["revision"]) < self.revision:
                self._begin_anew()
            pairs = answer.get("kvs", [])
            revision = int(pairs[0]["mod_revision"]) if pairs else 0
            if revision <= self.revision and self.loaded.is_set():
                for ready, _ in readers:
                    ready(None)
            else:
                self._nursery.start_soon(self._answer_readers, readers, revision)

    def _fail_readers(self, readers: list[tuple[Ready, float]], text: str) -> None:
        now = trio.current_time() + 0.1
        self._readers[:0] = [reader for reader in readers if reader[1] > now]
        if self._readers:
            self._asked.set()
        for ready, deadline in readers:
            if deadline <= now:
                ready(Failure(f"etcd does not answer: {text}", definite=True))

    async def _answer_readers(self, readers: list[tuple[Ready, float]], revision: int) -> None:
        failure: Failure | None = Failure("etcd's watch is late: try again", definite=True)
        try:
            with trio.move_on_at(readers[0][1]):
                await self.loaded.wait()
                await self._here(revision)
                failure = None
        finally:
            for ready, _ in readers:
                ready(failure)

    # --- transactions ----------------------------------------------------------------------------

    def propose(self, make: Callable[[TransactionId, int], Proposal], done: Done, now: int) -> None:
        """Sends a transaction on its way; `done` gets what became of it. Raises Failure."""
        if self._nursery is None:
            raise Failure("this node has no connection to etcd yet", definite=True)
        if self._pending >= self._in_flight:
            raise Failure("too many transactions in flight", definite=True)
        self._pending += 1
        self._number += 1
        record = f"{self.session.lease:x}.{self._number}"
        proposal = make(TransactionId("", 0, self._number), 0)
        pending = _Pending(self._mirror.plan(proposal, record), done, record)
        self._nursery.start_soon(self._carry, pending)

    async def _carry(self, pending: _Pending) -> None:
        deadline = trio.current_time() + self._times.give_up
        answer: Outcome | Failure | None = None
        try:
            with trio.move_on_at(deadline):
                answer = await self._decided(pending)
            if isinstance(answer, Outcome):  # so that what runs next here sees it
                with trio.move_on_at(deadline):
                    await self._here(answer.revision)
        finally:
            self._pending -= 1
            pending.done(answer or _gave_up(pending))

    async def _decided(self, pending: _Pending) -> Outcome | Failure:
        if not self.loaded.is_set():  # what was read was not there yet
            await self.loaded.wait()
            return Outcome(TransactionId("", 0, 0), 0, "conflict")
        if pending.plan.deposed:
            return Outcome(TransactionId("", 0, 0), 0, DEPOSED)
        lane = await self._take.receive()
        try:
            return await self._on_lane(pending, lane)
        finally:
            self._give.send_nowait(lane)

    async def _on_lane(self, pending: _Pending, lane: Lane) -> Outcome | Failure:
        number = int(pending.record.rpartition(".")[2])
        given = TransactionId("", 0, number)
        while True:
            if await self._renewed(lane) and pending.sent:
                return _gave_up(pending)  # the old lane, which would tell, has gone
            before, pending.sent = pending.sent, True
            message = self._mirror.message(pending.plan, lane, number)
            try:
                answer = await self._client.call("kv/txn", message)
            except EtcdError as error:
                pending.sent = before or error.sent
                failure = self._judge(error, lane, pending)
                if failure is not None:
                    return failure
                await trio.sleep(PAUSE_SECONDS)
                continue
            verdict = self._mirror.verdict(pending.plan, lane, number, answer)
            if verdict.applied:
                return Outcome(given, verdict.revision)
            if verdict.lost and before:
                return _gave_up(pending)
            pending.sent = before and not verdict.again
            if verdict.refused and before:  # an earlier attempt may still come
                return await self._closed(pending, lane, number, verdict)
            if verdict.refused:
                return Outcome(given, verdict.revision, verdict.refused)

    async def _closed(
        self, pending: _Pending, lane: Lane, number: int, refused: Verdict
    ) -> Outcome | Failure:
        """Moves a lane, so that nothing that was sent on it can be applied any more."""
        given, nothing = TransactionId("", 0, number), Plan()
        self._number += 1
        own = self._number
        while True:
            try:
                answer = await self._client.call("kv/txn", self._mirror.message(nothing, lane, own))
            except EtcdError as error:
                if error.code == NOT_FOUND:  # nothing can be put under that lease any more
                    self.session.lost(lane.lease)
                    return _gave_up(pending)
                await trio.sleep(PAUSE_SECONDS)
                continue
            verdict = self._mirror.verdict(nothing, lane, own, answer)
            if verdict.applied:
                pending.sent = False
                return Outcome(given, refused.revision, refused.refused)
            if verdict.seen == str(number):  # it has come
                return Outcome(given, lane.revision)
            if verdict.lost:
                return _gave_up(pending)

    async def _renewed(self, lane: Lane) -> bool:
        """Lets a lane live under the lease of now; whether it had another one."""
        await self.session.begun.wait()
        lease = self.session.lease
        if lane.lease == lease:
            return False
        index = lane.name.rpartition("/")[2]
        lane.name, lane.lease, lane.revision = f"!lane/{lease:x}/{index}", lease, 0
        return True

    def _judge(self, error: EtcdError, lane: Lane, pending: _Pending) -> Failure | None:
        """What an error means for a transaction; None: it may be sent again."""
        if error.code == NOT_FOUND:
            self.session.lost(lane.lease)
        elif error.code in _REFUSALS and _BUSY not in str(error):
            return Failure(f"etcd refuses the transaction: {error}", definite=not pending.sent)
        return None


def _gave_up(pending: _Pending) -> Failure:
    if pending.sent:
        return Failure("no answer from etcd: the write may have happened", definite=False)
    return Failure("etcd cannot be reached: nothing was written", definite=True)
