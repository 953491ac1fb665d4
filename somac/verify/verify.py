"""The door of the verifier: programs and their manifest in, a report out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from ..frontend import nodes as n
from ..frontend.diagnostics import Diagnostic, Severity
from ..frontend.program import Program, sections
from ..manifest import Manifest
from .composition import composition_blocks, protocol_blocks
from .constants import Constants
from .distribution import Delivers, distribution_block, plan_of
from .lifecycle import Lifecycle, state_names
from .notes import notes_on
from .properties import Demands, Wishes
from .refinement import Driver, effect_checks, isolation_checks, refinement_checks, remarks
from .report import Block, Check, Report, Survival, Temporal, Verdict
from .structure import structural_checks
from .temporal import Judge
from .termination import Endings


def verify(programs: Sequence[Program], manifest: Manifest, delivers: Delivers) -> Report:
    """Verifies programs against the `[verify]` part of their manifest.

    `delivers` says what the runtime keeps (`somart.capabilities`). A mistake in the manifest is an
    error among the report's diagnostics, and then nothing else is in it.
    """
    machines: dict[str, list[str]] = {}  # machines of one name, in several cells, count as one
    for program in programs:
        for machine in _machines(program):
            machines.setdefault(machine.name, []).extend(state_names(machine))
    wishes = Wishes(manifest, machines)
    if any(d.severity is Severity.ERROR for d in wishes.diagnostics):
        return Report(diagnostics=tuple(wishes.diagnostics))
    work = _Work(wishes, delivers)
    for program in programs:
        constants, endings = Constants(program), Endings(program)
        for cell in program.live:
            work.cell(Driver(program, cell, constants), endings)
    protocols = [block for program in programs for block in protocol_blocks(program)]
    return Report(
        blocks=(*work.blocks, *protocols),
        temporal=tuple(work.temporal),
        survivals=tuple(work.survivals),
        notes=tuple(work.notes),
        diagnostics=tuple(dict.fromkeys([*wishes.diagnostics, *work.diagnostics])),
        user_properties=wishes.count(),
        cells=sum(_cells(program) for program in programs),
    )


def _machines(program: Program) -> Iterator[n.Machine]:
    for cell in program.live:
        yield from sections(cell, n.Machine)


def _cells(program: Program) -> int:
    """Top-level cells of every kind, and those directly inside of them."""
    return sum(1 + sum(len(i.cells) for i in sections(c, n.Interior)) for c in program.cells)


@dataclass
class _Work:
    wishes: Wishes
    delivers: Delivers

    def __post_init__(self) -> None:
        self.blocks: list[Block] = []
        self.temporal: list[Temporal] = []
        self.survivals: list[Survival] = []
        self.notes: list[str] = []
        self.diagnostics: list[Diagnostic] = []

    def cell(self, driver: Driver, endings: Endings) -> None:
        cell = driver.cell
        for machine in driver.machines:
            self.machine(endings, driver, machine)
        block = distribution_block(cell, self.delivers)
        if block is not None:
            self.blocks.append(block)
            self.cluster(cell, block.name)
            self.notes += notes_on(cell, self.delivers)
        self.blocks += composition_blocks(cell)

    def machine(self, endings: Endings, driver: Driver, machine: n.Machine) -> None:
        demands = self.wishes.of(machine.name)
        life = Lifecycle(machine, demands.final)
        checks = tuple(_machine_checks(endings, driver, life))
        states = tuple(sorted(life.names))
        self.blocks.append(
            Block(machine.name, states, machine.initial, tuple(life.terminal), checks)
        )
        judge = Judge(life, demands, driver)
        verdicts = self.survival(driver, life, demands, judge.verdicts())
        self.temporal.append(Temporal(machine.name, tuple(verdicts)))
        for demand in demands.properties:
            self.diagnostics += self.wishes.unknown(machine.name, demand)
        self.diagnostics += judge.diagnostics
        self.diagnostics += remarks(driver, life)

    def cluster(self, cell: n.Cell, name: str) -> None:
        """Examines the cluster that a cell declares."""
        from .survival import survival_of_cluster  # it imports the runtime, which others need not

        survival = survival_of_cluster(name, plan_of(sections(cell, n.Scale)[-1]), self.delivers)
        self.survivals += [survival] if survival is not None else []

    def survival(
        self, driver: Driver, life: Lifecycle, demands: Demands, verdicts: Iterator[Verdict]
    ) -> Iterator[Verdict]:
        """Examines a machine on the replicas that its cell declares; gives the verdicts on one node
        with those turned that do not survive there."""
        scale = sections(driver.cell, n.Scale)
        if not scale:
            return verdicts
        from .stories import on_replicas  # these import the runtime, which others need not
        from .survival import survival_of

        plan = plan_of(scale[-1])
        survival = survival_of(life, demands, plan, self.delivers, driver)
        self.survivals += [survival] if survival is not None else []
        return on_replicas(verdicts, survival, plan.consistency)


def _machine_checks(endings: Endings, driver: Driver, life: Lifecycle) -> Iterator[Check]:
    yield from structural_checks(life)
    yield from isolation_checks(driver)
    yield from endings.checks(driver.cell)
    yield from refinement_checks(driver, life)
    yield from effect_checks(driver.cell)
