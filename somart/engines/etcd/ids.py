"""Ids for `next_id` in blocks that etcd gives to one node each. Pure.

A node takes blocks before it needs them, so that no handler waits; what it has not used when it
stops is skipped, as in a cluster without etcd (decision 012, point 9).
"""

from __future__ import annotations

from ...errors import NO_QUORUM, SomaError

BLOCK = 1_000
MOST = 64_000
"""A block for a counter that is used quickly is twice as large as the last one, up to this."""


class IdBlocks:
    """The blocks of all counters of one node."""

    def __init__(self) -> None:
        self._blocks: dict[str, list[tuple[int, int]]] = {}
        self._used: dict[str, int] = {}
        self._size: dict[str, int] = {}
        self._given: set[str] = set()

    def watch(self, counter: str, used: int) -> None:
        """From now on the counter needs ids, greater than those used."""
        self._used[counter] = used
        self._blocks.setdefault(counter, [])
        self._size.setdefault(counter, BLOCK)

    def after(self, counter: str, last: int) -> int:
        """The id after `last`, which a transaction has seen. Raises SomaError without a block."""
        for first, end in self._blocks[counter]:
            if last < end:
                return max(first, last + 1)
        raise SomaError(f"no ids at hand for {counter}: etcd has not answered yet", NO_QUORUM)

    def used(self, counter: str, value: int) -> bool:
        """A commit has used an id; gives whether the counter is in want of a block now."""
        self._used[counter] = max(self._used[counter], value)
        blocks = self._blocks[counter]
        while blocks and blocks[0][1] <= self._used[counter]:
            del blocks[0]
        return self.wants(counter) > 0

    @property
    def ready(self) -> bool:
        """Whether every counter has had its first block."""
        return all(self._blocks.values())

    def wanting(self) -> list[str]:
        """The counters that are to get a block."""
        return [counter for counter in self._blocks if self.wants(counter)]

    def wants(self, counter: str) -> int:
        """How many ids to ask for, 0 if there are enough."""
        size = self._size[counter]
        return 0 if self._left(counter) > size // 2 else size

    def _left(self, counter: str) -> int:
        used = self._used[counter]
        return sum(end - max(first - 1, used) for first, end in self._blocks[counter])

    def floor(self, counter: str) -> int:
        """The greatest id that this node has seen in use."""
        return self._used[counter]

    def took(self, counter: str, first: int, last: int) -> None:
        """The node has got a block. If little was left by then, the next one is larger."""
        if counter in self._given and self._left(counter) < self._size[counter] // 4:
            self._size[counter] = min(MOST, 2 * self._size[counter])
        self._given.add(counter)
        self._blocks[counter].append((first, last))
