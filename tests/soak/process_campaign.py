"""Five real nodes under random faults for minutes: `process_campaign.py MINUTES [SEED]`.

Clients work all the time. Nodes are killed, stopped, cut off, muted, left without room on their
disks, given wrong wall clocks, one or two at a time, the leader above all; now and then all are
killed at once. After a few faults all is read on every node, and the histories are judged as in
`tests/cluster`; then new ones begin. Prints the figures. When something has no explanation, or
nobody answers although a majority is there, it ends with 1, and leaves histories and logs in a
folder.

Networks and disks need root, clocks libfaketime: without them it does without these faults.
"""

from __future__ import annotations

import random
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "cluster"))

from history_load import Load
from history_operations import keep
from machines import Network, WallClock, full, small_disk
from processes import Cluster, Node, build
from strong_faults import (
    PROGRAM,
    all_vote,
    cut,
    killed,
    leader_of,
    muted,
    on_machines,
    others,
    start_all,
    stopped,
    with_clocks,
)

NODES = 5
FAULTS_OF_A_ROUND = 4
MEGABYTES = 16
NETWORK = ("cut", "mute", "deaf")
LONGEST = 600
"""Calls that happen under a fault."""
FURTHEST = 600
"""Seconds that a wall clock is wrong."""

Fault = Callable[[list[Node]], AbstractContextManager[None]]


@dataclass
class Group:
    """The nodes, and what may befall them here."""

    rng: random.Random
    nodes: list[Node]
    network: Network | None = None
    disks: bool = False
    clocks: dict[str, WallClock] = field(default_factory=dict)
    befell: Counter[str] = field(default_factory=Counter)

    def faults(self) -> dict[str, Fault]:
        """By name, what can befall some of the nodes."""
        found: dict[str, Fault] = {
            "kill": lambda some: killed(*some),
            "stop": lambda some: stopped(*some),
        }
        network = self.network
        if network is not None:
            found["cut"] = lambda some: cut(network, some, others(self.nodes, some))
            found["mute"] = lambda some: muted(network, some, others(self.nodes, some))
            found["deaf"] = lambda some: muted(network, others(self.nodes, some), some)
        if self.disks:
            found["full disk"] = self._full
        if self.clocks:
            found["clock"] = self._wrong
        return found

    @contextmanager
    def _full(self, some: list[Node]) -> Iterator[None]:
        for node in some:  # a log that has its full length would be written over, and need no room
            node.stop()
            node.start()
            node.wait_ready()
        before = [len(node.log) for node in some]
        with ExitStack() as stack:
            for node in some:
                stack.enter_context(full(node.data))
            yield
        felt = ["storage error" in node.log[at:] for node, at in zip(some, before, strict=True)]
        self.befell["nodes without room"] += sum(felt)

    @contextmanager
    def _wrong(self, some: list[Node]) -> Iterator[None]:
        for node in some:
            self.clocks[node.name].jump(self.rng.randint(-FURTHEST, FURTHEST))
        yield
        for node in some:
            self.clocks[node.name].jump(0)

    def pick(self) -> tuple[list[str], list[AbstractContextManager[None]]]:
        """One or two faults, of two nodes at most; or all nodes are killed."""
        rng, faults = self.rng, self.faults()
        if rng.random() < 0.08:
            return ["kill all"], [killed(*self.nodes)]
        some = self._victims(rng.randint(1, 2))
        if rng.random() < 0.5:
            name = rng.choice(list(faults))
            return [name], [faults[name](some)]
        names = [rng.choice(list(faults))]
        if len(some) > 1:  # only one of the network: what one cuts the other would heal
            names.append(rng.choice([name for name in faults if name not in NETWORK]))
        return names, [faults[name]([node]) for name, node in zip(names, some, strict=True)]

    def _victims(self, count: int) -> list[Node]:
        leader = leader_of(self.nodes)
        if self.rng.random() < 0.5:
            return [leader, *self.rng.sample(others(self.nodes, [leader]), count - 1)]
        return self.rng.sample(self.nodes, count)


@contextmanager
def group(rng: random.Random, folder: Path) -> Iterator[Group]:
    """Nodes that have started, with as much of what is needed for faults as there is."""
    source = PROGRAM.read_text(encoding="utf-8").replace("replicas: 3", f"replicas: {NODES}")
    with ExitStack() as stack:
        cluster = Cluster(build(source, folder / "built"), folder)
        try:
            network = Network()
            stack.callback(network.remove)
            made = Group(rng, on_machines(cluster, network, NODES, folder), network)
        except OSError as error:
            sys.stdout.write(f"no cut networks: {error}\n")
            made = Group(rng, [cluster.add() for _ in range(NODES)])
        try:
            for node in made.nodes:
                stack.enter_context(small_disk(node.data, MEGABYTES))
            made.disks = True
        except OSError as error:
            sys.stdout.write(f"no full disks: {error}\n")
        try:
            made.clocks = with_clocks(made.nodes, folder)
        except OSError as error:
            sys.stdout.write(f"no wrong clocks: {error}\n")
        stack.callback(end, made.nodes)  # before their disks go
        start_all(made.nodes)
        yield made


def end(nodes: Sequence[Node]) -> None:
    for node in nodes:
        node.kill()


@dataclass
class Tally:
    """What a campaign has seen."""

    rounds: int = 0
    calls: Counter[str] = field(default_factory=Counter)
    refused: Counter[str] = field(default_factory=Counter)

    def __str__(self) -> str:
        told = [
            ", ".join(f"{count} {name}" for name, count in sorted(counter.items()))
            for counter in (self.calls, self.refused)
        ]
        return f"{self.rounds} rounds; {told[0]}; answers: {told[1]}"


def one_round(made: Group, tally: Tally, folder: Path) -> list[str]:
    """A few faults one after the other; what is wrong with the histories."""
    load = Load(made.nodes, made.rng.randrange(10**9), f"r{tally.rounds}-")
    try:
        with load:
            for _ in range(FAULTS_OF_A_ROUND):
                load.go_on(20, "between two faults", *made.nodes)
                befall(made, load)
            load.go_on(20, "after all faults", *made.nodes)
        load.read_all()
    except AssertionError as error:
        keep(load.told, folder)
        return [str(error)]
    finally:
        tally.rounds += 1
        tally.calls += load.outcomes()
        tally.refused += Counter(f"{n} {why}" for (n, why) in load.refused.elements())
    return load.verdict(folder)


def befall(made: Group, load: Load) -> None:
    names, faults = made.pick()
    made.befell.update(names)
    with ExitStack() as stack:
        for fault in faults:
            stack.enter_context(fault)
        if names != ["kill all"]:
            load.go_on(made.rng.randint(30, LONGEST), f"amid {' and '.join(names)}")
    all_vote(made.nodes)


def main() -> int:
    """1 if something has no explanation."""
    minutes = float(sys.argv[1]) if len(sys.argv) > 1 else 4
    seed = int(sys.argv[2]) if len(sys.argv) > 2 else time.time_ns() % 10**6
    folder = Path(tempfile.mkdtemp(prefix="soma-processes-"))
    began, tally, wrong = time.monotonic(), Tally(), list[str]()
    with group(random.Random(seed), folder) as made:
        while not wrong and time.monotonic() < began + 60 * minutes:
            wrong = one_round(made, tally, folder / "histories")
            faults = ", ".join(f"{count} {name}" for name, count in sorted(made.befell.items()))
            sys.stdout.write(f"{time.monotonic() - began:.0f} s: {tally}; faults: {faults}\n")
            sys.stdout.flush()
    sys.stdout.write("".join(f"{line}\n" for line in wrong))
    verdict = f"WRONG, see {folder}" if wrong else "every history explained"
    sys.stdout.write(f"seed {seed}, {tally}; faults: {faults}: {verdict}\n")
    if not wrong:
        shutil.rmtree(folder)
    return int(bool(wrong))


if __name__ == "__main__":
    sys.exit(main())
