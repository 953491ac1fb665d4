"""An app: the instances of a program's cells on an engine, and the door for calls from outside.

Every call from outside is one transaction, durable before the answer. Handlers that do not wait
run to their end without interleaving; those that wait run one at a time per cell, are validated
when they commit, and run again when what they read has changed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from inspect import iscoroutinefunction
from typing import TYPE_CHECKING, Any

from . import limits
from .calls import Calls, Expected
from .cell import Cell, Handler
from .engines.base import DURABLE, Busy, Conflict, Engine
from .engines.standalone import StandaloneEngine
from .errors import CONFLICT, SomaError, as_soma_error, no_handler, wrong_arity
from .events import EventHub
from .machine import Machine
from .memory.properties import SlotRules, rules_of
from .memory.shared import SharedSlot
from .memory.slot import drive
from .memory.table import Table
from .spec import ProgramSpec
from .transaction import CURRENT, Transaction
from .values import Value

if TYPE_CHECKING:
    import trio

    from .cluster.links import Links

Body = Callable[..., Any]
Ended = tuple[Transaction, Value, int, SomaError | None]
"""A run that has ended: its result, the commit that the answer must wait for, its error."""


class App:
    """A running program. Each cell is an attribute, named as its Python class.

    Raises SomaError when the data directory cannot be used.
    """

    def __init__(self, spec: ProgramSpec, engine: Engine | None = None) -> None:
        self.spec = spec
        self.engine: Engine = StandaloneEngine() if engine is None else engine
        self.events = EventHub()
        self.calls = Calls()
        self.links: Links | None = None
        self.signal_log: list[tuple[str, int, int]] | None = None
        self.persistent = any(_persistent(cell) for cell in spec.all_cells)
        self.top_level: tuple[Cell, ...] = tuple(cell(self) for cell in spec.cells)
        self.tests: tuple[Cell, ...] = tuple(test(self) for test in spec.tests)
        self.only_machine: list[Machine] = []
        self._counters: dict[Cell, Table | None] = {}
        self._resolved: dict[tuple[str, str], tuple[Cell, Handler]] = {}
        self._turns = _Turns()
        self._sharded = False
        self._start()

    def _start(self) -> None:
        cells = (*self.top_level, *self.tests)
        for cell in cells:
            cell.soma_bind()
        for cell in self._every_cell(cells):
            setattr(self, type(cell).__name__, cell)
            self.counter(cell)
        self._sharded = any(
            isinstance(slot, SharedSlot) and slot.sharded
            for cell in self._every_cell(cells)
            for slot in (getattr(cell, decl.attribute) for decl in cell.soma_slots.values())
        )
        machines = [machine for cell in self.top_level for machine in cell.soma_bound]
        if len(machines) == 1:
            self.only_machine = machines
        self.engine.open()

    def _every_cell(self, cells: Sequence[Cell]) -> Iterator[Cell]:
        for cell in cells:
            yield cell
            yield from self._every_cell(cell.soma_interior)

    def __enter__(self) -> App:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Makes everything durable and gives up the data directory."""
        self.events.close()
        self.engine.close()

    # --- looking things up -----------------------------------------------------------------------

    def lookup(self, cell: str, handler: str, near: Cell | None = None) -> Handler:
        """A handler by the names of its cell and of itself.

        The interior of `near` and its siblings come before top-level cells. Raises SomaError
        `no handler found …`.
        """
        groups = [self.top_level]
        if near is not None:
            groups = [near.soma_interior, near.soma_peers(), self.top_level]
        for group in groups:
            for candidate in group:
                if candidate.soma_name == cell:
                    found = candidate.soma_find(handler)
                    if found is not None:
                        return found
        raise no_handler(handler, cell)

    def counter(self, cell: Cell) -> Table | None:
        """The table of a cell's `next_id`, None in a program without slots and machines."""
        if cell not in self._counters:
            self._counters[cell] = self._make_counter(cell)
        return self._counters[cell]

    def _make_counter(self, cell: Cell) -> Table | None:
        if not any(kind.soma_slots or kind.soma_machines for kind in self.spec.all_cells):
            return None
        persistent = _persistent(type(cell)) if cell.soma_slots else self.persistent
        return self.engine.table(f"{cell.soma_path}.#next_id", SlotRules(persistent=persistent))

    def _resolve(self, cell: str, handler: str, args: Sequence[Value]) -> tuple[Cell, Handler]:
        found = self._resolved.get((cell, handler))
        if found is None:
            info, method = self.lookup(cell, handler)
            owner: Cell = method.__self__  # type: ignore[attr-defined]
            found = self._resolved[cell, handler] = (owner, (info, method))
        info = found[1][0]
        if len(args) != len(info.params):
            raise wrong_arity(info.name, len(info.params), len(args))
        return found

    # --- calls -----------------------------------------------------------------------------------

    def call(self, cell: str, handler: str, args: Sequence[Value] = ()) -> Value:
        """Runs a handler as one transaction, without an event loop unless the handler may wait.

        Durable on return. Raises SomaError, whatever goes wrong; nothing has changed then.
        """
        _, (_, method) = self._resolve(cell, handler, args)
        return self.run_sync(method, args)

    def run_sync(self, body: Body, args: Sequence[Value] = ()) -> Value:
        """Runs any method of a cell, of any colour, as one transaction."""
        if iscoroutinefunction(body):
            import trio

            owner: Cell = body.__self__  # type: ignore[attr-defined]
            return trio.run(self.run, owner, True, body, args)
        with self.transaction():
            return body(*args)

    @contextmanager
    def transaction(self) -> Iterator[Transaction]:
        """A transaction around any use of cells from Python, durable at the end of the block.

        Raises SomaError, whatever goes wrong in the block.
        """
        transaction = Transaction(self)
        token = CURRENT.set(transaction)
        failure: SomaError | None = None
        try:
            yield transaction
            ticket = self.engine.commit(transaction)
        except Exception as error:
            failure, ticket = as_soma_error(error), transaction.wait_for
        finally:
            CURRENT.reset(token)
        if ticket != DURABLE:
            self.engine.flush()
            self.engine.check(ticket)
        if failure is not None:
            raise failure
        self.events.deliver(transaction.events, agreed=transaction.agreed)

    async def invoke(self, cell: str, handler: str, args: Sequence[Value] = ()) -> Value:
        """The same under trio, for handlers of any colour; commits of many callers are grouped."""
        owner, (info, method) = self._resolve(cell, handler, args)
        return await self.run(owner, info.is_async, method, args)

    async def run(
        self, owner: Cell, is_async: bool, body: Body, args: Sequence[Value] = ()
    ) -> Value:
        """Runs a handler, a tick or any method of a cell as one transaction under trio."""
        lost = 0
        while lost < limits.COMMIT_RUNS:
            ended = await self._run_once(owner, is_async, body, args)
            try:
                if ended[2] != DURABLE:
                    await self.engine.wait_durable(ended[2])
                return self.end(ended)
            except Conflict as conflict:  # another was first: what it wrote is here now
                lost += not isinstance(conflict, Busy)
                pause = self.engine.pause_after(lost)
            finally:
                del ended  # an error in it would keep this frame, and the frame the error
            if pause:
                await _sleep(pause)
        raise _too_many_conflicts()

    async def _run_once(
        self, owner: Cell, is_async: bool, body: Body, args: Sequence[Value]
    ) -> Ended:
        caller = self.calls.caller()
        if caller is not None:
            return await self._run_nested(is_async, body, args, caller)
        if is_async:
            turn = self._turns.of(owner)
            if turn.locked():
                await turn.acquire()
            else:  # without a turn of the event loop
                turn.acquire_nowait()
            try:
                return await self._run_async(body, args)
            finally:
                turn.release()
        if self._turns.free(owner):
            return self._attempt(body, args)
        async with self._turns.of(owner), self._turns.together():
            return self._attempt(body, args)

    def begin(self, cell: str, handler: str, args: Sequence[Value] = ()) -> Ended | None:
        """Runs a handler at once, up to its commit, if that takes no waiting; else None: `invoke`.

        The result may be seen, by `end`, when the commit is durable. Raises SomaError for what is
        no handler, or wrong arguments.
        """
        owner, (info, method) = self._resolve(cell, handler, args)
        if info.is_async and (self._sharded or not info.memory_only):
            return None
        if not self._turns.free(owner) or self.calls.caller() is not None:
            return None
        return self._attempt_at_once(method, args) if info.is_async else self._attempt(method, args)

    def end(self, ended: Ended) -> Value:
        """The result of a run whose commit is durable. Raises the SomaError that it ended with."""
        transaction, result, _, failure = ended
        if failure is not None:
            try:
                raise failure
            finally:
                del ended, failure
        if transaction.events:
            self.events.deliver(transaction.events, agreed=transaction.agreed)
        return result

    def _attempt(
        self, body: Body, args: Sequence[Value], caller: Transaction | None = None
    ) -> Ended:
        transaction = Transaction(self, caller=caller)
        token = CURRENT.set(transaction)
        try:
            result = body(*args)
            return transaction, result, self._commit(transaction), None
        except Exception as error:
            return transaction, None, transaction.wait_for, as_soma_error(error)
        finally:
            CURRENT.reset(token)

    def _attempt_at_once(self, body: Body, args: Sequence[Value]) -> Ended | None:
        """The same for a coroutine that has nothing to wait for; None on a conflict."""
        transaction = Transaction(self, self.engine.tracks)
        token = CURRENT.set(transaction)
        try:
            result = drive(body(*args), "a handler of memory alone")
            return transaction, result, self._commit(transaction), None
        except Conflict:
            return None
        except Exception as error:
            return transaction, None, self.engine.confirm(transaction), as_soma_error(error)
        finally:
            CURRENT.reset(token)

    async def _run_async(self, body: Body, args: Sequence[Value]) -> Ended:
        for _ in range(limits.OPTIMISTIC_RUNS):
            async with self._turns.together():
                try:
                    return await self._attempt_async(body, args)
                except Conflict:
                    continue
        async with self._turns.alone():
            try:
                return await self._attempt_async(body, args, tracking=self.engine.tracks)
            except Conflict:  # alone on this node, and still other nodes were first
                raise _too_many_conflicts() from None

    async def _attempt_async(
        self,
        body: Body,
        args: Sequence[Value],
        tracking: bool = True,
        caller: Transaction | None = None,
    ) -> Ended:
        transaction = Transaction(self, tracking, caller)
        token = CURRENT.set(transaction)
        try:
            result = await body(*args)
            return transaction, result, self._commit(transaction), None
        except Conflict:
            raise
        except Exception as error:
            if not transaction.valid():
                raise Conflict from error  # it may have failed only for what it read
            return transaction, None, self.engine.confirm(transaction), as_soma_error(error)
        finally:
            CURRENT.reset(token)
            self.calls.ended(transaction)

    async def _run_nested(
        self, is_async: bool, body: Body, args: Sequence[Value], caller: Transaction
    ) -> Ended:
        """Runs at once: `caller` waits for it, and may hold the turn."""
        if not is_async:
            return self._attempt(body, args, caller)
        for _ in range(limits.NESTED_RUNS):
            try:
                return await self._attempt_async(body, args, caller=caller)
            except Conflict:
                continue
        raise SomaError("too many conflicts: what the handler reads changes all the time")

    def _commit(self, transaction: Transaction) -> int:
        if transaction.caller is None:
            return self.engine.commit(transaction)
        expected = Expected(transaction)
        ticket = self.engine.commit(transaction)
        expected.refresh()
        return ticket


class _Turns:
    """Who may run now: one at a time per cell, and at times one alone.

    A cell's turn is taken before the common one and never the other way round, and handlers take
    only the turn of the cell that was called from outside: no cycle of waiting can arise.
    """

    def __init__(self) -> None:
        self._cells: dict[Cell, trio.Lock] = {}
        self._running = 0
        self._exclusive = False
        self._parked: trio.lowlevel.ParkingLot | None = None

    def free(self, cell: Cell) -> bool:
        """Whether a handler that does not wait can run right now."""
        if self._exclusive:
            return False
        lock = self._cells.get(cell)
        return lock is None or not lock.locked()

    def of(self, cell: Cell) -> trio.Lock:
        """The turn of a cell, first come, first served."""
        lock = self._cells.get(cell)
        if lock is None:
            import trio

            lock = self._cells[cell] = trio.Lock()
        return lock

    def together(self) -> _Together:
        """A run beside others."""
        return _Together(self, alone=False)

    def alone(self) -> _Together:
        """A run without any other."""
        return _Together(self, alone=True)

    async def enter(self, alone: bool) -> None:
        """Waits only where it must: most handlers that may wait never do."""
        if not alone and not self._exclusive:
            self._running += 1
            return
        parked = self._parking()
        while self._exclusive:
            await parked.park()
        if not alone:
            self._running += 1
            return
        self._exclusive = True
        try:
            while self._running:
                await parked.park()
        except BaseException:
            self._exclusive = False
            parked.unpark_all()
            raise

    def leave(self, alone: bool) -> None:
        """The run is over."""
        if alone:
            self._exclusive = False
        else:
            self._running -= 1
        if self._parked is not None:
            self._parked.unpark_all()

    def _parking(self) -> trio.lowlevel.ParkingLot:
        if self._parked is None:
            import trio

            self._parked = trio.lowlevel.ParkingLot()
        return self._parked


class _Together:
    """An async context: running together with others, or alone."""

    def __init__(self, turns: _Turns, alone: bool) -> None:
        self._turns = turns
        self._alone = alone

    async def __aenter__(self) -> None:
        await self._turns.enter(self._alone)

    async def __aexit__(self, *_: object) -> None:
        self._turns.leave(self._alone)


def _too_many_conflicts() -> SomaError:
    return SomaError("too many conflicts with other nodes: try again", CONFLICT)


async def _sleep(seconds: float) -> None:
    import trio

    await trio.sleep(seconds)


def _persistent(cell: type[Cell]) -> bool:
    return any(rules_of(slot.props).persistent for slot in cell.soma_slots.values())
