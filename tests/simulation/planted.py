"""Bugs to be planted in the production code: each breaks one thing that simulations must notice.

A mutant patches one function, most of them by one word of what it does.
"""

from __future__ import annotations

from typing import Any

from msgspec.structs import replace
from planted_causal import counts_as_seen_what_anybody_has_seen
from planting import MUTANTS, RING, Patch, mutant
from workloads import CAMPAIGNS

from somart.cluster import antientropy, collecting, departing, leadership, replica, versions
from somart.cluster.context import Context
from somart.cluster.core import ClusterCore
from somart.cluster.departing import Departure
from somart.cluster.fetching import Fetching
from somart.cluster.handover import Handover
from somart.cluster.ids import Ids
from somart.cluster.inbox import Inbox
from somart.cluster.journal import Journal
from somart.cluster.membership import Membership
from somart.cluster.messages import Batch, GetReply, IdBlock
from somart.cluster.outputs import Send
from somart.cluster.reads import Reads
from somart.cluster.schedules import Schedules
from somart.cluster.streams import Outbox
from somart.cluster.versiontable import VersionTable
from somart.consensus.proposal import TransactionId
from somart.consensus.service import Service
from somart.consensus.state import Outcome, State
from somart.engines import cluster as engine
from somart.engines.cluster import ClusterEngine
from somart.merge import BEGINNING, Stamp


def _no_anti_entropy(patch: Patch) -> None:
    """Nothing but batches brings data, so that what is wrong with them shows."""
    patch.setattr(ClusterCore, "_sync_round", lambda self: None)
    patch.setattr(ClusterCore, "compare", lambda self, peer: None)


# --- streams -------------------------------------------------------------------------------------


@mutant("registers counters logs")
def acknowledges_before_durable(patch: Patch) -> None:
    """The acknowledgement does not wait for the disk."""

    def apply(self: Inbox, batch: Batch) -> bool:
        done = plain(self, batch)
        if done:
            self._durable[batch.origin] = max(batch.number, self._durable.get(batch.origin, 0))
            self._acknowledge[batch.origin] = True
        return done

    plain = Inbox._apply
    patch.setattr(Inbox, "_apply", apply)
    _no_anti_entropy(patch)


@mutant("registers counters logs")
def sends_before_durable(patch: Patch) -> None:
    """Batches leave when they are committed in memory."""

    def append(self: Journal, *args: Any) -> Any:
        rows = plain(self, *args)
        self.durable = self.last
        return rows

    def on_batch(self: ClusterCore, writes: Any) -> Any:
        rows = commit(self, writes)
        self.outbox.stored(self.journal.last)
        return rows

    plain, commit = Journal.append, ClusterCore.on_batch
    patch.setattr(Journal, "append", append)
    patch.setattr(ClusterCore, "on_batch", on_batch)


@mutant("registers logs")
def skips_gaps(patch: Patch) -> None:
    """A batch is applied whatever was sent before it, and so acknowledged with all before it."""
    patch.setattr(Inbox, "_applicable", lambda self, batch, have: True)
    _no_anti_entropy(patch)


@mutant("registers logs")
def never_sends_again(patch: Patch) -> None:
    """What was lost on the way is not repeated, and there is no anti-entropy."""
    patch.setattr(Outbox, "_arm", lambda self, stream: None)
    _no_anti_entropy(patch)
    patch.setattr(Inbox, "ask", lambda self, origin: None)


@mutant("registers counters")
def drops_batches_of_the_absent(patch: Patch) -> None:
    """Only members with a link are sent a batch; no anti-entropy."""
    plain = Outbox._targets

    def targets(self: Outbox, batch: Batch) -> list[str]:
        return [peer for peer in plain(self, batch) if peer in self._context.linked]

    patch.setattr(Outbox, "_targets", targets)
    _no_anti_entropy(patch)


@mutant("registers counters")
def forgets_its_journal(patch: Patch) -> None:
    """A restarted node has nothing left to send; no anti-entropy."""

    def init(self: Journal, *args: Any) -> None:
        plain(self, *args)
        self.batches.clear()

    plain = Journal.__init__
    patch.setattr(Journal, "__init__", init)
    _no_anti_entropy(patch)


@mutant("registers counters logs")
def numbers_from_one_after_a_restart(patch: Patch) -> None:
    """A restarted node gives its batches used numbers: others take them for repetitions."""

    def init(self: Journal, *args: Any) -> None:
        plain(self, *args)
        self.batches.clear()
        self.last = self.durable = 0

    plain = Journal.__init__
    patch.setattr(Journal, "__init__", init)
    _no_anti_entropy(patch)


@mutant("registers")
def no_streams_at_all(patch: Patch) -> None:
    """Batches never leave: only anti-entropy brings anything, and half of its tables."""
    patch.setattr(Outbox, "flush", lambda self: None)
    plain = antientropy.Comparison.compare

    def compare(self: Any, tables: list[str]) -> None:
        plain(self, [table for table in tables if not table.endswith("registers")])

    patch.setattr(antientropy.Comparison, "compare", compare)


# --- versions and merging ------------------------------------------------------------------------


@mutant("registers lifecycle")
def last_arrival_wins(patch: Patch) -> None:
    """The prototype's rule: what comes replaces what is there."""
    patch.setattr(versions, "merge", lambda mine, other: other)
    patch.setattr(replica, "merge", lambda mine, other: other)
    patch.setattr(replica, "covers", lambda mine, other: mine == other)
    _no_anti_entropy(patch)


@mutant("registers")
def compares_without_the_node(patch: Patch) -> None:
    """Two writes of one millisecond are taken for the same: no tie-breaker."""

    def covers(mine: Any, other: Any) -> bool:
        if mine.stamp[:2] != other.stamp[:2]:
            return bool(mine.stamp[:2] > other.stamp[:2])
        return bool(mine.stamp != other.stamp or plain(mine, other))

    plain = replica.covers
    patch.setattr(replica, "covers", covers)


@mutant("counters")
def additions_overwrite(patch: Patch) -> None:
    """The additions of other nodes are lost in a merge under one stamp."""
    patch.setattr(versions, "joined_additions", lambda mine, other: other or mine)


@mutant("counters")
def additions_count_twice(patch: Patch) -> None:
    """The same additions, come again, are added again."""

    def merge(mine: Any, other: Any) -> Any:
        found = plain(mine, other)
        again = mine.version.added and mine.version.added == other.version.added
        return found._replace(value=found.value + other.version.total) if again else found

    plain = versions.merge
    patch.setattr(replica, "merge", merge)
    patch.setattr(replica, "covers", lambda mine, other: mine.stamp > other.stamp)


@mutant("counters")
def plain_sets_instead_of_additions(patch: Patch) -> None:
    """`+=` writes the sum as a value: concurrent ones are lost."""
    patch.setattr(
        ClusterEngine, "_sum", lambda s, t, k, held, a, plain: (engine.Entry(a.value), plain)
    )


@mutant("registers sharded")
def deletes_without_a_tombstone(patch: Patch) -> None:
    """A deletion leaves no version: the value comes back from others."""
    plain = VersionTable.put

    def put(self: Any, key: str, version: Any, expires: int = 0, present: bool = True) -> None:
        if present or expires:
            plain(self, key, version, expires, present)
        else:
            self.drop(key)

    patch.setattr(VersionTable, "put", put)


@mutant("registers sharded", quick=False)
def collects_tombstones_at_once(patch: Patch) -> None:
    """Deletions are forgotten without asking who may still have the value."""

    def step(self: collecting.Collecting) -> None:
        self._context.replica.collect(self._context.replica.tick())

    patch.setattr(collecting.Collecting, "step", step)


@mutant("registers counters logs")
def wall_clock_stamps(patch: Patch) -> None:
    """Stamps come from the clock alone, and go back when it does."""

    def tick(self: Any, after: Stamp = BEGINNING) -> Stamp:
        last = self.__dict__.setdefault("_count", [0])
        last[0] += 1
        self.last = Stamp(self.clock.wall(), last[0], self.origin)
        return self.last

    patch.setattr(replica.Replica, "tick", tick)


@mutant("registers", quick=False)
def forgets_the_clock(patch: Patch) -> None:
    """What the node has seen of others' clocks does not count for its own writes."""
    patch.setattr(replica.Replica, "observe", lambda self, stamp: True)

    def tick(self: Any, after: Stamp = BEGINNING) -> Stamp:
        return plain(self, BEGINNING)

    plain = replica.Replica.tick
    patch.setattr(replica.Replica, "tick", tick)


# --- anti-entropy, hand-over, reads --------------------------------------------------------------


@mutant("registers logs sharded")
def digests_ignore_versions(patch: Patch) -> None:
    """Two replicas look equal when they have the same keys; batches are lost now and then."""
    patch.setattr(
        "somart.cluster.versiontable.fingerprint", lambda table, key, version: hash_of(key)
    )
    patch.setattr("somart.cluster.versiontable._fingerprint", lambda table, key, text: hash_of(key))
    _lose_batches(patch)


def hash_of(key: str) -> int:
    """64 bits that do not depend on the process."""
    from somart.cluster.hashing import fnv1a

    return fnv1a(key.encode())


def _lose_batches(patch: Patch) -> None:
    """Every fifth batch is acknowledged and thrown away: anti-entropy has work to do."""
    plain = Inbox._apply

    def apply(self: Inbox, batch: Batch) -> bool:
        if batch.number % 5 == 0:
            batch = Batch(batch.origin, batch.number, batch.before, batch.depends, [])
        return plain(self, batch)

    patch.setattr(Inbox, "_apply", apply)


@mutant("registers logs")
def drops_one_acknowledged_batch(patch: Patch) -> None:
    """A batch in fifty is acknowledged and forgotten, and there is no anti-entropy."""
    _lose_batches(patch)
    _no_anti_entropy(patch)


@mutant("registers sharded")
def newcomers_fetch_nothing(patch: Patch) -> None:
    """Who joins says at once that it has all; no anti-entropy."""

    def everything(self: Fetching) -> None:
        self._under_way = True  # the next step finds nothing to be done

    patch.setattr(Fetching, "everything", everything)
    patch.setattr(Fetching, "ring_changed", lambda self: self.assume_all())
    _no_anti_entropy(patch)


@mutant("sharded")
def keeps_what_is_not_its_own(patch: Patch) -> None:
    """Nothing is ever handed over."""
    patch.setattr(Handover, "_later", lambda self: None)


@mutant("sharded")
def drops_before_others_have_it(patch: Patch) -> None:
    """What belongs to others goes at once."""

    def unconfirmed(self: Any, table: str, segment: int, confirmed: Any) -> list[str]:
        self._context.replica.forget(table, self._context.replica.keys_of(table, segment))
        del self.foreign[table, segment]
        return []

    patch.setattr(Handover, "_unconfirmed", unconfirmed)
    patch.setattr(Outbox, "flush", lambda self: None)


@mutant("sharded")
def reads_trust_anybody(patch: Patch) -> None:
    """Whoever is asked answers for any segment: absent keys and short lists."""
    patch.setattr(Reads, "serves", lambda self, table, segment: True)
    patch.setattr(Reads, "served", lambda self, table: range(4096))


@mutant("sharded", quick=False, nodes=3, calls=600, faults=("fulldisk", "slowdisk"))
def tells_before_durable(patch: Patch) -> None:
    """A read gives what a full disk takes back (found by this simulator)."""
    patch.setattr("somart.cluster.context._TELLING", ())


@mutant("sharded")
def sends_keys_to_their_former_owner(patch: Patch) -> None:
    """The first owner of a segment is left out when there are two."""
    plain = Context.owned_by

    def owned_by(self: Context, member: str, table: str, segment: int) -> bool:
        return plain(self, member, table, segment) and member != self.owners(table, segment)[0]

    patch.setattr(Context, "owned_by", owned_by)
    _no_anti_entropy(patch)


# --- the ring ------------------------------------------------------------------------------------


@mutant("ring", **RING)
def leaves_with_what_others_lack(patch: Patch) -> None:
    """A node leaves for good when those who are there have its own commits (found by this
    simulator)."""

    def waiting_for(self: Departure) -> list[str]:
        streams = self._core.outbox.streams
        live = self._core.membership.live()
        return [id for id in live if id in streams and streams[id].pending]

    patch.setattr(departing, "_absent", lambda core: "")
    patch.setattr(Departure, "waiting_for", waiting_for)


@mutant("ring", **RING)
def hand_over_does_not_wait(patch: Patch) -> None:
    """When somebody has joined, what is his now is shown to him and goes, whatever he says."""

    def unconfirmed(self: Handover, table: str, segment: int, confirmed: Any) -> list[str]:
        self._context.replica.forget(table, self._context.replica.keys_of(table, segment))
        del self.foreign[table, segment]
        return list(self._context.owners(table, segment))

    patch.setattr(Handover, "_unconfirmed", unconfirmed)
    patch.setattr(Fetching, "ring_changed", lambda self: self.assume_all())
    _no_anti_entropy(patch)


@mutant("ring", **{**RING, "nodes": 3, "minutes": 12, "calls": 500, "faults": ("expel",)})
def the_expelled_keep_what_they_had(patch: Patch) -> None:
    """Who was taken out of the ring comes back with what others have deleted and forgotten."""
    patch.setattr(ClusterCore, "_put_aside", lambda self: None)


@mutant("ring counters logs", **RING)
def the_expelled_lose_what_they_wrote(patch: Patch) -> None:
    """Who was taken out of the ring drops also what it alone has."""

    def discard(self: ClusterCore) -> None:
        self.journal.batches.clear()
        plain(self)

    plain = ClusterCore._put_aside
    patch.setattr(ClusterCore, "_put_aside", discard)


# --- ids and members -----------------------------------------------------------------------------


@mutant("counters logs lifecycle")
def the_frontier_of_ids_goes_back(patch: Patch) -> None:
    """The keeper of the ids begins again at one when it restarts."""
    plain = Ids.restore

    def restore(self: Ids, *args: Any) -> None:
        plain(self, *args)
        for counter in self._counters.values():
            if counter.frontier:
                counter.frontier, counter.blocks = 1, []

    patch.setattr(Ids, "restore", restore)


@mutant("counters logs lifecycle")
def blocks_of_ids_overlap(patch: Patch) -> None:
    """Two nodes are given the same block."""
    plain = Ids.take

    def take(self: Ids) -> Any:
        return [
            (
                Send(o.to, IdBlock(o.message.request, o.message.counter, 1, 64))
                if isinstance(o, Send) and isinstance(o.message, IdBlock) and o.message.counter
                else o
            )
            for o in plain(self)
        ]

    patch.setattr(Ids, "take", take)


@mutant("registers")
def the_dead_stay_dead(patch: Patch) -> None:
    """A node does not refute its own death."""
    patch.setattr(Membership, "_learn_of_me", lambda self, state: None)


@mutant("ticker")
def every_node_leads(patch: Patch) -> None:
    """All nodes run all schedules, as in the prototype."""
    patch.setattr(Schedules, "leads", property(lambda self: True))


@mutant("registers sharded", quick=False)
def nobody_answers_reads(patch: Patch) -> None:
    """Answers to single keys always say that nobody knows them."""
    plain = Context.send

    def send(self: Context, to: str, message: Any, lost: Any = None) -> None:
        if isinstance(message, GetReply):
            message = GetReply(message.request, None, message.refused, message.seen)
        plain(self, to, message, lost)

    patch.setattr(Context, "send", send)


# --- strong cells --------------------------------------------------------------------------------


@mutant("strong")
def strong_reads_ask_nobody(patch: Patch) -> None:
    """A node reads what it has applied, however old that is."""
    patch.setattr(Service, "read", lambda self, ready, now: ready(None))


@mutant("strong")
def strong_writes_are_not_validated(patch: Patch) -> None:
    """What a transaction has read may have changed."""
    patch.setattr(State, "_conflict", lambda self, proposal: "")


@mutant("strong")
def proposals_sent_again_apply_again(patch: Patch) -> None:
    """A proposal that two leaders were given is carried out twice."""
    plain = State.apply

    def apply(self: State, command: Any) -> Any:
        self.sessions.clear()
        return plain(self, command)

    patch.setattr(State, "apply", apply)


@mutant("strong")
def strong_answers_come_before_the_quorum(patch: Patch) -> None:
    """A proposal counts as applied once it has been handed over."""
    plain = Service.propose

    def propose(self: Service, make: Any, done: Any, now: int) -> None:
        plain(self, make, lambda answer: None, now)
        done(Outcome(TransactionId(self.node, self.session, self.number), self.revision))

    patch.setattr(Service, "propose", propose)


# --- schedules of strong cells -------------------------------------------------------------------

_TICKS = CAMPAIGNS["ticks"].changes


@mutant("pulse", **_TICKS)
def ticks_are_not_fenced(patch: Patch) -> None:
    """A tick is applied whatever has been served since its node thought that it leads."""
    plain = State._conflict
    patch.setattr(
        State, "_conflict", lambda self, proposal: plain(self, replace(proposal, due=None))
    )


@mutant("pulse", **_TICKS)
def missed_ticks_are_lost(patch: Patch) -> None:
    """A new leader goes on with what is due now."""
    patch.setattr(leadership, "CATCH_UP_MS", 3_000)


__all__ = ["MUTANTS", "counts_as_seen_what_anybody_has_seen"]
