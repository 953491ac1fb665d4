"""Simulated clusters by the thousand, and every planted bug (`make soak`).

    simulate_campaign.py [mixed|ring|strong|ticks] SEEDS [FIRST]   from seed FIRST (0) on
    simulate_campaign.py mutants [SEEDS]             each planted bug, until it is found
    simulate_campaign.py fifty [SEEDS]               the paper's number, on fifty nodes
    simulate_campaign.py replay PROGRAM --seed S …   one run again, as its failure says

A failing seed of the first is made small and shown, with the command that replays it; the exit code
is 1 when there is one of any.
"""

from __future__ import annotations

import os
import sys
import traceback
from argparse import ArgumentParser
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "simulation"))

from bundled import Figures
from workloads import CAMPAIGNS, WORKLOADS, campaign, failures, replay_command, run

from somart.simulate.minimise import Minimiser, with_only
from somart.simulate.simulation import Outcome, Settings
from somart.simulate.spacetime import render

ENOUGH = 100
"""Seeds from which on a campaign is to have seen the rare ends of calls."""
SHOWN = 10
"""Failing seeds that are explained; more are counted."""


def judge(kind: str, seed: int) -> tuple[int, str, Figures]:
    """A seed, what is wrong with it (empty when nothing is), and what has happened."""
    name, outcome, figures = campaign(seed, kind)
    return seed, "" if outcome.passed else failures(name, outcome), figures


def explain(kind: str, seed: int) -> Iterator[str]:
    """The least run that still fails, with its trace."""
    name, outcome, _ = campaign(seed, kind)
    if outcome.passed:
        return
    least: Outcome = Minimiser(lambda settings: run(name, settings), outcome).minimise()
    yield f"{kind} seed {seed} ({name}), made small:"
    yield from told(least)
    yield f"replay: {replay_command(name, least.settings)}"


def told(outcome: Outcome) -> Iterator[str]:
    """Faults, failures and trace of a run."""
    yield from (f"  {fault.at / 1000:.3f} s: {fault}" for fault in outcome.faults)
    yield from (f"  {failure}" for failure in outcome.failures)
    yield from render(outcome.trace, outcome.names)


def run_campaign(kind: str, seeds: int, first: int) -> int:
    failed: list[int] = []
    figures: Figures = Counter()
    with ProcessPoolExecutor(os.cpu_count()) as pool:
        judged = pool.map(partial(judge, kind), range(first, first + seeds), chunksize=5)
        for seed, wrong, happened in judged:
            figures += happened
            if wrong:
                failed.append(seed)
                print(wrong, flush=True)
    for seed in failed[:SHOWN]:
        print(*explain(kind, seed), sep="\n", flush=True)
    print(", ".join(f"{count} {what}" for what, count in sorted(figures.items())))
    print(f"{kind}: {seeds} seeds from {first}: {len(failed)} failed {failed}")
    return int(bool(failed) or (seeds >= ENOUGH and not faults_met_calls(figures)))


def faults_met_calls(figures: Figures) -> bool:
    """Whether some calls found no node, and some were cut in the middle."""
    calls = sum(count for what, count in figures.items() if what.endswith(" calls"))
    rare = [f"{what} calls" for what in ("refused", "unknown")]
    rare = [what for what in rare if figures[what] < calls / 1_000]
    for what in rare:
        print(f"only {figures[what]} {what} of {calls}: faults and calls do not meet")
    return not rare


def replay(words: list[str]) -> int:
    """One run, with what went wrong in it."""
    parser = ArgumentParser("simulate_campaign.py replay")
    parser.add_argument("program", choices=WORKLOADS)
    for name, kind in {"seed": int, "nodes": int, "minutes": float, "calls": int}.items():
        parser.add_argument(f"--{name}", type=kind, required=True)
    parser.add_argument("--faults", required=True)
    parser.add_argument("--only", default="")
    given = parser.parse_args(words)
    faults = () if given.faults == "none" else tuple(given.faults.split(","))
    settings = Settings(given.nodes, given.seed, given.minutes, faults, given.calls)
    outcome = run(given.program, with_only(settings, given.only))
    if not outcome.passed:
        print(*told(outcome), sep="\n")
    print(f"{given.program} seed {given.seed}: {'ok' if outcome.passed else 'FAILED'}")
    return int(not outcome.passed)


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
    words = sys.argv[1:]
    if words[:1] == ["replay"]:
        return replay(words[1:])
    kind = words.pop(0) if words and not words[0].isdigit() else "mixed"
    if kind == "fifty":
        return run_fifty(int(words[0]) if words else 20)
    if kind == "mutants":
        return run_mutants(int(words[0]) if words else 300)
    if kind not in CAMPAIGNS:
        sys.exit(__doc__)
    numbers = [int(word) for word in words] or [5_000 if kind == "mixed" else 1_000]
    return run_campaign(kind, numbers[0], numbers[1] if len(numbers) > 1 else 0)


if __name__ == "__main__":
    sys.exit(main())
