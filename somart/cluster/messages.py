"""The messages of the bus: typed, validated, bounded; msgpack arrays that begin with their name.

Names are the paper's where it has one (`CLUSTER JOIN`, `EVENT _cluster_set` …). A frame on the wire
is `[sequence number, message]`, see `frames.py`.
"""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, MsgspecError, Struct, msgpack

from ..consensus.messages import Here, ServiceMessage

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
    """What is known of a member; `members.merge` joins two of them, in any order.

    `status` is alive, suspect, dead, left or removed; `ring` is joining or ready. `boot` is drawn
    by each process when it starts: the same id with another boot is a restart, or a second process
    on copied data. `joined` is the incarnation in which the member last came into the ring,
    `expelled` the latest one in which it was taken out (0: never): it is in the ring while `joined`
    is the greater.
    """

    id: Name
    address: Name
    http: Name
    incarnation: Count
    status: Name
    ring: Name
    boot: Name = ""
    joined: Count = 0
    expelled: Count = 0


class Join(_Message, frozen=True, tag="CLUSTER JOIN"):
    """Both ends of a new link say who they are, and how much they know: the digest of the table of
    members and its size. Also sent now and then to any member. Whoever knows otherwise answers with
    `Members`."""

    member: MemberState
    digest: Count = 0
    known: Count = 1


class Members(_Message, frozen=True, tag="CLUSTER MEMBERS"):
    """All that the sender knows of the cluster, or a page of it.

    `digest` is the sender's on the last page, else 0. `answer`: sent because the receiver's table
    had differed, not to be answered again.
    """

    members: list[MemberState]
    digest: Count = 0
    answer: bool = False


class Gossip(_Message, frozen=True, tag="CLUSTER GOSSIP"):
    """Changes of members, to a few others at random; nothing is sent when nothing has changed."""

    gossip: list[MemberState]


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
    this stream. `depends` is what the origin had seen (causal), else empty. Under eventual it has
    the writes that are the receiver's; under causal all of them, and `ring` is the fingerprint of
    the members that the sender knows."""

    origin: Name
    number: Count
    before: Count
    depends: VectorWire
    writes: list[Write]
    ring: Count = 0


class Stream(_Message, frozen=True, tag="EVENT _cluster_stream"):
    """The sender's batches `first` to `last` can be had; answered by `Received`. An origin is a
    member's data directory: a wiped one comes back as another."""

    origin: Name
    first: Count
    last: Count


class Everywhere(_Message, frozen=True, tag="EVENT _cluster_everywhere"):
    """All members of a `ring` (its fingerprint) have the batches of `origin` up to `number`."""

    origin: Name
    number: Count
    ring: Count


class Received(_Message, frozen=True, tag="EVENT _cluster_received"):
    """All batches of the stream up to `number` are durable here. `again`: go on from there."""

    origin: Name
    number: Count
    again: bool = False


class Settled(_Message, frozen=True):
    """All that the sender has committed before `stamp` is durable on all owners, as the members of
    a `ring` (its fingerprint) are. Travels with comparisons, whose number does not grow with that
    of the members."""

    stamp: StampWire
    ring: Count


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
    seen: VectorWire = {}


class Values(_Message, frozen=True, tag="EVENT _cluster_values"):
    """Entries of some segments: `what` is keys, values, len, or digests; answered in pages.
    `deleted`: with the keys that were deleted."""

    request: Count
    table: Name
    segments: list[Segment]
    what: Name
    after: VectorWire
    cursor: str = ""
    deleted: bool = False


class ValuesReply(_Message, frozen=True, tag="EVENT _cluster_values_reply"):
    """A page; `cursor` empty on the last one. `lacking` are segments not served here. `digests`
    are of the segments of the page with any keys: how many keys each shows, and a digest of all
    that are not deleted, with their versions."""

    request: Count
    writes: list[Write]
    cursor: str
    lacking: list[Segment]
    refused: Text = ""
    seen: VectorWire = {}
    digests: list[tuple[Segment, Count, Count]] = []


class SyncRequest(_Message, frozen=True, tag="EVENT _cluster_sync_request"):
    """Digests to be compared. Level 0: of `tables`; 1: of groups of segments of `table`; 2: of the
    segments of `within`, which are groups, or at level 3 segments. What is not named has digest 0.
    """

    request: Count
    level: Count
    tables: list[tuple[Name, Count]] = []
    table: Name = ""
    within: list[Segment] = []
    digests: list[tuple[Count, Count]] = []
    settled: Settled | None = None


class SyncDiffers(_Message, frozen=True, tag="EVENT _cluster_sync_differs"):
    """Which tables (level 0), groups (1) or segments (2) are not the same here.

    Causal: `has` is the vector that the sender's state contains at least, `seen` at most; of its
    batches after `released` it has dropped nothing yet. `serving`: it has all that is its own.
    `ring`: the fingerprint of the members that it knows."""

    request: Count
    tables: list[Name]
    numbers: list[Count]
    serving: bool
    seen: VectorWire = {}
    has: VectorWire = {}
    settled: Settled | None = None
    released: VectorWire = {}
    ring: Count = 0


class SyncSummary(_Message, frozen=True, tag="EVENT _cluster_sync_summary"):
    """The answer to level 3, for a page of segments, the first `through` of those asked for: those
    that are not `differing` are equal. For those that differ keys and versions, or `writes` when
    the asker has nothing. `lacking`: the sender itself does not have all of them; `undecided`: it
    may have what was there, from before it was taken out of the ring. `collected`: when the latest
    deletion in a segment was made that has been forgotten."""

    request: Count
    table: Name
    through: Count
    differing: list[Segment]
    keys: list[tuple[str, VersionWire]]
    writes: list[Write]
    lacking: list[Segment]
    seen: VectorWire = {}
    collected: list[tuple[Segment, Count]] = []
    released: VectorWire = {}
    undecided: list[Segment] = []


class SyncEntries(_Message, frozen=True, tag="EVENT _cluster_sync_entries"):
    """Entries that the receiver lacks, and keys that the sender lacks and asks for."""

    request: Count
    writes: list[Write]
    table: Name
    wanted: list[str]
    seen: VectorWire = {}


class SyncDone(_Message, frozen=True, tag="EVENT _cluster_sync_done"):
    """What was sent with `request` is merged and durable here; entries that were asked for."""

    request: Count
    writes: list[Write]
    seen: VectorWire = {}
    released: VectorWire = {}


class IdRequest(_Message, frozen=True, tag="EVENT _cluster_ids"):
    """A block of `count` ids for a counter, please, above what the sender has used without a
    cluster; or, `region`, a share of the receiver's own region."""

    request: Count
    counter: Name
    region: bool = False
    count: Count = 0
    above: Count = 0


class IdBlock(_Message, frozen=True, tag="EVENT _cluster_ids_reply"):
    """Ids `first` to `last` are the receiver's alone; `last` 0: none to give. `keeper` is who keeps
    the frontier, as far as the sender knows; `keeper_here`: the sender itself."""

    request: Count
    counter: Name
    first: Count
    last: Count
    keeper: Name = ""
    keeper_here: bool = False


# --- signals -------------------------------------------------------------------------------------


class Signal(_Message, frozen=True, tag="EVENT"):
    """An emitted signal with its list of arguments (JSON). Between nodes of a cluster it feeds SSE
    and WebSocket clients; over a `link` it calls handlers. `number` grows with every signal of
    its origin, for doublets; `hops` is how many links its cause has come over."""

    origin: Name
    number: Count
    name: Name
    args: str
    published: bool = False
    hops: Count = 0


class Handled(_Message, frozen=True, tag="EVENT _handled"):
    """The `count` oldest signals on this link that were not answered yet have been handled: what
    their handlers changed is durable. `failed` of them failed, or found no handler."""

    count: Count
    failed: Count = 0


class TimerRan(_Message, frozen=True, tag="EVENT _cluster_after"):
    """An `after` block has run on the node that leads."""

    timer: Name


# --- watching ------------------------------------------------------------------------------------


class Traffic(_Message, frozen=True, tag="BUS TRAFFIC"):
    """What a node has sent (`out`) or received (`in`), for `bus tail`. `time` is milliseconds since
    the epoch, `lost` how many came between the last one and this and were too many to show."""

    time: Count
    direction: Name
    peer: Name
    name: Name
    size: Count
    summary: Text
    lost: Count = 0


class Status(_Message, frozen=True, tag="CLUSTER STATUS"):
    """What a node says of its cluster (JSON), to those who ask with the role `status`."""

    json: str


# --- operating -----------------------------------------------------------------------------------


class Command(_Message, frozen=True, tag="CLUSTER COMMAND"):
    """What an operator (role `admin`) wants of a node: `remove` a member, `leave` for good,
    or give the next piece of a `backup`."""

    name: Name
    member: Name = ""


class Chunk(_Message, frozen=True, tag="CLUSTER BACKUP"):
    """The next piece of a backup, for each command `backup`; empty: that was all."""

    data: bytes


class Done(_Message, frozen=True, tag="CLUSTER COMMAND DONE"):
    """What has become of a command; `refused`: nothing, and the text says why."""

    text: Text
    refused: bool = False


Message = (
    Join
    | Members
    | Gossip
    | Heartbeat
    | Alive
    | ProbeRequest
    | Batch
    | Stream
    | Received
    | Everywhere
    | Get
    | GetReply
    | Values
    | ValuesReply
    | SyncRequest
    | SyncDiffers
    | SyncSummary
    | SyncEntries
    | SyncDone
    | IdRequest
    | IdBlock
    | Signal
    | Handled
    | TimerRan
    | Traffic
    | Status
    | Command
    | Chunk
    | Done
    | Here
    | ServiceMessage
)


# --- codec ---------------------------------------------------------------------------------------

_encoder = msgpack.Encoder()
_decoder: msgpack.Decoder[tuple[int, Message]] = msgpack.Decoder(tuple[int, Message])


def encode(number: int, message: Message) -> bytes:
    """The body of a frame: `[number, message]`.

    Raises ValueError for what cannot travel: integers beyond 64 bits, text with lone surrogates.
    """
    try:
        return _encoder.encode((number, message))
    except (OverflowError, UnicodeError) as error:
        raise ValueError(f"{type(message).__name__} cannot be sent: {error}") from error


def decode(body: bytes | memoryview) -> tuple[int, Message]:
    """The number and the message of a frame's body. Raises ValueError for anything else."""
    try:
        return _decoder.decode(body)
    except (MsgspecError, UnicodeError) as error:
        raise ValueError(str(error)) from error


def name_of(message: Message) -> str:
    """The name under which a message travels."""
    return str(message.__struct_config__.tag)
