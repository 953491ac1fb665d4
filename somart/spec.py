"""What a generated program declares about itself: data that the runtime reads, never runs.

A generated program is an ordinary package. This is a complete small one; the runtime is imported
as `._somart` when it is vendored and as `somart` when it is shared.

`gauge.py`, one module per cell::

    from __future__ import annotations

    from typing import TYPE_CHECKING

    from ._somart import Arrow, Cell, MachineDecl, Prop, SlotDecl, Value
    from ._somart import every, handler, invariant, ops

    if TYPE_CHECKING:
        from .program import App


    class Gauge(Cell):
        '''cell Gauge — app.cell:3'''

        soma_name = "Gauge"                  # soma_path defaults to it; interior: "Parent.Child"
        if TYPE_CHECKING:
            app: App

        seen = SlotDecl("seen", "Map<String, Int>", (Prop("persistent"),))
        lamp = MachineDecl("lamp", "dark", (Arrow("dark", "lit", guard="_guard_lamp_1"),))

        @invariant("seen", source="seen.len <= 500")
        def _invariant_1(self, _slot_len: int, _slot_name: str, _key: str) -> Value:
            return ops.le(self.seen.len(), 500)

        def _guard_lamp_1(self, _from: str, _to: str, _id: str) -> Value:  # called by keyword
            return ops.loose_ne(_id, "0")

        @handler("feed", "name", "v")
        def feed(self, name: Value, v: Value) -> Value:
            mark = self.savepoint()
            self.seen.set(name, v)
            self.transition(name, "lit")
            self.emit("alarm", name)
            return self.next_id()

        @every(30_000)
        def _every_1(self) -> Value:
            return None

`checks.py`, a test cell (`soma_kind = "test"`); a comparison yields both sides::

    class Checks(Cell):
        soma_name = "Checks"
        soma_kind = "test"

        @test_assert('feed("x", 1) == 1', op="==")
        def _assert_1(self) -> tuple[Value, Value]:
            return self.app.Gauge.feed("x", 1), 1

        @test_assert("...")
        def _assert_2(self) -> Value:
            return True

        @test_property("small", "x", 0, 10, count=20)
        def _property_1(self, x: Value) -> Value:
            return ops.lt(x, 10)

`program.py`::

    class App(BaseApp):                      # BaseApp is `_somart.App`
        Gauge: gauge.Gauge                   # one attribute per cell: the Python class's name

    PROGRAM = ProgramSpec(
        name="app",
        cells=(Gauge,),                      # top-level cells of every kind but test, in order
        tests=(Checks,),
        manifest=ManifestSpec(name="app"),
        source_map=SourceMap(
            lines={"gauge.py": ((21, "app.cell", 9, 5),)},   # python line -> file, line, column
            sources={"app.cell": "cell Gauge {…"},
            root=os.path.dirname(__file__),                  # only files of this folder count
        ),
        variants={"High": "Level"},          # variant -> its type
        package=__package__,
        app_class=App,                       # optional
    )

An interior cell is a class of its own, listed in its parent's `soma_children`; a `runtime` section
is the parent's `soma_runtime` (a tuple of `RuntimeEntry`, `None` when there is no such section).
"""

from __future__ import annotations

import os
from bisect import bisect_right
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .app import App
    from .cell import Cell

LIVE_KINDS = ("cell", "agent")
"""Kinds of cells that own memory, state and entry points (core §2.2)."""


@dataclass(frozen=True, slots=True)
class Prop:
    """A memory property as written: `Prop("ttl", 5000)`; durations are in milliseconds."""

    name: str
    args: tuple[Any, ...] = ()

    def __init__(self, name: str, *args: Any) -> None:
        object.__setattr__(self, "name", name)
        object.__setattr__(self, "args", args)


@dataclass(frozen=True, slots=True)
class Arrow:
    """One transition of a machine; `source` "*" is any state. Guard and effect name methods."""

    source: str
    target: str
    guard: str | None = None
    effect: str | None = None


@dataclass(frozen=True, slots=True)
class HandlerInfo:
    """A handler as the outside sees it. `method` is its Python name on the cell; `memory_only`: a
    coroutine that waits for nothing else (time, the network, another program)."""

    name: str
    params: tuple[str, ...]
    method: str
    is_async: bool = False
    record: bool = False
    memory_only: bool = False

    @property
    def private(self) -> bool:
        """Names with a leading underscore cannot be reached over HTTP (spec 3 §8.2)."""
        return self.name.startswith("_")


@dataclass(frozen=True, slots=True)
class TimerInfo:
    """An `every` (repeats) or `after` block; `milliseconds` is the interval or the delay."""

    kind: str
    milliseconds: int
    method: str


@dataclass(frozen=True, slots=True)
class InvariantInfo:
    """An invariant of a memory block: the slots it belongs to and its source text."""

    slots: tuple[str, ...]
    source: str
    method: str


@dataclass(frozen=True, slots=True)
class TestAssert:
    """`assert e`. With `op` the method yields both sides of the comparison, else one value."""

    __test__ = False

    source: str
    op: str | None
    method: str


@dataclass(frozen=True, slots=True)
class TestProperty:
    """`property "name" forall variable: Int in low..high count n ensures e` (core §4.3)."""

    __test__ = False

    name: str
    variable: str
    low: int
    high: int
    count: int
    method: str
    type_name: str = "Int"


@dataclass(frozen=True, slots=True)
class RuntimeEmit:
    """`emit s(args)` in a `runtime` section; names among the arguments are Strings."""

    name: str
    args: tuple[Any, ...] = ()


@dataclass(frozen=True, slots=True)
class RuntimeConnect:
    """`connect A.sig -> B`: only logged."""

    cell: str
    signal: str
    target: str


@dataclass(frozen=True, slots=True)
class RuntimeStart:
    """`start K`: only logged."""

    cell: str


RuntimeEntry = RuntimeEmit | RuntimeConnect | RuntimeStart


@dataclass(frozen=True, slots=True)
class ScaleSpec:
    """The `scale` section of a cell (spec 3 §6)."""

    replicas: int = 1
    shard: str | None = None
    consistency: str = "strong"
    tolerance: int = 0
    cpu: int | None = None
    memory: str | None = None
    disk: str | None = None


@dataclass(frozen=True, slots=True)
class Evidence:
    """What the checker knows of a cell, for the dashboard (spec 3 §8.5): the parts of its memory
    peak in bytes, what it declares, what has no bound, each handler's peak, its promises."""

    slots: int = 0
    handler: int = 0
    state: int = 0
    runtime: int = 0
    declared: int | None = None
    unbounded: tuple[str, ...] = ()
    handlers: Mapping[str, int] = field(default_factory=dict)
    promises: tuple[str, ...] = ()

    @property
    def total(self) -> int:
        """The most memory that the cell may need, as far as it is bounded."""
        return self.slots + self.handler + self.state + self.runtime

    @property
    def badge(self) -> str:
        """The verdict on the declared budget."""
        if self.declared is None:
            return "NO BUDGET"
        if self.unbounded:
            return "ADVISORY"
        return "PROVEN" if self.total <= self.declared else "FAIL"


@dataclass(frozen=True, slots=True)
class ServeSpec:
    """`[serve]` of `soma.toml`: what holds unless the command line says otherwise.

    `max_body` in bytes; `timeout` in seconds, for a client to send a request or take an answer.
    """

    max_body: int | None = None
    timeout: float | None = None
    host: str | None = None
    port: int | None = None


@dataclass(frozen=True, slots=True)
class EtcdSpec:
    """`[cluster]` with `engine = "etcd"`: endpoints, the prefix of all keys, PEM files."""

    endpoints: tuple[str, ...] = ()
    prefix: str = ""
    authority: str = ""
    certificate: str = ""
    key: str = ""


@dataclass(frozen=True, slots=True)
class ManifestSpec:
    """What the runtime needs of `soma.toml`."""

    name: str = "app"
    version: str = "0.1.0"
    description: str = ""
    cors: tuple[str, ...] = ()
    serve: ServeSpec = field(default_factory=ServeSpec)
    peers: Mapping[str, str] = field(default_factory=dict)
    seeds: tuple[str, ...] = ()
    node_id: str | None = None
    intervals: Mapping[str, int] = field(default_factory=dict)  # fields of ClusterConfig
    etcd: EtcdSpec | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)  # any further keys, as parsed


@dataclass(frozen=True)
class SourceMap:
    """From lines of generated Python to places in `.cell` files.

    `lines` maps a Python file's name (no folder) to ascending rows `(python line, cell file, line,
    column)`; a row holds until the next one. `root` is the folder of these files, or the made-up
    folder of a program that was compiled in memory; files elsewhere are not of the program.
    """

    lines: Mapping[str, Sequence[tuple[int, str, int, int]]] = field(default_factory=dict)
    sources: Mapping[str, str] = field(default_factory=dict)
    root: str = ""

    def find(self, filename: str, line: int) -> tuple[str, int, int] | None:
        """The cell file, line and column behind a line of a Python file, if it is known."""
        folder, name = os.path.split(filename)
        rows = self.lines.get(name)
        if not rows or (self.root and folder != self.root.rstrip("/\\")):
            return None
        index = bisect_right(rows, line, key=lambda row: row[0]) - 1
        return rows[index][1:] if index >= 0 else None

    def source_line(self, file: str, line: int) -> str:
        """The text of a line of a cell file; empty when the file or the line is unknown."""
        lines = self.sources.get(file, "").split("\n")
        return lines[line - 1].rstrip("\r") if 0 < line <= len(lines) else ""


@dataclass(frozen=True)
class ProgramSpec:
    """A whole program. `cells` are the top-level cells of every kind but test, in source order."""

    name: str
    cells: tuple[type[Cell], ...]
    tests: tuple[type[Cell], ...] = ()
    manifest: ManifestSpec = field(default_factory=ManifestSpec)
    source_map: SourceMap = field(default_factory=SourceMap)
    variants: Mapping[str, Any] = field(default_factory=dict)
    package: str | None = None
    app_class: Callable[..., App] | None = None
    evidence: Mapping[str, Evidence] = field(default_factory=dict)

    @cached_property
    def live(self) -> tuple[type[Cell], ...]:
        """Top-level plain and agent cells."""
        return tuple(cell for cell in self.cells if cell.soma_kind in LIVE_KINDS)

    @cached_property
    def all_cells(self) -> tuple[type[Cell], ...]:
        """Every cell with those of interiors, depth first, tests last."""
        found: list[type[Cell]] = []

        def walk(cell: type[Cell]) -> None:
            found.append(cell)
            for child in cell.soma_children:
                walk(child)

        for cell in (*self.cells, *self.tests):
            walk(cell)
        return tuple(found)

    @cached_property
    def has_interior(self) -> bool:
        """Whether `run` takes the path of core §5.2."""
        return any(cell.soma_children or cell.soma_runtime is not None for cell in self.live)

    def cell(self, name: str) -> type[Cell] | None:
        """The top-level cell of that Soma name; the first one counts."""
        return next((cell for cell in self.cells if cell.soma_name == name), None)
