"""Goes through a story of replicas in running programs, for the tests of `verify --emit-tests`.

Each replica is an app of its own. This runtime's cluster is not what is tested: what reaches a
replica, and when, the story says; which of two writes a replica keeps, `somart.merge` decides, as
in every cluster.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .walking import Steps, compiled, find_machine, take

if TYPE_CHECKING:
    from somart.app import App
    from somart.merge import Register, Stamp
    from somart.spec import ProgramSpec

Happening = Sequence[Any]  # what happens, at which replica (from 1), and more
DOWN = "(down)"


def settle(
    program: Path | ProgramSpec,
    machine: str,
    entity: str,
    replicas: int,
    stem: Steps,
    story: Sequence[Happening],
    causal: bool = False,
) -> list[list[str]]:
    """What each replica shows of an entity: once all have taken the steps of `stem`, and after each
    event of a story.

    Events are `("acknowledges", replica, target, clock, takers)`: the replica leads the entity to
    the target as `walk` does, with a clock that shows so many milliseconds; `("hears", replica,
    write)`: the acknowledged write of that number, from 1, reaches it; `("crashes", replica)`, and
    `("rejoins", replica)` with what it has stored. Others, such as a link that is cut or a client
    that reads, change nothing. Raises SomaError when a replica refuses a step,
    and ValueError when the program cannot be read, has no such machine, or when causal delivery
    would keep a write back.
    """
    from somart.app import App
    from somart.engines.standalone import StandaloneEngine

    spec = compiled(program)
    with ExitStack() as stack:
        apps = [stack.enter_context(App(spec, StandaloneEngine(None))) for _ in range(replicas)]
        nodes = [_Replica(app, machine, entity, number + 1) for number, app in enumerate(apps)]
        for node in nodes:
            for _, target, takers in stem:
                node.take(target, takers)
        shown = [[node.shown for node in nodes]]
        writes: list[_Write] = []
        for kind, at, *more in story:
            node = nodes[at - 1]
            if kind == "acknowledges":
                writes.append(node.acknowledge(*more))
            elif kind == "hears":
                node.hear(writes[more[0] - 1], causal)
            elif kind in ("crashes", "rejoins"):
                node.up = kind == "rejoins"
            shown.append([node.shown for node in nodes])
    return shown


class _Write:
    """An acknowledged write, as it travels: with the writes that its replica had seen."""

    def __init__(self, node: str, register: Register[str], seen: dict[str, int]) -> None:
        self.node = node
        self.register = register
        self.seen = seen


class _Replica:
    def __init__(self, app: App, machine: str, entity: str, number: int) -> None:
        from somart.merge import BEGINNING

        self.app = app
        self.entity = entity
        self.name = str(number)
        self.cell, self.machine = find_machine(app, machine)
        self.stamp: Stamp = BEGINNING
        self.delivered: dict[str, int] = {}
        self.up = True

    @property
    def status(self) -> str:
        with self.app.transaction():
            return self.machine.status(self.entity)

    @property
    def shown(self) -> str:
        return self.status if self.up else DOWN

    def take(self, target: str, takers: Any) -> None:
        """Leads the entity to a target in a transaction of its own."""
        import trio

        step = partial(take, self.app, self.cell, self.machine, self.entity, target, takers)
        trio.run(self.app.run, self.cell, True, step)

    def acknowledge(self, target: str, clock: int, takers: Any) -> _Write:
        from somart.merge import Register, tick

        self.take(target, takers)
        self.stamp = tick(self.stamp, clock, self.name)
        self.delivered[self.name] = self.delivered.get(self.name, 0) + 1
        return _Write(self.name, Register(self.status, self.stamp), dict(self.delivered))

    def hear(self, write: _Write, causal: bool) -> None:
        from somart.merge import Register, deliverable, latest

        if causal and not deliverable(self.delivered, write.node, write.seen):
            raise ValueError(f"replica {self.name} must not be told of a write of {write.node} yet")
        self.delivered[write.node] = self.delivered.get(write.node, 0) + 1
        kept = latest(Register(self.status, self.stamp), write.register)
        if kept is write.register:
            self._put(kept.value)
            self.stamp = kept.stamp

    def _put(self, state: str) -> None:
        """Stores a state that comes from elsewhere: no arrow need lead to it."""
        from somart.memory.properties import SlotRules
        from somart.memory.table import Entry

        name = f"{self.cell.soma_path}.#machine.{self.machine.decl.name}"
        with self.app.transaction() as transaction:
            table = self.app.engine.table(name, SlotRules(persistent=self.app.persistent))
            transaction.write(table, self.entity, Entry(state))
