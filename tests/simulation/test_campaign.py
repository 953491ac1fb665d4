"""Three hundred seeds: clusters of 3 to 7 nodes, ten virtual minutes of faults each.

When one fails, `python tests/soak/simulate_campaign.py 1 SEED` tells what happened, made small;
each failure names the command that replays it.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
from bundled import Figures
from planted import MUTANTS
from workloads import CAMPAIGNS, NAMES, campaign, failures, run, settings_of

SEEDS = 300
CHUNK = 10
ROOT = Path(__file__).resolve().parents[2]


def judge(kind: str, seeds: Iterable[int], **changes: Any) -> Figures:
    """Runs the seeds of a campaign, and says what has happened in them."""
    figures: Figures = Counter()
    failed = []
    for seed in seeds:
        name, outcome, happened = campaign(seed, kind, **changes)
        figures += happened
        if not outcome.passed:
            failed.append(failures(name, outcome))
    assert not failed, "\n\n".join(failed)
    return figures


@pytest.mark.slow
@pytest.mark.parametrize("first", range(0, SEEDS, CHUNK))
def test_seeds(first: int) -> None:
    figures = judge("mixed", range(first, first + CHUNK))
    assert figures["ok calls"] > 50 * CHUNK
    assert figures["refused calls"] > 300 * CHUNK / 500  # faults meet calls


@pytest.mark.slow
@pytest.mark.parametrize("first", range(0, 100, CHUNK))
def test_strong_histories(first: int) -> None:
    """Registers, transfers, lists, lifecycles and key sets, while members come, go and lose their
    disks, and logs are cut: the soak run has a thousand seeds, of more than twice the time."""
    figures = judge("strong", range(first, first + CHUNK), minutes=3, calls=100)
    assert figures["join"] + figures["left for good"] + figures["wipe"] > 0
    assert figures["pieces of snapshots"] > 3 * CHUNK
    assert figures["unknown calls"] > 100 * CHUNK / 500
    assert figures["ok calls"] > 60 * CHUNK


@pytest.mark.slow
@pytest.mark.parametrize("first", range(0, 40, CHUNK))
def test_rings_that_change(first: int) -> None:
    """Nodes come, leave for good, and are taken out and come back."""
    figures = judge("ring", range(first, first + CHUNK))
    assert figures["join"] + figures["left for good"] > 5
    assert figures["expelled and back"] > 0


@pytest.mark.slow
@pytest.mark.parametrize("first", range(0, 50, CHUNK))
def test_every_due_time_has_one_effect(first: int) -> None:
    """Ticks of a strong cell in partitions: the soak run has a thousand seeds."""
    figures = judge("ticks", range(first, first + CHUNK))
    assert figures["partition"] + figures["oneway"] + figures["partial"] > CHUNK
    assert figures["ticks that need not be made up"] < figures["ticks"] / 5


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_without_faults_every_call_is_answered(name: str) -> None:
    outcome = run(name, settings_of(7, nodes=5, minutes=3, faults=()))
    assert outcome.passed, failures(name, outcome)
    assert outcome.calls["unknown"] == outcome.calls["refused"] == 0
    if name != "lifecycle":  # where most moves are refused, rightly
        assert outcome.calls["error"] == 0


FOUND = {
    "mixed": (2880, 3550),
    "ring": (42, 142, 146, 236, 245, 303, 322, 665),
    "walls": (84, 86, 216, 245),
}
"""Seeds that have found something."""


@pytest.mark.slow
@pytest.mark.parametrize("kind", FOUND)
def test_seeds_that_once_failed(kind: str) -> None:
    if kind in CAMPAIGNS:
        judge(kind, FOUND[kind])
        return
    for seed in FOUND[kind]:
        outcome = run(kind, settings_of(seed, minutes=8, calls=200))
        assert outcome.passed, failures(kind, outcome)


SCRIPT = """
import sys
sys.path.insert(0, "tests/simulation")
from workloads import CAMPAIGNS, NAMES, run, settings_of
for number, name in enumerate(NAMES):
    print(run(name, settings_of(40 + number, nodes=3, minutes=3, calls=120)).digest())
"""


@pytest.mark.slow
def test_clusters_are_repeatable_whatever_the_hash_seed() -> None:
    printed = [
        subprocess.run(
            [sys.executable, "-c", SCRIPT],
            env={**os.environ, "PYTHONHASHSEED": seed},
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=120,
            check=True,
        ).stdout.split()
        for seed in ("1", "2")
    ]
    differing = [n for n, a, b in zip(NAMES, *printed, strict=True) if a != b]
    assert not differing


@pytest.mark.slow
def test_a_failure_names_the_command_that_replays_it(capsys: pytest.CaptureFixture[str]) -> None:
    """It fails in the same way as long as the bug is there (here it is planted)."""
    mutant = MUTANTS["drops_one_acknowledged_batch"]
    found = mutant.found(30)
    assert found is not None
    command = re.search(r"^replay: python (.*simulate_campaign\.py) (replay .*)$", found[1], re.M)
    assert command is not None
    assert (ROOT / command[1]).is_file()
    with pytest.MonkeyPatch.context() as patch:
        mutant.plant(patch)
        patch.syspath_prepend(str(ROOT / "tests" / "soak"))
        patch.setattr(sys, "argv", [command[1], *command[2].split()])
        from simulate_campaign import main

        assert main() == 1
    first = found[1].splitlines()[1]
    assert first in capsys.readouterr().out
