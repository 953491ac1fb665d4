"""What this runtime does about distribution: the verifier asks here before it says anything.

A capability is delivered when the runtime keeps the promise on every node of a cluster, and a test
shows it. What is not delivered, the verifier reports as not enforced.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Capability:
    """One promise to programs that declare `scale`."""

    delivered: bool
    promise: str


CAPABILITIES: Mapping[str, Capability] = {
    "durable": Capability(True, "what a [persistent] slot acknowledged survives a restart"),
    "node_local": Capability(True, "an [ephemeral] or [local] slot never leaves its node"),
    "replication": Capability(True, "every write reaches all replicas and survives their failure"),
    "strong": Capability(True, "reads and writes of shared slots are linearizable"),
    "causal": Capability(True, "a read sees all that its writes depend on"),
    "eventual": Capability(True, "replicas accept writes alone and converge when they meet"),
    "quorum": Capability(True, "without a majority of the replicas no write is acknowledged"),
    "leader": Capability(
        True, "`every` runs on the leader; with consensus each due time takes effect once"
    ),
}


def delivers(name: str) -> bool:
    """Whether this runtime keeps a promise. Raises KeyError for an unknown one."""
    return CAPABILITIES[name].delivered
