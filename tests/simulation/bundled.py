"""What clients of the programs in the folder `cells` have in common."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from random import Random

from programs import program

from somart.cluster.config import ClusterConfig
from somart.consensus.service import ServiceConfig
from somart.simulate.cluster_checks import ClusterClients
from somart.simulate.history import OK, Operation
from somart.simulate.machine import Birth
from somart.simulate.member import Member
from somart.values import Value

Figures = Counter[str]
"""How often what has happened, in a run or in a campaign."""

Choice = tuple[str, str, Sequence[Value]]
PER_KEY = 8
"""A key is used by so many consecutive calls and then left alone."""


class Bundled(ClusterClients):
    """Clients of a program of the folder `cells`, and how its nodes are set up."""

    name = ""
    cell = ""
    """The program's file, if it has not the clients' name."""
    config = ClusterConfig()
    service = ServiceConfig()

    def __init__(self) -> None:
        spec, entries = program(self.cell or self.name)
        super().__init__(spec, entries)
        self.figures: Figures = Counter()

    def member(self, birth: Birth) -> Member:
        """A life of a node."""
        return Member(birth, self.spec, service=self.service)

    def results(self, handler: str, *, status: str = OK) -> list[Operation]:
        """The calls of a handler that ended so."""
        return [o for o in self.operations if o.handler == handler and o.status == status]

    def pick(self, rng: Random, choices: dict[str, int]) -> str:
        return rng.choices(list(choices), list(choices.values()))[0]


class Asking(Bundled):
    """Adds last questions, asked of every node once all is well, until each has answered."""

    def questions(self) -> Iterable[tuple[str, tuple[Value, ...]]]:
        """Handlers and arguments."""
        return ()

    def last_answers(self) -> list[str]:
        """What is missing or refused: what has just been handed over, or a leader just elected,
        may not serve yet, and a client asks again."""
        asked = [o for o in self.operations if o.number < 0]
        refused = [f"last read: {o}" for o in asked if o.status != OK]
        if refused:
            self.operations = [o for o in self.operations if o.number >= 0]
            return refused
        if asked:
            return []
        now, cell = self.simulation.world.now, self.spec.live[0].soma_name
        for machine in self.simulation.present():
            for handler, args in self.questions():
                operation = Operation(-1, machine.name, cell, handler, args, now)
                self.operations.append(operation)
                self.send(machine, operation)
        return ["the last answers are not there yet"]
