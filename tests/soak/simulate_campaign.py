"""Simulated clusters by the thousand, and every planted bug (`make soak`).

    python tests/soak/simulate_campaign.py SEEDS [FIRST]    the campaign, from seed FIRST (0) on
    python tests/soak/simulate_campaign.py mutants [SEEDS]  each planted bug, until it is found
    python tests/soak/simulate_campaign.py fifty [SEEDS]    the paper's number, on fifty nodes

A failing seed of the first is made small and shown; the exit code is 1 when there is one of any.
"""

from __future__ import annotations

import os
import sys
import traceback
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "simulation"))

from workloads import campaign, failures, run

from somart.simulate.minimise import Minimiser, only_text
from somart.simulate.simulation import Outcome
from somart.simulate.spacetime import render

SHOWN = 10
"""Failing seeds that are explained; more are counted."""


def judge(seed: int) -> tuple[int, str]:
    """A seed, and what is wrong with it; empty when nothing is."""
    name, outcome = campaign(seed)
    return seed, "" if outcome.passed else failures(name, outcome)


def explain(seed: int) -> Iterator[str]:
    """The least run that still fails, with its trace."""
    name, outcome = campaign(seed)
    if outcome.passed:
        return
    least: Outcome = Minimiser(lambda settings: run(name, settings), outcome).minimise()
    yield f"seed {seed} ({name}): only {only_text(least.settings)}"
    yield from (f"  {fault.at / 1000:.3f} s: {fault}" for fault in least.faults)
    yield from (f"  {failure}" for failure in least.failures)
    nodes = [f"n{number + 1}" for number in range(least.settings.nodes)]
    yield from render(least.trace, nodes)


def run_campaign(seeds: int, first: int) -> int:
    failed: list[int] = []
    with ProcessPoolExecutor(os.cpu_count()) as pool:
        for seed, wrong in pool.map(judge, range(first, first + seeds), chunksize=5):
            if wrong:
                failed.append(seed)
                print(wrong, flush=True)
    for seed in failed[:SHOWN]:
        print(*explain(seed), sep="\n", flush=True)
    print(f"{seeds} seeds from {first}: {len(failed)} failed {failed}")
    return int(bool(failed))


def hunt(name: str, seeds: int) -> tuple[str, int | None]:
    """A planted bug, and the seed that finds it."""
    from planted import MUTANTS

    found = MUTANTS[name].found(seeds)
    return name, None if found is None else found[0]


def run_mutants(seeds: int) -> int:
    from planted import MUTANTS

    missed = 0
    with ProcessPoolExecutor(os.cpu_count()) as pool:
        for name, seed in pool.map(hunt, MUTANTS, [seeds] * len(MUTANTS)):
            missed += seed is None
            print(f"{name}: {'NOT FOUND' if seed is None else f'seed {seed}'}", flush=True)
    print(f"{len(MUTANTS)} planted bugs: {missed} not found in {seeds} seeds")
    return int(missed > 0)


def story(seed: int) -> tuple[Counter[str], str]:
    """What clients heard before a lost quorum was noticed, and what went wrong, if anything."""
    from fifty_nodes import fifty

    try:
        return fifty(seed), ""
    except Exception:  # whatever it is, it is a finding
        return Counter(), f"seed {seed} failed:\n{traceback.format_exc()}"


def run_fifty(seeds: int) -> int:
    heard: Counter[str] = Counter()
    failed = 0
    with ProcessPoolExecutor(os.cpu_count()) as pool:
        for told, wrong in pool.map(story, range(seeds)):
            heard += told
            failed += bool(wrong)
            print(wrong, end="", flush=True)
    print(f"{seeds} times fifty nodes: {failed} failed; heard at the edge: {dict(heard)}")
    return int(bool(failed))


def main() -> int:
    arguments = sys.argv[1:]
    if arguments[:1] == ["fifty"]:
        return run_fifty(int(arguments[1]) if len(arguments) > 1 else 20)
    if arguments[:1] == ["mutants"]:
        return run_mutants(int(arguments[1]) if len(arguments) > 1 else 300)
    numbers = [int(argument) for argument in arguments] or [5_000]
    return run_campaign(numbers[0], numbers[1] if len(numbers) > 1 else 0)


if __name__ == "__main__":
    sys.exit(main())
