"""Questions about the paths of an explored system, put to the model checker.

The system is unfolded into a graph; propositions are sets of its states, and fairness is about
steps with a name: "whatever the network keeps offering to deliver is delivered at last".
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Mapping
from typing import Generic, TypeVar

from .checker import Checker
from .ctl import Formula
from .evidence import Explainer
from .evidence import Trace as Path
from .explorer import Action, Trace, Unfolded
from .fairness import Fair
from .kripke import Kripke, States

S = TypeVar("S", bound=Hashable)


class LabelledChecker(Checker):
    """A checker whose atoms are labels: sets of states. An unknown one holds nowhere."""

    def __init__(self, graph: Kripke, fair: Iterable[Fair], labels: Mapping[str, States]) -> None:
        super().__init__(graph, tuple(fair))
        self.labels = labels

    def _decide(self, formula: Formula) -> States:
        if formula.op == "atom":
            return self.labels.get(formula.name) or bytearray(len(self.graph))
        return super()._decide(formula)


class Product(Generic[S]):
    """The graph of an unfolded system, with labels, resting states and fairness.

    `fair` names the constraint that a step belongs to (None: to none). Each constraint is strongly
    fair: what is offered again and again is taken again and again; `offers` names the constraints
    that a state offers although no step of them leaves it. `kept` tells which steps there are at
    all; the states stay the same.
    """

    def __init__(
        self,
        unfolded: Unfolded[S],
        labels: Mapping[str, States],
        fair: Callable[[Action], Iterable[Hashable]] = lambda action: (),
        rests: Callable[[S], object] | None = None,
        offers: Callable[[S], Iterable[Hashable]] | None = None,
        kept: Callable[[Action], bool] = lambda action: True,
    ) -> None:
        self.unfolded = unfolded
        steps = [[(a, to) for a, to in leaving if kept(a)] for leaving in unfolded.steps]
        self.graph = Kripke(
            [""] * len(steps),
            [[to for _, to in leaving] for leaving in steps],
            rests=() if rests is None else (n for n, s in enumerate(unfolded.states) if rests(s)),
        )
        offered: dict[Hashable, set[int]] = {}
        for number, state in enumerate(unfolded.states if offers else ()):
            for name in offers(state) if offers else ():
                offered.setdefault(name, set()).add(number)
        self.checker = LabelledChecker(self.graph, _constraints(steps, fair, offered), labels)

    def holds(self, formula: Formula) -> bool:
        """Whether a formula holds in every initial state."""
        return self.refuting(formula) is None

    def refuting(self, formula: Formula) -> int | None:
        """The first initial state in which a formula does not hold."""
        states = self.checker.states(formula)
        at = states.find(0, 0, self.unfolded.initial)
        return at if at >= 0 else None

    def counter_example(self, formula: Formula, start: int) -> tuple[Trace[S], int | None]:
        """Why a formula fails in a state: a trace and where in it a lasso begins again."""
        path: Path = Explainer(self.checker).explain(Formula("!", (formula,)), start)
        return self.unfolded.trace(path.states), path.loop


def _constraints(
    steps: list[list[tuple[Action, int]]],
    fair: Callable[[Action], Iterable[Hashable]],
    offered: Mapping[Hashable, set[int]],
) -> list[Fair]:
    edges: dict[Hashable, set[tuple[int, int]]] = {}
    named: dict[Hashable, tuple[Hashable, ...]] = {}  # actions are few, steps are many
    for source, leaving in enumerate(steps):
        for action, target in leaving:
            names = named.get(action)
            if names is None:
                names = named[action] = tuple(fair(action))
            for name in names:
                edges.setdefault(name, set()).add((source, target))
    return [
        Fair(frozenset(found), frozenset(offered.get(name, ()))) for name, found in edges.items()
    ]
