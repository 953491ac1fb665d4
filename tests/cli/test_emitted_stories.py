"""`soma verify --emit-tests DIR` for what goes wrong on replicas: two programs go through it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from somac.cli.replicating import settle

TRADE = """\
cell Pricing {{
    memory {{ trades: Map<String, Map> [persistent] }}
    scale {{ replicas: 3  shard: trades  consistency: {level} }}
    state trade {{ initial: pending
        pending -> confirmed    confirmed -> executed    confirmed -> cancelled
        executed -> settled }}
    on confirm(id: String) {{ transition(id, "confirmed") }}
    on execute(id: String, price: Float) {{
        require price > 10.0 else "too cheap"
        transition(id, "executed")
    }}
    on cancel(why: String, id: String) {{ transition(id, "cancelled") }}
}}
"""
TOML = '[package]\nname = "app"\n[verify.after.executed]\nnever = ["cancelled"]\n'
EXECUTE = [("execute", [["e"], [1.0, 11.0]])]
CANCEL = [("cancel", [["x"], ["e"]])]
STEM = [("pending", "confirmed", [("confirm", [["e"]])])]


def run(folder: Path) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "."],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    return done.stdout


@pytest.mark.slow
@pytest.mark.parametrize("level", ["eventual", "causal"])
def test_the_stories_happen_to_running_programs(soma, cell, tmp_path: Path, level: str) -> None:
    path = cell(TRADE.format(level=level))
    cell(TOML, "soma.toml")
    done = soma("verify", path, "--emit-tests", "found")
    assert done.code == 1
    tests = {path.name: path.read_text("utf-8") for path in (tmp_path / "found").iterdir()}
    (lost,) = [text for name, text in tests.items() if "acknowledged_transitions" in name]
    (stated,) = [text for name, text in tests.items() if "does_not_survive" in name]
    assert '("acknowledges", 1, "executed", 0, [("execute", [[ENTITY], ' in lost + stated
    assert ("causal=True" in lost) == (level == "causal")
    switching = [text for name, text in tests.items() if "client_that_switches" in name]
    assert switching
    assert all('("reads", ' in text for text in switching)
    assert f"{len(tests)} passed" in run(tmp_path / "found")
    if level == "eventual":
        mended = TRADE.format(level=level).replace("confirmed -> cancelled", "")
        (tmp_path / "app.cell").write_text(mended, "utf-8")
        assert "invalid transition: confirmed → cancelled" in run(tmp_path / "found")


@pytest.mark.slow
def test_under_strong_there_is_nothing_to_tell(soma, cell, tmp_path: Path) -> None:
    path = cell(TRADE.format(level="strong"))
    cell(TOML, "soma.toml")
    done = soma("verify", path, "--emit-tests", "found")
    assert (done.code, list((tmp_path / "found").iterdir())) == (0, [])
    assert "tests: 0 written to found" in done.err


@pytest.mark.slow
def test_the_latest_write_wins_whatever_arrives_when(tmp_path: Path) -> None:
    source = tmp_path / "app.cell"
    source.write_text(TRADE.format(level="eventual"), "utf-8")
    begin = ("acknowledges", 1, "executed", 1, EXECUTE), ("acknowledges", 2, "cancelled", 0, CANCEL)
    events = [*begin, ("hears", 1, 2), ("cut", 1), ("hears", 2, 1), ("hears", 2, 1)]
    shown = settle(source, "trade", "e", 2, STEM, events)
    apart, together = ["executed", "cancelled"], ["executed", "executed"]
    assert (
        shown
        == [["confirmed"] * 2, ["executed", "confirmed"], apart, apart, apart] + [together] * 2
    )


@pytest.mark.slow
def test_a_replica_that_is_away_keeps_what_it_has(tmp_path: Path) -> None:
    source = tmp_path / "app.cell"
    source.write_text(TRADE.format(level="eventual"), "utf-8")
    events = [("acknowledges", 1, "executed", 0, EXECUTE), ("crashes", 1), ("rejoins", 1)]
    assert settle(source, "trade", "e", 2, STEM, events) == [
        ["confirmed", "confirmed"],
        ["executed", "confirmed"],
        ["(down)", "confirmed"],
        ["executed", "confirmed"],
    ]


@pytest.mark.slow
def test_causal_delivery_is_not_overtaken(tmp_path: Path) -> None:
    source = tmp_path / "app.cell"
    source.write_text(TRADE.format(level="causal"), "utf-8")
    settled = ("acknowledges", 1, "settled", 0, [])
    events = [("acknowledges", 1, "executed", 0, EXECUTE), settled, ("hears", 2, 2)]
    assert settle(source, "trade", "e", 2, STEM, events)[-1] == ["settled", "settled"]
    with pytest.raises(ValueError, match="replica 2 must not be told of a write of 1 yet"):
        settle(source, "trade", "e", 2, STEM, events, causal=True)
