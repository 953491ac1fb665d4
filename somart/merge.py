"""How replicas settle on one value: the decisions alone, without clocks, sockets or storage.

Eventual: each write carries a stamp of a hybrid logical clock (Kulkarni and others, 2014), and the
latest write wins. Causal: a message waits until all that its sender had seen has been delivered.
Strong: a commit names the revisions that it has read, and is refused when one of them has moved.
The verifier explores lifecycles with these very functions.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping
from typing import Generic, NamedTuple, Protocol, TypeVar

T = TypeVar("T")
K = TypeVar("K", bound=Hashable)

Vector = Mapping[str, int]  # per node, how many of its writes; a node that is not there has none


class Counts(Protocol):
    """What is looked at of a vector."""

    def get(self, node: str, none: int, /) -> int: ...


class Stamp(NamedTuple):
    """When a write happened: milliseconds, a counter within them, and the node that breaks ties.

    Stamps order as tuples; no two writes have the same.
    """

    physical: int
    logical: int
    node: str


BEGINNING = Stamp(0, 0, "")


def tick(last: Stamp, now: int, node: str) -> Stamp:
    """The stamp of a write on `node`: later than `last`, the latest stamp that the node has seen,
    even if its clock (`now`, in milliseconds) is behind."""
    if now > last.physical:
        return Stamp(now, 0, node)
    return Stamp(last.physical, last.logical + 1, node)


class Stamped(Protocol):
    """What a write has put somewhere."""

    @property
    def stamp(self) -> Stamp: ...


S = TypeVar("S", bound=Stamped)


class Register(NamedTuple, Generic[T]):
    """A value and the stamp of the write that put it there."""

    value: T
    stamp: Stamp


def latest(mine: S, other: S) -> S:
    """The later of two writes: the order of arrival and repetition make no difference."""
    return other if other.stamp > mine.stamp else mine


def deliverable(delivered: Vector, sender: str, message: Vector) -> bool:
    """Whether a message may be delivered: it is its sender's next one, and all that the sender had
    seen (`message`, its own write counted) is here. False for one that was delivered before."""
    return message.get(sender, 0) == delivered.get(sender, 0) + 1 and all(
        delivered.get(node, 0) >= count for node, count in message.items() if node != sender
    )


def covers(known: Counts, token: Vector) -> bool:
    """Whether a replica that knows so much may answer a reader who has seen `token`: its reads and
    writes never go back in time, whichever replica it asks (session guarantees, Terry and others,
    1994)."""
    return all(known.get(node, 0) >= count for node, count in token.items())


def joined(one: Vector, other: Vector) -> dict[str, int]:
    """What is known when both are: the larger count of each node."""
    nodes = dict.fromkeys((*one, *other))  # in an order that does not depend on hashes
    return {node: max(one.get(node, 0), other.get(node, 0)) for node in nodes}


def moved(read: Iterable[K], changed: Mapping[K, int], at: int) -> K | None:
    """One of the keys that were read as they were at a revision and that have changed after it, by
    the revisions of their last changes. A commit takes effect only when there is none:
    compare-and-set."""
    for key in read:
        if changed.get(key, 0) > at:
            return key
    return None
