"""Slots that other nodes may hold: the operations of `Slot` as coroutines.

Only a slot that is sharded over several nodes ever waits. What other nodes answer becomes part of
what the transaction sees (`Transaction.far`), and then the operation runs as on a slot of this
node: with its properties, invariants and the transaction's own writes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..transaction import CURRENT
from ..values import Value, text
from .slot import Keys, Slot, SlotDecl, Values

if TYPE_CHECKING:
    from ..cell import Cell


class SharedSlot:
    """A slot of a cell with `scale`. Operations need a running transaction."""

    def __init__(self, decl: SlotDecl[Any], cell: Cell) -> None:
        self.local = Slot(decl, cell)
        self.name = decl.name
        self.rules = self.local.rules
        self._engine = cell.app.engine
        self.sharded = self._engine.sharded(self.local.table)

    async def _find(self, key: Value) -> None:
        """Makes the transaction see a key that lies elsewhere."""
        transaction = CURRENT.get()
        if not transaction.near:
            await self._engine.fetch(transaction, self.local.table, text(key))

    async def _find_all(self, values: bool) -> None:
        """Makes the transaction see all keys, or all entries."""
        transaction = CURRENT.get()
        if not transaction.near:
            for table in (self.local.table, self.local.log):
                await self._engine.fetch_all(transaction, table, values)

    # --- reading ---------------------------------------------------------------------------------

    async def get(self, key: Value) -> Value:
        if self.sharded:
            await self._find(key)
        return self.local.get(key)

    async def has(self, key: Value) -> bool:
        if self.sharded:
            await self._find(key)
        return self.local.has(key)

    async def len(self) -> int:
        if self.sharded:
            transaction = CURRENT.get()
            if not transaction.near:
                await self._engine.fetch_count(transaction, self.local.table)
                await self._engine.fetch_count(transaction, self.local.log)
        return self.local.len()

    async def keys(self) -> Keys:
        if self.sharded:
            await self._find_all(values=False)
        return self.local.keys()

    async def values(self) -> Values:
        if self.sharded:
            await self._find_all(values=True)
        return self.local.values()

    async def list(self) -> Values:
        if self.sharded:
            await self._find_all(values=True)
        return self.local.list()

    async def as_map(self) -> dict[str, Any]:
        if self.sharded:
            await self._find_all(values=True)
        return self.local.as_map()

    async def backend(self) -> str:
        return self.local.backend()

    # --- writing ---------------------------------------------------------------------------------

    async def set(self, key: Value, value: Value) -> Value:
        if self.sharded and self.local.looks_before_set:
            await self._find(key)
        return self.local.set(key, value)

    async def add(self, key: Value, amount: Value, default: Value = None) -> Value:
        if self.sharded:
            await self._find(key)
        return self.local.add(key, amount, default)

    async def subtract(self, key: Value, amount: Value, default: Value = None) -> Value:
        if self.sharded:
            await self._find(key)
        return self.local.subtract(key, amount, default)

    async def delete(self, key: Value) -> bool:
        if self.sharded:
            await self._find(key)
        return self.local.delete(key)

    async def append(self, value: Value) -> Value:
        return self.local.append(value)
