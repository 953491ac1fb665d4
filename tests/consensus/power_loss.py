"""Power goes on all nodes at once, amid the writes of real databases, again and again.

After each cut a disk has what was promised (`PowerRows`), and what it says is applied is what the
log makes of nothing; at the end the history of the clients is explained and all nodes agree.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import msgspec
from fault_plan import CONFIG, NAMES, RAFT, power_loss, settle
from history_clients import Clients
from power_disk import power_disks
from service_cluster import MemoryTables, Node, World

from somart.consensus.messages import Entry
from somart.consensus.proposal import unpack
from somart.consensus.state import State
from somart.consensus.storage import load


@dataclass
class Replay:
    """What the committed entries make of nothing, as far as a disk says that it has come."""

    tables: MemoryTables = field(default_factory=MemoryTables)
    index: int = 0
    term: int = 0

    def __post_init__(self) -> None:
        self.state = State(self.tables)

    def compare(self, node: Node, committed: dict[int, Entry]) -> None:
        """A node has started again, and has done nothing yet."""
        here = State(MemoryTables())
        loaded = load(node.disk, here)
        assert loaded.state.term >= self.term, "the term goes back"
        assert loaded.applied >= self.index, "what is applied goes back"
        assert loaded.log.last >= loaded.applied, "applied beyond the log"
        self.term = loaded.state.term
        for entry in loaded.log.entries:
            if entry.index <= loaded.applied:
                assert entry == committed[entry.index], f"another entry at {entry.index}"
        while self.index < loaded.applied:
            self.index += 1
            self._apply(committed[self.index])
        assert here.save() == self.state.save(), "another state than the log's"
        stored = {table: rows for table, rows in node.tables.rows.items() if rows}
        assert stored == {table: rows for table, rows in self.tables.rows.items() if rows}

    def _apply(self, entry: Entry) -> None:
        if entry.kind == "data":
            for raw in msgspec.msgpack.decode(entry.data, type=list[bytes]):
                for command in unpack(raw):
                    self.state.apply(command)


def _into_writes(world: World, clients: Clients) -> None:
    """Goes on to where disks are at work."""
    world.until(lambda: world.leader() is not None)
    for node in world.nodes.values():
        clients.one(node)
    for _ in range(20):
        world.run(world.rng.randint(1, 10))
        if sum(node.unfinished is not None for node in world.nodes.values()) > 1:
            return


@dataclass
class Losses:
    """What a run has seen."""

    answered: int
    cut: int
    kept: int
    """As `PowerRows` counts them."""


def lose_power(times: int, seed: int) -> Losses:
    """Clients at work on three nodes, and so many cuts."""
    with power_disks() as make_disk:
        world = World(NAMES[:3], seed, CONFIG, RAFT, make_disk)
        world.disk_ms = 20  # so that power goes in the middle of writes
        clients = Clients(world)
        replays = {name: Replay() for name in world.nodes}
        for _ in range(times):
            for _ in range(world.rng.randint(3, 30)):
                world.run(world.rng.randint(1, 60))
                clients.one(world.rng.choice(list(world.nodes.values())))
            if world.rng.random() < 0.8:
                _into_writes(world, clients)
            power_loss(world)
            world.restart_all()
            for name, node in world.nodes.items():
                replays[name].compare(node, world.committed)
        settle(world, clients)
        disks = [node.disk for node in world.nodes.values()]
        power_loss(world)  # what is open ends with the disks
        return Losses(
            clients.answered, sum(disk.cut for disk in disks), sum(disk.kept for disk in disks)
        )
