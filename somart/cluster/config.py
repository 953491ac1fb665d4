"""Every interval and bound of the cluster, in one place."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace

_PROPORTIONAL = {
    "heartbeat_ms": ("probe_timeout_ms", "gossip_ms", "compare_ms"),
    "dead_ms": ("suspicion_ms",),
}


@dataclass(frozen=True, slots=True)
class ClusterConfig:
    """Intervals in milliseconds (their names end in `_ms`), counts and bytes otherwise."""

    heartbeat_ms: int = 3_000
    """A probe of one member per interval (the paper's heartbeat)."""
    probe_timeout_ms: int = 1_000
    """Without an answer for so long, other members are asked to probe."""
    indirect_probes: int = 3
    dead_ms: int = 15_000
    """From the last sign of life to being declared dead."""
    suspicion_ms: int = 6_000
    """The least time that a suspect is given to speak up."""
    gossip_ms: int = 500
    """Between two rounds of gossip, while there is news."""
    gossip_fanout: int = 3
    """Members that each round goes to."""
    gossip_entries: int = 8
    """Changes that one message carries."""
    members_page: int = 64
    """Members that one page of the full table carries."""
    members_most: int = 2_000
    """Members that are remembered, those removed included."""
    compare_ms: int = 30_000
    """Between two comparisons of the table of members, each with one member at random."""
    forget_ms: int = 600_000
    """A member dead or gone for so long leaves the ring."""
    election_ms: int = 700
    """Strong cells: an election begins after one to two times so long without the leader."""
    read_timeout_ms: int = 2_000
    """How long a read waits for owners (paper 4.4)."""
    sync_interval_ms: int = 10_000
    """Between two rounds of anti-entropy, each with one peer."""
    tombstone_ms: int = 60_000
    """Deletions younger than that are never forgotten, whoever knows of them."""
    resend_ms: int = 1_000
    """Batches not acknowledged for so long are sent again."""
    window: int = 128
    """Batches in flight to one peer."""
    journal_batches: int = 10_000
    """Own batches kept for members that have not acknowledged them; beyond, anti-entropy."""
    page_bytes: int = 256 * 1024
    """The most that one message of a stream of entries carries."""
    frame_bytes: int = 64 * 1024 * 1024
    """The largest frame accepted from those who have proved themselves: a commit travels in one."""
    queue_frames: int = 65_536
    """Frames waiting for one link: room for the emits of one handler. A reader that falls further
    behind loses the link."""
    queue_bytes: int = 32 * 1024 * 1024
    """Bytes waiting for one link, likewise."""
    send_ms: int = 15_000
    """How long one write to a link may take before it counts as dead."""
    handshake_ms: int = 5_000
    """How long a connection may take to prove itself, and to be made."""
    pending_links: int = 64
    """Connections that have not proved themselves yet; beyond, the oldest is closed."""
    links: int = 1_024
    """Connections that have."""
    watch_frames: int = 1_024
    """Messages waiting for one `bus tail`; beyond, they are counted instead of shown."""
    signals: int = 256
    """Signals of one link whose handlers have run and whose commits are on their way to disk."""
    hops: int = 32
    """Links that a chain of signals which cause each other may cross: ends an endless ping-pong."""
    dial_first_ms: int = 100
    dial_most_ms: int = 5_000
    """Back-off of dialling."""
    virtual_nodes: int = 128
    id_block: int = 64
    """Ids handed out at once."""

    def adjusted(self, intervals: Mapping[str, int]) -> ClusterConfig:
        """With intervals that a user has set; those that hang on them keep their proportion, so
        that a quicker heartbeat is not held up by suspicion as slow as before.

        Raises ValueError where the intervals don't make sense together.
        """
        given = dict(intervals)
        for source, names in _PROPORTIONAL.items():
            if source in given:
                for name in names:
                    part = given[source] * getattr(self, name) // getattr(self, source)
                    given.setdefault(name, max(1, part))
        config = replace(self, **given)
        if config.dead_ms < 2 * config.heartbeat_ms:
            raise ValueError(
                f"dead_ms ({config.dead_ms}) must be at least twice heartbeat_ms "
                f"({config.heartbeat_ms})"
            )
        return config

    def scaled(self, factor: float) -> ClusterConfig:
        """All intervals times `factor`, at least 1 ms: quick clusters for tests."""
        times = {
            item.name: max(1, int(getattr(self, item.name) * factor))
            for item in fields(self)
            if item.name.endswith("_ms")
        }
        return replace(self, **times)
