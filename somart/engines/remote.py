"""Reads that other nodes answer: between slots, which wait, and the core, which does not."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Protocol, TypeVar

from ..cluster.messages import Write
from ..cluster.replica import entry_of_write, from_wire, state_of
from ..errors import SomaError
from ..memory.table import Entry, Key, Table
from ..transaction import Far, Transaction

T = TypeVar("T")
GotOne = Callable[[Write | SomaError | None], None]
"""Takes the newest state of a key that was found (with the local one merged in), None for a key
that nobody has heard of, or why there is no answer."""
GotMany = Callable[[list[Write] | SomaError], None]
"""Takes entries, in any order; those of `keys` have no values. Deleted keys may be among them
(`kind` None). Or why there is no answer: a partial one is none."""
GotCount = Callable[[int | SomaError], None]


class Remote(Protocol):
    """What the core does for slots whose keys lie elsewhere, too. Answers come once, at once or
    later; under `causal` they are as new as all that this node has seen."""

    def settled(self, table: str, key: str) -> bool:
        """Whether the local answer for a key is as good as any: the node owns its segment and has
        it, and the key is there."""

    def whole(self, table: str) -> bool:
        """Whether the node owns and has all segments of a table, and nobody may know more of it: a
        sharded one is compared with the other owners, if there are any with a link."""

    def get(self, table: str, key: str, answer: GotOne) -> None:
        """Asks the owners of a key."""

    def entries(self, table: str, values: bool, answer: GotMany) -> None:
        """Asks the owners of each segment for its entries, reserved keys not among them."""

    def count(self, table: str, answer: GotCount) -> None:
        """Asks for numbers of entries only."""


class Waiter(Protocol):
    """Something to wait for: a `trio.Event`, or what takes its place under virtual time."""

    def set(self) -> object: ...

    async def wait(self) -> None: ...


def trio_waiter() -> Waiter:
    """A `trio.Event`."""
    import trio

    return trio.Event()


async def answered(
    ask: Callable[[Callable[[T | SomaError], None]], None], waiter: Callable[[], Waiter]
) -> T:
    """Waits for the answer to a question. Raises the SomaError that came instead."""
    answers: list[T | SomaError] = []
    event = waiter()

    def answer(value: T | SomaError) -> None:
        answers.append(value)
        event.set()

    ask(answer)
    if not answers:
        await event.wait()
    found = answers[0]
    if isinstance(found, SomaError):
        raise found
    return found


# --- what a transaction sees of it ---------------------------------------------------------------

_KEY_ONLY = Entry(None)
_VIEW_SHAPE = -2
"""No table ever has this shape: numbers that a transaction kept for one do not hold for a view."""


def far_of(transaction: Transaction) -> Far:
    """Where a transaction keeps what other nodes have told it."""
    if transaction.far is None:
        transaction.far = Far()
    return transaction.far


def knows_key(transaction: Transaction, table: Table, key: Key) -> bool:
    """Whether asking would change nothing: written, or told before."""
    pending = transaction.writes.get(table)
    if pending is not None and key in pending.data:
        return True
    return transaction.far is not None and (table, key) in transaction.far.keys


def take_key(
    transaction: Transaction, table: Table, key: Key, write: Write | None, now: int
) -> None:
    """Lets the transaction see the answer about one key."""
    far = far_of(transaction)
    entry = None if write is None else _living(write, now)
    far.keys[table, key] = entry
    if write is not None:
        far.states[table, key] = state_of(from_wire(write.version), entry)


def take_entries(
    transaction: Transaction, table: Table, writes: Iterable[Write], values: bool, now: int
) -> None:
    """Lets the transaction see the answer about all keys; what it has read before stays."""
    far = far_of(transaction)
    if values:
        far.full.add(table)
    view = Table(table.name, log=table.log)
    view.textual = table.textual
    for write in writes:
        entry = _living(write, now) if values else _KEY_ONLY
        if entry is not None and write.kind is not None:
            view.put(write.key, entry)
    for (other, key), known in far.keys.items():
        if other is table and known is not None:
            view.put(key, known)
        elif other is table:
            view.drop(key)
    view.shape = _VIEW_SHAPE
    far.tables[table] = view


def _living(write: Write, now: int) -> Entry | None:
    return None if 0 < write.expires <= now else entry_of_write(write)
