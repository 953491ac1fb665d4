"""What is simulated for a program: a cluster of its nodes, or a single one."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from ..spec import ProgramSpec
from .application import Application
from .clients import Clients, Entry
from .lifecycle import LifecycleRules
from .machine import Factory
from .simulation import Workload


def subject(
    spec: ProgramSpec, entries: Sequence[Entry], rules: LifecycleRules | None = None
) -> tuple[Factory, Workload]:
    """How to make a process of a program, and clients that call it and check it."""
    return partial(Application, spec=spec), Clients(spec, entries, rules)
