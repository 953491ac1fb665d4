"""Membership by itself under faults: in the end all see the same members, all alive."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from msgspec import json

from somart.cluster.members import Identity, first_record
from somart.cluster.membership import Membership
from somart.cluster.messages import MemberState, Message
from somart.cluster.outputs import Output
from somart.simulate.faults import KINDS
from somart.simulate.machine import Birth, Machine
from somart.simulate.simulation import Outcome, Settings, Simulation, simulate


class Member:
    """A node that is nothing but a member. Its record is on its disk."""

    def __init__(self, birth: Birth) -> None:
        self.id = birth.machine.name
        self.disk = birth.disk
        self.database = birth.disk.open()
        stored = self.disk.tables.get("member", {}).get("me")
        if stored is None:
            record = first_record(self.id, birth.machine.address, "", founder=not birth.seeds)
        else:
            record = json.decode(stored[1], type=MemberState)
        self.membership = Membership(record, birth.config, birth.clock, birth.rng, birth.seeds)
        self.boot = self.membership.me.boot

    def admit(self, peer: str, boot: str) -> str:
        return self.membership.admit(peer, boot)

    def link_up(self, peer: str, dialled: str = "") -> None:
        self.membership.link_up(peer, dialled)

    def link_down(self, peer: str) -> None:
        self.membership.link_down(peer)

    def receive(self, peer: str, message: Message) -> None:
        self.membership.receive(peer, message)

    def tick(self) -> None:
        self.membership.tick()

    def due(self) -> int | None:
        return self.membership.due()

    def leave(self, for_good: bool = False) -> None:
        self.membership.leave(for_good)

    def staying(self) -> str:
        return ""

    def departure(self) -> Callable[[], bool]:
        return lambda: True

    def take(self) -> list[Output]:
        outputs, changes = self.membership.take()
        for change in changes:
            if isinstance(change, Identity):
                row = ("me", json.encode(change.me), "json", 0, 0)
                self.database.write({("member", "me"): row})
                self.membership.ready()
        return outputs

    def stop(self) -> None:
        pass


class Nobody:
    """No clients: only the members are looked at."""

    def __init__(self) -> None:
        self.calls: dict[str, int] = {}

    def begin(self, simulation: Simulation) -> None:
        self.machines = simulation.machines

    def call(self, number: int) -> None:
        pass

    def look(self) -> list[str]:
        return []

    def verdict(self) -> list[str]:
        wrong = []
        names = [machine.name for machine in self.machines]
        for machine in self.machines:
            process = machine.process
            assert isinstance(process, Member)
            seen = {id: member.state.status for id, member in process.membership.members.items()}
            if seen != dict.fromkeys(names, "alive"):
                wrong.append(f"{machine.name} sees {seen}")
            if process.membership.lowest_live() != "n1":
                wrong.append(f"{machine.name} has another leader")
        return wrong

    def may_wipe(self, machine: Machine) -> bool:
        return False


FAULTS = tuple(sorted(set(KINDS) - {"fulldisk", "wipe", "join", "depart", "expel"}))


def run(seed: int, nodes: int, faults: tuple[str, ...] = FAULTS) -> Outcome:
    return simulate(Settings(nodes, seed, 10, faults, calls=0), Member, Nobody())


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(20))
def test_members_agree_after_faults(seed: int) -> None:
    outcome = run(seed, 3 + seed % 5)
    assert outcome.passed, "\n".join(map(str, outcome.failures))


def test_members_find_each_other() -> None:
    outcome = run(1, 7, faults=())
    assert outcome.passed
    assert outcome.healed_ms <= 4_000
