"""The lifecycle of a cell with `scale` is the cluster's, as its slots are."""

from __future__ import annotations

import pytest

from somac.codegen import generate, load_in_memory
from somac.frontend.load import load_text
from somac.manifest import Manifest
from somart.cluster.placement import placements_of, strong_tables_of
from somart.spec import ProgramSpec

TEXT = """
cell Desk {
    state ticket { initial: new  new -> done }
    %s
    on finish(id: String) { transition(id, "done") }
}
"""


def compiled(scale: str) -> ProgramSpec:
    loaded = load_text(TEXT % scale, "desk.cell")
    assert loaded.program is not None
    return load_in_memory(generate(loaded.program, Manifest(), runtime="somart"))


@pytest.mark.parametrize("consistency", ["strong", "eventual", "causal"])
def test_a_machine_of_a_cell_with_scale_is_shared(consistency: str) -> None:
    spec = compiled(f"scale {{ replicas: 3  consistency: {consistency} }}")
    assert spec.cells[0].soma_machines["ticket"].shared
    found = strong_tables_of(spec) if consistency == "strong" else placements_of(spec)
    assert "Desk.#machine.ticket" in found


def test_without_scale_it_is_the_nodes_own() -> None:
    assert not compiled("").cells[0].soma_machines["ticket"].shared
