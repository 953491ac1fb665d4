"""The cluster itself, single → distributed → partitioned → recovering, as a finite system (§5.8).

Two or three nodes start, join, crash and come back; links between them are cut and heal; nodes
write and catch up; under `eventual` and `causal`, whoever has been gone for long is forgotten until
it is heard of again. Which state a node is in, and whether it acknowledges, is decided by
`somart.cluster.phase`, the runtime's own code. Nodes reach each other over others, too. A crash
cuts all links of a node. Writes are those of one node that is watched, each in turn; under `strong`
all count as one log, and a write waits for a majority that has all before it: consensus keeps that.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property, lru_cache
from itertools import combinations
from typing import NamedTuple

from somart.cluster.phase import (
    DISTRIBUTED,
    PHASES,
    SINGLE,
    acknowledges,
    may_cease,
    must_meet,
    needed,
    phase,
    still_behind,
)

from .ctl import parse
from .explorer import Trace, explore, unfold
from .product import Product

NODES = (2, 3)
FAULTS = ("cut", "crashes")
WORDS = {
    "joins": "{} joins by way of {}",
    "crashes": "{} crashes",
    "rejoins": "{} comes back",
    "cut": "the link {}–{} is cut",
    "heals": "the link {}–{} heals",
    "forgets": "those with {} forget {}",
    "writes": "{} acknowledges a write",
    "catches": "{} catches up",
}

Action = tuple[str | int, ...]  # what happens, and to which nodes


class Cluster(NamedTuple):
    """Sets of nodes and of links are bits. A node that has not joined yet counts no members."""

    up: int
    cut: int  # links
    members: tuple[int, ...]  # per node, whom it counts
    behind: int  # nodes that must catch up
    lacks: int  # nodes that have not got all acknowledged writes that are watched


class MembershipSystem:
    """Nodes that come, go, lose sight of each other and meet again. Node 0 founds the cluster.

    The others are alike, so it is enough to watch the writes of the nodes 0 and 1.
    """

    def __init__(self, nodes: int, consistency: str, watched: int = 0) -> None:
        self.nodes = nodes
        self.watched = watched
        self.consistency = consistency
        self.strong = consistency == "strong"
        self.links = list(combinations(range(nodes), 2))
        self._connected: dict[tuple[int, int], list[int]] = {}
        # per node, the links that it has
        self.ends = [
            sum(1 << link for link, ends in enumerate(self.links) if node in ends)
            for node in range(nodes)
        ]
        self._seen: dict[tuple[int, int, tuple[int, ...], int], tuple[tuple[int, ...], int]] = {}

    def initial(self) -> Iterator[Cluster]:
        every_link = (1 << len(self.links)) - 1
        yield Cluster(1, every_link, (1, *(0,) * (self.nodes - 1)), 0, 0)

    def connected(self, now: Cluster) -> list[int]:
        """Per node, those that it reaches, itself included; nobody for one that is down."""
        known = self._connected.get((now.up, now.cut))
        if known is None:
            groups = [now.up & 1 << node for node in range(self.nodes)]
            for _ in range(self.nodes):
                for link, (a, b) in enumerate(self.links):
                    if groups[a] and groups[b] and not now.cut >> link & 1:
                        groups[a] |= groups[b]
                        groups[b] |= groups[a]
            known = self._connected[now.up, now.cut] = groups
        return known

    def reached(self, now: Cluster, node: int) -> tuple[int, int]:
        """How many members a node counts, and how many of them it reaches."""
        members = now.members[node]
        return members.bit_count(), (members & self.connected(now)[node]).bit_count()

    def phase(self, now: Cluster, node: int) -> str:
        """What a node shows: a state of the cluster, "(down)", or "(outside)" before it joins."""
        if not now.members[node]:
            return "(outside)"
        if not now.up >> node & 1:
            return "(down)"
        return phase(*self.reached(now, node), bool(now.behind >> node & 1), self.consistency)

    def may_write(self, now: Cluster, node: int) -> bool:
        """Whether a node acknowledges, and, under `strong`, a majority has all before its write."""
        shown = self.phase(now, node)
        if shown not in PHASES or not acknowledges(shown, self.consistency):
            return False
        if not self.strong:
            return True
        has_all = self.connected(now)[node] & now.members[node] & ~now.lacks
        enough = needed(now.members[node].bit_count(), self.consistency)
        return bool(has_all >> node & 1) and has_all.bit_count() >= enough

    def steps(self, now: Cluster) -> Iterator[tuple[Action, Cluster]]:
        """What may happen next; what would change nothing is left out."""
        up, cut, members, behind, lacks = now
        for link, (a, b) in enumerate(self.links):
            if up >> a & up >> b & 1:
                changed = self._looked_around(up, cut ^ 1 << link, members, behind, lacks)
                yield ("heals" if cut >> link & 1 else "cut", a, b), changed
        for node in range(self.nodes):
            bit = 1 << node
            if not members[node]:
                yield from self._joins(now, node)
            elif up & bit:
                lost = cut | self.ends[node]
                yield (
                    ("crashes", node),
                    self._looked_around(up & ~bit, lost, members, behind, lacks),
                )
                if self.strong or node == self.watched:
                    yield from self._writes(now, node)
                yield from self._catches_up(now, node)
                yield from self._forgets(now, node)
            else:
                back = self._looked_around(up | bit, cut, members, behind | bit, lacks)
                yield ("rejoins", node), back

    def _looked_around(
        self, up: int, cut: int, members: tuple[int, ...], behind: int, lacks: int
    ) -> Cluster:
        """Who is connected learns of the others' members; each looks whom it reaches."""
        known = self._seen.get((up, cut, members, behind))
        if known is None:
            now = Cluster(up, cut, members, behind, lacks)
            known = self._seen[up, cut, members, behind] = self._learnt(now)
        return Cluster(up, cut, *known, lacks)

    def _learnt(self, now: Cluster) -> tuple[tuple[int, ...], int]:
        members, behind = list(now.members), now.behind
        for node, group in enumerate(self.connected(now)):
            if not group or not now.members[node]:
                continue
            for other in _nodes(group):
                members[node] |= now.members[other]
            if members[node] != now.members[node] and must_meet(self.consistency):
                behind |= 1 << node
            count = members[node].bit_count()
            reach = (members[node] & group).bit_count()
            if still_behind(bool(behind >> node & 1), count, reach, self.consistency):
                behind |= 1 << node
        return tuple(members), behind

    def _joins(self, now: Cluster, node: int) -> Iterator[tuple[Action, Cluster]]:
        """A node starts and dials a seed. Under `strong` a majority must take it in."""
        for seed in _nodes(now.up):
            if self.strong and not self.may_write(now, seed):
                continue
            link = self.links.index((min(node, seed), max(node, seed)))
            known = now.members[seed] | 1 << node
            joined = self._looked_around(
                now.up | 1 << node,
                now.cut & ~(1 << link),
                (*now.members[:node], known, *now.members[node + 1 :]),
                now.behind | 1 << node,
                now.lacks | (self.strong or node != self.watched) << node,
            )
            yield ("joins", node, seed), joined

    def _forgets(self, now: Cluster, node: int) -> Iterator[tuple[Action, Cluster]]:
        """Those that are connected drop a member that they have not reached for long."""
        group = self.connected(now)[node]
        if self.strong or group & -group != 1 << node:  # the first of a group speaks for it
            return
        for gone in _nodes(now.members[node] & ~group):
            members = tuple(
                known & ~(1 << gone) if group >> k & 1 else known
                for k, known in enumerate(now.members)
            )
            yield ("forgets", node, gone), Cluster(*now[:2], members, *now[3:])

    def _writes(self, now: Cluster, node: int) -> Iterator[tuple[Action, Cluster]]:
        """A write reaches all that are connected at once; the others have to catch up with it."""
        joined = sum(1 << k for k, known in enumerate(now.members) if known)
        lacks = now.lacks | joined & ~self.connected(now)[node]
        if lacks != now.lacks and self.may_write(now, node):
            yield ("writes", node), Cluster(*now[:4], lacks)

    def _catches_up(self, now: Cluster, node: int) -> Iterator[tuple[Action, Cluster]]:
        """A node gets what those have that it reaches: under `strong`, what a majority decided."""
        if not (now.behind | now.lacks) >> node & 1:
            return
        enough = may_cease(*self.reached(now, node), self.consistency)
        if self.strong and not enough:
            return
        lacks = now.lacks
        if self.connected(now)[node] & ~lacks:
            lacks &= ~(1 << node)
        after = Cluster(*now[:3], now.behind & ~(enough << node), lacks)
        if after != now:
            yield ("catches", node), after

    def lacking(self, now: Cluster, node: int) -> bool:
        """Whether a node lacks an acknowledged write of a member that it counts."""
        counted = self.strong or now.members[node] >> self.watched & 1
        return bool(counted and now.lacks >> node & 1)

    def both_sides(self, now: Cluster) -> bool:
        """Whether nodes that do not reach each other acknowledge."""
        groups = self.connected(now)
        return len({groups[k] for k in range(self.nodes) if self.may_write(now, k)}) > 1


def _all(system: MembershipSystem) -> range:
    return range(system.nodes)


def _nodes(bits: int) -> Iterator[int]:
    node = 0
    while bits:
        if bits & 1:
            yield node
        bits >>= 1
        node += 1


class Finding(NamedTuple):
    """A claim about the cluster, and the diagram that refutes it, empty when it holds."""

    claim: str
    diagram: tuple[str, ...]


NO_DEADLOCK = "whatever is cut or crashes, the cluster can go on: no deadlocks"
ALL_REACHED = "every node can be distributed, partitioned and recovering, the first one single, too"
IN_ORDER = "from 'partitioned' to 'distributed' a node goes by way of 'recovering'"
UP_TO_DATE = "a node that is 'distributed' lacks no acknowledged write of the members it counts"
HEALS = "once cuts and crashes cease, all nodes become 'distributed' again"
ONE_SIDE = "a partitioned node acknowledges nothing, and two sides of a cut never both do"
AVAILABLE = "a partitioned node goes on acknowledging"


def claims(consistency: str) -> Iterator[tuple[str, str, bool]]:
    """Each claim, its formula for node `k`, and whether it is about the time without faults."""
    yield NO_DEADLOCK, "AG EX true", False
    yield (
        ALL_REACHED,
        "EF k_distributed & EF k_partitioned & EF k_recovering & EF 'single'",
        False,
    )
    yield IN_ORDER, "AG (k_partitioned -> !E[k_partitioned U k_distributed])", False
    yield UP_TO_DATE, "AG (k_distributed -> !k_lacks)", False
    yield HEALS, "AF AG at_rest", True
    if consistency == "strong":
        yield ONE_SIDE, "AG (!sides & (k_partitioned -> !k_acknowledges))", False
    else:
        yield AVAILABLE, "AG (k_partitioned -> k_acknowledges)", False


@lru_cache
def examined(consistency: str, sizes: tuple[int, ...] = NODES) -> tuple[int, tuple[Finding, ...]]:
    """What is true of clusters of that consistency and of so many nodes: how many states were
    walked, and each claim."""
    found: dict[str, tuple[str, ...]] = {}
    states = 0
    for nodes in sizes:
        model = _Model(MembershipSystem(nodes, consistency))
        states += len(model.unfolded.states)
        for claim, formula, calm in claims(consistency):
            if not found.get(claim):
                found[claim] = model.refutation(formula, calm)
        if consistency != "strong":
            walked, story = _others_up_to_date(MembershipSystem(nodes, consistency, 1))
            states += walked
            found[UP_TO_DATE] = found[UP_TO_DATE] or story
    return states, tuple(Finding(claim, diagram) for claim, diagram in found.items())


def _others_up_to_date(system: MembershipSystem) -> tuple[int, tuple[str, ...]]:
    """UP_TO_DATE for the writes of a node other than the founder, in a walk that keeps no edges."""

    def out_of_date(now: Cluster) -> list[str]:
        lacking = [k for k in range(system.nodes) if system.lacking(now, k)]
        return [UP_TO_DATE] if any(system.phase(now, k) == DISTRIBUTED for k in lacking) else []

    found = explore(system.initial(), system.steps, out_of_date)
    story = found.broken.get(UP_TO_DATE)
    return found.states, tuple(diagram(system, story, None)) if story else ()


class _Model:
    """The unfolded system: once as it is, once without faults, from all of its states."""

    def __init__(self, system: MembershipSystem) -> None:
        self.system = system
        self.unfolded = unfold(system.initial(), system.steps)
        shown = [[system.phase(now, k) for now in self.unfolded.states] for k in _all(system)]
        fine = (*PHASES[:2], "(outside)")
        self.labels = {
            "single": bytearray(name == SINGLE for name in shown[0]),
            "sides": bytearray(map(system.both_sides, self.unfolded.states)),
            "at_rest": bytearray(all(n in fine for n in row) for row in zip(*shown, strict=True)),
        }
        for k in _all(system):
            for name in PHASES:
                self.labels[f"{k}_{name}"] = bytearray(other == name for other in shown[k])
            held = {"lacks": system.lacking, "acknowledges": system.may_write}
            for name, holds in held.items():
                self.labels[f"{k}_{name}"] = bytearray(
                    holds(now, k) for now in self.unfolded.states
                )
        self.all = Product(self.unfolded, self.labels)

    @cached_property
    def calm(self) -> Product[Cluster]:
        return Product(
            self.unfolded,
            self.labels,
            kept=lambda action: action[0] not in FAULTS,
        )

    def refutation(self, formula: str, calm: bool) -> tuple[str, ...]:
        """Empty if the formula holds for each node (while calm: in every state); else a diagram."""
        product = self.calm if calm else self.all
        for node in range(self.system.nodes if "k_" in formula else 1):
            wanted = parse(formula.replace("k_", f"{node}_"))
            starts = product.checker.states(wanted)
            at = starts.find(0) if calm else starts.find(0, 0, 1)
            if at >= 0:
                stem = self.all.graph.shortest_path(0, at.__eq__) or [at]
                story = self.unfolded.trace(stem)
                path, loop = product.counter_example(wanted, at)
                return tuple(diagram(self.system, story + path[1:], loop))
        return ()


def diagram(system: MembershipSystem, trace: Trace[Cluster], loop: int | None) -> Iterator[str]:
    """A trace in space and time: a column per node, a line per step, what happened behind it."""
    yield "".join(f"node {k + 1}".ljust(15) for k in range(system.nodes)).rstrip()
    for action, now in trace:
        cells = "".join(system.phase(now, k).ljust(15) for k in range(system.nodes))
        yield f"{cells}{described(action) if action else 'node 1 founds the cluster'}"
    if loop is not None:
        yield "… and so on, for ever"


def described(action: Action) -> str:
    """An action in words; nodes are counted from 1."""
    kind, *nodes = action
    return WORDS[str(kind)].format(*(int(node) + 1 for node in nodes))
