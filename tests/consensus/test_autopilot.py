"""Who shall vote next: the decisions of a leader, case by case."""

from __future__ import annotations

import pytest

from somart.cluster.origins import member_of
from somart.consensus.autopilot import next_change
from somart.consensus.messages import Configuration

Pair = tuple[str, str]  # voters and learners, with blanks between them; "a" is short for "a~1"


def names(text: str) -> tuple[str, ...]:
    return tuple(one if "~" in one else f"{one}~1" for one in text.split())


def decide(
    now: Pair, present: str, *, gone: str = "", behind: str = "", replicas: int = 5
) -> Pair | None:
    here = {member_of(one): one for one in names(present)}
    late = names(behind)
    wanted = next_change(
        Configuration(names(now[0]), (), names(now[1])),
        here,
        set(gone.split()),
        member_of,
        lambda identity: identity not in late,
        replicas,
    )
    if wanted is None:
        return None
    shown = [" ".join(one.removesuffix("~1") for one in group) for group in wanted]
    return shown[0], shown[1]


@pytest.mark.parametrize(
    ("now", "present", "options", "wanted"),
    [
        # nothing to do
        (("a b c", ""), "a b c", {}, None),
        (("a b c", ""), "a b", {}, None),  # silent, but not removed: it counts
        (("a", ""), "a", {}, None),
        # growth: a learner first, a voter when it has caught up, as many as are declared
        (("a", ""), "a b", {}, ("a", "b")),
        (("a", ""), "a c b", {}, ("a", "b c")),
        (("a", "b"), "a b", {"behind": "b"}, None),
        (("a", "b"), "a b", {}, ("a b", "")),
        (("a", "b c"), "a b c", {}, ("a b", "c")),
        (("a", "b c"), "a b c", {"behind": "b"}, ("a c", "b")),
        (("a", "b"), "a", {}, None),  # away: what it has is not known to be current
        (("a b c", "d"), "a b c d", {"replicas": 3}, None),
        (("a b c", "d"), "a b c d e", {"replicas": 3}, ("a b c", "d e")),
        # removed for good: one at a time, voters and learners, and then a learner takes its place
        (("a b c", ""), "a b", {"gone": "c"}, ("a b", "")),
        (("a b c d e", ""), "a b c", {"gone": "d e"}, ("a b c e", "")),
        (("a b c", "d"), "a b c", {"gone": "d"}, ("a b c", "")),
        (("a b c", "d"), "a b d", {"gone": "c", "replicas": 3}, ("a b", "d")),
        (("a b", "d"), "a b d", {"gone": "c", "replicas": 3}, ("a b d", "")),
        # wiped: the old identity goes before the new one comes, as a learner
        (("a b c", ""), "a b c~2", {}, ("a b", "")),
        (("a b", ""), "a b c~2", {}, ("a b", "c~2")),
        (("a b", "c~2"), "a b c~2", {"behind": "c~2"}, None),
        (("a b", "c~2"), "a b c~2", {}, ("a b c~2", "")),
        (("a b", "c"), "a b c~2", {}, ("a b", "")),
        (("a b", "c"), "a b", {"behind": "c"}, None),
        # the last voter stays, whatever is said of it
        (("a", ""), "a", {"gone": "a"}, None),
        (("a", "b"), "b", {"gone": "a", "behind": "b"}, None),
    ],
)
def test_the_next_change(
    now: Pair, present: str, options: dict[str, str], wanted: Pair | None
) -> None:
    assert decide(now, present, **options) == wanted  # type: ignore[arg-type]


def test_changes_come_to_an_end() -> None:
    """Step by step to the group that is wanted, with never fewer than one voter."""
    now, steps = ("a b c", "d"), 0
    while (wanted := decide(now, "a b~2 d e f", gone="c", replicas=4)) is not None:
        now, steps = wanted, steps + 1
        assert now[0]
        assert steps < 12
    assert (sorted(now[0].split()), now[1]) == (["a", "b~2", "d", "e"], "f")
