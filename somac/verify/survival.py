"""Whether a lifecycle survives its distribution, for each machine of a cell with `scale`.

The systems of `replicas` are walked with two and three replicas. What they cannot do is proved of
the protocol model, within its bounds. A line passes when the runtime delivers the consistency that
the model is of (`somart.capabilities`); else it says that this is not enforced.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, cast

from .distribution import NOT_ENFORCED, Delivers, Plan
from .explorer import Explored, Trace, explore
from .lifecycle import Lifecycle
from .membership import NODES, examined
from .progress import CONVERGE, prospects
from .properties import Demand, Demands
from .refinement import Driver, callers
from .replicas import Finding, LoggingSystem, MergingSystem, Observer, Setting, Watch, taken
from .report import Check, Survival, failed, passed, warned
from .stories import Story

LARGEST = 250  # states of a machine; a person writes fewer than twenty
STATES_MAX = 300_000  # of all walks of a machine together: about two seconds
RUNS = (
    Setting(replicas=2, transitions=2, crash=True),
    Setting(replicas=2, transitions=2, client=True),
    Setting(replicas=3, transitions=2),
    Setting(replicas=2, transitions=3),
)


def survival_of(
    life: Lifecycle, demands: Demands, plan: Plan, delivers: Delivers, driver: Driver
) -> Survival | None:
    """What becomes of a machine on its replicas. None if there is only one of them."""
    if plan.replicas <= 1:
        return None
    return _Judge(life, demands, plan, delivers, driver).survival()


def survival_of_cluster(name: str, plan: Plan, delivers: Delivers) -> Survival | None:
    """What becomes of the cluster itself when nodes crash and links are cut (§5.8)."""
    if plan.replicas <= 1:
        return None
    nodes = tuple(count for count in NODES if count <= plan.replicas)
    states, findings = examined(plan.consistency, nodes)
    title = f"cluster '{name}' (consistency: {plan.consistency}): {states:,} states"
    checks: list[tuple[Check, tuple[str, ...]]] = []
    for claim, diagram in findings:
        if diagram:
            checks.append((warned(f"does not hold: {claim}"), diagram))
        else:
            checks.append((_claimed(claim, delivers(plan.consistency)), ()))
    title += " of the membership model"
    return Survival(name, title, tuple(checks), of_cluster=True)


def _claimed(text: str, delivered: bool) -> Check:
    return passed(text) if delivered else warned(text + NOT_ENFORCED)


class _Judge:
    def __init__(
        self, life: Lifecycle, demands: Demands, plan: Plan, delivers: Delivers, driver: Driver
    ) -> None:
        self.life = life
        self.driver = driver
        self.plan = plan
        self.delivers = delivers
        self.watched = [w for d in demands.properties if (w := _watch(life, d)) is not None]
        self.observer = Observer(life.graph, [watch for watch, _ in self.watched])
        self.diagrams: dict[Finding, tuple[str, ...]] = {}
        self.walked: dict[Finding, tuple[Trace[Any], LoggingSystem | MergingSystem]] = {}
        self.stories: list[Story] = []
        self.demands = demands
        self.left = STATES_MAX

    def survival(self) -> Survival:
        level = self.plan.consistency
        title = f"lifecycle '{self.life.name}' on replicas (consistency: {level})"
        if len(self.life.names) > LARGEST:
            text = f"not examined: more than {LARGEST} states"
            return Survival(self.life.name, title, ((warned(text), ()),))
        found = [self.walk(run) for run in RUNS if run.replicas <= self.plan.replicas]
        title += f": {sum(e.states for e in found):,} states of the protocol model"
        checks = list(self.checks())
        stopped = [explored for explored in found if not explored.complete]
        if stopped:  # what was found goes wrong all the same; nothing else is proved
            checks = [pair for pair in checks if pair[1]]
            checks.append((warned(stopped[0].limit_message), ()))
        checks += self.whole_paths()
        if any(check.message.startswith("acknowledged") for check, _ in checks):
            checks.append((warned(self.remedy()), ()))
        return Survival(self.life.name, title, tuple(checks), tuple(self.stories))

    def walk(self, setting: Setting) -> Explored[Any]:
        """Explores one system, and keeps a diagram of each new thing that goes wrong."""
        system: LoggingSystem | MergingSystem
        if self.plan.consistency == "strong":
            system = LoggingSystem(self.observer, setting)
        else:
            system = MergingSystem(self.observer, setting, self.plan.consistency == "causal")
        walked: Explored[Any] = explore(
            system.initial(), cast(Any, system.steps), cast(Any, system.breaks), self.left
        )
        self.left = max(0, self.left - walked.states)
        for finding, trace in walked.broken.items():
            lines = (*diagram(trace, system), *self.called(taken(action for action, _ in trace)))
            self.diagrams.setdefault(cast(Finding, finding), lines)
            self.walked.setdefault(cast(Finding, finding), (trace, system))
        return walked

    def called(self, edges: Sequence[tuple[int, int]]) -> Iterator[str]:
        """The lines below a diagram: which handlers make the calls in it."""
        yield from callers(self.driver, self.life, edges)

    def checks(self) -> Iterator[tuple[Check, tuple[str, ...]]]:
        names = self.life.names
        lost = [finding for finding in self.diagrams if finding[0] == "lost"]
        if lost:
            worst = min(lost, key=self._mildness)
            a, b, c, d = (names[cast(int, state)] for state in worst[1:])
            text = f"acknowledged transitions can be lost: {a} → {b} to a concurrent {c} → {d}"
            yield self.told(worst, warned(text))
        else:
            yield self.claim("no acknowledged transition is lost")
        backwards = [finding for finding in self.diagrams if finding[0] == "backwards"]
        if backwards:
            before, after = (names[cast(int, state)] for state in backwards[0][1:])
            text = f"a replica can show '{after}' after '{before}', which the lifecycle forbids"
            yield self.told(backwards[0], warned(text))
        else:
            yield self.claim("no replica shows a history that the lifecycle forbids")
        if ("diverged",) in self.diagrams:
            yield self.told(("diverged",), warned("replicas that know the same differ"))
        else:
            yield self.claim("replicas that know the same show the same")
        if self.plan.consistency == "causal":
            yield self.order()
        yield self.clients()
        for number, (_, text) in enumerate(self.watched):
            seen = ("client", "watch", number)
            if ("watch", number) in self.diagrams:
                yield self.told(("watch", number), failed(f"{text} does not survive"), text)
            elif seen in self.diagrams:
                text = f"{text} does not survive for a client that switches replicas"
                yield self.told(seen, warned(text))
            else:
                yield self.claim(f"{text} holds on every replica and for every client")

    def whole_paths(self) -> Iterator[tuple[Check, tuple[str, ...]]]:
        """Properties of whole paths, on replicas that go on for ever."""
        level = self.plan.consistency
        for prospect in prospects(self.life, self.demands, level):
            text = prospect.property
            about = "as one replica shows it" if text != CONVERGE else "for the merge rule"
            if prospect.reason:
                yield warned(f"{text} is not examined on replicas: {prospect.reason}"), ()
            elif prospect.diagram:
                yield warned(f"{text}: that does not hold {about}"), (
                    *prospect.diagram,
                    *self.called(prospect.taken),
                )
            elif text == CONVERGE:
                yield self.claim(text)
            else:
                yield self.claim(f"{text} holds on every replica, if the network is fair")

    def order(self) -> tuple[Check, tuple[str, ...]]:
        """Whether what a transition rests on is there before it."""
        for finding, diagram in self.diagrams.items():
            if finding[0] == "early":
                return warned("a replica can hear of a transition before what it rests on"), diagram
        return self.claim("no replica hears of a transition before those that it rests on")

    def clients(self) -> tuple[Check, tuple[str, ...]]:
        """Whether what clients see goes with the lifecycle, wherever they read."""
        for finding in self.diagrams:
            if finding[:2] == ("client", "backwards"):
                before, after = (self.life.names[cast(int, state)] for state in finding[2:])
                text = f"a client that switches replicas can see '{after}' after '{before}'"
                return self.told(finding, warned(f"{text}, which the lifecycle forbids"))
        return self.claim("no client sees a history that the lifecycle forbids, wherever it reads")

    def told(
        self, finding: Finding, check: Check, refutes: str = ""
    ) -> tuple[Check, tuple[str, ...]]:
        """What is wrong, with its diagram; kept as a story, too."""
        trace, system = self.walked[finding]
        self.stories.append(Story(check.message, refutes, trace, system, self.life, self.driver))
        return check, self.diagrams[finding]

    def claim(self, text: str) -> tuple[Check, tuple[str, ...]]:
        return _claimed(text, self.delivers(self.plan.consistency)), ()

    def _mildness(self, finding: Finding) -> tuple[int, int, int]:
        """Which loss to show: one that breaks a property, then two ways out of one state, of which
        neither leads to the other."""
        _, source, target, other, winner = cast(tuple[str, int, int, int, int], finding)
        broken = {w for k, (w, _) in enumerate(self.watched) if ("watch", k) in self.diagrams}
        return (
            Watch(winner, target) not in broken,
            source != other,
            self.observer.beyond[target][winner],
        )

    def remedy(self) -> str:
        graph, names = self.life.graph, self.life.names
        forks = [names[s] for s, targets in enumerate(graph.successors) if len(targets) > 1]
        text = "what helps: `consistency: strong`; or a property that allows both outcomes"
        if forks:
            text += f"; or a lifecycle that leaves replicas no choice in {', '.join(forks)}"
        return text


def _watch(life: Lifecycle, demand: Demand) -> tuple[Watch, str] | None:
    """What to look for on replicas; None for what one node refutes, or what is no such property."""
    graph = life.graph
    if demand.kind not in ("never", "after_never") or demand.names[0] not in graph.index:
        return None
    forbidden = graph.index[demand.names[0]]
    if demand.kind == "never":
        text = f"never(state == '{demand.names[0]}')"
        return None if graph.reachable[forbidden] else (Watch(forbidden), text)
    start = graph.index.get(demand.start)
    if start is None or not graph.reachable[start]:
        return None
    if start == forbidden or graph.forward(graph.successors[start])[forbidden]:
        return None
    return Watch(forbidden, start), f"after('{demand.start}', state != '{demand.names[0]}')"


def diagram(trace: Trace[Any], system: LoggingSystem | MergingSystem) -> Iterator[str]:
    """A trace in space and time: a column per replica, a line per step, what happened behind it."""
    rows = [cast(Any, system).view(state) for _, state in trace]
    heads = [f"replica {number + 1}" for number in range(system.replicas)]
    width = max(len(cell) for row in [heads, *rows] for cell in row) + 4
    yield "".join(head.ljust(width) for head in heads).rstrip()
    for (action, _), row in zip(trace, rows, strict=True):
        cells = "".join(cell.ljust(width) for cell in row)
        told = system.told(action) if action else "all agree; then the network delays everything"
        yield f"{cells}{told}"
