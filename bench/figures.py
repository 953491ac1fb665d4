"""What all benchmarks print: one line per promise, with the verdict."""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable, Iterable
from typing import NamedTuple


class Figure(NamedTuple):
    """One measured promise. `at_most` says on which side of the goal it has to be."""

    name: str
    value: float
    goal: float
    at_most: bool = True
    unit: str = "x"
    detail: str = ""

    @property
    def kept(self) -> bool:
        """Whether the promise holds here and now."""
        return self.value <= self.goal if self.at_most else self.value >= self.goal


def cpu_milliseconds(work: Callable[[], object]) -> float:
    """The CPU time of this process: other programs on the machine do not count."""
    begin = time.process_time()
    work()
    return (time.process_time() - begin) * 1000


def median_of(work: Callable[[], object], rounds: int) -> float:
    """The median CPU time in milliseconds."""
    return statistics.median(cpu_milliseconds(work) for _ in range(rounds))


def print_table(figures: Iterable[Figure]) -> None:
    """All figures, those that miss their goal marked."""
    lines = [f"{'':46}{'measured':>12}{'goal':>14}"]
    for figure in figures:
        sign = "<=" if figure.at_most else ">="
        measured = f"{figure.value:.2f} {figure.unit}"
        goal = f"{sign} {figure.goal:g} {figure.unit}"
        verdict = "" if figure.kept else "  MISSED"
        detail = f"  ({figure.detail})" if figure.detail else ""
        lines.append(f"{figure.name:46}{measured:>12}{goal:>14}{verdict}{detail}")
    sys.stdout.write("\n".join(lines) + "\n")
    sys.stdout.flush()
