"""The replication core: everything that a node of a cluster decides, without I/O (decision 012).

The shell gives it links, messages and time, calls `take` after each, and carries out what that
gives; the engine calls `on_batch` inside each commit that writes replicated memory. The parts know
each other only through this file.
"""

from __future__ import annotations

import random
from collections.abc import Callable

from ..errors import UNAVAILABLE, SomaError
from ..merge import Vector
from .antientropy import Answers
from .aside import Aside
from .causal import Causality
from .clocks import Clock
from .collecting import COLLECTED, Collecting
from .comparisons import Comparisons
from .config import ClusterConfig
from .context import Context
from .evidence import Account
from .fetching import Fetching
from .handover import Handover
from .inbox import Inbox
from .journal import JOURNAL, STATE, Journal
from .keeping import Keeping
from .listings import KEYS, LEN, VALUES
from .members import JOINING, READY, Change, Identity, RingChanged
from .membership import Membership
from .messages import (
    Alive,
    Batch,
    Everywhere,
    Get,
    GetReply,
    Gossip,
    Heartbeat,
    IdBlock,
    IdRequest,
    Join,
    Members,
    Message,
    ProbeRequest,
    Received,
    Stream,
    SyncDiffers,
    SyncDone,
    SyncEntries,
    SyncRequest,
    SyncSummary,
    TimerRan,
    Values,
    ValuesReply,
    Write,
)
from .origins import RECEIVED, Seen
from .outputs import Output
from .reads import Reads
from .records import MEMBERS, rows_of, stored_record
from .replica import SystemRows
from .ring import Ring
from .rows import ClusterEngineDoor, Rows
from .schedules import Schedules
from .status import Standing, status_of
from .strays import Strays
from .streams import Outbox

JOINED = "joined"
"""Row of STATE: what lies here comes from the life in the ring that began with that incarnation."""
MEMBERSHIP = (Join, Members, Gossip, Heartbeat, Alive, ProbeRequest)
CAUSAL = "causal"


class ClusterCore:
    """One node. Not thread safe; every method returns at once."""

    def __init__(
        self,
        config: ClusterConfig,
        clock: Clock,
        rng: random.Random,
        engine: ClusterEngineDoor,
        membership: Membership,
    ) -> None:
        self.me = membership.id
        self.config = config
        self.membership = membership
        self.engine = engine
        replica = engine.replica
        causal = any(place.consistency == CAUSAL for place in replica.placements.values())
        self.context = context = Context(self.me, config, clock, rng, replica, causal)
        self.store = Rows(engine, (JOURNAL, STATE, RECEIVED, MEMBERS, COLLECTED))
        self.journal = Journal(context, self.store)
        self.seen = Seen(self.store, self.journal)
        self.outbox = Outbox(context, self.journal, self.store)
        self.keeping = Keeping(context, self.store, self.seen)
        self.inbox = Inbox(context, self.store, self.seen)
        self.causality = Causality(context, self.store, self.seen, self.inbox)
        self.aside = Aside(replica)
        self.comparisons = Comparisons(
            context, self.store, self.causality, self.aside, self._number
        )
        self.fetching = Fetching(context, self.comparisons.fetch)
        self.handover = Handover(context, self.store, self.comparisons.begin)
        self.collecting = Collecting(
            context, self.journal, self.fetching, self.handover, self.store
        )
        self.strays = Strays(
            context,
            self.aside,
            self.comparisons.ask_for_strays,
            self.comparisons.take,
            self.collecting.latest,
        )
        self.answers = Answers(context)
        self.reads = Reads(context, self.causality, self.fetching, self.handover, self._number)
        self.schedules = Schedules(self.me, membership.lowest_live)
        self.on_change: Callable[[Change], None] = lambda change: None
        """The membership has changed; for log lines and for whoever runs schedules."""
        self.last_sync: dict[str, int] = {}
        self.standing = Standing(len(membership.ring.ids))
        self._requests = 0
        self._held: list[Output] = []
        self._gates = 0
        before, joined = stored_record(engine), self.store.row(STATE, JOINED)
        self._joined = int(joined or (0 if before is None else before.joined))
        """The incarnation in which it last came into the ring, as far as the data here know."""
        self.ids = engine.ids
        self._founds = before is None and membership.me.ring == READY
        self._wire()
        engine.on_batch = self.on_batch
        engine.remote = self

    def _wire(self) -> None:
        """Lets the parts hear of each other."""
        self.context.when_stored = self._when_stored
        self.outbox.on_acknowledged = self.handover.acknowledged
        self.outbox.on_gap = self._gap
        self.inbox.on_applied = self._applied
        self.inbox.on_behind = self._behind
        self.fetching.on_begin = self.causality.begin
        self.fetching.on_complete = self._fetched
        self.fetching.me = self._account
        self.fetching.shown = lambda: self.causality.target
        self.fetching.on_nowhere = self._nowhere
        self.fetching.gone = self.inbox.gone
        self.answers.aside = self.aside.segments
        self.answers.released = lambda: self.keeping.released
        self.collecting.kept = self.keeping.earliest
        self.keeping.on_hold = self.handover.wrote
        self.keeping.is_held = lambda table, segment: (table, segment) in self.handover.foreign
        self.keeping.drop = self.handover.drop
        self.handover.on_release = self.keeping.drops_own
        self.handover.on_drop = self.keeping.drops_any
        self.answers.vector = self.causality.vector
        self.answers.has = self.causality.has
        self.answers.holds = self.fetching.holds
        self.answers.settled = self.collecting.tell
        self.answers.collected = self.collecting.latest
        self.answers.serving = lambda: self.fetching.complete and self.causality.caught_up()
        self.answers.merge = self.comparisons.pushed
        self.comparisons.on_merging = self.collecting.took
        self.comparisons.on_merged = self.handover.wrote
        self.comparisons.on_lost = self.fetching.everything
        self.comparisons.inherit = self.collecting.inherit
        self.ids.wake = lambda: self.context.wake()

    def start(self) -> None:
        """The engine is open. Nothing is sent before."""
        if self._founds:
            self.ids.found()
        me = self.membership.me
        interrupted = me.ring != READY and self._joined == me.joined
        if me.ring == READY:
            self.context.ring, self.context.ready_ring = self.membership.ring, self._ready_ring()
            self.fetching.resume(self.causality.resume())
        self._follow()
        if interrupted:  # the last life ended before all had been fetched
            self.causality.resume()
            self.fetching.everything()
        self._later(self.config.sync_interval_ms, self._sync_round)
        self._later(self.config.resend_ms, self._catch_up_step)
        self._later(self.config.resend_ms, self.ids.tick)

    def _when_stored(self, told: Callable[[bool], None]) -> None:
        self.engine.on_durable(self.engine.next_ticket - 1, told)

    def _later(self, interval: int, action: Callable[[], None]) -> None:
        """Repeats something at about that interval."""

        def run() -> None:
            action()
            self._later(interval, action)

        jitter = self.context.rng.randrange(interval // 2 + 1)
        self.context.later(interval * 3 // 4 + jitter, run)

    def _number(self) -> int:
        self._requests += 1
        return self._requests

    # --- inputs ----------------------------------------------------------------------------------

    def connected(self, peer: str, dialled: str = "") -> None:
        """There is a link with a peer, who has proved to be a node of this cluster."""
        self.context.linked[peer] = True
        self.membership.link_up(peer, dialled)
        self._follow()
        self.outbox.connected(peer)
        for message in self.schedules.announcements():
            self.context.send(peer, message)
        self.ids.peers(self.context.linked)
        self.fetching.step()
        if peer in self.standing.to_meet:
            self.context.later(self.config.resend_ms, lambda: self._meet(peer))

    def _meet(self, peer: str) -> None:
        """Compares with a member that comes back, or that this node comes back to: it may hold
        what no batch will bring."""
        if peer in self.standing.to_meet and self.fetching.complete:
            self.compare(peer)

    def disconnected(self, peer: str) -> None:
        """The link with a peer is gone, with all that was under way on it."""
        self.context.linked.pop(peer, None)
        self.membership.link_down(peer)
        self.outbox.disconnected(peer)
        self.handover.lost(peer)
        comparison = self.comparisons.open.get(peer)
        if comparison is not None:
            comparison.end(False)
        self.reads.disconnected(peer)
        self.ids.peers(self.context.linked)
        self._follow()

    def receive(self, peer: str, message: Message) -> None:
        """A message has come from a peer. Data counts from members of the ring only: who was
        removed has to join anew first."""
        if isinstance(message, MEMBERSHIP):
            self.membership.receive(peer, message)
            self._follow()
            return
        self.membership.heard(peer)
        if peer not in self.context.ring.ids:
            return
        match message:
            case Batch():
                self.inbox.batch(peer, message)
            case Received():
                self.outbox.received(peer, message)
            case Everywhere():
                self.keeping.everywhere(message)
            case Stream():
                self.inbox.offer(peer, message)
            case SyncRequest():
                self.collecting.heard(peer, message.settled)
                self.answers.request(peer, message)
            case SyncEntries():
                self.answers.entries(peer, message)
            case SyncDiffers() | SyncSummary() | SyncDone():
                if isinstance(message, SyncDiffers):
                    self.collecting.heard(peer, message.settled)
                comparison = self.comparisons.open.get(peer)
                if comparison is not None:
                    comparison.answer(message)
            case Get():
                self.reads.asked(peer, message)
            case Values():
                self.reads.asked_many(peer, message)
            case GetReply() | ValuesReply():
                self.reads.answered(peer, message)
            case TimerRan():
                self.schedules.heard(message)
            case IdRequest() | IdBlock():
                self.ids.receive(peer, message)
            case _:
                pass

    def tick(self) -> None:
        """Time has passed. To be called at `next_wakeup()`."""
        self.membership.tick()
        self._follow()
        self.context.run_timers()

    def next_wakeup(self) -> int:
        """When `tick` has something to do, by the monotonic clock."""
        due = self.membership.due()
        mine = self.context.next_wakeup()
        return due if mine is None else min(due, mine)

    def take(self) -> list[Output]:
        """What is to be done now. A change of this node's own record is durable before anything
        leaves."""
        self._follow()
        self.inbox.flush()
        self.outbox.flush()
        self.context.outputs.extend(self.ids.take())
        outputs = self.context.outputs
        if not outputs and not self._held:
            return []
        self.context.outputs = []
        self._held.extend(outputs)
        if self._gates:
            return []
        outputs, self._held = self._held, []
        return outputs

    def leave(self, for_good: bool = False) -> None:
        """The node is about to stop."""
        if for_good:
            self.ids.hand_over(id for id in self.membership.live() if id != self.me)
        self.membership.leave(for_good)

    # --- membership ------------------------------------------------------------------------------

    def _follow(self) -> None:
        """Takes over what the membership has come to."""
        outputs, changes = self.membership.take()
        self.context.outputs.extend(outputs)
        if not changes:
            return
        rows = rows_of(changes, self.membership.members.state)
        if any(isinstance(change, Identity) for change in changes):
            self._gates += 1
            self._store_record(rows)
        elif rows:
            self.store.record(rows)
        self._view(any(isinstance(change, RingChanged) for change in changes))
        for change in changes:
            self.on_change(change)

    def _store_record(self, rows: SystemRows) -> None:
        """Nothing leaves before this node's own record is durable."""

        def stored(ok: bool) -> None:
            if ok:
                self._gates -= 1
                self.context.wake()
            else:
                delay = self.config.resend_ms
                self.context.later(delay, lambda: self._store_record(rows))

        self.store.on_durable(self.store.record(rows), stored)

    def _ready_ring(self) -> Ring:
        members, ids = self.membership.members, self.membership.ring.ids
        ready = tuple(id for id in ids if members[id].state.ring == READY)
        return Ring.of(ready, self.config.virtual_nodes)

    def _view(self, moved: bool) -> None:
        """Who is there, and what belongs to whom."""
        context, membership = self.context, self.membership
        present = frozenset(membership.live())
        for peer in sorted(context.present - present):
            self.collecting.departed(peer)
        context.present = present
        ready = self._ready_ring()
        moved = moved or ready.ids != context.ready_ring.ids
        context.ready_ring = ready
        if moved or self._joined != membership.me.joined:
            context.ring = membership.ring
            self._joined_anew()
            self.fetching.ring_changed()
            self.outbox.ring_changed()
            self.handover.ring_changed(self.fetching.sharded())
            self.keeping.ring_changed()
            self.collecting.ring_changed()
        self.standing.look(*membership.reach(), context.others(), context.consistency)
        self.fetching.step()

    def _joined_anew(self) -> None:
        """Whether this node has been out of the ring. What it holds from before it was taken out
        may have been deleted since, and nobody remembers: it counts no more unless others have it
        still, but for its own writes that others have not acknowledged (decision 012, 29)."""
        me = self.membership.me
        if self._joined == me.joined:
            return
        expelled = 0 < self._joined <= me.expelled
        self._joined = me.joined
        if expelled:
            self._put_aside()
        self.store.record({(STATE, JOINED): str(me.joined)})
        if me.ring == JOINING:
            self.fetching.everything()

    def _put_aside(self) -> None:
        sent = {(w.table, w.key) for batch in self.journal.batches.values() for w in batch.writes}
        self.aside.seen = self.causality.vector()
        self.keeping.drops_any()
        kept = self.aside.fill(lambda w: (w.table, w.key) in sent or self.journal.lacks(w))
        if kept:
            self.causality.shows(self.aside.seen)
        self.store.record({(RECEIVED, origin): None for origin in self.store.rows(RECEIVED)})
        self.inbox.reset()
        self.context.note(
            f"cluster: this node was taken out of the ring and joins anew: {len(self.aside)} "
            f"entries are compared with the others', {kept} writes that nobody else has are sent"
        )

    def _nowhere(self, table: str, segment: int) -> None:
        """What this node had when it was taken out is all that is left of a segment."""
        writes = list(self.aside.surviving(table, segment, self.collecting.latest(table, segment)))
        if writes:
            self.comparisons.take(writes, self.aside.seen)

    # --- commits ---------------------------------------------------------------------------------

    def on_batch(self, writes: list[Write]) -> SystemRows:
        """The engine commits writes of this node: the rows go with them."""
        keep = len(self.context.ring.ids) > 1 or self.membership.me.ring == JOINING
        rows = self.journal.append(writes, self.causality.depends(), keep)
        number = self.journal.last
        self.handover.wrote(writes)

        def stored(ok: bool) -> None:
            if ok:
                self.outbox.stored(number)
            else:
                self.journal.failed(number)
                self.causality.restate()
            self.context.wake()

        self.store.on_durable(self.engine.next_ticket, stored)
        return rows

    def _applied(self, batch: Batch) -> None:
        """A batch of another node is here."""
        self.keeping.keep(batch)
        self.causality.advanced()

    # --- anti-entropy ----------------------------------------------------------------------------

    def _sync_round(self) -> None:
        """Compares with one peer at random; who has yet to settle or to confirm deletions comes
        first."""
        self.collecting.step()
        if self.fetching.complete and self.causality.short():
            self._behind()
        peers = [peer for peer in self.context.others() if peer in self.context.linked]
        if not peers or not self.fetching.complete:
            return
        first = [peer for peer in self.standing.to_meet if peer in peers]
        asked = first or [peer for peer in self.collecting.waiting_for if peer in peers]
        self.compare(self.context.rng.choice(asked or peers))

    def compare(self, peer: str) -> None:
        """A round of anti-entropy with a peer."""
        comparison = self.comparisons.begin(peer, True, True)
        if comparison is None:
            return

        def end(ok: bool) -> None:
            if ok:
                self.last_sync[peer] = self.context.clock.wall()
                self.collecting.confirmed(peer, comparison.begun)
                self.standing.met(peer, *self.membership.reach(), self.context.consistency)
                self.collecting.step()
            elif comparison.first_has is not None and self.causality.stuck(comparison.first_has):
                self._behind()

        comparison.on_end = end
        comparison.settled = self.collecting.tell
        comparison.compare(self.context.replica.tables)

    def _gap(self, peer: str) -> None:
        """The journal no longer has what a peer lacks."""
        if not self.context.causal and self.fetching.complete:
            self.compare(peer)

    # --- catching up -----------------------------------------------------------------------------

    def _behind(self) -> None:
        """Batches cannot bring all that is missing here (causal)."""
        if self.fetching.complete:
            self.fetching.again()
            self.fetching.step()

    def _account(self) -> Account:
        """What this node has seen, and may vouch for."""
        return Account(self.seen.vector(), self.keeping.released)

    def _catch_up_step(self) -> None:
        self.journal.tidy()
        if not self.fetching.complete:
            self.fetching.step()
            return
        self.strays.step()
        self.keeping.step()
        if self.context.causal:
            self.causality.finish()
            self._perhaps_ready(0)

    def _fetched(self, seen: Vector) -> None:
        """All that was missing has come."""
        self.strays.begin()
        self.keeping.claims(seen)
        ticket = self.causality.claim(seen) if self.context.causal else 0
        self._perhaps_ready(ticket)
        for origin in self.inbox.current.values():
            self.inbox.ask(origin)

    def _perhaps_ready(self, ticket: int) -> None:
        """A newcomer can stand in for its predecessors when it has all that it is to have, and
        under causal shows no more than it has seen."""
        if self.membership.me.ring != JOINING or not self.causality.caught_up():
            return

        def stored(ok: bool) -> None:
            if not ok:
                self.fetching.everything()
            elif self.fetching.complete and self.membership.me.ring == JOINING:
                self.membership.ready()
                self._follow()
            self.context.wake()

        self.store.on_durable(ticket, stored)

    # --- reads: `engines.remote.Remote` ----------------------------------------------------------

    def settled(self, table: str, key: str) -> bool:
        """Whether the local answer for a key is as good as any."""
        return self.reads.settled(table, key)

    def whole(self, table: str) -> bool:
        """Whether this node has all of a table, and may speak for it."""
        return self.reads.whole(table)

    def get(self, table: str, key: str, answer: Callable[[Write | SomaError | None], None]) -> None:
        """Asks the owners of a key."""
        self.reads.get(table, key, answer)

    def entries(
        self, table: str, values: bool, answer: Callable[[list[Write] | SomaError], None]
    ) -> None:
        """Asks for all entries of a table, or for its keys."""

        def listed(found: list[Write] | int | SomaError) -> None:
            assert not isinstance(found, int)
            answer(found)

        self.reads.entries(table, VALUES if values else KEYS, listed)

    def count(self, table: str, answer: Callable[[int | SomaError], None]) -> None:
        """Asks for the number of entries."""

        def counted(found: list[Write] | int | SomaError) -> None:
            assert not isinstance(found, list)
            answer(found)

        self.reads.entries(table, LEN, counted)

    def token(self) -> str:
        """What a client carries to other nodes, to see there what it has seen here."""
        return self.causality.token()

    def wait_seen(self, token: str, answer: Callable[[SomaError | None], None]) -> None:
        """Calls back when this node has seen what the token says. Raises SomaError for what is no
        token."""
        vector = self.causality.read_token(token) if token else {}

        def waited(ok: bool) -> None:
            late = "cluster: this node has not yet seen what the client has; try again"
            answer(None if ok else SomaError(late, UNAVAILABLE))

        self.causality.wait(vector if self.context.causal else {}, waited)
        self.context.wake()

    # --- seeing it -------------------------------------------------------------------------------

    def status(self) -> dict[str, object]:
        """What `/__soma/cluster` shows, ready for JSON."""
        return status_of(self)
