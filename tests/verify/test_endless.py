"""Replicas that go on for ever: properties of whole paths, and what they owe to fairness."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from verify_programs import manifest_of

from somac.frontend.load import load_text
from somac.verify import endless, verify
from somac.verify.checker import Checker
from somac.verify.ctl import parse
from somac.verify.endless import EndlessMerging, product_of
from somac.verify.explorer import explore, unfold
from somac.verify.kripke import Kripke
from somac.verify.output import replica_lines
from somac.verify.product import Product
from somac.verify.replicas import MergingSystem, Observer, Setting
from somart import merge

CHAIN = Kripke(["a", "b", "c"], [[1], [2], []])
LEVELS = ("strong", "causal", "eventual")


def lines_of(arrows: str, level: str, toml: str) -> list[str]:
    """What the report says of a machine on three replicas that the runtime is said to keep."""
    text = f"cell A {{ state m {{ {arrows} }} scale {{ replicas: 3 consistency: {level} }} }}"
    program = load_text(text).program
    assert program is not None
    shown = replica_lines(verify([program], manifest_of(toml), lambda _: True))
    return [line.strip() for line in shown]


def test_the_model_decides_by_the_code_of_the_runtime() -> None:
    for name in ("latest", "tick", "deliverable", "moved"):
        assert getattr(endless, name) is getattr(merge, name)  # as the runtime: test_replicas


@pytest.mark.slow
@pytest.mark.parametrize("level", LEVELS)
def test_a_replica_can_skip_a_state_under_eventual(level: str) -> None:
    toml = '[verify]\neventually = ["b"]\n[verify.after.b]\neventually = ["c"]\n'
    shown = lines_of("a -> b b -> c", level, toml)
    holds = "✓ eventually(state in [b]) holds on every replica, if the network is fair"
    fails = "⚠ eventually(state in [b]): that does not hold as one replica shows it"
    assert (holds in shown, fails in shown) == (level != "eventual", level == "eventual")
    assert "✓ after('b', state in [c]) holds on every replica, if the network is fair" in shown
    assert "✓ once calls and cuts cease, all replicas come to show the same" in shown


def test_a_skipped_state_is_drawn() -> None:
    shown = lines_of("a -> b b -> c", "eventual", '[verify]\neventually = ["b"]\n')
    at = shown.index("⚠ eventually(state in [b]): that does not hold as one replica shows it")
    story = [line.split() for line in shown[at + 2 : at + 6]]
    assert [row[:2] for row in story] == [["a", "a"], ["a", "b"], ["a", "c"], ["c", "c"]]
    assert shown[at + 5].endswith("1 hears of b → c")


def test_without_a_fair_network_nothing_need_happen() -> None:
    found = endless.endless(CHAIN, "strong")
    assert found is not None
    model, unfolded = found
    assert product_of(model, unfolded).holds(parse("AF c"))
    labels = {"c": bytearray(model.shows(state, 0) == 2 for state in unfolded.states)}
    unfair = Product(unfolded, labels)
    at = unfair.refuting(parse("AF c"))
    assert at == 0
    trace, loop = unfair.counter_example(parse("AF c"), at)
    assert loop is not None
    assert {action[0] for action, _ in trace[loop + 1 :]} <= {"cut", "heals"}


@pytest.mark.slow
@pytest.mark.parametrize("level", LEVELS)
def test_what_the_user_calls_fair_is_fair_on_replicas(level: str) -> None:
    arrows = "run -> done run -> failed failed -> run"
    toml = '[verify]\nfair = ["run -> done"]\neventually = ["done"]\n'
    shown = "\n".join(lines_of(arrows, level, toml))
    assert "✓ eventually(state in [done]) holds on every replica" in shown
    without = "\n".join(lines_of(arrows, level, '[verify]\neventually = ["done"]\n'))
    assert "eventually" not in without  # one node refutes it already


def test_an_entity_may_rest_where_it_may_on_one_node() -> None:
    toml = '[verify]\nfinal = ["b"]\nctl = { rests = "EG !c", ends = "AG EF (b | c)" }\n'
    shown = "\n".join(lines_of("a -> b b -> c", "strong", toml))
    assert "✓ rests: EG(!c) holds on every replica" in shown
    assert "✓ ends: AG(EF(b | c)) holds on every replica" in shown


def test_what_cannot_be_examined_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    toml = '[verify]\nctl = { next = "AG(a -> AX b)", all = "AG(a | b)" }\n'
    shown = "\n".join(lines_of("a -> b", "eventual", toml))
    assert "⚠ next: AG(a -> AX(b)) is not examined on replicas: EX and AX count steps" in shown
    assert "✓ all: AG(a | b) holds on every replica" in shown
    monkeypatch.setattr(endless, "WINDOWS", ((1, 3),))
    shown = "\n".join(lines_of("a -> b", "eventual", toml))
    assert "⚠ all: AG(a | b) is not examined on replicas: two replicas of this" in shown


@pytest.mark.parametrize("causal", [False, True])
def test_it_has_what_the_bounded_model_has(causal: bool) -> None:
    """What two replicas show at once after two transitions, they show here, too."""
    graph = Kripke(["a", "b", "c"], [[1, 2], [2], []])
    bounded = MergingSystem(Observer(graph, []), Setting(2, 2, cuts=False), causal)
    start = next(state for state in bounded.initial() if bounded.view(state) == ["a", "a"])
    met = explore([start], bounded.steps, lambda state: [tuple(bounded.view(state))]).broken
    model = EndlessMerging(graph, 2, causal)
    unfolded = unfold(model.initial(), model.steps)
    shown = {tuple(model.view(state)) for state in unfolded.states}
    assert set(met) <= shown


@pytest.mark.slow
def test_every_counter_example_can_be_walked_and_is_fair() -> None:
    graph = Kripke(["a", "b", "c"], [[1], [2, 0], []])
    found = endless.endless(graph, "eventual")
    assert found is not None
    model, unfolded = found
    product = product_of(model, unfolded)
    for text in ("AF c", "AF b", "AG(b -> AF c)", "AG !c"):
        at = product.refuting(parse(text))
        assert at is not None
        trace, loop = product.counter_example(parse(text), at)
        for (_, before), (action, after) in pairwise(trace):
            assert (action, after) in list(model.steps(before))
        if loop is not None:
            again = trace[loop][1]
            assert again in [after for _, after in model.steps(trace[-1][1])]
            kinds = {action[0] for action, _ in trace[loop + 1 :]}
            assert kinds & {"acknowledges"}  # somebody calls


FORMULAS = """AF b, AF c, AG(b -> AF c), EF c, EG !b, EG !c, A[a U b], E[a U c], AG EF a,
AG EF c, AG !c, AF AG c, EF EG b, EF AG (b | c)"""


@pytest.mark.slow
@settings(max_examples=25, deadline=None)
@given(st.lists(st.sets(st.integers(0, 2)), min_size=3, max_size=3), st.sets(st.integers(0, 2)))
def test_under_strong_a_replica_shows_what_one_node_does(
    arrows: list[set[int]], rests: set[int]
) -> None:
    """Each formula without EX and AX has the verdict that it has on the lifecycle itself."""
    targets = [sorted(found - {state}) for state, found in enumerate(arrows)]
    graph = Kripke(["a", "b", "c"], targets, rests=rests)
    alone = Checker(graph)
    found = endless.endless(graph, "strong")
    assert found is not None
    product = product_of(*found)
    for text in FORMULAS.split(","):
        assert product.holds(parse(text)) == alone.holds(parse(text)), text
