"""Advice A311 beyond one file: wrong/158 has the ways that lead to an outside effect."""

from __future__ import annotations

from pathlib import Path

from somac.check import check
from somac.frontend.load import load
from somac.manifest import Manifest

SHOP = """use bank
cell Shop {
    memory { sold: Map<String, Int> [persistent] }
    scale { replicas: 3 consistency: CONSISTENCY }
    on buy(id: String) { sold.set(id, 1) pay(id) }
}
"""
BANK = """cell Bank {
    on pay(id: String) { http_post("http://bank.example/", id) }
}
"""


def advice(folder: Path, consistency: str) -> list[str]:
    (folder / "packages" / "bank").mkdir(parents=True, exist_ok=True)
    (folder / "packages" / "bank" / "bank.cell").write_text(BANK)
    (folder / "shop.cell").write_text(SHOP.replace("CONSISTENCY", consistency))
    program = load(folder / "shop.cell").program
    assert program is not None
    return [d.message for d in check(program, Manifest()) if d.code == "A311"]


def test_the_place_in_another_file_is_named(tmp_path: Path) -> None:
    (message,) = advice(tmp_path, "strong")
    assert "handler 'buy' of cell 'Shop' reaches 'http_post' (" in message
    assert "bank.cell, line 2, by `pay`)" in message


def test_who_never_runs_again_for_another_node_is_left_alone(tmp_path: Path) -> None:
    assert advice(tmp_path, "eventual") == []
    assert advice(tmp_path, "causal") == []
