"""Which phase a node with strong cells is in, and when it takes writes."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

from somart.cluster.agreement import LOOK_MS, Agreement
from somart.consensus.messages import Configuration
from somart.consensus.service import Failure


class Group:
    """One node of a group, and whom it hears; reads are answered by hand."""

    def __init__(self, *voters: str) -> None:
        self.now = 0
        self.heard = set(voters)
        self.reads: list[Callable[[Failure | None], None]] = []
        self.raft = SimpleNamespace(configuration=Configuration(voters), leader=voters[-1:])
        service: Any = SimpleNamespace(raft=self.raft, read=lambda done, _: self.reads.append(done))
        self.agreement = Agreement(service, lambda voter: voter in self.heard, lambda: (4, 3))

    def look(self) -> str:
        self.now += LOOK_MS
        self.agreement.look(self.now)
        return self.agreement.phase

    def answer(self, failure: Failure | None = None) -> None:
        self.reads.pop(0)(failure)


def test_a_node_takes_writes_once_it_knows_what_was_acknowledged_without_it() -> None:
    group = Group("a", "b", "c")
    assert group.look() == "recovering"
    assert "yet to learn" in group.agreement.refusal()
    group.look()
    assert len(group.reads) == 1, "it asks once at a time"
    group.answer(Failure("no quorum", definite=True))
    assert group.look() == "recovering"
    group.answer()
    assert group.look() == "distributed"
    assert group.agreement.refusal() == ""


def test_a_minority_is_no_reason_to_stop_and_a_majority_is() -> None:
    group = Group("a", "b", "c")
    group.look()
    group.answer()
    group.heard.discard("b")
    assert group.look() == "distributed"
    group.heard.discard("c")
    assert group.look() == "partitioned"
    assert group.agreement.refusal() == "1 of 3 that vote can be reached"
    group.heard |= {"b"}
    assert group.look() == "recovering"


def test_what_was_asked_before_a_partition_proves_nothing_after_it() -> None:
    group = Group("a", "b", "c")
    group.look()
    group.heard = {"a"}
    group.look()
    group.heard = {"a", "b", "c"}
    group.answer()
    assert group.look() == "recovering"
    group.answer()
    assert group.look() == "distributed"


def test_a_new_voter_puts_nobody_behind_and_the_only_one_is_never_behind() -> None:
    group = Group("a")
    assert group.look() == "single"
    group.raft.configuration = Configuration(("a", "b"), ("a",))
    group.heard.add("b")
    assert group.look() == "distributed"


def test_who_knows_no_configuration_yet_counts_members_and_is_behind() -> None:
    group = Group()
    assert group.look() == "recovering"
    assert (group.agreement.members, group.agreement.reachable) == (4, 3)
    assert not group.reads, "there is no leader to ask"
