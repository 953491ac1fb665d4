"""The versions of one table's keys in memory, with a digest per segment that is kept up to date.

A digest is the XOR of hashes of key and version, so each write changes it in constant time, and two
replicas of a segment are equal when their digests are.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from hashlib import blake2b
from heapq import heappop, heappush

from ..merge import Stamp
from .hashing import segment_of
from .versions import Version, packed, unpacked

Loader = Callable[[], Iterable[tuple[str, str, int, bool]]]
"""Key, version as text, when its entry expires (0: never), whether it has an entry."""


def fingerprint(table: str, key: str, version: Version) -> int:
    """64 bits of a key and its version."""
    return _fingerprint(table, key, packed(version))


def _fingerprint(table: str, key: str, version: str) -> int:
    text = f"{table}\0{key}\0{version}"
    return int.from_bytes(blake2b(text.encode(), digest_size=8).digest())


class VersionTable:
    """All versions of a table, by segment and key. Loaded when first used."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.digests: dict[int, int] = {}
        """By segment; one that is not there has digest 0."""
        self.present: dict[int, int] = {}
        """The same over the keys that are not deleted: nodes forget deletions at other times."""
        self._gone: set[str] = set()
        self._segments: dict[int, dict[str, Version]] = {}
        self._expires: dict[str, int] = {}
        self._expiring: list[tuple[int, str]] = []
        self._deleted: list[tuple[Stamp, str]] = []
        self._loader: Loader | None = None

    def load_later(self, loader: Loader) -> None:
        """Forgets everything; the next `ready` reads it again."""
        self._loader = loader
        self.digests = {}
        self.present = {}
        self._gone = set()
        self._segments = {}
        self._expires = {}
        self._expiring = []
        self._deleted = []

    def ready(self) -> None:
        """Loads the versions if that has not happened yet; every use begins with it."""
        if self._loader is not None:
            stored = list(self._loader())  # may fail, and then is tried again
            self._loader = None
            for key, text, expires, present in stored:
                self._load(key, text, expires, present)

    def __len__(self) -> int:
        return sum(map(len, self._segments.values()))

    def get(self, key: str) -> Version | None:
        """The version of a key; None if nothing is known of it."""
        keys = self._segments.get(segment_of(key))
        return None if keys is None else keys.get(key)

    def items(self) -> Iterator[tuple[str, Version]]:
        """All keys with their versions, by segment."""
        for keys in self._segments.values():
            yield from keys.items()

    def expires(self, key: str) -> int:
        """When the entry of this version expires or expired, 0 if never."""
        return self._expires.get(key, 0)

    def segments(self) -> list[int]:
        """The segments with any keys, ascending."""
        return sorted(segment for segment, keys in self._segments.items() if keys)

    def keys_of(self, segment: int) -> list[str]:
        """The keys of a segment, deleted ones too, ascending."""
        return sorted(self._segments.get(segment, ()))

    def items_of(self, segment: int) -> list[tuple[str, Version]]:
        """The same with their versions."""
        return sorted(self._segments.get(segment, {}).items())

    def put(self, key: str, version: Version, expires: int = 0, present: bool = True) -> None:
        """Sets the version of a key."""
        segment = segment_of(key)
        keys = self._segments.get(segment)
        if keys is None:
            keys = self._segments[segment] = {}
        mark = fingerprint(self.name, key, version)
        old = keys.get(key)
        former = 0 if old is None else fingerprint(self.name, key, old)
        keys[key] = version
        self.digests[segment] = self.digests.get(segment, 0) ^ mark ^ former
        shown = self.present.get(segment, 0) ^ (0 if key in self._gone else former)
        self.present[segment] = shown ^ (mark if present else 0)
        (self._gone.discard if present else self._gone.add)(key)
        self._note_end(key, version, expires, present)

    def _load(self, key: str, text: str, expires: int, present: bool) -> None:
        """`put` of a key that is new, quicker."""
        segment, version = segment_of(key), unpacked(text)
        self._segments.setdefault(segment, {})[key] = version
        digest = _fingerprint(self.name, key, text)
        self.digests[segment] = self.digests.get(segment, 0) ^ digest
        if present:
            self.present[segment] = self.present.get(segment, 0) ^ digest
        else:
            self._gone.add(key)
        self._note_end(key, version, expires, present)

    def _note_end(self, key: str, version: Version, expires: int, present: bool) -> None:
        if expires:
            self._expires[key] = expires
            heappush(self._expiring, (expires, key))
        elif self._expires:
            self._expires.pop(key, None)
        if not present and not expires:
            heappush(self._deleted, (version.stamp, key))

    def drop(self, key: str) -> Version | None:
        """Forgets a key altogether; gives its version."""
        segment = segment_of(key)
        old = self._segments.get(segment, {}).pop(key, None)
        if old is not None:
            former = fingerprint(self.name, key, old)
            if self._segments[segment]:
                self.digests[segment] ^= former
                if key not in self._gone:
                    self.present[segment] ^= former
            else:
                del self._segments[segment], self.digests[segment]
                self.present.pop(segment, None)
            self._gone.discard(key)
            self._expires.pop(key, None)
        return old

    def take_expired(self, before: int) -> Iterator[str]:
        """Keys whose entries expired before that time, each once; the caller drops them."""
        while self._expiring and self._expiring[0][0] < before:
            expires, key = heappop(self._expiring)
            if self._expires.get(key) == expires:
                yield key

    def take_deleted(self, before: Stamp, most: int) -> Iterator[str]:
        """Up to `most` keys that were deleted before that stamp and not written since, each once;
        the caller drops them."""
        while most and self._deleted and self._deleted[0][0] < before:
            stamp, key = heappop(self._deleted)
            if self.get(key) == (stamp, None):
                most -= 1
                yield key
