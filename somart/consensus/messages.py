"""The messages of consensus: msgpack arrays that travel on the bus like all signals.

`term` is the sender's, except in a pre-vote and its granted answer: there it is the term that the
candidate would begin.
"""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

Kind = Literal["data", "noop", "configuration"]


class Configuration(Struct, frozen=True, array_like=True):
    """Who votes. While `outgoing` is not empty, the cluster is in joint consensus (§4.3) and needs
    a majority of both. Learners get the log and have no vote (§4.2.1)."""

    voters: tuple[str, ...] = ()
    outgoing: tuple[str, ...] = ()
    learners: tuple[str, ...] = ()

    @property
    def joint(self) -> bool:
        return bool(self.outgoing)

    def members(self) -> tuple[str, ...]:
        """All of them once, in a stable order."""
        return tuple(dict.fromkeys((*self.voters, *self.outgoing, *self.learners)))

    def votes(self, node: str) -> bool:
        return node in self.voters or node in self.outgoing

    def majority(self, who: set[str]) -> bool:
        """Whether these nodes are a quorum."""
        return all(
            sum(node in who for node in group) > len(group) // 2
            for group in (self.voters, self.outgoing)
            if group
        )

    def agreed(self, match: dict[str, int]) -> int:
        """The highest index that a quorum has (§3.5; both majorities in joint consensus)."""
        found = []
        for group in (self.voters, self.outgoing):
            if group:
                indexes = sorted((match.get(node, 0) for node in group), reverse=True)
                found.append(indexes[len(group) // 2])
        return min(found, default=0)


class Entry(Struct, frozen=True, array_like=True):
    """One entry of the log."""

    index: int
    term: int
    kind: Kind
    data: bytes = b""


class _Message(Struct, frozen=True, array_like=True):
    term: int
    sender: str


class VoteRequest(_Message, frozen=True, tag="RAFT VOTE"):
    """`pre`: would you vote for me? (§9.6). `transfer`: the leader wants it so (§3.10)."""

    last_index: int
    last_term: int
    pre: bool
    transfer: bool = False


class VoteReply(_Message, frozen=True, tag="RAFT VOTED"):
    granted: bool
    pre: bool


class Append(_Message, frozen=True, tag="RAFT APPEND"):
    """Entries after (`previous`, `previous_term`); `round` numbers the leader's read rounds."""

    previous: int
    previous_term: int
    commit: int
    round: int
    entries: tuple[Entry, ...]


class AppendReply(_Message, frozen=True, tag="RAFT APPENDED"):
    """Success: the log agrees up to `match`. Else a hint where to look for agreement."""

    success: bool
    match: int
    hint: int
    hint_term: int
    round: int


NO_ANSWER = -1
"""The round of a heartbeat that only tells the commit index."""


class Heartbeat(_Message, frozen=True, tag="RAFT HEARTBEAT"):
    commit: int
    round: int


class HeartbeatReply(_Message, frozen=True, tag="RAFT ALIVE"):
    round: int
    last_index: int


class SnapshotChunk(_Message, frozen=True, tag="RAFT SNAPSHOT"):
    """A piece of a snapshot of the state up to `index`; the last one is `done`."""

    index: int
    index_term: int
    configuration: Configuration
    offset: int
    data: bytes
    done: bool
    round: int


class SnapshotReply(_Message, frozen=True, tag="RAFT SNAPSHOT RECEIVED"):
    """The receiver wants the byte at `offset` of the snapshot up to `index` next."""

    index: int
    offset: int
    round: int


class TimeoutNow(_Message, frozen=True, tag="RAFT TIMEOUT NOW"):
    """Begin an election at once (§3.10)."""


class ReadRequest(_Message, frozen=True, tag="RAFT READ"):
    """A follower asks for a read index (§6.4)."""

    number: int


class ReadReply(_Message, frozen=True, tag="RAFT READ INDEX"):
    """Reads with this number are safe once `index` is applied; `index` 0: ask again."""

    number: int
    index: int


RaftMessage = (
    VoteRequest
    | VoteReply
    | Append
    | AppendReply
    | Heartbeat
    | HeartbeatReply
    | SnapshotChunk
    | SnapshotReply
    | TimeoutNow
    | ReadRequest
    | ReadReply
)


class Forward(Struct, frozen=True, array_like=True, tag="RAFT PROPOSE"):
    """Commands for the leader, packed; the `number`-th attempt of that session of the sender."""

    sender: str
    session: int
    number: int
    commands: tuple[bytes, ...]


class NotLeader(Struct, frozen=True, array_like=True, tag="RAFT NOT LEADER"):
    """Proposals with these numbers have not come into a log by that attempt."""

    sender: str
    session: int
    attempt: int
    numbers: tuple[int, ...]


class Here(Struct, frozen=True, array_like=True, tag="RAFT HERE"):
    """The sender takes part in consensus, with the data directory of this identity."""

    sender: str


ServiceMessage = RaftMessage | Forward | NotLeader
