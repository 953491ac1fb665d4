"""Slots in transactions against a plain dict: a state machine that Hypothesis explores."""

from __future__ import annotations

import tempfile
from contextlib import AbstractContextManager
from typing import Any, ClassVar

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from somart import App, Cell, ProgramSpec, Prop, SlotDecl, SomaError, StandaloneEngine
from somart.transaction import Transaction

KEYS = st.sampled_from(["a", "b", "A", "ä", "10", "9", "", "__x", "a b"])
VALUES = st.none() | st.integers(-3, 3) | st.floats(0, 1) | st.text(max_size=3)
VALUES |= st.lists(st.integers(0, 3), max_size=2) | st.dictionaries(KEYS, st.booleans(), max_size=2)


class Abandoned(Exception):
    """Ends a transaction of the test without a commit."""


class SlotModel(RuleBasedStateMachine):
    """`committed` is what survives; `current` what the open transaction sees; marks nest."""

    property_name: ClassVar[str] = "ephemeral"

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.committed: tuple[dict[str, Any], list[Any]] = ({}, [])
        self.open: AbstractContextManager[Transaction] | None = None
        self.app: App | None = None

    @initialize()
    def begin(self) -> None:
        parts = {"soma_name": "C", "s": SlotDecl("s", "Map", (Prop(self.property_name),))}
        self.program = ProgramSpec("p", (type("C", (Cell,), parts),))
        self._start()

    def _start(self) -> None:
        self.app = App(self.program, StandaloneEngine(self.folder.name))
        self.slot: Any = self.app.top_level[0].s  # type: ignore[attr-defined]
        self._enter()

    def _enter(self) -> None:
        assert self.app is not None
        self.map, self.log = dict(self.committed[0]), list(self.committed[1])
        self.marks: list[Any] = []
        self.open = self.app.transaction()
        self.open.__enter__()

    @rule(key=KEYS, value=VALUES)
    def set(self, key: str, value: Any) -> None:
        self.slot.set(key, value)
        self.map[key] = value

    @rule(key=KEYS)
    def delete(self, key: str) -> None:
        assert self.slot.delete(key) is (self.map.pop(key, self) is not self)

    @rule(value=VALUES)
    def append(self, value: Any) -> None:
        self.slot.append(value)
        self.log.append(value)

    @rule(key=KEYS)
    def read(self, key: str) -> None:
        assert self.slot.has(key) is (key in self.map)
        assert self.slot.get(key) == self.map.get(key)

    @rule()
    def look_at_all(self) -> None:
        visible = {k: self.map[k] for k in sorted(self.map, key=str.encode) if k[:2] != "__"}
        assert self.slot.keys() == list(visible)
        assert self.slot.values() == list(visible.values())
        assert self.slot.list() == (self.log or list(visible.values()))
        assert self.slot.len() == len(visible) + len(self.log)

    @rule()
    def savepoint(self) -> None:
        mark = self.app.top_level[0].savepoint()  # type: ignore[union-attr]
        self.marks.append((mark, dict(self.map), list(self.log)))

    @precondition(lambda self: self.open is not None and self.marks)
    @rule()
    def rollback(self) -> None:
        mark, self.map, self.log = self.marks.pop()
        self.app.top_level[0].rollback(mark)  # type: ignore[union-attr]

    @rule()
    def commit(self) -> None:
        self._leave(None)
        self._enter()

    @rule()
    def abandon(self) -> None:
        self._leave(Abandoned())
        self._enter()

    @precondition(lambda self: self.property_name == "persistent")
    @rule()
    def restart(self) -> None:
        self._leave(None)
        assert self.app is not None
        self.app.close()
        self._start()

    def _leave(self, error: Exception | None) -> None:
        assert self.open is not None
        if error is None:
            self.open.__exit__(None, None, None)
            self.committed = (self.map, self.log)
            return
        with pytest.raises(SomaError):
            self.open.__exit__(type(error), error, None)

    def teardown(self) -> None:
        if self.app is not None:
            self._leave(Abandoned())
            self.app.close()
        self.folder.cleanup()


class PersistentModel(SlotModel):
    """The same on SQLite, with restarts."""

    property_name = "persistent"


SETTINGS = settings(max_examples=40, stateful_step_count=30, deadline=None)
SlotModel.TestCase.settings = SETTINGS
PersistentModel.TestCase.settings = SETTINGS
TestMemory = pytest.mark.slow(SlotModel.TestCase)
TestPersistent = pytest.mark.slow(PersistentModel.TestCase)
