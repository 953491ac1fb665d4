"""Decides the temporal properties of one machine, each with the trace that shows it (§5.3)."""

from __future__ import annotations

from collections.abc import Iterator

from ..frontend.diagnostics import Diagnostic, Severity
from .checker import Checker, vacuous
from .ctl import UNARY, Formula, any_of
from .evidence import Explainer, Trace, words
from .fairness import Fair
from .lifecycle import Lifecycle
from .properties import Arrow, Demand, Demands
from .refinement import Driver, takers
from .report import Step, Verdict
from .structure import listed

ON_ALL_PATHS = "all paths eventually satisfy the predicate"


def constraints(life: Lifecycle, fair: tuple[tuple[Arrow, ...], ...]) -> list[Fair]:
    """The fairness constraints that speak of edges which the machine has."""
    found = []
    for arrows in fair:
        edges = frozenset(
            (edge.source, edge.target)
            for edge in life.edges
            if any(
                source in ("*", life.names[edge.source]) and target == life.names[edge.target]
                for source, target in arrows
            )
        )
        if edges:
            found.append(Fair(edges))
    return found


class Judge:
    """Decides what is demanded of one machine."""

    def __init__(self, life: Lifecycle, demands: Demands, driver: Driver) -> None:
        self.life = life
        self.graph = life.graph
        self.demands = demands
        self.driver = driver
        self.checker = Checker(life.graph, constraints(life, demands.fair))
        self.explainer = Explainer(self.checker)
        self.diagnostics: list[Diagnostic] = []

    def verdicts(self) -> Iterator[Verdict]:
        """`deadlock_free`, then the properties in the order of the manifest's keys."""
        yield self.deadlock_free()
        decide = {
            "eventually": self.eventually,
            "never": self.never,
            "always": self.always,
            "after_eventually": self.after,
            "after_never": self.after,
            "ctl": self.formula,
        }
        for demand in self.demands.properties:
            yield decide[demand.kind](demand)

    def deadlock_free(self) -> Verdict:
        stuck = self.life.deadlocks
        if not stuck:
            return Verdict("deadlock_free", True, "no deadlocks in any reachable state")
        trace = self.path_to(stuck[0])
        return self.refuted("deadlock_free", f"deadlock states: {listed(stuck)}", trace)

    def eventually(self, demand: Demand) -> Verdict:
        text = f"eventually({_among(demand)})"
        goals = any_of(demand.names)
        if self.checker.holds(Formula("AF", (goals,))):
            return Verdict(text, True, ON_ALL_PATHS)
        trace = self.explainer.avoid(self.checker.states(goals), self.graph.initial)
        return self.refuted(text, "exists a path that never satisfies the predicate", trace)

    def never(self, demand: Demand) -> Verdict:
        (name,) = demand.names
        text = f"never(state == '{name}')"
        number = self.graph.index.get(name)
        if number is None or not self.graph.reachable[number]:
            return Verdict(text, True, "never reached in any execution")
        return self.refuted(text, f"violated: state '{name}' is reachable", self.path_to(name))

    def always(self, demand: Demand) -> Verdict:
        (name,) = demand.names
        text = f"always(state == '{name}')"
        only = self.graph.index.get(name)
        path = self.graph.shortest_path(self.graph.initial, lambda state: state != only)
        if path is None:
            count = self.graph.reachable.count(1)
            return Verdict(text, True, f"holds in all {count} reachable states")
        message = f"violated in state '{self.life.names[path[-1]]}'"
        return self.refuted(text, message, Trace(tuple(path)))

    def after(self, demand: Demand) -> Verdict:
        start = demand.start
        never = demand.kind == "after_never"
        predicate = f"state != '{demand.names[0]}'" if never else _among(demand)
        text = f"after('{start}', {predicate})"
        number = self.graph.index.get(start)
        if number is None or not self.graph.reachable[number]:
            if number is not None:
                self.doubt(demand, f"state '{start}' is unreachable: '{text}' says nothing")
            return Verdict(text, True, f"state '{start}' is unreachable (vacuously true)")
        ending = self._reaching(number, demand) if never else self._avoiding(number, demand)
        if ending is None:
            return Verdict(text, True, f"after '{start}', {ON_ALL_PATHS}")
        stem = list(self.path_to(start).states)
        message = f"after reaching '{start}', predicate can be avoided"
        return self.refuted(text, message, ending.after(stem))

    def _avoiding(self, start: int, demand: Demand) -> Trace | None:
        goals = any_of(demand.names)
        if self.checker.holds(Formula("AF", (goals,)), start):
            return None
        return self.explainer.avoid(self.checker.states(goals), start)

    def _reaching(self, start: int, demand: Demand) -> Trace | None:
        """A path of at least one step to the forbidden state."""
        goal = self.graph.index.get(demand.names[0])
        if goal is None:
            return None
        if goal == start and self.life.names[goal] in self.life.wildcard_targets:
            return Trace((start, start))  # at run time `* -> x` also leads from x to x
        found = [
            path
            for state in self.graph.successors[start]
            if (path := self.graph.shortest_path(state, lambda s: s == goal)) is not None
        ]
        return Trace((start, *min(found, key=len))) if found else None

    def formula(self, demand: Demand) -> Verdict:
        formula = demand.formula
        assert formula is not None
        text = f"{demand.title}: {formula}"
        some_path = formula.op[0] == "E"
        if self.checker.holds(formula):
            empty = vacuous(self.checker, formula)
            if empty is not None:
                self.doubt(demand, f"'{demand.title}' holds vacuously: nothing reaches '{empty}'")
            if not some_path:
                return Verdict(
                    text, True, "holds on all paths" if _about_paths(formula) else "holds"
                )
            trace = self.explainer.witness(formula)
            return Verdict(
                text,
                True,
                "some path shows it",
                witness=tuple(words(trace, self.life.names)),
                steps=self.steps(trace),
            )
        if some_path:
            return Verdict(text, False, "no path shows it")
        return self.refuted(text, "violated", self.explainer.counter_example(formula))

    # --- what they share -------------------------------------------------------------------------

    def path_to(self, name: str) -> Trace:
        goal = self.graph.index[name]
        path = self.graph.shortest_path(self.graph.initial, lambda state: state == goal)
        return Trace(tuple(path or ()))

    def refuted(self, text: str, message: str, trace: Trace) -> Verdict:
        return Verdict(
            text,
            False,
            message,
            counter_example=tuple(words(trace, self.life.names)),
            steps=self.steps(trace),
            loop=trace.loop,
        )

    def steps(self, trace: Trace) -> tuple[Step, ...]:
        names = self.life.names
        edges = [(names[source], names[target]) for source, target in trace.edges()]
        return takers(self.driver, self.life, edges)

    def doubt(self, demand: Demand, message: str) -> None:
        text = f"soma.toml: {message} (state machine '{self.life.name}')"
        self.diagnostics.append(Diagnostic("W283", Severity.WARNING, text, demand.place))


def _among(demand: Demand) -> str:
    return f"state in {listed(list(demand.names))}"


def _about_paths(formula: Formula) -> bool:
    return formula.op in (*UNARY, "AU")
