"""The log as the core sees it: entries after the last snapshot, in memory."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from .entries import configuration_of
from .messages import Configuration, Entry


class Log:
    """Entries `first` … `last`; everything before is in a snapshot, whose last term is kept."""

    __slots__ = (
        "_configurations",
        "entries",
        "size",
        "snapshot_configuration",
        "snapshot_index",
        "snapshot_term",
    )

    def __init__(
        self,
        snapshot_index: int = 0,
        snapshot_term: int = 0,
        snapshot_configuration: Configuration = Configuration(),  # noqa: B008 (frozen)
        entries: Iterable[Entry] = (),
    ) -> None:
        self.snapshot_index = snapshot_index
        self.snapshot_term = snapshot_term
        self.snapshot_configuration = snapshot_configuration
        self.entries: list[Entry] = []
        self.size = 0
        """Bytes of data in the entries."""
        self._configurations: list[tuple[int, Configuration]] = []
        self.append(tuple(entries))

    @property
    def first(self) -> int:
        """The first index that is still here."""
        return self.snapshot_index + 1

    @property
    def last(self) -> int:
        return self.snapshot_index + len(self.entries)

    @property
    def last_term(self) -> int:
        return self.entries[-1].term if self.entries else self.snapshot_term

    def term(self, index: int) -> int | None:
        """The term of an entry; None when it is not known (compacted, or not there yet)."""
        position = index - self.snapshot_index
        if position == 0:
            return self.snapshot_term
        if 0 < position <= len(self.entries):
            return self.entries[position - 1].term
        return None

    def slice(self, low: int, high: int, most_bytes: int) -> tuple[Entry, ...]:
        """Entries `low` … `high`, at least one if there is one, else at most so many bytes."""
        found: list[Entry] = []
        size = 0
        base = self.snapshot_index + 1
        for position in range(low - base, min(high - base + 1, len(self.entries))):
            entry = self.entries[position]
            size += len(entry.data) + 16
            if found and size > most_bytes:
                break
            found.append(entry)
        return tuple(found)

    def append(self, entries: Sequence[Entry]) -> None:
        """Adds entries that follow the last one."""
        self.entries.extend(entries)
        for entry in entries:
            self.size += len(entry.data)
            if entry.kind == "configuration":
                self._configurations.append((entry.index, configuration_of(entry)))

    def truncate(self, index: int) -> None:
        """Forgets the entry at `index` and all after it."""
        position = index - self.snapshot_index - 1
        self.size -= sum(len(entry.data) for entry in self.entries[position:])
        del self.entries[position:]
        while self._configurations and self._configurations[-1][0] >= index:
            self._configurations.pop()

    def compact(self, index: int) -> None:
        """Forgets the entries up to `index`, which a snapshot holds."""
        term = self.term(index)
        assert term is not None
        self.snapshot_configuration = self.configuration(index)
        position = index - self.snapshot_index
        self.size -= sum(len(entry.data) for entry in self.entries[:position])
        del self.entries[:position]
        self._configurations = [item for item in self._configurations if item[0] > index]
        self.snapshot_index, self.snapshot_term = index, term

    def reset(self, index: int, term: int, configuration: Configuration) -> None:
        """The log after a snapshot from the leader has replaced everything."""
        self.entries, self._configurations, self.size = [], [], 0
        self.snapshot_index, self.snapshot_term = index, term
        self.snapshot_configuration = configuration

    def configuration(self, upto: int) -> Configuration:
        """The latest configuration at or before an index (§4.1: in force once it is in the log)."""
        for index, configuration in reversed(self._configurations):
            if index <= upto:
                return configuration
        return self.snapshot_configuration

    @property
    def configured_at(self) -> int:
        """The index of the latest configuration in the log; 0: it is in the snapshot."""
        return self._configurations[-1][0] if self._configurations else 0

    def conflict_before(self, index: int, term: int) -> tuple[int, int]:
        """The largest index up to `index` whose term is at most `term`, with its term: where two
        logs may agree (§5.3, quick back-up)."""
        index = min(index, self.last)
        while index > self.snapshot_index:
            found = self.term(index)
            if found is None or found <= term:
                return index, found or 0
            index -= 1
        return self.snapshot_index, self.snapshot_term
