"""Which state of its cluster a node is in, as it sees it itself (paper 3.2, spec §5.8).

    single → distributed → partitioned → recovering → distributed

Pure functions over what the membership knows: the runtime calls them, and so does the verifier's
model of the cluster. *Reachable* members are those heard of lately, the node itself included, be it
over another member (an indirect probe).
"""

from __future__ import annotations

SINGLE = "single"  # the only member: nothing to agree with
DISTRIBUTED = "distributed"  # it reaches enough of the others, and is up to date
PARTITIONED = "partitioned"  # it does not reach enough of them, be they cut off or down
RECOVERING = "recovering"  # it reaches enough of them again, and fetches what it missed
PHASES = (SINGLE, DISTRIBUTED, PARTITIONED, RECOVERING)


def needed(members: int, consistency: str) -> int:
    """How many members, itself included, a node must reach not to be partitioned.

    A majority under `strong`: two majorities share a member. All of them under `eventual` and
    `causal`, where whoever is out of reach may be writing something else.
    """
    return members // 2 + 1 if consistency == "strong" else members


def phase(members: int, reachable: int, behind: bool, consistency: str) -> str:
    """The state of a node that counts `members` and reaches `reachable` of them, one of PHASES.

    `behind` is what `still_behind` kept: writes on their ordinary way to the node do not count.
    """
    if members <= 1:
        return SINGLE
    if reachable < needed(members, consistency):
        return PARTITIONED
    return RECOVERING if behind else DISTRIBUTED


def still_behind(behind: bool, members: int, reachable: int, consistency: str) -> bool:
    """Whether a node must catch up before it is `distributed`, after a look at who is reachable.

    To be called whenever that changes. A node also is behind when it starts and when it counts a
    new member that it `must_meet`; it ceases to be when it has caught up while not partitioned
    (`may_cease`).
    """
    return behind or reachable < needed(members, consistency)


def must_meet(consistency: str) -> bool:
    """Whether a node that counts a new member must first catch up with it. Not under `strong`: all
    that was acknowledged is in one log, which a majority of the members before had."""
    return consistency != "strong"


def may_cease(members: int, reachable: int, consistency: str) -> bool:
    """Whether having all that the reachable members have makes a node up to date."""
    return reachable >= needed(members, consistency)


def acknowledges(state: str, consistency: str) -> bool:
    """Whether a node in that state acknowledges writes of its own.

    Under `strong` a node that is partitioned or recovering does not (CP), else it does (AP). That a
    strong write needs a majority is for consensus to keep: the node may be wrong about whom it
    reaches.
    """
    return consistency != "strong" or state in (SINGLE, DISTRIBUTED)
