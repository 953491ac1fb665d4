"""Cells and the decorators that declare their parts.

A generated cell is a subclass of `Cell` with one method per handler. The class collects what its
decorators declare; an app makes one instance of each class. See `spec.py` for a whole example.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from inspect import isawaitable, iscoroutinefunction
from typing import TYPE_CHECKING, Any, ClassVar, NoReturn, TypeVar

from .errors import FAILURES, as_soma_error, type_error, wrong_arity
from .events import Event
from .limits import DELEGATE_PREFIXES
from .machine import Machine, MachineDecl
from .memory.slot import SlotDecl
from .memory.table import Entry
from .spec import (
    HandlerInfo,
    InvariantInfo,
    RuntimeEntry,
    ScaleSpec,
    TestAssert,
    TestProperty,
    TimerInfo,
)
from .transaction import CURRENT, Mark
from .values import Value, text

if TYPE_CHECKING:
    from .app import App

F = TypeVar("F", bound=Callable[..., Any])
Handler = tuple[HandlerInfo, Callable[..., Any]]

_DECLARATION = "_soma_declaration"


def _declare(declaration: Any) -> Callable[[F], F]:
    def mark(method: F) -> F:
        setattr(method, _DECLARATION, declaration)
        return method

    return mark


def handler(
    name: str, *params: str, record: bool = False, memory_only: bool = False
) -> Callable[[F], F]:
    """`on name(params)`. The method stays a plain function: calling it costs nothing more.

    `memory_only`: a coroutine that awaits nothing but memory, and so never waits on a node that has
    all of it.
    """
    return _declare(HandlerInfo(name, params, "", record=record, memory_only=memory_only))


def every(milliseconds: int) -> Callable[[F], F]:
    """An `every` block."""
    return _declare(TimerInfo("every", milliseconds, ""))


def after(milliseconds: int) -> Callable[[F], F]:
    """An `after` block."""
    return _declare(TimerInfo("after", milliseconds, ""))


def invariant(*slots: str, source: str) -> Callable[[F], F]:
    """An invariant of the memory block with these slots."""
    return _declare(InvariantInfo(slots, source, ""))


def test_assert(source: str, op: str | None = None) -> Callable[[F], F]:  # noqa: PT028
    """An `assert` of a test cell; with `op` the method yields both sides as a pair."""
    return _declare(TestAssert(source, op, ""))


def test_property(
    name: str,
    variable: str,
    low: int,
    high: int,
    count: int = 50,  # noqa: PT028
    type_name: str = "Int",  # noqa: PT028
) -> Callable[[F], F]:
    """A `property … forall` of a test cell; the method takes the variable."""
    return _declare(TestProperty(name, variable, low, high, count, "", type_name))


test_assert.__test__ = False  # type: ignore[attr-defined]  # not tests of this project
test_property.__test__ = False  # type: ignore[attr-defined]


class Cell:
    """A unit of computation and state. Everything named `soma_…` describes the class."""

    soma_name: ClassVar[str] = ""
    soma_path: ClassVar[str] = ""
    soma_kind: ClassVar[str] = "cell"
    soma_scale: ClassVar[ScaleSpec | None] = None
    soma_awaits: ClassVar[tuple[str, ...]] = ()
    soma_children: ClassVar[tuple[type[Cell], ...]] = ()
    soma_runtime: ClassVar[tuple[RuntimeEntry, ...] | None] = None
    soma_handlers: ClassVar[dict[str, HandlerInfo]] = {}
    soma_timers: ClassVar[tuple[TimerInfo, ...]] = ()
    soma_invariants: ClassVar[dict[str, InvariantInfo]] = {}
    soma_checks: ClassVar[tuple[TestAssert | TestProperty, ...]] = ()
    soma_slots: ClassVar[dict[str, SlotDecl[Any]]] = {}
    soma_machines: ClassVar[dict[str, MachineDecl]] = {}

    app: App
    soma_interior: tuple[Cell, ...] = ()
    soma_bound: Sequence[Machine] = ()
    _soma_parent: Cell | None = None
    _soma_receivers: dict[str, list[Handler]]

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        if "soma_path" not in cls.__dict__:
            cls.soma_path = cls.soma_name
        declared = [
            _with_method(found, name, value)
            for name, value in cls.__dict__.items()
            if (found := getattr(value, _DECLARATION, None)) is not None
        ]
        cls.soma_handlers = {d.name: d for d in declared if isinstance(d, HandlerInfo)}
        cls.soma_timers = tuple(d for d in declared if isinstance(d, TimerInfo))
        cls.soma_invariants = {d.method: d for d in declared if isinstance(d, InvariantInfo)}
        cls.soma_checks = tuple(d for d in declared if isinstance(d, TestAssert | TestProperty))
        members = list(cls.__dict__.values())
        cls.soma_slots = {m.name: m for m in members if isinstance(m, SlotDecl)}
        cls.soma_machines = {m.name: m for m in members if isinstance(m, MachineDecl)}

    def __init__(self, app: App, parent: Cell | None = None) -> None:
        self.app = app
        self._soma_parent = parent
        self._soma_receivers = {}
        self.soma_interior = tuple(child(app, self) for child in self.soma_children)

    def soma_bind(self) -> None:
        """Makes all slots and machines, so that their tables are known before the first use."""
        for slot in self.soma_slots.values():
            getattr(self, slot.attribute)
        self.soma_bound = [getattr(self, m.attribute) for m in self.soma_machines.values()]
        for child in self.soma_interior:
            child.soma_bind()

    def soma_find(self, name: str) -> Handler | None:
        """The handler of that name."""
        info = self.soma_handlers.get(name)
        return None if info is None else (info, getattr(self, info.method))

    # --- transactions ----------------------------------------------------------------------------

    def savepoint(self) -> Mark:
        """Where `try` begins."""
        return CURRENT.get().savepoint()

    def rollback(self, mark: Mark) -> None:
        """Undoes writes, transitions, ids and emits since the mark; prints stay."""
        CURRENT.get().rollback(mark)

    # --- signals ---------------------------------------------------------------------------------

    def emit(self, name: str, *args: Value) -> None:
        """Calls `name` in every other cell that has it, in source order (core §3.8)."""
        for info, method in self._soma_announce(name, args):
            _check_arity(info, args)
            method(*args)

    async def emit_async(self, name: str, *args: Value) -> None:
        """The same when a receiver may wait."""
        for info, method in self._soma_announce(name, args):
            _check_arity(info, args)
            result = method(*args)
            if info.is_async:
                await result

    def _soma_announce(self, name: str, args: tuple[Value, ...]) -> list[Handler]:
        CURRENT.get().events.append(Event(name, args))
        receivers = self._soma_receivers.get(name)
        if receivers is None:
            others = (cell for cell in self.soma_peers() if cell is not self)
            receivers = [found for cell in others if (found := cell.soma_find(name))]
            self._soma_receivers[name] = receivers
        if self.app.signal_log is not None:
            awaiters = sum(
                name in cell.soma_awaits for cell in self.soma_peers() if cell is not self
            )
            self.app.signal_log.append((name, len(receivers), awaiters))
        return receivers

    def soma_peers(self) -> tuple[Cell, ...]:
        """The cells that signals of this one go to, itself among them."""
        return self.app.top_level if self._soma_parent is None else self._soma_parent.soma_interior

    def publish(self, stream: Value, data: Value) -> Value:
        """Pushes an event under a computed name to the event feeds only (builtins §16)."""
        CURRENT.get().events.append(Event(text(stream), (data,), published=True))
        return None

    def delegate(self, cell: Value, handler: Value, *args: Value) -> Value:
        """Calls exactly that handler. Raises SomaError `delegate error: …` for any failure."""
        try:
            info, method = self.app.lookup(text(cell), text(handler), near=self)
            _check_arity(info, args)
            return method(*args)
        except FAILURES as error:
            _delegate_failed(error)

    async def delegate_async(self, cell: Value, handler: Value, *args: Value) -> Value:
        """The same when the handler may wait."""
        try:
            info, method = self.app.lookup(text(cell), text(handler), near=self)
            _check_arity(info, args)
            result = method(*args)
            return await result if isawaitable(result) else result
        except FAILURES as error:
            _delegate_failed(error)

    # --- lifecycle -------------------------------------------------------------------------------

    def transition(self, instance: Value, to: Value) -> Value:
        """Moves an instance: `{"id", "from", "to"}`. Raises SomaError when refused (§2.3)."""
        return self._soma_machine_with(to).transition(instance, to)

    async def transition_async(self, instance: Value, to: Value) -> Value:
        return await self._soma_machine_with(to).transition_async(instance, to)

    def get_status(self, instance: Value) -> str:
        """The current state of an instance."""
        return self._soma_machine().status(instance)

    async def get_status_async(self, instance: Value) -> str:
        return self._soma_machine().status(instance)

    def valid_transitions(self, instance: Value) -> list[Value]:
        """Targets from the current state; empty when the program has no machine."""
        machines = self.soma_bound or self.app.only_machine
        return machines[0].targets(instance) if machines else []

    async def valid_transitions_async(self, instance: Value) -> list[Value]:
        return self.valid_transitions(instance)

    def _soma_machine(self) -> Machine:
        machines = self.soma_bound or self.app.only_machine
        if not machines:
            raise type_error("no state machine found")
        return machines[0]

    def _soma_machine_with(self, to: Value) -> Machine:
        if len(self.soma_bound) < 2:
            return self._soma_machine()
        target = text(to)
        with_target = (m for m in self.soma_bound if target in m.decl.states)
        return next(with_target, self.soma_bound[0])

    # --- identity --------------------------------------------------------------------------------

    def next_id(self) -> int:
        """1, 2, 3 … per cell; always 1 in a program without slots and machines (§1.10)."""
        table = self.app.counter(self)
        if table is None:
            return 1
        transaction = CURRENT.get()
        entry = transaction.read(table, "next_id")
        number = self.app.engine.id_after(table, 0 if entry is None else int(entry.value))
        transaction.write(table, "next_id", Entry(number))
        return number

    async def next_id_async(self) -> int:
        return self.next_id()


_DELEGATED = "delegate error: "

CELL_ATTRIBUTES = frozenset({*dir(Cell), *Cell.__annotations__})
"""Names that parts of a generated cell must not have."""


def _check_arity(info: HandlerInfo, args: tuple[Value, ...]) -> None:
    if len(args) != len(info.params):
        raise wrong_arity(info.name, len(info.params), len(args))


def _delegate_failed(error: Exception) -> NoReturn:
    failure = as_soma_error(error)
    if failure.message.startswith(_DELEGATED * DELEGATE_PREFIXES):
        raise failure
    raise type_error(f"{_DELEGATED}{failure}") from error


def _with_method(declaration: Any, method: str, function: Any) -> Any:
    values = {name: getattr(declaration, name) for name in declaration.__slots__}
    values["method"] = method
    if isinstance(declaration, HandlerInfo):
        values["is_async"] = iscoroutinefunction(function)
    return type(declaration)(**values)
