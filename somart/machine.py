"""State machines: instances that move along declared arrows (spec 3 §2)."""

from __future__ import annotations

from collections.abc import Sequence
from inspect import isawaitable
from typing import TYPE_CHECKING, Any, overload

from .errors import require_failed, type_error
from .memory.properties import SlotRules
from .memory.table import Entry
from .spec import Arrow, Prop
from .transaction import CURRENT
from .values import Value, operator_kind, text

if TYPE_CHECKING:
    from .cell import Cell


class Machine:
    """A machine of a cell, bound to the table of its instances."""

    def __init__(self, decl: MachineDecl, cell: Cell) -> None:
        self.decl = decl
        self.cell = cell
        engine = cell.app.engine
        rules = SlotRules(persistent=cell.app.persistent)
        self._table = engine.table(f"{cell.soma_path}.#machine.{decl.name}", rules)
        self._limit = _max_instances(decl.props)

    def status(self, instance: Value) -> str:
        """The current state; the initial one for an instance never seen."""
        entry = CURRENT.get().read(self._table, text(instance))
        return self.decl.initial if entry is None else str(entry.value)

    def targets(self, instance: Value) -> list[Value]:
        """The targets of arrows that leave the current state, in declaration order."""
        return self._targets(self.status(instance))

    def transition(self, instance: Value, to: Value) -> dict[str, Value]:
        """Moves an instance. Raises SomaError when no arrow or its guard lets it (§2.3)."""
        names, arrow = self._begin(instance, to)
        if arrow.guard is not None:
            self._check_guard(names, getattr(self.cell, arrow.guard)(**names))
        return self._end(names, arrow)

    async def transition_async(self, instance: Value, to: Value) -> dict[str, Value]:
        """The same for machines whose guards or effects may wait."""
        names, arrow = self._begin(instance, to)
        if arrow.guard is not None:
            allowed = getattr(self.cell, arrow.guard)(**names)
            self._check_guard(names, await allowed if isawaitable(allowed) else allowed)
        self._store(names)
        if arrow.effect is not None:
            outcome = getattr(self.cell, arrow.effect)(**names)
            if isawaitable(outcome):
                await outcome
        return _moved(names)

    def _begin(self, instance: Value, to: Value) -> tuple[dict[str, str], Arrow]:
        current, target = self.status(instance), text(to)
        for arrow in self.decl.arrows:
            if arrow.target == target and arrow.source in (current, "*"):
                return {"_from": current, "_to": target, "_id": text(instance)}, arrow
        listed = ", ".join(map(str, self._targets(current)))
        raise require_failed(
            f"invalid transition: {current} → {target}. "
            f"Current state: '{current}'. Valid targets: [{listed}]"
        )

    def _check_guard(self, names: dict[str, str], allowed: Value) -> None:
        if allowed is True:
            return
        if allowed is False:
            raise require_failed(
                f"guard failed for transition {names['_from']} → {names['_to']}: condition is false"
            )
        raise type_error(f"guard must return Bool, got {operator_kind(allowed)}")

    def _end(self, names: dict[str, str], arrow: Arrow) -> dict[str, Value]:
        self._store(names)
        if arrow.effect is not None:
            getattr(self.cell, arrow.effect)(**names)
        return _moved(names)

    def _store(self, names: dict[str, str]) -> None:
        transaction, instance = CURRENT.get(), names["_id"]
        if (
            self._limit is not None
            and transaction.read(self._table, instance) is None
            and transaction.count(self._table) >= self._limit
        ):
            raise require_failed(
                f"max_instances({self._limit}) of state machine '{self.decl.name}' reached: "
                f'transition("{instance}") refused'
            )
        transaction.write(self._table, instance, Entry(names["_to"]))

    def _targets(self, current: str) -> list[Value]:
        return [arrow.target for arrow in self.decl.arrows if arrow.source in (current, "*")]


def _moved(names: dict[str, str]) -> dict[str, Value]:
    return {"id": names["_id"], "from": names["_from"], "to": names["_to"]}


def _max_instances(props: Sequence[Prop]) -> int | None:
    for prop in props:
        if prop.name == "max_instances" and prop.args:
            return int(prop.args[0])
    return None


class MachineDecl:
    """A machine of a cell class. On an instance it is the bound machine."""

    def __init__(
        self,
        name: str,
        initial: str,
        arrows: Sequence[Arrow] = (),
        props: Sequence[Prop] = (),
        shared: bool = False,
    ) -> None:
        self.name = name
        self.initial = initial
        self.arrows = tuple(arrows)
        self.props = tuple(props)
        self.shared = shared
        self.attribute = name
        named = (state for arrow in self.arrows for state in (arrow.source, arrow.target))
        self.states = tuple(dict.fromkeys((initial, *(s for s in named if s != "*"))))

    def __set_name__(self, owner: type[Cell], attribute: str) -> None:
        self.attribute = attribute

    @overload
    def __get__(self, cell: None, owner: type[Cell]) -> MachineDecl: ...

    @overload
    def __get__(self, cell: Cell, owner: type[Cell]) -> Machine: ...

    def __get__(self, cell: Cell | None, owner: type[Cell]) -> Any:
        if cell is None:
            return self
        bound = cell.__dict__[self.attribute] = Machine(self, cell)
        return bound
