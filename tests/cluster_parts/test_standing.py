"""When a node has to catch up before it counts as distributed again."""

from __future__ import annotations

from somart.cluster.status import Standing


def caught_up(*others: str) -> Standing:
    """A node that has compared all with its members."""
    members = len(others) + 1
    standing = Standing(members)
    standing.look(members, members, list(others), "eventual")
    for other in others:
        standing.met(other, members, members, "eventual")
    return standing


def test_a_node_that_has_met_all_is_not_behind() -> None:
    assert not caught_up("b", "c").behind
    assert not Standing(1).behind


def test_one_member_goes_and_another_comes_in_one_look() -> None:
    standing = caught_up("b", "c")
    standing.look(3, 3, ["b", "d"], "eventual")
    assert standing.behind
    standing.met("d", 3, 3, "eventual")
    assert standing.behind
    standing.met("b", 3, 3, "eventual")
    assert not standing.behind


def test_a_member_that_goes_leaves_nobody_behind() -> None:
    standing = caught_up("b", "c")
    standing.look(2, 2, ["b"], "eventual")
    assert not standing.behind
