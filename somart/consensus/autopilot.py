"""Who ought to vote: the decisions of a leader about its group, one change at a time.

Members beyond the declared number of replicas stay learners: they have the data and forward.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Set
from typing import NamedTuple

from .messages import Configuration


class Wanted(NamedTuple):
    """The configuration to go for."""

    voters: tuple[str, ...]
    learners: tuple[str, ...]


def next_change(
    configuration: Configuration,
    present: Mapping[str, str],
    gone: Set[str],
    member_of: Callable[[str], str],
    caught_up: Callable[[str], bool],
    replicas: int,
) -> Wanted | None:
    """The next change, None when all is as it should be.

    `present` maps members that are here to the identity of their data; `gone` are members that
    were removed for good. An identity of which the member has come back with another one was wiped
    and will not return: it must not count in any quorum. One that is only silent stays.
    """
    voters, learners = list(configuration.voters), list(configuration.learners)
    for identity in configuration.members():
        member = member_of(identity)
        wiped = present.get(member, identity) != identity
        if wiped or member in gone:
            left = tuple(v for v in voters if v != identity)
            if left:
                return Wanted(left, tuple(one for one in learners if one != identity))
    if len(voters) < replicas:
        for identity in learners:
            if present.get(member_of(identity)) == identity and caught_up(identity):
                rest = tuple(one for one in learners if one != identity)
                return Wanted((*voters, identity), rest)
    known = configuration.members()
    fresh = tuple(one for _, one in sorted(present.items()) if one not in known)
    return Wanted(tuple(voters), (*learners, *fresh)) if fresh else None
