"""The dashboard under `/__soma/` (system reference §8.5)."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest

from somac.cli.evidence import evidence_of
from somac.cli.pipeline import compile_in_memory, read_runnable
from somart.serve.page import status_page
from somart.spec import ProgramSpec

SOURCE = """
cell Till {
    face { promise "balances add up" promise has_memory }
    memory {
        sums: Map<String, Int> [capacity(100), max_key_bytes(10), max_value_bytes(26)]
        invariant sums.len < 50
    }
    scale { replicas: 3 memory: "64Mi" }
    state drawer [max_instances(4)] {
        initial: shut
        shut -> open { guard { _id != "<0>" } }
        open -> shut
        * -> jammed
    }
    on add(who: String) { sums.set(who, 1) }
}
cell Tight { scale { replicas: 3 memory: "1Mi" } on f() { 1 } }
cell Open { scale { replicas: 3 memory: "1Gi" } on f(x: String) { to_json(x) } }
cell Plain { on f() { 1 } }
"""


@pytest.fixture
def spec(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ProgramSpec:
    monkeypatch.setenv("SOMA_CACHE_DIR", str(tmp_path / "cache"))
    path = tmp_path / "till.cell"
    path.write_text(SOURCE, encoding="utf-8")
    unit = read_runnable(str(path))
    assert unit is not None
    return replace(compile_in_memory(unit), evidence=evidence_of(unit.program))


def test_every_cell_has_the_badge_of_its_budget(spec: ProgramSpec) -> None:
    page = status_page(spec, "Till", None)
    assert "<title>Soma Verification Dashboard</title>" in page
    badges = re.findall(r'cell <code>(\w+)</code>[^<]*<span class="badge [^"]*">([^<]*)<', page)
    assert badges == [
        ("Till", "PROVEN"),
        ("Tight", "FAIL"),
        ("Open", "ADVISORY"),
        ("Plain", "NO BUDGET"),
    ]


def test_the_budget_and_the_results_are_listed(spec: ProgramSpec) -> None:
    page = status_page(spec, "Till", None)
    assert "slots 9.77 KiB, handler peak 8.00 MiB, state machine 1.00 KiB, runtime 16.00" in page
    assert "peak 24.01 MiB, declared 64.00 MiB" in page
    assert "<td>memory budget</td><td>peak 24.01 MiB ≤ declared 64.00 MiB</td>" in page
    assert "<td>memory budget</td><td>peak 24.00 MiB &gt; declared 1.00 MiB</td>" in page
    assert "<td>invariant: sums.len &lt; 50</td><td>checked at runtime</td>" in page
    assert "<td>promise: balances add up</td><td>enforced by checker</td>" in page
    assert "<td>promise: has_memory</td><td>enforced by checker</td>" in page


def test_machines_are_drawn(spec: ProgramSpec) -> None:
    page = status_page(spec, "Till", None)
    assert page.count("<svg ") == 1
    assert page.count('<circle class="initial"') == 1
    assert re.findall(r'<path class="(\w*)"', page) == ["guarded", "", "wildcard"]


def test_the_data_is_one_json_array(spec: ProgramSpec) -> None:
    page = status_page(spec, "Till", None)
    [block] = re.findall(r'<script type="application/json"[^>]*>(.*?)</script>', page)
    assert "<" not in block
    cells = json.loads(block)
    assert [cell["name"] for cell in cells] == ["Till", "Tight", "Open", "Plain"]
    assert cells[0]["budget"]["declared"] == 64 * 1024**2
    assert cells[0]["machines"][0]["transitions"][0] == {
        "from": "shut",
        "to": "open",
        "guarded": True,
    }


def test_without_evidence_the_page_claims_nothing(spec: ProgramSpec) -> None:
    page = status_page(replace(spec, evidence={}), "Till", None)
    assert 'class="badge' not in page
    assert "enforced by checker" not in page
    assert "invariant: sums.len &lt; 50" in page
