"""Slots: what `slot.get(k)` and its relatives do (spec 3 §1.5), with enforced properties."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Sequence
from typing import TYPE_CHECKING, Any, Generic, Literal, TypeVar, cast, overload

from .. import limits, ops
from ..errors import FAILURES, require_failed
from ..spec import Prop
from ..transaction import CURRENT, Transaction
from ..values import Value, text
from .codec import encode, parsed, storable
from .properties import rules_of
from .table import Added, Entry, Table

if TYPE_CHECKING:
    from ..cell import Cell
    from .shared import SharedSlot

S = TypeVar("S", "Slot", "SharedSlot")
Values = list[Any]
Keys = list[str]
Invariant = Callable[[int, str, str], Any]
Make = Callable[[Any, int, int], Entry]
"""From a value and the times of writing and expiry."""


def drive(result: Any, what: str = "an invariant") -> Any:
    """The value of a call that may be a coroutine which never waits."""
    if not isinstance(result, Coroutine):
        return result
    try:
        result.send(None)
    except StopIteration as end:
        return end.value
    result.close()
    raise RuntimeError(f"{what} must not wait")


class Slot:
    """A slot of a cell, bound to its tables. Operations need a running transaction."""

    def __init__(self, decl: SlotDecl[Any], cell: Cell) -> None:
        engine = cell.app.engine
        base = f"{cell.soma_path}.{decl.name}"
        self.name = decl.name
        self.rules = rules_of(decl.props)
        self._table = engine.table(base, self.rules)
        self._log = engine.table(f"{base}#log", self.rules, log=True)
        self._history: Table | None = None
        if self.rules.versioned:
            self._history = engine.table(f"{base}#versions", self.rules, log=True)
        self._clock = engine.clock
        self._record_key = engine.record_key
        self._sums = engine.sums(self._table) and not (self.rules.timed or self.rules.immutable)
        self._invariants: list[Invariant] = [
            getattr(cell, info.method)
            for info in cell.soma_invariants.values()
            if decl.name in info.slots
        ]
        self._timed = self.rules.timed
        self._evicts = self.rules.evict is not None
        self._free = not self._invariants and not (
            self.rules.timed
            or self.rules.measured
            or self.rules.immutable
            or self.rules.versioned
            or self.rules.capacity is not None
        )

    @property
    def table(self) -> Table:
        """Where the values lie."""
        return self._table

    @property
    def log(self) -> Table:
        """Where the records of `append` lie."""
        return self._log

    @property
    def looks_before_set(self) -> bool:
        """Whether `set` depends on what the key was."""
        return not self._free

    # --- reading ---------------------------------------------------------------------------------

    def get(self, key: Value) -> Value:
        """The value, or unit. A String that reads as a JSON Map or List comes back parsed."""
        if key.__class__ is not str:
            key = text(key)
        if self._timed:
            self._expire()
        entry = CURRENT.get().read(self._table, key)
        if entry is None:
            return None
        if self._evicts:
            self._table.touch(key)
        value = entry.value
        return parsed(value) if value.__class__ is str and value else value

    def has(self, key: Value) -> bool:
        """Whether the key is there, even with unit as its value."""
        self._expire()
        return CURRENT.get().read(self._table, text(key)) is not None

    def len(self) -> int:
        """Visible keys plus records of the log."""
        self._expire()
        transaction = CURRENT.get()
        return transaction.count(self._table) + transaction.count(self._log)

    def keys(self) -> Keys:
        """Ascending, without reserved ones."""
        self._expire()
        return CURRENT.get().keys(self._table)

    def values(self) -> Values:
        """In the order of `keys`, as stored."""
        self._expire()
        return [entry.value for _, entry in CURRENT.get().entries(self._table)]

    def list(self) -> Values:
        """The log in order, or the values when it is empty."""
        self._expire()
        log = CURRENT.get().entries(self._log)
        return [entry.value for _, entry in log] if log else self.values()

    def as_map(self) -> dict[str, Any]:
        """The Map that a bare slot name denotes in a guard (§2.3)."""
        self._expire()
        return {key: entry.value for key, entry in CURRENT.get().entries(self._table)}

    def backend(self) -> str:
        """`memory` or `sqlite`."""
        return "sqlite" if self._table.durable else "memory"

    # --- writing ---------------------------------------------------------------------------------

    def set(self, key: Value, value: Value) -> Value:
        """Inserts or replaces; gives unit. Raises SomaError when a rule forbids it."""
        if key.__class__ is not str:
            key = text(key)
        if self._free:
            CURRENT.get().write(self._table, key, Entry(storable(value)))
        else:
            self._put(key, storable(value), Entry)
        return None

    def add(self, key: Value, amount: Value, default: Value = None) -> Value:
        """`set(key, (get(key) ?? default) + amount)`, in a form that keeps the additions that other
        nodes make at the same time. Gives unit. Raises SomaError when `+` or `set` would."""
        return self._shift(key, amount, default, ops.add)

    def subtract(self, key: Value, amount: Value, default: Value = None) -> Value:
        """The same with `-`."""
        return self._shift(key, amount, default, ops.sub)

    def _shift(
        self, key: Value, amount: Value, default: Value, operator: Callable[[Value, Value], Value]
    ) -> Value:
        if key.__class__ is not str:
            key = text(key)
        value = self.get(key)
        before = default if value is None else value
        after = operator(before, amount)
        self._put(key, storable(after), self._adding(key, before, after, value is None))
        return None

    def _adding(self, key: str, before: Value, after: Value, absent: bool) -> Make:
        """How to make the entry: with the amount for other nodes to add, if it can be summed."""
        if not self._sums or before.__class__ is not int or after.__class__ is not int:
            return Entry
        transaction = CURRENT.get()
        pending = transaction.writes.get(self._table)
        own = pending is not None and key in pending.data
        entry = transaction.read(self._table, key)
        if own and not isinstance(entry, Added):
            return Entry  # written here before: a plain write it stays
        amount, default = after - before, before if absent else 0
        base = None if transaction.far is None else transaction.far.states.get((self._table, key))
        if isinstance(entry, Added):
            amount, default = amount + entry.amount, entry.default
        return lambda value, _written, _expires: Added(value, amount, default, base)

    def _put(self, key: str, value: Value, make: Make) -> None:
        transaction = CURRENT.get()
        if self._free:
            transaction.write(self._table, key, make(value, 0, 0))
            return
        mark = transaction.guard()
        try:
            self._set(transaction, key, value, make)
            self._check(f'set("{key}")', key)
        except FAILURES:
            transaction.rollback(mark)
            raise
        transaction.release()

    def delete(self, key: Value) -> bool:
        """Whether the key was there. Raises SomaError when `retain` or an invariant forbids it."""
        self._expire()
        key = text(key)
        transaction = CURRENT.get()
        entry = transaction.read(self._table, key)
        if entry is None:
            return False
        mark = transaction.guard()
        try:
            self._refuse_if_retained(entry, f'delete("{key}")')
            self._keep_version(transaction, key, entry)
            transaction.write(self._table, key, None)
            self._check(f'delete("{key}")', key)
        except FAILURES:
            transaction.rollback(mark)
            raise
        transaction.release()
        return True

    def append(self, value: Value) -> Value:
        """Adds a record to the slot's log; gives unit."""
        transaction = CURRENT.get()
        key = self._record_key(self._log)
        mark = transaction.guard()
        try:
            stored = storable(value)
            self._expire()
            self._limit_element(stored)
            self._make_room(transaction, "append()", log_first=True)
            transaction.write(self._log, key, self._entry(stored))
            self._check("append()", "")
        except FAILURES:
            transaction.rollback(mark)
            raise
        transaction.release()
        return None

    def _set(self, transaction: Transaction, key: str, value: Value, make: Make) -> None:
        self._expire()
        self._limit_sizes(key, value)
        old = transaction.read(self._table, key)
        if old is None:
            self._make_room(transaction, f'set("{key}")', log_first=False)
        elif self.rules.immutable:
            raise require_failed(
                f"slot '{self.name}' is immutable: set(\"{key}\") refused, the key exists"
            )
        else:
            self._keep_version(transaction, key, old)
            if self._evicts:
                self._table.touch(key)
        transaction.write(self._table, key, self._entry(value, make))

    # --- properties ------------------------------------------------------------------------------

    def _expire(self) -> None:
        if self._timed:
            now = self._clock()
            for table in (self._table, self._log):
                table.ready()
                if table.agreed:
                    _delete_overdue(table, now)
                else:
                    table.expire(now)

    def _entry(self, value: Value, make: Make = Entry) -> Entry:
        if not self._timed:
            return make(value, 0, 0)
        now = self._clock()
        ttl = self.rules.ttl
        return make(value, now, 0 if ttl is None else now + max(ttl, self.rules.retain or 0))

    def _retained(self, entry: Entry) -> bool:
        retain = self.rules.retain
        return retain is not None and self._clock() < entry.written + retain

    def _refuse_if_retained(self, entry: Entry, what: str) -> None:
        if self._retained(entry):
            left = entry.written + (self.rules.retain or 0) - self._clock()
            raise require_failed(
                f"slot '{self.name}' retains its entries: {what} refused for {left} ms more"
            )

    def _keep_version(self, transaction: Transaction, key: str, old: Entry) -> None:
        if self._history is not None:
            number = self._record_key(self._history)
            record = {"key": key, "value": old.value, "replaced_at": self._clock()}
            transaction.write(self._history, number, Entry(record))
            if self._history.textual:
                self._trim_history(transaction, self._history)
                return
            oldest = number - limits.VERSIONS_PER_SLOT
            if oldest > 0 and transaction.read(self._history, oldest) is not None:
                transaction.write(self._history, oldest, None)

    @staticmethod
    def _trim_history(transaction: Transaction, history: Table) -> None:
        """In a cluster records have stamps for keys; they go by the hundred, as that takes time."""
        spare = transaction.count(history) - limits.VERSIONS_PER_SLOT
        if spare >= limits.VERSIONS_TRIMMED:
            for oldest in transaction.keys(history)[:spare]:
                transaction.write(history, oldest, None)

    def _limit_sizes(self, key: str, value: Value) -> None:
        if not self.rules.measured:
            return
        self._limit("max_key_bytes", self.rules.max_key_bytes, key)
        if self.rules.max_value_bytes is not None:
            self._limit("max_value_bytes", self.rules.max_value_bytes, encode(value)[1])
        if value.__class__ is list:
            for item in value:
                self._limit_element(item)

    def _limit_element(self, value: Value) -> None:
        if self.rules.max_element_bytes is not None:
            self._limit("max_element_bytes", self.rules.max_element_bytes, encode(value)[1])

    def _limit(self, name: str, limit: int | None, stored: str) -> None:
        size = len(stored.encode("utf-8", "surrogatepass"))
        if limit is not None and size > limit:
            raise require_failed(f"{name}({limit}) of slot '{self.name}' exceeded: {size} bytes")

    def _make_room(self, transaction: Transaction, what: str, log_first: bool) -> None:
        capacity = self.rules.capacity
        if capacity is None:
            return
        used = transaction.count(self._table) + transaction.count(self._log)
        while used >= capacity:
            if not (self._evicts and self._evict(transaction, log_first)):
                raise require_failed(
                    f"capacity({capacity}) of slot '{self.name}' reached: {what} refused"
                )
            used -= 1

    def _evict(self, transaction: Transaction, log_first: bool) -> bool:
        tables = (self._log, self._table) if log_first else (self._table, self._log)
        return any(self._evict_from(transaction, table) for table in tables)

    def _evict_from(self, transaction: Transaction, table: Table) -> bool:
        pending = transaction.writes.get(table)
        own = [key for key, entry in pending.data.items() if entry] if pending else []
        for key in (*table.victims(), *own):
            entry = transaction.read(table, key)
            if entry is not None and not self._retained(entry):
                transaction.write(table, key, None)
                return True
        return False

    # --- invariants ------------------------------------------------------------------------------

    def _check(self, what: str, key: str) -> None:
        """Raises SomaError when an invariant of the slot's memory block is false now (§1.9)."""
        if self._invariants:
            transaction, near = CURRENT.get(), CURRENT.get().near
            transaction.near = True  # an invariant must not wait for other nodes
            try:
                self._check_invariants(what, key)
            finally:
                transaction.near = near

    def _check_invariants(self, what: str, key: str) -> None:
        for invariant in self._invariants:
            try:
                holds = drive(invariant(self.len(), self.name, key))
            except FAILURES:
                continue  # only an outcome of `false` is a violation
            if holds is False:
                raise require_failed(f"memory invariant violated on '{self.name}' after {what}")


class SlotDecl(Generic[S]):
    """A slot of a cell class. On an instance it is the bound slot."""

    @overload
    def __init__(
        self: SlotDecl[Slot],
        name: str,
        type_text: str,
        props: Sequence[Prop] = (),
        shared: Literal[False] = False,
    ) -> None: ...

    @overload
    def __init__(
        self: SlotDecl[SharedSlot],
        name: str,
        type_text: str,
        props: Sequence[Prop] = (),
        *,
        shared: Literal[True],
    ) -> None: ...

    def __init__(
        self, name: str, type_text: str, props: Sequence[Prop] = (), shared: bool = False
    ) -> None:
        self.name = name
        self.type_text = type_text
        self.props = tuple(props)
        self.shared = shared
        self.attribute = name

    def __set_name__(self, owner: type[Cell], attribute: str) -> None:
        self.attribute = attribute

    @overload
    def __get__(self, cell: None, owner: type[Cell]) -> SlotDecl[S]: ...

    @overload
    def __get__(self, cell: Cell, owner: type[Cell]) -> S: ...

    def __get__(self, cell: Cell | None, owner: type[Cell]) -> SlotDecl[S] | S:
        if cell is None:
            return self
        bound: Any = _shared(self, cell) if self.shared else Slot(self, cell)
        cell.__dict__[self.attribute] = bound  # from now on found before the declaration
        return cast("S", bound)


def _shared(decl: SlotDecl[Any], cell: Cell) -> SharedSlot:
    from .shared import SharedSlot

    return SharedSlot(decl, cell)


def _delete_overdue(table: Table, now: int) -> None:
    """Lets the transaction that looks delete what is over."""
    transaction = CURRENT.get()
    for key in table.overdue(now):
        entry = transaction.read(table, key)
        if entry is not None and entry.expires and entry.expires <= now:
            transaction.write(table, key, None)
