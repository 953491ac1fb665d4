"""The model checker against its definition, against another checker, and against its own traces."""

from __future__ import annotations

import random

import pytest
from verify_reference import (
    holds_in,
    is_maximal,
    random_formula,
    random_graph,
    rewalk,
)

from somac.verify.checker import Checker
from somac.verify.ctl import Formula, any_of, atom, negation, parse
from somac.verify.evidence import Explainer
from somac.verify.fairness import Fair
from somac.verify.kripke import Kripke, members

GRAPHS = 4000
FORMULAS = 4


@pytest.mark.slow
def test_it_agrees_with_fixpoints_over_sets() -> None:
    rng = random.Random(1)
    for _ in range(GRAPHS):
        size = rng.randrange(1, 8)
        graph = random_graph(rng, size)
        checker = Checker(graph)
        for _ in range(FORMULAS):
            formula = random_formula(rng, size, 3)
            found = set(members(checker.states(formula)))
            assert found == holds_in(graph, formula), (graph.successors, str(formula))


@pytest.mark.slow
def test_it_agrees_with_the_definition_of_strong_fairness() -> None:
    rng = random.Random(2)
    for _ in range(GRAPHS // 2):
        size = rng.randrange(1, 6)
        graph = random_graph(rng, size)
        fair = random_constraints(rng, graph)
        checker = Checker(graph, fair)
        for _ in range(FORMULAS):
            formula = random_formula(rng, size, 2)
            found = set(members(checker.states(formula)))
            assert found == holds_in(graph, formula, fair), (graph.successors, fair, str(formula))


def random_constraints(rng: random.Random, graph: Kripke) -> list[Fair]:
    edges = [(s, t) for s, targets in enumerate(graph.successors) for t in targets]
    if not edges:
        return []
    return [
        Fair(frozenset(rng.sample(edges, min(len(edges), rng.randrange(1, 3)))))
        for _ in range(rng.randrange(1, 3))
    ]


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of what its parser imports
def test_it_agrees_with_another_model_checker() -> None:
    """pyModelChecking knows only graphs in which every state has a successor."""
    from pyModelChecking import CTL as ctl
    from pyModelChecking import Kripke as OtherKripke

    rng = random.Random(3)
    for _ in range(GRAPHS // 4):
        size = rng.randrange(1, 7)
        graph = random_graph(rng, size, total=True)
        edges = [(s, t) for s, targets in enumerate(graph.successors) for t in targets]
        labels = {s: {graph.names[s]} for s in range(size)}
        other = OtherKripke(R=edges, L=labels)
        checker = Checker(graph)
        for _ in range(FORMULAS):
            formula = random_formula(rng, size, 2)
            theirs = set(ctl.modelcheck(other, translated(formula, ctl)))
            assert set(members(checker.states(formula))) == theirs, str(formula)


def translated(formula: Formula, ctl):  # type: ignore[no-untyped-def]
    """The same formula in the words of pyModelChecking."""
    if formula.op in ("true", "false"):
        return ctl.Bool(formula.op == "true")
    if formula.op == "atom":
        return ctl.AtomicProposition(formula.name)
    args = [translated(arg, ctl) for arg in formula.args]
    plain = {"!": ctl.Not, "&": ctl.And, "|": ctl.Or, "->": ctl.Imply}
    if formula.op in plain:
        return plain[formula.op](*args)
    quantifier = {"E": ctl.E, "A": ctl.A}[formula.op[0]]
    return quantifier(getattr(ctl, formula.op[1])(*args))


@pytest.mark.slow
@pytest.mark.parametrize("fairly", [False, True])
def test_every_trace_can_be_walked_and_shows_the_point(fairly: bool) -> None:
    rng = random.Random(4)
    lassos = 0
    for _ in range(GRAPHS // 2):
        size = rng.randrange(1, 8)
        graph = random_graph(rng, size)
        fair = random_constraints(rng, graph) if fairly else []
        checker = Checker(graph, fair)
        formula = random_formula(rng, size, 3)
        explainer = Explainer(checker)
        holds = checker.holds(formula)
        trace = explainer.witness(formula) if holds else explainer.counter_example(formula)
        rewalk(graph, trace, graph.initial)
        avoided = any_of(tuple(graph.names[-2:]))
        if not checker.holds(Formula("AF", (avoided,))):
            lasso = explainer.counter_example(Formula("AF", (avoided,)))
            rewalk(graph, lasso, graph.initial)
            assert is_maximal(graph, lasso, fair)
            assert not {graph.names[s] for s in lasso.states} & set(graph.names[-2:])
            lassos += lasso.loop is not None
    assert lassos > 20


def test_counter_examples_to_safety_are_shortest() -> None:
    graph = Kripke("abcd", [[1, 2], [3], [1, 3], []])
    formula = Formula("AG", (negation(atom("d")),))
    assert Explainer(Checker(graph)).counter_example(formula).states in ((0, 1, 3), (0, 2, 3))


def test_nested_formulas_give_one_joined_trace() -> None:
    graph = Kripke(["new", "run", "fail", "done"], [[1], [2, 3], [1], []])
    trace = Explainer(Checker(graph)).counter_example(parse("AG(run -> AF(done))"))
    assert (trace.states, trace.loop) == ((0, 1, 2), 1)


def test_fairness_proves_a_retry_loop() -> None:
    graph = Kripke(["new", "run", "fail", "done"], [[1], [2, 3], [1], []])
    formula = parse("AF done")
    assert not Checker(graph).holds(formula)
    assert Checker(graph, [Fair(frozenset({(1, 3)}))]).holds(formula)
    assert not Checker(graph, [Fair(frozenset({(1, 2)}))]).holds(formula)


def test_an_entity_may_rest_where_the_user_says() -> None:
    edges = [[1], [2], []]
    assert Checker(Kripke("abc", edges)).holds(parse("AF c"))
    assert not Checker(Kripke("abc", edges, rests=[1])).holds(parse("AF c"))


def test_a_long_chain_needs_no_recursion() -> None:
    size = 20_000
    graph = Kripke([f"s{i}" for i in range(size)], [[i + 1] for i in range(size - 1)] + [[0]])
    checker = Checker(graph, [Fair(frozenset({(0, 1)}))])
    formula = parse("AG(s1 -> AF nowhere)")
    assert not checker.holds(formula)
    trace = Explainer(checker).counter_example(formula)
    assert len(list(trace.edges())) >= size
