"""What transactions emit is told once on every member that is up, whoever else dies."""

from __future__ import annotations

from collections import Counter

from service_cluster import World

from somart.consensus.proposal import Emitted, Proposal, TransactionId
from somart.consensus.service import Failure, ServiceConfig
from somart.consensus.state import Outcome

WHOLE_LOG = ServiceConfig(log_entries=100_000, give_up_ms=400)
"""No snapshots: who gets one has missed events, as if it had been away. Clients are impatient, so
that some transactions happen after they were given up."""


class Listeners:
    """What each node was told, and what became of each proposal for the one who waits for it."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.heard: dict[str, Counter[str]] = {name: Counter() for name in world.nodes}
        self.answers: dict[str, Outcome | Failure] = {}
        for name in world.nodes:
            self.listen(name)

    def listen(self, name: str) -> None:
        """Also after a restart."""

        def on_events(events: tuple[Emitted, ...], own: bool) -> None:
            for event, _, _ in events:
                assert event.startswith(name) or not own
                self.heard[name][event] += 1

        self.world.nodes[name].service.on_events = on_events

    def propose(self, name: str, number: int) -> None:
        event = f"{name}{number}"
        node = self.world.nodes[name]

        def make(given: TransactionId, oldest: int) -> Proposal:
            row = (str(number), "int", 0, 0)
            writes = (("t", event, row),)
            return Proposal(given, oldest, 0, (), (), (), writes, events=((event, "[]", False),))

        def done(answer: Outcome | Failure) -> None:
            self.answers[event] = answer
            if isinstance(answer, Outcome):  # whoever waits tells of it
                self.heard[name][event] += 1

        node.service.propose(make, done, self.world.now)
        node.drive()


def applied(world: World, name: str) -> set[str]:
    """The events of all transactions that a node has applied."""
    return {str(key) for key in world.nodes[name].tables.rows.get("t", {})}


def test_members_that_stay_up_hear_of_each_transaction_once() -> None:
    assert sum(map(given_up_and_told, range(12))) > 4


def given_up_and_told(seed: int) -> int:
    """Checks a run under faults; gives the number of transactions that nobody waited for any more
    when they happened."""
    world = World(("a", "b", "c"), seed, WHOLE_LOG)
    listeners = Listeners(world)
    world.until(lambda: world.leader() is not None)
    world.loss, world.doubled = 0.05, 0.2
    for number in range(60):
        listeners.propose("abc"[number % 3], number)
        world.run(world.rng.randint(1, 300))
        if number % 20 == 10:
            world.isolate(world.rng.choice("abc"))
        if number % 20 == 15:
            world.cut.clear()
    world.heal()
    world.run(8_000)
    everything = applied(world, "a")
    assert len(everything) > 30
    for name in "abc":
        assert applied(world, name) == everything
        assert listeners.heard[name] == Counter(everything)
    late = [e for e, a in listeners.answers.items() if isinstance(a, Failure) and e in everything]
    for event in late:
        assert not listeners.answers[event].definite  # type: ignore[union-attr]
    return len(late)


def test_a_node_that_dies_with_the_answer_does_not_take_the_event_along() -> None:
    world = World(("a", "b", "c"), 3, WHOLE_LOG)
    listeners = Listeners(world)
    world.until(lambda: world.leader() is not None)
    listeners.propose("a", 1)
    others = [name for name in "bc" if world.nodes[name] is not world.leader()]
    world.until(lambda: any("a1" in applied(world, name) for name in (*others, "a")))
    world.crash("a")
    world.run(3_000)
    assert listeners.heard["b"] == listeners.heard["c"] == {"a1": 1}
    world.nodes["a"].start()
    listeners.heard["a"].clear()
    listeners.listen("a")
    world.run(3_000)
    assert "a1" in applied(world, "a")
    assert listeners.heard["a"] in ({}, {"a1": 1})  # it may not have had the entry yet
    world.crash("a")
    world.nodes["a"].start()
    listeners.heard["a"].clear()
    listeners.listen("a")
    world.run(3_000)
    assert listeners.heard["a"] == {}, "it was in the log when the node started"
