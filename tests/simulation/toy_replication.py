"""A replication that fits on a page, to test the simulator with: registers, one outbox per peer.

Each write has a stamp; a node keeps what a peer has not acknowledged, sends it again when the link
is up, and acknowledges what it has stored. `Toy` is right as long as disks are not lost; its
subclasses in the tests are not.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from somart.cluster.messages import Batch, Message, Received, VersionWire, Write
from somart.cluster.outputs import Dial, Output, Send
from somart.merge import BEGINNING, Register, Stamp, latest, tick
from somart.simulate.machine import Birth, Machine
from somart.simulate.simulation import Simulation

RESEND_MS = 1_000


class Toy:
    """A process; its rows: the registers, the clock, and what peers have yet to acknowledge."""

    def __init__(self, birth: Birth, names: tuple[str, ...]) -> None:
        self.id = birth.machine.name
        self.birth = birth
        self.database = birth.disk.open()
        self.peers = tuple(name for name in names if name != self.id)
        self.outputs: list[Output] = [Dial(f"{name}:8082") for name in self.peers]
        self.links: set[str] = set()
        self.registers: dict[str, Register[str]] = {}
        self.outbox: dict[str, dict[str, Register[str]]] = {peer: {} for peer in self.peers}
        self.last = BEGINNING
        self.sent_at = 0
        for table, rows in birth.disk.tables.items():
            for key, row in rows.items():
                assert row is not None
                register = Register(row[1], Stamp(*row[2]))
                self.last = max(self.last, register.stamp)
                place = self.registers if table == "registers" else self.outbox[table]
                place[key] = register

    def _store(self, key: str, register: Register[str], peers: Iterable[str]) -> None:
        row = (key, register.value, tuple(register.stamp), 0, 0)
        changes = {("registers", key): row} | {(peer, key): row for peer in peers}
        self.database.write(changes)
        self.registers[key] = register
        for peer in peers:
            self.outbox[peer][key] = register

    def set(self, key: str, value: str) -> Stamp:
        self.last = tick(self.last, self.birth.clock.wall(), self.id)
        self._store(key, Register(value, self.last), self.peers)
        for peer in self.peers:
            self._send(peer, key)
        return self.last

    def _send(self, peer: str, key: str) -> None:
        if peer in self.links:
            register = self.outbox[peer][key]
            wire = VersionWire(tuple(register.stamp))
            write = Write("registers", key, wire, "string", register.value)
            self.outputs.append(Send(peer, Batch(self.id, 1, 0, {}, [write])))

    boot = ""

    def admit(self, peer: str, boot: str) -> str:
        return ""

    def link_up(self, peer: str, dialled: str = "") -> None:
        self.links.add(peer)
        for key in self.outbox[peer]:
            self._send(peer, key)

    def link_down(self, peer: str) -> None:
        self.links.discard(peer)

    def receive(self, peer: str, message: Message) -> None:
        if isinstance(message, Batch):
            for write in message.writes:
                self.merge(write.key, Register(write.value, Stamp(*write.version.stamp)))
                stamp = write.version.stamp
                self.outputs.append(Send(peer, Received(f"{write.key} {stamp[0]} {stamp[1]}", 1)))
        elif isinstance(message, Received):
            key, physical, logical = message.origin.split()
            self.acknowledged(peer, key, int(physical), int(logical))

    def merge(self, key: str, other: Register[str]) -> None:
        mine = self.registers.get(key)
        self.last = max(self.last, other.stamp)
        if mine is None or latest(mine, other) is other:
            self._store(key, other, ())

    def acknowledged(self, peer: str, key: str, physical: int, logical: int) -> None:
        waiting = self.outbox[peer].get(key)
        if waiting is not None and waiting.stamp[:2] == (physical, logical):
            del self.outbox[peer][key]
            self.database.write({(peer, key): None})

    def tick(self) -> None:
        now = self.birth.clock.monotonic()
        if now - self.sent_at >= RESEND_MS:
            self.sent_at = now
            for peer in self.peers:
                for key in self.outbox[peer]:
                    self._send(peer, key)

    def due(self) -> int | None:
        return self.sent_at + RESEND_MS

    def leave(self, for_good: bool = False) -> None:
        pass

    def staying(self) -> str:
        return "its replicas are given"

    def departure(self) -> Callable[[], bool]:
        return lambda: False

    def take(self) -> list[Output]:
        outputs, self.outputs = self.outputs, []
        return outputs

    def stop(self) -> None:
        pass


class Registers:
    """Clients that write on random nodes. Each key has a few writes close together, and then is
    left alone: what went wrong with it is not overwritten."""

    def __init__(self) -> None:
        self.calls = {"ok": 0, "refused": 0}
        self.newest: dict[str, tuple[Stamp, str]] = {}

    def begin(self, simulation: Simulation) -> None:
        self.simulation = simulation

    def call(self, number: int) -> None:
        simulation = self.simulation
        rng = simulation.world.stream(f"call/{number}")
        machine = rng.choice(simulation.machines)
        key = f"k{number // 8}"
        if machine.process is None or machine.paused or machine.disk.full:
            self.calls["refused"] += 1
            return
        process = machine.process
        assert isinstance(process, Toy)
        stamp = process.set(key, f"v{number}")
        self.calls["ok"] += 1
        simulation.world.note(machine.name, "set", (key, number, stamp))
        self.newest[key] = max(self.newest.get(key, (BEGINNING, "")), (stamp, f"v{number}"))
        machine.drain()

    def look(self) -> list[str]:
        return []

    def verdict(self) -> list[str]:
        wrong = []
        for machine in self.simulation.machines:
            process = machine.process
            assert isinstance(process, Toy)
            for key, (stamp, value) in self.newest.items():
                found = process.registers.get(key)
                if found != Register(value, stamp):
                    wrong.append(f"{machine.name} has {found} for {key}, not {value} {stamp}")
        return wrong

    def may_wipe(self, machine: Machine) -> bool:
        return False
