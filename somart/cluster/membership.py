"""Who belongs to the cluster, who is alive, and whom to dial: SWIM, without I/O.

"SWIM" (Das, Gupta and Motivala, 2002) finds failures and spreads news at a cost per node that does
not grow with the cluster; what it leaves to practice follows "Lifeguard" (Dadgar, Phillips and
Currey, 2018): a node that was not running itself accuses nobody, and a suspect is told so directly.
A member's death changes nothing in the ring (decision 012); it can always be refuted.

Every node keeps the whole table, and both ends of a new link compare theirs (`comparing.py`), so
that partitions heal whoever meets first. All that has changed goes out as
values (`members.py`), in order.
"""

from __future__ import annotations

from collections.abc import Iterable
from random import Random

from msgspec.structs import replace

from .agenda import Agenda
from .clocks import Clock
from .comparing import Comparing
from .config import ClusterConfig
from .dialling import Dialling
from .doubles import Doubles
from .members import (
    ALIVE,
    DEAD,
    JOINING,
    LEFT,
    READY,
    REMOVED,
    SUSPECT,
    Change,
    Died,
    Identity,
    Left,
    Member,
    Removed,
    RingChanged,
    Superseded,
    Table,
    changes_between,
    is_live,
    merge,
    standing,
    valid,
)
from .messages import (
    Alive,
    Gossip,
    Heartbeat,
    Join,
    Members,
    MemberState,
    Message,
    ProbeRequest,
)
from .outputs import Drop, Note, Output, Send
from .probes import Prober
from .ring import Ring
from .rumours import Rumours


def _in_use(id: str) -> str:
    return f"the id '{id}' is in use by another process"


class Membership:
    """This node's part in the membership of its cluster. Times are ms of `clock.monotonic()`.

    `record` is the last `Identity` that was stored (or `members.first_record`), with the address of
    today; `known` are members that were stored. After each call, what `take` returns is to be
    carried out.
    """

    def __init__(
        self,
        record: MemberState,
        config: ClusterConfig,
        clock: Clock,
        rng: Random,
        seeds: Iterable[str] = (),
        known: Iterable[MemberState] = (),
    ) -> None:
        self.config = config
        self.id = record.id
        self.leaving = False
        self.superseded = False
        self.established = False
        """Whether another member has been seen to know this life of this node."""
        self._clock = clock
        self._rng = rng
        self._outputs: list[Output] = []
        self._changes: list[Change] = []
        self._agenda = Agenda()
        self._links: dict[str, str] = {}  # peer: which of its lives greeted over it
        self._doubles = Doubles()
        self._full = False
        self._gossip_from = self._awake_at = self._resumed = self._now()
        self._gossiping = False
        self._fresh = record.incarnation == 0
        self.members = Table(config.members_most)
        self._rumours = Rumours(lambda id: self.members[id].state)
        self._prober = Prober(self.id, config, clock, rng, self)
        self._comparing = Comparing(config, clock, self._agenda, self.members, self.send)
        self.me = self._born(record)
        self._dialling = Dialling(self.me.address, seeds, self._outputs, self)
        for state in known:
            if state.id != self.id and valid(state):
                self._put(state, news=False, at_once=True)
        self._changes.clear()
        self._ring_ids: tuple[str, ...] = ()
        self._change_me(self.me)
        self._agenda.add(self._now() + rng.randrange(config.heartbeat_ms), self._probe)
        self._agenda.add(self._now() + self._jittered(config.compare_ms), self._compare_any)

    def _born(self, record: MemberState) -> MemberState:
        incarnation = record.incarnation + 1
        boot = f"{self._rng.getrandbits(64):016x}"
        me = replace(record, incarnation=incarnation, boot=boot, status=ALIVE)
        if me.joined <= me.expelled:  # never was in a ring, or has been taken out of it
            ring = record.ring if self._fresh else JOINING
            me = replace(me, joined=incarnation, ring=ring)
        return me

    # --- what is known ---------------------------------------------------------------------------

    @property
    def ring(self) -> Ring:
        """The ring of all members that hold segments: the dead and those that left, too."""
        return self.members.ring(self.config.virtual_nodes)

    def live(self) -> tuple[str, ...]:
        """The members of the ring that are alive or suspect, this node included, sorted."""
        return self.members.live()

    def lowest_live(self) -> str:
        """The member that runs the schedules, as this node sees it (paper 4.5)."""
        live = self.live()
        return live[0] if live else self.id

    def is_linked(self, id: str) -> bool:
        """Whether there is a link with a member."""
        return id in self._links

    def reach(self) -> tuple[int, int]:
        """How many members there are that have not left, and how many of them are heard of, this
        node included: for `phase.phase`."""
        states = [self.members[id].state for id in self.members.ring_ids()]
        staying = [state for state in states if state.status != LEFT]
        return len(staying), sum(state.status == ALIVE for state in staying)

    def due(self) -> int:
        """When `tick` has something to do next."""
        at = self._agenda.due()
        if at is None or self._silent():
            return self._now() + self.config.heartbeat_ms
        return at

    def take(self) -> tuple[list[Output], list[Change]]:
        """What is to be done, and what has changed, since the last time. An `Identity` among the
        changes is to be stored before any output is carried out."""
        ids = self.members.ring_ids()
        if ids is not self._ring_ids and ids != self._ring_ids:
            self._changes.append(RingChanged(self._ring_ids, ids))
            self._ring_ids = ids
        outputs, changes = self._outputs.copy(), self._changes.copy()
        self._outputs.clear()
        self._changes.clear()
        return outputs, changes

    # --- inputs ----------------------------------------------------------------------------------

    def tick(self) -> None:
        """Time has passed. To be called at `due()`, and often enough."""
        now = self._wake()
        if not self._silent():
            self._agenda.run(now)

    def admit(self, peer: str, boot: str) -> str:
        """Whether a process may have a link: empty, or why not. Asked before `link_up`.

        A second process with the id of a member is let in when the first one does not answer: each
        try probes it, and drops its link if need be, so a restart only has to try again.
        """
        self._wake()
        if peer == self.id:
            return "it is this node itself" if boot == self.me.boot else self._refuse(peer, boot)
        member = self.members.get(peer)
        if member is None or self._links.get(peer, "") in ("", boot):
            return ""
        now = self._now()
        if now - member.heard < self.config.probe_timeout_ms:
            return self._refuse(peer, boot)
        self._prober.challenge(peer)
        self._agenda.add(now + self.config.probe_timeout_ms, self._give_up_silent, peer)
        return _in_use(peer)  # in the same words, for a log that tells things once

    def link_up(self, peer: str, dialled: str = "") -> None:
        """There is a link with a peer; `dialled` is the address that led to it, if we dialled."""
        now = self._wake()
        self._links[peer] = ""
        member = self.members.get(peer)
        if member is not None:
            self._dialling.reached(peer, member.state.address)
            self._dialling.review(member.state.address)
            if not is_live(member.state) or now - member.heard > self.config.dead_ms:
                self._prober.sooner(peer)
        self._dialling.reached(peer, dialled)
        if not self._silent():
            self._comparing.greet(peer, self.me)

    def link_down(self, peer: str) -> None:
        """The link with a peer is gone."""
        now = self._wake()
        if peer not in self._links:
            return
        del self._links[peer]
        self._comparing.lost(peer)
        self._dialling.lost(peer)
        member = self.members.get(peer)
        if member is None or self._silent():
            return
        member.lost = now
        member.dial_from = now + (0 if self.id < peer else self.config.probe_timeout_ms)
        self._agenda.add(member.dial_from, self._review_dialling, peer)
        if self._rng.random() * len(self._links) < self.config.indirect_probes:
            self._prober.sooner(peer)  # a few of the many that noticed look after it

    def heard(self, peer: str) -> None:
        """A message of any kind has come from a peer."""
        member = self.members.get(peer)
        if member is not None:
            member.heard = self._now()

    def receive(self, peer: str, message: Message) -> None:
        """A message of the membership has come from a peer; others are left to others."""
        self._wake()
        if self._silent():
            return
        self.heard(peer)
        match message:
            case Join():
                if peer in self._links and message.member.id == peer:
                    self._links[peer] = message.member.boot
                self._learn_all([message.member])
                self._tell_if_gone(peer)
                self.established |= self._comparing.greeted(peer, message)
            case Members():
                self._learn_all(message.members, whole_table=True)
                if message.digest:  # else more pages come
                    self.established = True
                    self._comparing.compared(peer, message)
            case Gossip():
                self._learn_all(message.gossip)
                self._tell_if_gone(peer)
            case Heartbeat():
                self._learn_all(message.gossip)
                self._prober.answer(peer, message.number)
                if peer not in self.members and peer in self._links:
                    self._comparing.greet(peer, self.me)  # its own greeting was lost
            case Alive():
                self._learn_all(message.gossip)
                self.heard(self._prober.answered(message))
            case ProbeRequest():
                self._learn_all(message.gossip)
                self._prober.relay(peer, message)

    def ready(self) -> None:
        """This node has all data of its segments: it serves reads from now on."""
        if self.me.ring != READY:
            self._change_me(replace(self.me, ring=READY))

    def leave(self, for_good: bool = False) -> None:
        """This node stops. `for_good`: it takes its segments out of the ring, and has handed its
        data over. Everybody with a link is told at once."""
        if self._silent():
            return
        self.leaving = True
        self._dialling.stop()
        status, expelled = (REMOVED, self.me.incarnation) if for_good else (LEFT, self.me.expelled)
        self._change_me(replace(self.me, status=status, expelled=expelled))
        for peer in self._links:
            self._outputs.append(Send(peer, Gossip([self.me])))

    def remove(self, id: str) -> str:
        """Takes a member that is dead or has left out of the ring, by order of an operator. Returns
        why not, or empty."""
        member = self.members.get(id)
        if member is None:
            return f"there is no member '{id}'"
        if is_live(member.state):
            return f"'{id}' is {member.state.status}: stop it first, or let it leave for good"
        self._expel(member.state)
        return ""

    # --- states ----------------------------------------------------------------------------------

    def _learn_all(self, states: Iterable[MemberState], whole_table: bool = False) -> None:
        """Takes over what others know. A newcomer does not pass on the table that it was given."""
        news = self.established or not whole_table
        for state in states:
            if not valid(state) or self._silent():
                continue
            if state.id == self.id:
                self._learn_of_me(state)
                continue
            member = self.members.get(state.id)
            if member is None:
                self._put(state, news, at_once=whole_table)
            elif member.state != state:
                doubtful = state.status == DEAD and self._vouches_for(member)
                merged = merge(member.state, replace(state, status=SUSPECT) if doubtful else state)
                if merged != member.state:
                    self._put(merged, news)

    def _vouches_for(self, member: Member) -> bool:
        """Whether this node has lately heard of a member that others, cut off maybe, call dead: it
        is a suspect here then, and dies here if nothing more is heard."""
        heard = self._now() - member.heard < self.config.dead_ms
        return heard and member.state.id in self._links and is_live(member.state)

    def _put(self, state: MemberState, news: bool, at_once: bool = False) -> None:
        now = self._now()
        known = self.members.get(state.id)
        old = None if known is None else known.state
        member = self.members.put(state, now)
        if member is None:
            if not self._full:
                self._full = True
                self._note(f"there are too many members to take in '{state.id}' and others")
            return
        if news:
            self._tell(state.id)
        if old is None:
            self._prober.welcome(state.id)
            member.dial_from = now if at_once else now + self._patience(state.id)
        if old is None or not is_live(old):
            member.heard = now
        self._schedule(member, old)
        self._moved(member, old)
        self._report(old, state)

    def _schedule(self, member: Member, old: MemberState | None) -> None:
        """Sees to it that a suspect dies and the dead are forgotten in time."""
        state = member.state
        if old is not None and standing(old) == standing(state):
            return
        if state.status == SUSPECT:
            self._agenda.add(self._dies_at(member), self._bury, state.id)
        elif state.status in (DEAD, LEFT):
            self._agenda.add(self._now() + self.config.forget_ms, self._forget, state.id)

    def _moved(self, member: Member, old: MemberState | None) -> None:
        """Dials where it is due."""
        state = member.state
        if old is None or old.address != state.address:
            self._dialling.moved(state.id, "" if old is None else old.address, state.address)
        if member.dial_from > self._now():
            self._agenda.add(member.dial_from, self._review_dialling, state.id)
        if state.id in self._links:
            self._dialling.reached(state.id, state.address)
        self._dialling.review(state.address)

    def _report(self, old: MemberState | None, state: MemberState) -> None:
        for change in changes_between(old, state):
            self._changes.append(change)
            match change:
                case Died(id):
                    seconds = f"{self.config.dead_ms / 1000:g}"
                    self._note(f"node '{id}' removed (no heartbeat for {seconds}s)")
                    self._part(id)
                case Left(id):
                    self._note(f"node '{id}' left")
                case Removed(id):
                    self._note(f"node '{id}' is out of the ring until it joins anew")
                case _:
                    pass

    def _part(self, id: str) -> None:
        """A member is dead: closes its link, which may be full of what it never read; or lets it
        know, when it does speak to this node."""
        if id not in self._links:
            return
        if self._now() - self.members[id].heard >= self.config.suspicion_ms:
            self._outputs.append(Drop(id, "no sign of life"))
        else:
            self._tell_if_gone(id)

    # --- this node -------------------------------------------------------------------------------

    def _change_me(self, me: MemberState) -> None:
        self.me = me
        self.members.put(me, self._now())
        self._tell(me.id)
        self._changes.append(Identity(me))

    def _learn_of_me(self, state: MemberState) -> None:
        """Others know me; whatever they know that is not so is refuted by a new incarnation."""
        if state.boot == self.me.boot:
            self.established = True
        elif self.established and self._doubles.is_rival(self.me, state):
            self._give_way(state)
            return
        merged = merge(self.me, state)
        if merged == self.me:
            return
        incarnation = merged.incarnation + 1
        expelled = merged.expelled
        forgot = self._fresh and not self.established and state.boot != self.me.boot
        anew = forgot or expelled >= self.me.joined
        joined = incarnation if anew else self.me.joined
        ring = JOINING if anew else self.me.ring
        self._change_me(
            replace(self.me, incarnation=incarnation, expelled=expelled, joined=joined, ring=ring)
        )

    def _give_way(self, other: MemberState) -> None:
        """A later process has taken this node's id while the others could not ask this one."""
        self.superseded = True
        self._dialling.stop()
        self._changes.append(Superseded(other))
        where = other.address
        self._note(f"another process has taken the id '{self.id}' (at {where}); this node stops")
        for peer in self._links:
            self._outputs.append(Drop(peer, f"superseded by the process at {where}"))

    # --- failures --------------------------------------------------------------------------------

    def _probe(self, _: str) -> None:
        self._agenda.add(self._now() + self.config.heartbeat_ms, self._probe)
        if not self.established and self._links:
            self._comparing.greet(self._any_link(), self.me)
        self._prober.begin(self._agenda)

    def unanswered(self, id: str) -> None:
        """The prober found a member silent."""
        member = self.members[id]
        if member.state.status != ALIVE or member.heard > self._now() - self.config.heartbeat_ms:
            return
        self._put(replace(member.state, status=SUSPECT), news=True)
        self._tell_if_gone(id)

    def _dies_at(self, member: Member) -> int:
        """A suspect dies `dead_ms` after its last sign of life, unless it has only just become one
        or this node itself has only just come back.

        A link that went down lately tells when that was. Else it may have been any time until it
        was asked in vain, since in a large cluster one seldom hears of a member.
        """
        config = self.config
        asked = member.since - config.heartbeat_ms
        lately = asked - 2 * config.heartbeat_ms
        lost = member.lost if member.state.id not in self._links else 0
        seen = max(member.heard, lost if lost > lately else asked, self._resumed)
        return max(seen + config.dead_ms, member.since + config.suspicion_ms)

    def _bury(self, id: str) -> None:
        member = self.members.get(id)
        if member is None or member.state.status != SUSPECT:
            return
        at = self._dies_at(member)
        if at > self._now():
            self._agenda.add(at, self._bury, id)
        else:
            self._put(replace(member.state, status=DEAD), news=True)

    def _forget(self, id: str) -> None:
        """Takes out of the ring who is gone for long; who seems dead, only where most are alive."""
        member = self.members.get(id)
        if member is None or member.state.status not in (DEAD, LEFT):
            return
        at = member.since + self.config.forget_ms
        if at > self._now():
            return  # a later absence has an entry of its own
        if member.state.status == DEAD and not self.members.speaks_for_the_cluster():
            self._agenda.add(self._now() + self.config.dead_ms, self._forget, id)
        else:
            self._expel(member.state)

    def _expel(self, state: MemberState) -> None:
        expelled = max(state.expelled, state.incarnation)
        self._put(replace(state, status=REMOVED, expelled=expelled), news=True)

    def _give_up_silent(self, peer: str) -> None:
        """The first of two processes has not answered."""
        member = self.members.get(peer)
        silent = 2 * self.config.probe_timeout_ms
        if member is not None and peer in self._links and self._now() - member.heard >= silent:
            self._outputs.append(Drop(peer, "silent, and its id is wanted by another process"))

    # --- what the prober asks --------------------------------------------------------------------

    def candidates(self) -> list[str]:
        """The members that are probed, sorted."""
        return [id for id in sorted(self.members) if self.is_candidate(id)]

    def is_candidate(self, id: str) -> bool:
        """Whether a member is probed: alive or suspect, and another."""
        return id != self.id and id in self.members and is_live(self.members[id].state)

    def helpers(self, target: str) -> list[str]:
        """Live members with a link, that could probe another."""
        return [id for id in self._links if id != target and self.is_candidate(id)]

    def news(self, receiver: str) -> list[MemberState]:
        """Gossip for a message; a receiver that is thought to be gone hears of that first."""
        most = self.config.gossip_entries
        news = self._rumours.take(receiver, most, self.members.known)
        member = self.members.get(receiver)
        if member is not None and member.state.status != ALIVE:
            return [member.state, *news[: most - 1]]
        return news

    def send(self, to: str, message: Message) -> None:
        """Leaves a message of the prober."""
        self._outputs.append(Send(to, message))

    # --- news ------------------------------------------------------------------------------------

    def _tell(self, id: str) -> None:
        self._rumours.add(id)
        if not self._gossiping:
            self._gossiping = True
            self._agenda.add(max(self._gossip_from, self._now()), self._gossip)

    def _gossip(self, _: str) -> None:
        """One round: a few members at random get the news."""
        self._gossip_from = self._now() + self.config.gossip_ms
        live = [id for id in self._links if self.is_candidate(id)]
        for peer in self._rng.sample(live, min(len(live), self.config.gossip_fanout)):
            news = self.news(peer)
            if news:
                self._outputs.append(Send(peer, Gossip(news)))
        self._gossiping = bool(self._rumours)
        if self._gossiping:
            self._agenda.add(self._gossip_from, self._gossip)

    def _tell_if_gone(self, peer: str) -> None:
        """Has a peer that is thought to be gone refute that; it may doubt this node in its turn."""
        member = self.members.get(peer)
        if member is None or member.state.status == ALIVE or peer not in self._links:
            return
        if member.tells(self._now(), self.config.gossip_ms):
            self.send(peer, Gossip([member.state, self.me]))

    def _compare_any(self, _: str) -> None:
        self._agenda.add(self._now() + self._jittered(self.config.compare_ms), self._compare_any)
        if self._links:
            self._comparing.greet(self._any_link(), self.me)

    # --- dialling --------------------------------------------------------------------------------

    def is_dialled(self, id: str) -> bool:
        """Whether it is time that a member without a link is dialled."""
        member = self.members.get(id)
        if member is None or id == self.id or member.state.status in (LEFT, REMOVED):
            return False
        return member.dial_from <= self._now()

    def _review_dialling(self, id: str) -> None:
        if id in self.members:
            self._dialling.review(self.members[id].state.address)

    def _patience(self, id: str) -> int:
        """How long a member that was heard of is waited for: it is about to dial everybody."""
        return self.config.probe_timeout_ms * (2 if self.id < id else 4)

    # --- time ------------------------------------------------------------------------------------

    def _now(self) -> int:
        return self._clock.monotonic()

    def _jittered(self, interval: int) -> int:
        return interval // 2 + self._rng.randrange(interval)

    def _any_link(self) -> str:
        return self._rng.choice(list(self._links))

    def _silent(self) -> bool:
        return self.leaving or self.superseded

    def _wake(self) -> int:
        """Now. Who has not run for long (a stopped process, a sleeping machine) must not think that
        it was the others."""
        now = self._now()
        if now - self._awake_at > 2 * self.config.heartbeat_ms:
            self._resumed = now
            self._prober.forgive()
        self._awake_at = now
        return now

    def _refuse(self, id: str, boot: str) -> str:
        if self._doubles.is_news(id, boot):
            self._note(f"refused a second process with the id '{id}'")
        return _in_use(id)

    def _note(self, text: str) -> None:
        self._outputs.append(Note(f"cluster: {text}"))
