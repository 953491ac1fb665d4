"""The messages of the bus: typed, validated, bounded; msgpack arrays that begin with their name.

Names are the paper's where it has one (`CLUSTER JOIN`, `EVENT _cluster_set` …). A frame on the wire
is `[sequence number, message]`, see `frames.py`.
"""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct

Name = Annotated[str, Meta(max_length=256)]
Text = Annotated[str, Meta(max_length=4096)]
Count = Annotated[int, Meta(ge=0)]
Segment = Annotated[int, Meta(ge=0, lt=4096)]
StampWire = tuple[int, int, Name]
"""Milliseconds, counter, node: `merge.Stamp`."""
VectorWire = dict[Name, Count]


class _Message(Struct, frozen=True, array_like=True):
    pass


# --- membership ----------------------------------------------------------------------------------


class MemberState(_Message, frozen=True):
    """What is known of a member; a higher incarnation wins, then the worse status.

    `status` is alive, suspect, dead, left or removed; `ring` is joining or ready.
    """

    id: Name
    address: Name
    http: Name
    incarnation: Count
    status: Name
    ring: Name


class Join(_Message, frozen=True, tag="CLUSTER JOIN"):
    """I am new here, or back; answered by `Members`."""

    member: MemberState


class Members(_Message, frozen=True, tag="CLUSTER MEMBERS"):
    """All that the sender knows of the cluster."""

    members: list[MemberState]


class Heartbeat(_Message, frozen=True, tag="CLUSTER HEARTBEAT"):
    """A probe; answered by `Alive` with its number. Carries gossip."""

    number: Count
    gossip: list[MemberState]


class Alive(_Message, frozen=True, tag="CLUSTER ALIVE"):
    """The answer to a probe, of oneself or (`subject`) by order of another."""

    number: Count
    subject: Name
    gossip: list[MemberState]


class ProbeRequest(_Message, frozen=True, tag="CLUSTER PROBE"):
    """Please probe `target` for me."""

    number: Count
    target: Name
    gossip: list[MemberState]


# --- data ----------------------------------------------------------------------------------------


class VersionWire(_Message, frozen=True):
    """A key's version: the last write's stamp, and what nodes have added to it since.

    `added` maps a node to (number of its additions, their sum).
    """

    stamp: StampWire
    added: dict[Name, tuple[Count, int]] | None = None


class Write(_Message, frozen=True):
    """One key of one table as it is after a commit; `kind` None: deleted (a tombstone)."""

    table: Name
    key: str
    version: VersionWire
    kind: Name | None
    value: str
    written: int = 0
    expires: int = 0


class Batch(_Message, frozen=True, tag="EVENT _cluster_set"):
    """The writes of one commit of `origin`, its `number`-th; `before` is the one sent before it on
    this stream. `depends` is what the origin had seen (causal), else empty."""

    origin: Name
    number: Count
    before: Count
    depends: VectorWire
    writes: list[Write]


class Received(_Message, frozen=True, tag="EVENT _cluster_received"):
    """All batches of the stream up to `number` are durable here."""

    origin: Name
    number: Count


class Get(_Message, frozen=True, tag="EVENT _cluster_get"):
    """The value of a key, once the receiver has seen `after`."""

    request: Count
    table: Name
    key: str
    after: VectorWire


class GetReply(_Message, frozen=True, tag="EVENT _cluster_get_reply"):
    """`write` None: never heard of the key. `refused`: why there is no answer, else empty."""

    request: Count
    write: Write | None
    refused: Text = ""


class Values(_Message, frozen=True, tag="EVENT _cluster_values"):
    """Entries of some segments: `what` is keys, values or len; answered in pages."""

    request: Count
    table: Name
    segments: list[Segment]
    what: Name
    after: VectorWire
    cursor: str = ""


class ValuesReply(_Message, frozen=True, tag="EVENT _cluster_values_reply"):
    """A page; `cursor` empty on the last one. `lacking` are segments not served here."""

    request: Count
    writes: list[Write]
    count: Count
    cursor: str
    lacking: list[Segment]
    refused: Text = ""


class SyncRequest(_Message, frozen=True, tag="EVENT _cluster_sync_request"):
    """A round of anti-entropy begins: digests of groups of segments, or of segments."""

    request: Count
    table: Name
    level: Count
    digests: list[tuple[Count, Count]]
    """(group or segment, digest)"""


class SyncSummary(_Message, frozen=True, tag="EVENT _cluster_sync_summary"):
    """The keys and versions of segments that differ."""

    request: Count
    table: Name
    segments: list[Segment]
    keys: list[tuple[str, VersionWire]]
    more: bool


class SyncEntries(_Message, frozen=True, tag="EVENT _cluster_sync_entries"):
    """Entries that the receiver lacks, and keys that the sender lacks and asks for."""

    request: Count
    writes: list[Write]
    wanted: list[tuple[Name, str]]
    more: bool


class SyncDone(_Message, frozen=True, tag="EVENT _cluster_sync_done"):
    """What was sent with `request` is merged and durable here."""

    request: Count


class Ready(_Message, frozen=True, tag="EVENT _cluster_ready"):
    """Segments of which the sender now has all that the receiver held."""

    segments: list[Segment]


class IdRequest(_Message, frozen=True, tag="EVENT _cluster_ids"):
    """A block of ids for a counter, please; or, `region`, a share of the sender's own region."""

    request: Count
    counter: Name
    region: bool = False


class IdBlock(_Message, frozen=True, tag="EVENT _cluster_ids_reply"):
    """Ids `first` to `last` are the receiver's alone; `last` 0: none to give."""

    request: Count
    counter: Name
    first: Count
    last: Count


# --- signals -------------------------------------------------------------------------------------


class Signal(_Message, frozen=True, tag="EVENT"):
    """An emitted signal with its list of arguments (JSON). Between nodes of a cluster it feeds SSE
    and WebSocket clients; over a `link` it calls handlers. `number` grows with every signal of
    its origin, for doublets."""

    origin: Name
    number: Count
    name: Name
    args: str
    published: bool = False


class TimerRan(_Message, frozen=True, tag="EVENT _cluster_after"):
    """An `after` block has run on the node that leads."""

    timer: Name


Message = (
    Join
    | Members
    | Heartbeat
    | Alive
    | ProbeRequest
    | Batch
    | Received
    | Get
    | GetReply
    | Values
    | ValuesReply
    | SyncRequest
    | SyncSummary
    | SyncEntries
    | SyncDone
    | Ready
    | IdRequest
    | IdBlock
    | Signal
    | TimerRan
)
