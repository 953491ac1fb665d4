"""The cluster itself: what its model shows, and that it would show a broken rule."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import pytest
from verify_programs import PARCEL, PARCEL_TOML, report_on

from somac.verify import distribution, membership
from somac.verify.explorer import unfold
from somac.verify.membership import (
    AVAILABLE,
    HEALS,
    IN_ORDER,
    ONE_SIDE,
    UP_TO_DATE,
    Cluster,
    MembershipSystem,
    claims,
    described,
)
from somac.verify.output import replica_lines
from somart.cluster import phase as rules

LEVELS = ("strong", "causal", "eventual")


def refuted(level: str, *sizes: int) -> dict[str, tuple[str, ...]]:
    """The claims that do not hold, by the rules as they are now, each with its diagram."""
    _, findings = membership.examined.__wrapped__(level, sizes or (2, 3))
    return {finding.claim: finding.diagram for finding in findings if finding.diagram}


def test_the_model_decides_by_the_code_of_the_runtime() -> None:
    for name in ("phase", "needed", "still_behind", "may_cease", "acknowledges"):
        assert getattr(membership, name) is getattr(rules, name)
    assert distribution.STATES == rules.PHASES


@pytest.mark.slow
@pytest.mark.parametrize("level", LEVELS)
def test_every_claim_holds_of_the_runtimes_rules(level: str) -> None:
    assert refuted(level) == {}
    states, findings = membership.examined(level)
    assert [finding.claim for finding in findings] == [claim for claim, _, _ in claims(level)]
    assert states > 300


def test_a_cluster_of_two_lives_through_all_of_its_states() -> None:
    system = MembershipSystem(2, "strong")
    unfolded = unfold(system.initial(), system.steps)
    shown = {system.phase(now, 1) for now in unfolded.states}
    assert shown == {"(outside)", "(down)", "distributed", "partitioned", "recovering"}
    actions = {action for leaving in unfolded.steps for action, _ in leaving}
    assert {described(action).split(" ", 1)[1] for action in actions} == {
        "joins by way of 1", "crashes", "comes back", "link 1–2 is cut", "link 1–2 heals",
        "catches up",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("name", "broken", "level", "claim"),
    [
        ("acknowledges", lambda state, level: state == "distributed", "eventual", AVAILABLE),
        ("needed", lambda members, level: members // 2, "strong", ONE_SIDE),
        ("still_behind", lambda behind, *_: behind, "strong", IN_ORDER),
        ("still_behind", lambda behind, *_: behind, "eventual", UP_TO_DATE),
        ("may_cease", lambda *_: True, "eventual", UP_TO_DATE),
        ("may_cease", lambda *_: False, "strong", HEALS),
        (
            "phase",
            lambda members, reach, behind, level: "recovering" if behind else "distributed",
            "causal",
            membership.ALL_REACHED,
        ),
    ],
)
def test_a_broken_rule_refutes_its_claim(
    name: str,
    broken: Callable[..., object],
    level: str,
    claim: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(membership, name, broken)
    if name == "needed":  # the rules of the module speak of each other
        monkeypatch.setattr(rules, name, broken)
    found = refuted(level, 2)
    assert claim in found
    assert found[claim][0] == "node 1         node 2"


def test_the_story_of_two_sides_that_both_acknowledge(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(membership, "needed", lambda members, level: 1)
    monkeypatch.setattr(rules, "needed", lambda members, level: 1)
    story = refuted("strong", 2)[ONE_SIDE]
    assert story[1].endswith("node 1 founds the cluster")
    assert any(line.endswith("the link 1–2 is cut") for line in story)
    assert story[-1].startswith("distributed    distributed")


def test_each_step_is_one_of_the_system() -> None:
    system = MembershipSystem(3, "strong")
    unfolded = unfold(system.initial(), system.steps)
    assert unfolded.complete
    last = len(unfolded.states) - 1
    path = membership._Model(system).all.graph.shortest_path(0, lambda state: state == last)
    assert path is not None
    for (_, before), (action, after) in pairwise(unfolded.trace(path)):
        assert (action, after) in list(system.steps(before))


def test_a_crash_is_no_partition_for_a_majority() -> None:
    system = MembershipSystem(3, "strong")
    all_up = Cluster(7, 0, (7, 7, 7), 0, 0)
    (crashed,) = [after for action, after in system.steps(all_up) if action == ("crashes", 2)]
    assert [system.phase(crashed, k) for k in range(3)] == ["distributed", "distributed", "(down)"]
    assert system.may_write(crashed, 0)
    assert ("writes", 0) in dict(system.steps(crashed))
    (alone,) = [after for action, after in system.steps(crashed) if action == ("crashes", 1)]
    assert system.phase(alone, 0) == "partitioned"
    assert not system.may_write(alone, 0)


def test_what_the_runtime_does_not_do_yet_is_no_pass() -> None:
    report = report_on(PARCEL, PARCEL_TOML)
    assert report.survivals[-1].machine == "Parcel/scale"
    shown = "\n".join(replica_lines(report))
    assert "cluster 'Parcel/scale' (consistency: strong)" in shown
    assert f"⚠ {ONE_SIDE}" in shown or f"✓ {ONE_SIDE}" in shown
    assert not report_on("cell A { state m { a -> b } scale { replicas: 1 } }").survivals
