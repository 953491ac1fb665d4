"""What counts as seen once others have given what they have (causal; decision 012, 26).

A peer's vector speaks of the segments that this peer holds: of batches that wrote elsewhere it may
have dropped the keys. So a batch counts as seen here only if for *each* segment of this node's own
someone has vouched for it: a member that holds the segment and has seen the batch, or one that has
dropped nothing of it yet. That is the meet, over the segments, of the joins of the vectors of those
who vouch. What nobody will ever send again counts as seen when everybody has
been asked: what is nowhere has no effects that are to wait for it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from ..merge import Vector, covers, joined

Segments = Mapping[str, frozenset[int]]
"""Segments by sharded table."""


@dataclass(frozen=True, slots=True)
class Account:
    """What a peer had seen when it was first asked. Of batches after `released` it has all that
    they wrote, be it its own or not. `through`: all has come."""

    seen: Vector
    released: Vector
    through: bool = True


class Evidence:
    """The accounts of one round of fetching, this node's own to begin with: of what it holds."""

    def __init__(self, own: Account, held: Segments) -> None:
        self._accounts = [own]
        self._held = held
        self._given: dict[str, dict[int, set[int]]] = {}
        """By table and segment the accounts that speak of it."""
        self._nowhere: dict[str, set[int]] = {}

    def account(self, account: Account, holds: Mapping[str, Iterable[int]]) -> None:
        """All that a peer had of the segments that it holds is here."""
        number = len(self._accounts)
        self._accounts.append(account)
        for table, segments in holds.items():
            given = self._given.setdefault(table, {})
            for segment in segments:
                given.setdefault(segment, set()).add(number)

    def nowhere(self, table: str, segment: int) -> None:
        """None of those who could hold a segment has it: nothing was there, or nothing is left, or
        somebody else keeps it."""
        self._nowhere.setdefault(table, set()).add(segment)

    def seen(
        self, owned: Segments, shown: Vector, everybody: bool, gone: Callable[[str], bool]
    ) -> dict[str, int] | None:
        """What counts as seen, of all that is `shown`; None while less is known of a segment that
        has come than this node has seen already. `everybody`: all members have given their
        account."""
        groups = {frozenset(n for n, a in enumerate(self._accounts) if a.through): True}
        for table, segments in owned.items():
            given, held = self._given.get(table, {}), self._held.get(table, frozenset())
            nowhere = self._nowhere.get(table, ())
            for segment in segments:
                accounts = frozenset(given.get(segment, ()))
                if segment in held:
                    groups[accounts | {0}] = True
                elif not everybody or segment not in nowhere:
                    groups.setdefault(accounts, False)
        everything = self._everything(shown)
        lost = {o: n for o, n in everything.items() if gone(o)} if everybody else {}
        vectors = []
        for accounts, held_here in groups.items():
            vector = self._vouched(accounts, lost)
            if not held_here and not covers(vector, self._accounts[0].seen):
                return None
            vectors.append(vector)
        return {o: min(vector.get(o, 0) for vector in vectors) for o in everything}

    def loses(self, seen: Vector, shown: Vector, gone: Callable[[str], bool]) -> bool:
        """Whether there is something that nobody seems to have: a segment, or batches of origins
        that are gone, of which no more than `seen` has been found."""
        everything = self._everything(shown)
        return bool(self._nowhere) or any(
            gone(origin) and number > seen.get(origin, 0) for origin, number in everything.items()
        )

    def _everything(self, shown: Vector) -> Vector:
        for account in self._accounts:
            shown = joined(shown, account.seen)
        return shown

    def _vouched(self, accounts: frozenset[int], lost: Vector) -> dict[str, int]:
        """What these accounts say together, what others go on with from there, and what is lost."""
        vector = dict(lost)
        for number in accounts:
            vector = joined(vector, self._accounts[number].seen)
        through = [account for account in self._accounts if account.through]
        more = True
        while more:
            more = False
            for account in through:
                for origin, number in account.seen.items():
                    if account.released.get(origin, 0) <= vector.get(origin, 0) < number:
                        vector[origin] = number
                        more = True
        return vector
