"""What the verifier found, as data. `somac.verify.output` turns it into text, and
`somac.verify.data` into JSON."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..frontend.diagnostics import Diagnostic
from ..frontend.source import Span
from .moves import Move

if TYPE_CHECKING:
    from .stories import Story  # it imports the runtime, which most reports do without


@dataclass(frozen=True)
class Step:
    """One edge of a trace: who takes it, and where that is written (None: nobody does). `moves`
    are the calls of `transition` in the takers, under their names."""

    source: str
    target: str
    takers: tuple[str, ...] = ()
    place: Span | None = None
    moves: tuple[tuple[str, Move], ...] = ()

    @property
    def told(self) -> str:
        """The step in words: who takes it, and where."""
        who = ", ".join(f"`{name}`" for name in self.takers) or "no handler"
        where = ""
        if self.place is not None and self.place.source.path:
            where = f" ({self.place.source.path}:{self.place.line})"
        return f"{self.source} → {self.target}: {who}{where}"


@dataclass(frozen=True)
class Check:
    """One structural line: status is "pass", "warning" or "fail"; `trace` has its elements."""

    status: str
    message: str
    trace: tuple[str, ...] = ()


def passed(message: str) -> Check:
    return Check("pass", message)


def warned(message: str) -> Check:
    return Check("warning", message)


def failed(message: str, *trace: str) -> Check:
    return Check("fail", message, trace)


@dataclass(frozen=True)
class Block:
    """The lines on one machine, scale section, interior or protocol."""

    name: str
    states: tuple[str, ...] = ()
    initial: str = ""
    terminal: tuple[str, ...] = ()
    checks: tuple[Check, ...] = ()


@dataclass(frozen=True)
class Verdict:
    """One temporal property of one machine. A failed one has a counter-example, and a property
    that some path shows to hold has a witness."""

    property: str
    passed: bool
    message: str
    counter_example: tuple[str, ...] = ()
    witness: tuple[str, ...] = ()
    steps: tuple[Step, ...] = ()
    loop: int | None = None  # where among the steps a lasso begins again


@dataclass(frozen=True)
class Temporal:
    """The properties of one machine, in the order of the manifest's keys."""

    machine: str
    verdicts: tuple[Verdict, ...]


@dataclass(frozen=True)
class Survival:
    """The lines on one machine on its replicas, or on the cluster itself. Each comes with the lines
    of a space-time diagram, if something goes wrong; on replicas it is told in `stories`, too."""

    machine: str
    title: str
    checks: tuple[tuple[Check, tuple[str, ...]], ...]
    stories: tuple[Story, ...] = ()
    of_cluster: bool = False


@dataclass(frozen=True)
class Report:
    """All that was found about some programs. `diagnostics` are about the manifest and about places
    in the source; an error among them means that nothing was verified. `notes` are what else there
    is to know of the cells."""

    blocks: tuple[Block, ...] = ()
    temporal: tuple[Temporal, ...] = ()
    survivals: tuple[Survival, ...] = ()
    diagnostics: tuple[Diagnostic, ...] = ()
    notes: tuple[str, ...] = ()
    user_properties: int = 0
    cells: int = 0

    @property
    def checks(self) -> list[Check]:
        return [check for block in self.blocks for check in block.checks]

    @property
    def verdicts(self) -> list[Verdict]:
        return [verdict for machine in self.temporal for verdict in machine.verdicts]

    @property
    def passed(self) -> bool:
        """Whether nothing failed; warnings do not count."""
        return all(check.status != "fail" for check in self.checks) and all(
            verdict.passed for verdict in self.verdicts
        )

    @property
    def warned(self) -> bool:
        """Whether something deserves a warning: what `--strict` refuses."""
        on_replicas = [check for machine in self.survivals for check, _ in machine.checks]
        doubtful = any(check.status == "warning" for check in [*self.checks, *on_replicas])
        return doubtful or any(d.counted for d in self.diagnostics)
