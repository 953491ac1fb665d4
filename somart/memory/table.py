"""A table: the committed entries of one slot part, machine or counter, resident in memory.

Durable tables are loaded from the database when they are first touched and written behind by the
engine. Entries are never changed once they are in a table, only replaced. Keys are Strings, or
Ints for the records of a log. All methods expect to be called from one thread at a time.
"""

from __future__ import annotations

import random
from bisect import bisect_left, insort
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator
from heapq import heapify, heappop, heappush
from typing import Any

from .properties import PLAIN, SlotRules

Key = Any  # str, or int for logs
Loader = Callable[[], Iterable[tuple[Key, "Entry"]]]

_RNG = random.Random()


class Entry:
    """A stored value. `expires` and `written` are milliseconds, 0 when the slot has no times.

    `revision` is the commit that wrote it, 1 for what was loaded; 0 stands for an absent key.
    """

    __slots__ = ("expires", "revision", "value", "written")

    def __init__(self, value: Any, written: int = 0, expires: int = 0, revision: int = 1) -> None:
        self.value = value
        self.written = written
        self.expires = expires
        self.revision = revision


class Added(Entry):
    """An Int after an addition that other nodes may make, too: they are summed, not overwritten.

    `amount` is what the transaction has added, `default` what an absent key counts from, `base`
    the state of the key that other nodes gave (`cluster.versions.State`), None if it was not asked.
    """

    __slots__ = ("amount", "base", "default")

    def __init__(self, value: int, amount: int, default: int, base: Any = None) -> None:
        super().__init__(value)
        self.amount = amount
        self.default = default
        self.base = base


def hidden(key: Key) -> bool:
    """Whether a key is reserved: not part of keys, values and len (§1.5)."""
    return key.__class__ is str and key[:2] == "__"


class Table:
    """Committed entries with the versions that optimistic validation compares.

    `version` counts every change, `shape` those of the set of keys; `ticket` is the last commit
    that wrote here and may not be durable yet.
    """

    def __init__(self, name: str, rules: SlotRules = PLAIN, log: bool = False) -> None:
        self.name = name
        self.rules = rules
        self.log = log
        self.textual = False  # a log whose records have stamps as keys (of a cluster)
        self.entries: dict[Key, Entry] = {}
        self.version = 0
        self.shape = 0
        self.ticket = 0
        self.next_key: Key = 1  # of a log; when it is textual, the last key
        self.rng = _RNG
        self.dead: list[Key] = []  # expired in memory, not yet deleted from the database
        self._loader: Loader | None = None
        self._hidden = 0
        self._sorted: list[Key] | None = None
        self._expiry: list[tuple[int, Key]] = []
        self._overdue: dict[Key, bool] = {}
        self.agreed = False
        """Whether all replicas have to change it alike: what is over goes by transactions."""
        self._order: OrderedDict[Key, int] | None = None
        if rules.evict is not None:
            self._order = OrderedDict()

    @property
    def durable(self) -> bool:
        return self.rules.persistent

    # --- loading ---------------------------------------------------------------------------------

    def load_later(self, loader: Loader) -> None:
        """Forgets everything in memory; the next `ready` reads it again."""
        self._loader = loader
        self.entries = {}
        self._sorted = None
        self._hidden = 0
        self._expiry = []
        self._overdue = {}
        self.dead = []
        if self._order is not None:
            self._order = OrderedDict()
        self.version += 1
        self.shape += 1

    def ready(self) -> None:
        """Loads the entries if that has not happened yet. Every use of a table begins with it."""
        if self._loader is not None:
            stored = list(self._loader())  # may fail, and then is tried again
            self._loader = None
            for key, entry in stored:
                self.put(key, entry)
            if self.log and self.entries:
                self._continue_log(max(self.entries))

    def _continue_log(self, last: Key) -> None:
        if last.__class__ is int:
            self.next_key = max(self.next_key, last + 1)
        else:
            self.textual, self.next_key = True, last

    # --- reading ---------------------------------------------------------------------------------

    def visible(self) -> int:
        """The number of entries without reserved ones."""
        return len(self.entries) - self._hidden

    def revision(self, key: Key) -> int:
        """The commit that wrote a key, 0 when it is absent."""
        entry = self.entries.get(key)
        return 0 if entry is None else entry.revision

    def keys(self) -> list[Key]:
        """All keys without reserved ones, ascending. The list belongs to the table."""
        if self._sorted is None:
            self._sorted = sorted(key for key in self.entries if not hidden(key))
        return self._sorted

    # --- writing (by the engine, with a transaction's writes) ------------------------------------

    def put(self, key: Key, entry: Entry) -> Entry | None:
        """Inserts or replaces; gives the entry that was there."""
        old = self.entries.get(key)
        self.entries[key] = entry
        self.version += 1
        if entry.expires:
            self._note_expiry(entry.expires, key)
        if old is None:
            self._added(key)
        elif self._order is not None and self.rules.evict == "lru":
            self._order.move_to_end(key)
        return old

    def drop(self, key: Key) -> Entry | None:
        """Removes; gives the entry that was there."""
        old = self.entries.pop(key, None)
        if old is None:
            return None
        self.version += 1
        self.shape += 1
        if self._order is not None:
            self._order.pop(key, None)
        if hidden(key):
            self._hidden -= 1
        elif self._sorted is not None:
            del self._sorted[bisect_left(self._sorted, key)]
        return old

    def _added(self, key: Key) -> None:
        self.shape += 1
        if self._order is not None:
            self._order[key] = 0
        if hidden(key):
            self._hidden += 1
        elif self._sorted is not None:
            insort(self._sorted, key)

    # --- time ------------------------------------------------------------------------------------

    def _note_expiry(self, time: int, key: Key) -> None:
        """Replaced entries leave old times behind; when these prevail, the heap is rebuilt."""
        heappush(self._expiry, (time, key))
        if len(self._expiry) > 2 * len(self.entries) + 64:
            self._expiry = [(e.expires, k) for k, e in self.entries.items() if e.expires]
            heapify(self._expiry)

    def overdue(self, now: int) -> list[Key]:
        """In an `agreed` table: keys of entries whose time is over, which a transaction has yet to
        delete, so that all replicas do."""
        expiry = self._expiry
        while expiry and expiry[0][0] <= now:
            self._overdue[heappop(expiry)[1]] = True
        late = []
        for key in list(self._overdue):
            entry = self.entries.get(key)
            if entry is not None and entry.expires and entry.expires <= now:
                late.append(key)
            else:  # written anew, or gone
                del self._overdue[key]
        return late

    def expire(self, now: int) -> None:
        """Removes entries whose time is over; their rows are deleted with the next commit here. In
        an `agreed` table nothing: clocks differ."""
        if self.agreed:
            return
        expiry = self._expiry
        while expiry and expiry[0][0] <= now:
            _, key = heappop(expiry)
            entry = self.entries.get(key)
            if entry is not None and entry.expires and entry.expires <= now:
                self.drop(key)
                if self.durable:
                    self.dead.append(key)

    # --- eviction --------------------------------------------------------------------------------

    def touch(self, key: Key) -> None:
        """Notes a use of a key for lru and lfu."""
        order = self._order
        if order is None or key not in order:
            return
        if self.rules.evict == "lru":
            order.move_to_end(key)
        elif self.rules.evict == "lfu":
            order[key] += 1

    def victims(self) -> Iterator[Key]:
        """Keys in the order in which the slot's policy gives them up."""
        order = self._order if self._order is not None else self.entries
        keys = (key for key in order if not hidden(key))
        if self.rules.evict == "random":
            return iter(self.rng.sample(shuffled := list(keys), len(shuffled)))
        if self.rules.evict == "lfu" and self._order is not None:
            return iter(sorted(keys, key=self._order.__getitem__))
        return keys
