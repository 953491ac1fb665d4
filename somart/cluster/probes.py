"""SWIM's failure detector: one probe per interval, over others when there is no answer.

"SWIM: Scalable Weakly-consistent Infection-style Process Group Membership Protocol" (Das, Gupta and
Motivala, 2002), §3 and §4.3 (shuffled round-robin). However many members there are, a node sends
and answers one probe per interval on average, and each member is probed within two rounds.
"""

from __future__ import annotations

from random import Random
from typing import NamedTuple, Protocol

from .agenda import Agenda
from .clocks import Clock
from .config import ClusterConfig
from .messages import Alive, Heartbeat, MemberState, Message, ProbeRequest

MOST_RELAYED = 256
"""Probes under way by order of others; more are not taken on."""


class Surroundings(Protocol):
    """What the detector needs of the membership around it."""

    def candidates(self) -> list[str]:
        """The other members that are live, in a fixed order."""

    def is_candidate(self, id: str) -> bool:
        """Whether a member is still to be probed."""

    def helpers(self, target: str) -> list[str]:
        """Live members with a link, `target` left out."""

    def is_linked(self, id: str) -> bool:
        """Whether a message to the member can be sent at all."""

    def news(self, receiver: str) -> list[MemberState]:
        """Gossip for a message to the receiver."""

    def send(self, to: str, message: Message) -> None:
        """Leaves a message for the shell."""

    def unanswered(self, id: str) -> None:
        """A probed member gave no sign of life, over nobody."""


class _Relayed(NamedTuple):
    requester: str
    number: int
    target: str
    until: int


class Prober:
    """Probes members in turn, answers probes, and carries those of others on."""

    def __init__(
        self, me: str, config: ClusterConfig, clock: Clock, rng: Random, around: Surroundings
    ) -> None:
        self._me = me
        self._config = config
        self._clock = clock
        self._rng = rng
        self._around = around
        self._round: list[str] = []
        self._count = 0
        self._number = 0
        self._target = ""
        self._answered = True
        self._relayed: dict[int, _Relayed] = {}

    def begin(self, agenda: Agenda) -> None:
        """Judges the probe of the interval that has ended and sends the next one."""
        if not self._answered:
            self._answered = True
            if self._around.is_candidate(self._target):
                self._around.unanswered(self._target)
        self._target = self._next()
        if not self._target:
            return
        self._answered = False
        self._number = self._fresh()
        if self._around.is_linked(self._target):
            self._heartbeat()
            wait = self._clock.monotonic() + self._config.probe_timeout_ms
            agenda.add(wait, self._ask_others, str(self._number))
        else:
            self._ask_others(str(self._number))

    def forgive(self) -> None:
        """Gives the probe under way up: this node itself did not run, or speaks up for it."""
        self._answered = True

    def sooner(self, id: str) -> None:
        """Lets a member be the next one that is probed."""
        if id in self._round:
            self._round.remove(id)
        self._round.append(id)

    def welcome(self, id: str) -> None:
        """Takes a new member into the round under way, at a random place (§4.3)."""
        self._round.insert(self._rng.randrange(len(self._round) + 1), id)

    def challenge(self, peer: str) -> None:
        """Asks a peer for a sign of life out of turn."""
        self._around.send(peer, Heartbeat(self._fresh(), self._around.news(peer)))

    def answer(self, peer: str, number: int) -> None:
        """A probe has arrived."""
        self._around.send(peer, Alive(number, self._me, self._around.news(peer)))

    def relay(self, peer: str, request: ProbeRequest) -> None:
        """Probes a member by order of another."""
        self._expire()
        if len(self._relayed) >= MOST_RELAYED or not self._around.is_linked(request.target):
            return
        number = self._fresh()
        until = self._clock.monotonic() + self._config.heartbeat_ms
        self._relayed[number] = _Relayed(peer, request.number, request.target, until)
        self._around.send(request.target, Heartbeat(number, self._around.news(request.target)))

    def answered(self, alive: Alive) -> str:
        """An answer has arrived: passes it on to who asked, or counts it. Returns the member that
        it shows alive, empty if it is none of ours."""
        relayed = self._relayed.pop(alive.number, None)
        if relayed is not None and relayed.target == alive.subject:
            news = self._around.news(relayed.requester)
            self._around.send(relayed.requester, Alive(relayed.number, relayed.target, news))
            return relayed.target
        if alive.number == self._number and alive.subject == self._target:
            self._answered = True
            return self._target
        return ""

    def _heartbeat(self) -> None:
        news = self._around.news(self._target)
        self._around.send(self._target, Heartbeat(self._number, news))

    def _ask_others(self, number: str) -> None:
        if self._answered or number != str(self._number):
            return
        if self._around.is_linked(self._target):
            self._heartbeat()  # once more: the first may have been lost
        helpers = self._around.helpers(self._target)
        chosen = self._rng.sample(helpers, min(len(helpers), self._config.indirect_probes))
        for helper in chosen:
            news = self._around.news(helper)
            self._around.send(helper, ProbeRequest(self._number, self._target, news))

    def _next(self) -> str:
        for _ in range(2):
            while self._round:
                id = self._round.pop()
                if self._around.is_candidate(id):
                    return id
            self._round = self._around.candidates()
            self._rng.shuffle(self._round)
        return ""

    def _fresh(self) -> int:
        self._count += 1
        return self._count

    def _expire(self) -> None:
        now = self._clock.monotonic()
        while self._relayed:
            number = next(iter(self._relayed))  # the oldest
            if self._relayed[number].until > now:
                return
            del self._relayed[number]
