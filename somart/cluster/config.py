"""Every interval and bound of the cluster, in one place."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace


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
    forget_ms: int = 600_000
    """A member dead or gone for so long leaves the ring."""
    read_timeout_ms: int = 2_000
    """How long a read waits for owners (paper 4.4)."""
    sync_interval_ms: int = 10_000
    """Between two rounds of anti-entropy, each with one peer."""
    resend_ms: int = 1_000
    """Batches not acknowledged for so long are sent again."""
    window: int = 128
    """Batches in flight to one peer."""
    journal_batches: int = 10_000
    """Own batches kept for members that have not acknowledged them; beyond, anti-entropy."""
    page_bytes: int = 256 * 1024
    """The most that one message of a stream of entries carries."""
    frame_bytes: int = 8 * 1024 * 1024
    """The largest frame that is accepted."""
    queue_frames: int = 4_096
    """Frames waiting for one link before its sender has to wait or drop."""
    dial_first_ms: int = 100
    dial_most_ms: int = 5_000
    """Back-off of dialling."""
    virtual_nodes: int = 128
    id_block: int = 64
    """Ids handed out at once."""

    def scaled(self, factor: float) -> ClusterConfig:
        """All intervals times `factor`, at least 1 ms: quick clusters for tests."""
        times = {
            item.name: max(1, int(getattr(self, item.name) * factor))
            for item in fields(self)
            if item.name.endswith("_ms")
        }
        return replace(self, **times)
