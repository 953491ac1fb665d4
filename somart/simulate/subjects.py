"""What is simulated for a program: a cluster of its nodes, or a single one."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from ..spec import ProgramSpec
from .application import Application
from .clients import Clients, Entry
from .cluster_checks import ClusterClients
from .lifecycle import AllRules
from .machine import Factory
from .member import Member


def subject(
    spec: ProgramSpec, entries: Sequence[Entry], rules: AllRules | None = None
) -> tuple[Factory, Clients]:
    """How to make a process of a program, and clients that call it and check it."""
    if any(cell.soma_scale is not None for cell in spec.all_cells):
        return partial(Member, spec=spec), ClusterClients(spec, entries, rules)
    return partial(Application, spec=spec), Clients(spec, entries, rules)
