"""How bugs are planted in the production code, each a patch of one function."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest
from workloads import CAMPAIGNS, failures, run, settings_of

RING = CAMPAIGNS["ring"].changes
Patch = pytest.MonkeyPatch
SEEDS = 300


@dataclass(frozen=True)
class Mutant:
    """A bug, and the programs that may show it. `quick` ones are found within a few seeds;
    `changes` are settings in which a rare one shows sooner."""

    name: str
    plant: Callable[[Patch], None]
    programs: Sequence[str]
    quick: bool = True
    changes: Mapping[str, Any] = field(default_factory=dict)

    def found(self, seeds: int = SEEDS) -> tuple[int, str] | None:
        """The first seed that finds it, and how; None when none of them does."""
        with pytest.MonkeyPatch.context() as patch:
            self.plant(patch)
            for seed in range(seeds):
                name = self.programs[seed % len(self.programs)]
                outcome = run(name, settings_of(seed, **self.changes))
                if not outcome.passed:
                    return seed, failures(name, outcome)
        return None


MUTANTS: dict[str, Mutant] = {}


def mutant(
    programs: str, quick: bool = True, **changes: Any
) -> Callable[[Callable[[Patch], None]], Callable[[Patch], None]]:
    """Declares a bug; its docstring says what it is."""

    def declare(plant: Callable[[Patch], None]) -> Callable[[Patch], None]:
        name = plant.__name__
        MUTANTS[name] = Mutant(name, plant, programs.split(), quick, changes)
        return plant

    return declare
