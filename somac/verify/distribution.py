"""The distribution block of a cell with `scale` (§5.8): arithmetic, declarations, and run time.

What follows from the declaration alone is stated. What only a runtime can make true is stated when
the runtime says that it does, or when there is one replica, for which it holds of itself; else the
line is a warning with `NOT_ENFORCED` behind it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from ..frontend import nodes as n
from ..frontend.program import sections, slots_of
from .report import Block, Check, failed, passed, warned

NOT_ENFORCED = " — not enforced by this runtime"
NODE_LOCAL = frozenset({"ephemeral", "local"})
STATES = ("single", "distributed", "partitioned", "recovering")

Delivers = Callable[[str], bool]


@dataclass(frozen=True)
class Plan:
    """What a `scale` section declares, with the defaults of §6."""

    replicas: int
    tolerance: int
    consistency: str
    shard: str | None

    @property
    def quorum(self) -> int:
        return self.replicas // 2 + 1

    @property
    def spare(self) -> int:
        """How many nodes a majority can do without."""
        return self.replicas - self.quorum


def plan_of(scale: n.Scale) -> Plan:
    entries = {entry.key: entry.value for entry in scale.entries}
    shard = entries.get("shard")
    return Plan(
        replicas=int(entries.get("replicas", 1)),
        tolerance=int(entries.get("tolerance", 0)),
        consistency=str(entries.get("consistency", "strong")),
        shard=None if shard is None else str(shard),
    )


def distribution_block(cell: n.Cell, delivers: Delivers) -> Block | None:
    """The block of a cell; None without `scale`. `delivers` answers for the runtime."""
    found = sections(cell, n.Scale)
    if not found:
        return None
    checks = tuple(_Judge(cell, plan_of(found[-1]), delivers).checks())
    return Block(f"{cell.name}/scale", STATES, STATES[0], (), checks)


class _Judge:
    def __init__(self, cell: n.Cell, plan: Plan, delivers: Delivers) -> None:
        self.cell = cell
        self.plan = plan
        self.delivers = delivers

    def claim(self, message: str, *needs: str) -> Check:
        """A statement about running nodes."""
        if self.plan.replicas <= 1 or all(self.delivers(name) for name in needs):
            return passed(message)
        return warned(message + NOT_ENFORCED)

    def checks(self) -> Iterator[Check]:
        plan = self.plan
        if plan.replicas > 0:
            yield passed(f"replicas: {plan.replicas} instances declared")
        else:
            yield failed("replicas must be > 0")
        yield self.tolerance()
        yield from self.shard()
        if sections(self.cell, n.Every):
            text = "scheduler: 'every' blocks run on leader node only (leader = lowest node ID)"
            yield self.claim(text, "leader")
        yield from self.quorum()
        yield from self.local_slots()

    def tolerance(self) -> Check:
        """What failures the data survives: what is on one node only survives none, and without a
        majority `strong` answers nobody."""
        plan = self.plan
        if plan.tolerance >= plan.replicas:
            return failed(f"tolerance ({plan.tolerance}) must be < replicas ({plan.replicas})")
        text = f"tolerance: survives {plan.tolerance} node failures (of {plan.replicas} replicas)"
        if plan.tolerance == 0:
            return passed(text)
        if plan.consistency == "strong" and plan.tolerance > plan.spare:
            return warned(f"{text} — with a quorum of {plan.quorum}, only {plan.spare}")
        if self.on_one_node:
            return warned(f"{text} — not the data of '{plan.shard}', which is on one node only")
        return self.claim(text, "replication")

    @property
    def on_one_node(self) -> bool:
        """Whether the shard never leaves its node."""
        slot = slots_of(self.cell).get(self.plan.shard or "")
        return slot is not None and not NODE_LOCAL.isdisjoint(p.name for p in slot.properties)

    def shard(self) -> Iterator[Check]:
        name = self.plan.shard
        if name is None:
            text = "no shard declared — all memory replicated to all nodes"
            yield self.claim(text, "replication")
            return
        slot = slots_of(self.cell).get(name)
        if slot is None:
            yield failed(f"shard '{name}' is not a declared memory slot")
            return
        written = {p.name for p in slot.properties}
        yield passed(f"shard: '{name}' is a valid memory slot")
        if "persistent" in written and self.delivers("durable"):
            yield passed(f"shard '{name}' is [persistent] — data survives node restart")
        elif "persistent" in written:
            yield warned(
                f"shard '{name}' is [persistent] — data survives node restart{NOT_ENFORCED}"
            )
        elif "ephemeral" in written:
            yield warned(
                f"shard '{name}' is [ephemeral] — data lost on node failure"
                " (tolerance provides no durability guarantee)"
            )
        yield self.consistency(name, written)
        if self.plan.tolerance > 0:
            yield self.trade_off()

    def consistency(self, shard: str, written: set[str]) -> Check:
        level = self.plan.consistency
        if level == "eventual":
            return warned(
                f"consistency: eventual — reads from '{shard}' may return stale data after writes"
            )
        if level == "causal":
            text = f"consistency: causal — operations on '{shard}' respect causal ordering"
        elif "consistent" in written:
            text = f"consistency: strong — [consistent] memory '{shard}'"
            text += " with linearizable reads/writes"
        else:
            text = f"consistency: strong — all reads/writes to '{shard}' are linearizable"
        if self.on_one_node and self.plan.replicas > 1:
            return warned(f"{text} — on each node by itself: they do not share it")
        return self.claim(text, level)

    def trade_off(self) -> Check:
        if self.plan.consistency == "eventual":
            return self.claim(
                "CAP: AP mode — available + partition-tolerant"
                " (consistency relaxed during partitions)",
                "eventual",
            )
        if self.plan.consistency == "causal":
            text = "CAP: causal consistency — weaker than linearizable, stronger than eventual"
            return self.claim(text, "causal")
        return self.claim(
            "CAP: CP mode — consistent + partition-tolerant"
            " (availability reduced during partitions)",
            "strong",
            "quorum",
        )

    def quorum(self) -> Iterator[Check]:
        """The arithmetic of majorities, whoever counts them."""
        plan = self.plan
        if plan.consistency != "strong" or plan.replicas <= 1:
            return
        if plan.tolerance <= plan.spare:
            yield passed(
                f"quorum: {plan.quorum}/{plan.replicas} nodes needed"
                f" — tolerates {plan.spare} failures"
            )
        else:
            yield failed(
                f"tolerance ({plan.tolerance}) exceeds maximum for strong consistency quorum"
                f" ({plan.spare}/{plan.replicas})"
            )

    def local_slots(self) -> Iterator[Check]:
        for slot in slots_of(self.cell).values():
            written = {p.name for p in slot.properties}
            if slot.name != self.plan.shard and written & NODE_LOCAL:
                text = f"memory '{slot.name}' is node-local — not distributed (fast path)"
                yield self.claim(text, "node_local")
