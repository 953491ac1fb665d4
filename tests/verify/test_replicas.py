"""Lifecycles on replicas: what survives which consistency, and what it takes to show it."""

from __future__ import annotations

from itertools import pairwise
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from verify_programs import manifest_of, report_on

from somac.frontend.load import load_text
from somac.verify import replicas, survival, verify
from somac.verify.explorer import explore
from somac.verify.kripke import Kripke
from somac.verify.output import replica_lines, text_report
from somac.verify.progress import CONVERGE
from somac.verify.replicas import LoggingSystem, MergingSystem, Observer, Setting, Watch
from somac.verify.report import Report
from somart import merge
from somart.cluster import inbox, origins, replica, versions
from somart.consensus import proposal, state

USERS: dict[str, Any] = {
    "latest": versions,
    "tick": replica,
    "deliverable": inbox,
    "moved": state,
    "covers": origins,
}
"""Where the runtime calls what the models call."""

TRADE = """\
cell Pricing {{
    memory {{ trades: Map<String, Map> [persistent] }}
    scale {{ replicas: {replicas}  shard: trades  consistency: {level} }}
    state trade {{ initial: pending
        pending -> confirmed    confirmed -> executed    confirmed -> cancelled
        executed -> settled     lost -> lost }}
}}
"""
TOML = '[verify]\nnever = ["lost"]\n[verify.after.executed]\nnever = ["cancelled"]\n'


def trade(level: str, count: int = 3, delivered: bool = False, toml: str = TOML) -> Report:
    program = load_text(TRADE.format(level=level, replicas=count)).program
    assert program is not None
    return verify([program], manifest_of(toml), lambda _: delivered)


def statuses(report: Report) -> list[str]:
    machine, _ = report.survivals
    return [check.status for check, _ in machine.checks]


def graph(*arrows: str) -> Kripke:
    """A graph from arrows such as "ab"; it begins with "a"."""
    names = sorted({name for arrow in arrows for name in arrow})
    number = {name: at for at, name in enumerate(names)}
    return Kripke(names, [[number[a[1]] for a in arrows if a[0] == name] for name in names])


def findings(system: MergingSystem | LoggingSystem) -> set[object]:
    if isinstance(system, MergingSystem):
        return set(explore(system.initial(), system.steps, system.breaks, 50_000).broken)
    return set(explore(system.initial(), system.steps, system.breaks, 50_000).broken)


def test_under_eventual_an_executed_trade_is_cancelled() -> None:
    report = trade("eventual")
    shown = "\n".join(replica_lines(report))
    story = """
      replica 1    replica 2
      confirmed    confirmed    all agree; then the network delays everything
      executed     confirmed    1 acknowledges confirmed → executed
      executed     cancelled    2 acknowledges confirmed → cancelled
      cancelled    cancelled    1 hears of confirmed → cancelled"""
    loss = "confirmed → executed to a concurrent confirmed → cancelled"
    assert f"  ⚠ acknowledged transitions can be lost: {loss}{story}" in shown
    assert f"  ✗ after('executed', state != 'cancelled') does not survive{story}" in shown
    assert "what helps: `consistency: strong`" in shown
    assert report.warned


@pytest.mark.parametrize("level", ["eventual", "causal"])
def test_replicas_that_merge_lose_transitions_even_when_all_is_delivered(level: str) -> None:
    report = trade(level, delivered=True)
    assert "warning" in statuses(report)
    assert report.warned


def test_under_strong_the_lifecycle_survives() -> None:
    assert set(statuses(trade("strong", delivered=True))) == {"pass"}
    machine, _ = trade("strong", delivered=True).survivals
    said = [check.message for check, _ in machine.checks]
    held = "holds on every replica and for every client"
    assert said == [
        "no acknowledged transition is lost",
        "no replica shows a history that the lifecycle forbids",
        "replicas that know the same show the same",
        "no client sees a history that the lifecycle forbids, wherever it reads",
        f"never(state == 'lost') {held}",
        f"after('executed', state != 'cancelled') {held}",
        CONVERGE,
    ]


def test_what_the_runtime_does_not_do_is_no_pass_on_replicas() -> None:
    for level in ("strong", "causal", "eventual"):
        assert "pass" not in statuses(trade(level))
    machine, _ = trade("strong").survivals
    assert all(c.message.endswith("not enforced by this runtime") for c, _ in machine.checks)


def test_a_state_that_one_node_never_reaches() -> None:
    shown = replica_lines(trade("eventual", delivered=True))
    assert "  ✓ never(state == 'lost') holds on every replica and for every client" in shown


def test_what_one_node_refutes_is_not_examined_again() -> None:
    toml = '[verify]\nnever = ["executed"]\n[verify.after.pending]\nnever = ["settled"]\n'
    shown = "\n".join(replica_lines(trade("strong", toml=toml)))
    assert "never(" not in shown
    assert "after(" not in shown


def test_the_report_itself_is_as_the_reference_has_it() -> None:
    assert "replica 1" not in text_report(trade("eventual"))
    assert not trade("eventual", count=1).survivals
    assert not report_on("cell A { state m { a -> b } }").survivals


def test_the_model_decides_by_the_code_of_the_runtime() -> None:
    for name, user in USERS.items():
        assert getattr(replicas, name) is getattr(merge, name) is getattr(user, name)


def test_the_runtime_decides_by_it_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever breaks one of these functions breaks both, and `test_merge_mutants` tells."""
    early, late = (versions.State(versions.Version(merge.Stamp(n, 0, "a")), n) for n in (1, 2))
    assert versions.merge(late, early) is late
    monkeypatch.setattr(versions, "latest", lambda mine, other: other)
    assert versions.merge(late, early) is early

    class Rows:
        origin = "a"

        def row(self, table: str, key: str) -> str:
            return "3"

    seen = origins.Seen(Rows(), SimpleNamespace(last=5))  # type: ignore[arg-type]
    assert seen.covers({"a": 5, "b": 3})
    assert not seen.covers({"b": 4})
    monkeypatch.setattr(origins, "covers", lambda known, token: True)
    assert seen.covers({"b": 4})

    def outcome() -> str:
        tables: Any = SimpleNamespace(has=lambda *_: True, write=lambda *_: None)
        replicated = state.State(tables, revision=2, keys={("t", "k"): 2})
        read = proposal.Proposal(proposal.TransactionId("n", 1, 1), 1, 1, (("t", "k"),), (), (), ())
        return replicated.apply(read).refused

    assert outcome() == "conflict: t[k]"
    monkeypatch.setattr(state, "moved", lambda read, changed, at: None)
    assert outcome() == ""


def test_a_lifecycle_of_one_step_survives_any_consistency() -> None:
    observer = Observer(graph("ab"), [])
    for causal in (False, True):
        assert not findings(MergingSystem(observer, Setting(2, 3, crash=False), causal))
        assert not findings(MergingSystem(observer, Setting(3, 2, crash=False), causal))


def test_a_clock_that_is_ahead_turns_a_chain_back() -> None:
    observer = Observer(graph("ab", "bc"), [])
    assert ("backwards", 2, 1) in findings(MergingSystem(observer, Setting(2, 3, crash=False)))
    assert ("lost", 1, 2, 0, 1) in findings(MergingSystem(observer, Setting(2, 3, crash=True)))


def test_without_compare_and_set_the_log_loses_transitions(monkeypatch: pytest.MonkeyPatch) -> None:
    system = LoggingSystem(Observer(graph("ab", "ac"), []), Setting(2, 2, crash=True))
    assert not findings(system)
    monkeypatch.setattr(replicas, "moved", lambda read, changed, at: None)
    monkeypatch.setattr(survival, "STATES_MAX", 2000)
    found = explore(system.initial(), system.steps, system.breaks, 2000).broken
    assert {name[0] for name in found if isinstance(name, tuple)} >= {"lost"}


def test_replicas_that_keep_what_came_last_never_agree(monkeypatch: pytest.MonkeyPatch) -> None:
    observer = Observer(graph("ab", "ac"), [])
    assert ("diverged",) not in findings(MergingSystem(observer, Setting(2, 2)))
    monkeypatch.setattr(replicas, "latest", lambda mine, other: other)
    assert ("diverged",) in findings(MergingSystem(observer, Setting(2, 2)))


def test_causal_delivery_keeps_messages_back() -> None:
    observer = Observer(graph("ab", "bc"), [])
    eventual, causal = (
        MergingSystem(observer, Setting(2, 3, crash=False), kept) for kept in (False, True)
    )
    every = explore(eventual.initial(), eventual.steps)
    fewer = explore(causal.initial(), causal.steps)
    assert fewer.states < every.states


@pytest.mark.parametrize("kind", ["merging", "logging"])
def test_a_crashed_replica_comes_back(kind: str) -> None:
    observer = Observer(graph("ab", "bc"), [Watch(2, 1)])
    if kind == "merging":
        merging = MergingSystem(observer, Setting(2, 2, crash=True))
        first = merging.initial()
        met = set(explore(first, merging.steps, lambda s: [s[4], *merging.view(s)]).broken)
    else:
        logging = LoggingSystem(observer, Setting(2, 2, crash=True))
        begun = logging.initial()
        met = set(explore(begun, logging.steps, lambda s: [s[6], *logging.view(s)]).broken)
    assert {"(down)", replicas.CRASHED, replicas.CRASHED - 1} <= met


def test_each_story_can_be_walked() -> None:
    system = MergingSystem(
        Observer(graph("ab", "ac", "bd", "da"), [Watch(2, 1)]), Setting(2, 2, crash=True)
    )
    broken = explore(system.initial(), system.steps, system.breaks).broken
    assert broken
    for name, story in broken.items():
        assert story[0][1] in set(system.initial())
        for (_, before), (action, after) in pairwise(story):
            assert (action, after) in list(system.steps(before))
        assert name in system.breaks(story[-1][1])


def test_a_search_that_stops_proves_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(survival, "STATES_MAX", 20)
    machine, _ = trade("strong", delivered=True).survivals
    stopped, *others = [check for check, _ in machine.checks]
    assert stopped.status == "warning"
    assert "what lies beyond is not examined" in stopped.message
    assert [check.message for check in others] == [CONVERGE]  # proved by a walk of its own


def test_a_huge_machine_is_not_examined() -> None:
    arrows = " ".join(f"s{i} -> s{i + 1}" for i in range(survival.LARGEST))
    report = report_on(f"cell A {{ state m {{ {arrows} }} scale {{ replicas: 2 }} }}")
    assert "not examined: more than 250 states" in replica_lines(report)[1]


@pytest.mark.parametrize(("level", "sees_the_past"), [("eventual", True), ("causal", False)])
def test_a_client_that_switches_replicas(level: str, sees_the_past: bool) -> None:
    """Causal sessions carry a token; eventual ones don't, and a chain of one step shows it."""
    setting = Setting(2, 1, client=True)
    system = MergingSystem(Observer(graph("ab"), []), setting, level == "causal")
    assert (("client", "backwards", 1, 0) in findings(system)) is sees_the_past
    strong = LoggingSystem(Observer(graph("ab", "ac", "bd"), []), Setting(2, 3, client=True))
    assert not findings(strong)


def test_what_a_client_sees_is_told_as_a_story() -> None:
    shown = "\n".join(replica_lines(trade("eventual")))
    head = "a client that switches replicas can see 'pending' after 'confirmed'"
    assert f"  ⚠ {head}, which the lifecycle forbids" in shown
    story = shown[shown.index(head) :].splitlines()[1:7]
    assert "a client reads confirmed at 1" in story[3]
    assert "a client reads pending at 2" in story[4]


def test_a_link_that_is_cut_keeps_messages_back() -> None:
    system = MergingSystem(Observer(graph("ab"), []), Setting(2, 1))
    first = next(state for state in system.initial() if state[0] == (0,))
    wrote, *_ = [after for action, after in system.steps(first) if action[0] == "acknowledges"]
    (cut,) = [after for action, after in system.steps(wrote) if action[0] == "cut"]
    assert [action[0] for action, _ in system.steps(cut)] == ["heals"]
    ((_, healed),) = system.steps(cut)
    assert "hears" in [action[0] for action, _ in system.steps(healed)]
    assert system.told(("cut", 0)) == "the link is cut"


def test_three_replicas_may_have_one_cut_off() -> None:
    system = LoggingSystem(Observer(graph("ab"), []), Setting(3, 1))
    assert [system.hears(2, at) for at in range(3)] == [True, True, False]
    assert not LoggingSystem(Observer(graph("ab"), []), Setting(2, 1)).hears(0, 1)
    assert system.told(("heals", 2)) == "the links of 3 are whole again"


@pytest.mark.slow
@settings(max_examples=15, deadline=None)
@given(st.lists(st.sampled_from(["ab", "ac", "ba", "bc", "ca", "cb"]), min_size=1, unique=True))
def test_it_is_enough_that_the_first_replica_begins(arrows: list[str]) -> None:
    observer = Observer(graph("ab", *arrows), [Watch(0, 1)])
    setting = Setting(2, 2, client=True)
    for level in ("eventual", "causal", "strong"):
        found = []
        for beginners in (1, 2):
            system: LoggingSystem | MergingSystem = LoggingSystem(observer, setting)
            if level != "strong":
                system = MergingSystem(observer, setting, level == "causal")
            system.beginners = beginners
            found.append(findings(system))
        assert found[0] == found[1]


@pytest.mark.parametrize(("level", "survives"), [("eventual", False), ("causal", True)])
def test_a_property_that_only_a_switching_client_sees_broken(level: str, survives: bool) -> None:
    """Reads may be stale under `eventual`: a warning, and the verdict stays."""
    text = f"cell A {{ state m {{ a -> b }} scale {{ replicas: 2 consistency: {level} }} }}"
    program = load_text(text).program
    assert program is not None
    toml = manifest_of('[verify.after.b]\nnever = ["a"]\n')
    report = verify([program], toml, lambda _: True)
    shown = replica_lines(report)
    claim = "after('b', state != 'a')"
    assert (f"  ✓ {claim} holds on every replica and for every client" in shown) is survives
    stale = f"  ⚠ {claim} does not survive for a client that switches replicas"
    assert (stale in shown) is not survives
    assert report.passed
