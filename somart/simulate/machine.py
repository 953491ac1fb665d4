"""A simulated machine: it starts and loses processes, and keeps its disk, clock and address."""

from __future__ import annotations

import traceback
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from random import Random
from typing import Protocol

from ..cluster.config import ClusterConfig
from ..cluster.messages import Message
from ..cluster.outputs import Dial, Drop, Note, Output, Send, Undial
from ..errors import SomaError
from .clocks import NodeClock
from .disk import Disk
from .network import Dialler, Network
from .world import Timer, World

RESTART_MS = 3_000
LEAVING_MS = 2_000
"""How long a node that leaves may take to say so."""
DRAIN_MS = 10_000
"""How long one that leaves for good may wait until the others have what lies here."""
DRAIN_POLL_MS = 100


class Process(Protocol):
    """One life of a node, from its start to its stop or crash: the production code behind a door.

    `id` is the member's id. After each input the machine carries out what `take` gives.
    """

    id: str
    boot: str
    """Of this life; another one of the same id has another."""

    def admit(self, peer: str, boot: str) -> str:
        """Whether a process may have a link: empty, or why not. Asked at both ends."""

    def link_up(self, peer: str, dialled: str = "") -> None: ...

    def link_down(self, peer: str) -> None: ...

    def receive(self, peer: str, message: Message) -> None: ...

    def tick(self) -> None: ...

    def due(self) -> int | None:
        """When the next `tick` is wanted, by the monotonic clock."""

    def leave(self, for_good: bool = False) -> None:
        """The node is about to stop, and may tell the others."""

    def staying(self) -> str:
        """Why the node cannot leave for good; empty if it can."""

    def departure(self) -> Callable[[], bool]:
        """Begins to hand over what lies here; the result says, asked often, whether all is done."""

    def take(self) -> Iterable[Output]: ...

    def stop(self) -> None:
        """The end of this life, planned or not: whatever waits is given up."""


@dataclass(frozen=True, slots=True)
class Birth:
    """What a new process is given. `machine` is how it asks for time on its disk."""

    machine: Machine
    seeds: tuple[str, ...]
    clock: NodeClock
    disk: Disk
    rng: Random
    config: ClusterConfig


Factory = Callable[[Birth], Process]


class Machine:
    """A place where lives of a node follow each other."""

    def __init__(
        self,
        name: str,
        world: World,
        network: Network,
        config: ClusterConfig,
        factory: Factory,
        seeds: tuple[str, ...] = (),
    ) -> None:
        self.name = name
        self.address = f"{name}:8082"
        self.world = world
        self.network = network
        self.config = config
        self.seeds = seeds
        self.clock = NodeClock(world)
        self.disk = Disk(world.stream(f"disk/{name}"))
        self.enlisted = True
        self.stopping = False
        """It takes no more calls."""
        self.busy = 0
        """Calls and timers that are running."""
        """Whether it is to run: not yet, for a newcomer, and no more once it has left for good."""
        self.life = 0
        self.wipes = 0
        self.process: Process | None = None
        self.complain: Callable[[str, str], None] = lambda text, node: None
        self.born: list[Callable[[Machine], None]] = []
        """Called when a life has begun, before its first input."""
        self.died: list[Callable[[], None]] = []
        """Called when the present life ends; forgotten then."""
        self._factory = factory
        self._dialler: Dialler | None = None
        self._paused = False
        self._held: deque[Callable[[], None]] = deque()
        self._ticker: Timer | None = None
        self._ticks_at = 0
        network.attach(self)

    # --- what the network sees -------------------------------------------------------------------

    @property
    def identity(self) -> str | None:
        return None if self.process is None else self.process.id

    @property
    def paused(self) -> bool:
        return self._paused

    @property
    def boot(self) -> str:
        return "" if self.process is None else self.process.boot

    def admit(self, peer: str, boot: str) -> bool:
        if self.process is None:
            return False
        refused = self.process.admit(peer, boot)
        if refused:
            self.world.note(self.name, "refuse", f"{peer}: {refused}")
        self.drain()
        return not refused

    def link_up(self, peer: str, dialled: str) -> None:
        self.world.note(self.name, "link up", peer)
        self.do(lambda process: process.link_up(peer, dialled))

    def link_down(self, peer: str) -> None:
        self.world.note(self.name, "link down", peer)
        if self._dialler is not None:
            self._dialler.lost(peer)
        self.do(lambda process: process.link_down(peer))

    def receive(self, peer: str, message: Message) -> None:
        self.world.note(self.name, "receive", (peer, message))
        self.do(lambda process: process.receive(peer, message))

    # --- inputs and outputs ----------------------------------------------------------------------

    def do(self, action: Callable[[Process], None]) -> None:
        """Gives the living process an input, now or when it is no longer paused."""
        life = self.life
        if self._paused:
            self._held.append(lambda: self._act(life, action))
        else:
            self._act(life, action)

    def _act(self, life: int, action: Callable[[Process], None]) -> None:
        if self.process is None or self.life != life:
            return
        try:
            action(self.process)
            self.drain()
        except Exception as error:
            self.broken(error)

    def broken(self, error: Exception) -> None:
        """The node's own code has failed, which it never must: the run is over."""
        frames = traceback.extract_tb(error.__traceback__)
        place = " < ".join(f"{Path(f.filename).name}:{f.lineno}" for f in reversed(frames[-4:]))
        self.complain(f"{type(error).__name__}: {error} at {place}", self.name)

    def drain(self) -> None:
        """Carries out what the process asks for."""
        process, dialler = self.process, self._dialler
        if process is None or dialler is None:
            return
        for output in process.take():
            match output:
                case Send(to, message):
                    self.network.send(self, to, message)
                case Dial(address):
                    dialler.want(address)
                case Undial(address):
                    dialler.give_up(address)
                case Drop(peer, reason):
                    self.world.note(self.name, "drop", f"{peer}: {reason}")
                    self.network.hang_up(self, peer)
                case Note(text):
                    self.world.note(self.name, "log", text)
        self._mind_clock(process)

    def _mind_clock(self, process: Process) -> None:
        due = process.due()
        if due is None:
            return
        at = self.world.now + max(1, due - self.clock.monotonic())
        if self._ticker is not None:
            if self._ticks_at <= at:
                return
            self._ticker.cancel()
        self._ticks_at = at
        self._ticker = self.world.after(at - self.world.now, self._tick)

    def _tick(self) -> None:
        self._ticker = None
        self.do(lambda process: process.tick())

    # --- lives -----------------------------------------------------------------------------------

    def start(self) -> None:
        """Begins a life on the disk as it is."""
        if self.process is not None or not self.enlisted:
            return
        self.life += 1
        self.stopping = False
        self.world.note(self.name, "start", f"life {self.life}")
        rng = self.world.stream(f"process/{self.name}/{self.life}")
        self._dialler = Dialler(self.world, self.network, self, self.config, rng)
        birth = Birth(self, self.seeds, self.clock, self.disk, rng, self.config)
        try:
            self.process = self._factory(birth)
        except SomaError as error:
            self._not_started(error)
            return
        for told in self.born:
            told(self)
        for seed in self.seeds:
            self._dialler.want(seed)
        self.drain()

    def _not_started(self, error: SomaError) -> None:
        """Whoever watches over the process starts it again and again."""
        self.world.note(self.name, "no start", error)
        self.disk.crash()
        self.world.after(RESTART_MS, self.start)

    def crash(self, silent: bool = False) -> None:
        """Ends a life without warning; `silent`: the power goes, connections are not closed."""
        self._end("crash", silent)

    def leave(self, for_good: bool = False) -> None:
        """The node says that it leaves, and stops a little later."""
        if self.process is None:
            return
        self.world.note(self.name, "leave", "for good" if for_good else "")
        self.enlisted = not for_good
        self.do(lambda process: process.leave(for_good))
        life = self.life
        self.world.after(LEAVING_MS, partial(self._left, life))

    def depart(self) -> None:
        """The node leaves for good, if it may: as soon as the others have what lies here. Else it
        stays a member, and stops in vain."""
        process = self.process
        refused = "it is down" if process is None else process.staying()
        if process is None or refused:
            self.world.note(self.name, "stays", refused)
            return
        self.stopping = True  # no more calls: those that have begun come to their end first
        self._hand_over(self.life, process.departure(), self.world.now + DRAIN_MS)

    def _hand_over(self, life: int, done: Callable[[], bool], until: int) -> None:
        if self.process is None or self.life != life:
            return
        if self._paused:
            self._held.append(lambda: self._hand_over(life, done, until))
        elif not self.busy and done():
            self.leave(for_good=True)
        elif self.world.now >= until:
            self.leave()
        else:
            again = partial(self._hand_over, life, done, until)
            self.world.after(DRAIN_POLL_MS, again)
        self.drain()

    def _left(self, life: int) -> None:
        if self.life == life:
            self._end("stop", silent=False)

    def _end(self, how: str, silent: bool) -> None:
        process, dialler = self.process, self._dialler
        if process is None or dialler is None:
            return
        self.world.note(self.name, how)
        self.process = None
        self._paused = False
        self._held.clear()
        dialler.stop()
        if self._ticker is not None:
            self._ticker.cancel()
            self._ticker = None
        process.stop()
        self.disk.crash()
        self.network.crashed(self, silent)
        died, self.died = self.died, []
        for callback in died:
            callback()

    def wipe(self) -> None:
        """Crashes, and loses all data."""
        self.crash()
        self.world.note(self.name, "wipe")
        self.wipes += 1
        self.disk.wipe()

    def pause(self) -> None:
        """SIGSTOP: time goes on, the process does not; its connections stay."""
        if self.process is not None:
            self.world.note(self.name, "pause")
            self._paused = True

    def resume(self) -> None:
        """SIGCONT: all that has arrived meanwhile is there at once."""
        if not self._paused:
            return
        self.world.note(self.name, "resume")
        self._paused = False
        while self._held and not self._paused:
            self._held.popleft()()
