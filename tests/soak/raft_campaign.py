"""Many seeds of consensus under faults: `python tests/soak/raft_campaign.py SEEDS [FIRST]`.

Each seed is a group of three to seven members with clients; their histories are judged as in
`tests/consensus`. Then all nodes of a group lose power at once, half as often as there were seeds,
with real databases on a disk that forgets what was not synced. Prints the seeds that fail, whose
histories it leaves as files, and the figures of the campaign. With 0 seeds only power is lost, 500
times.
"""

from __future__ import annotations

import sys
import time
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "consensus"))

from fault_plan import group, settle, shake
from power_loss import lose_power

from somart.simulate.histories import write_history

STEPS = 150


def one(seed: int, outcomes: Counter[str]) -> str:
    """Why a seed fails; empty if it does not."""
    clients = group(seed)
    try:
        shake(clients.world, clients, STEPS)
        settle(clients.world, clients)
    except Exception as error:  # whatever it is, it is a finding
        for history in clients.histories():
            path = Path(f"history-{seed}-{history.model.replace(' ', '-')}.jsonl")
            path.write_text("\n".join(write_history(history)) + "\n")
        return f"{type(error).__name__}: {error}"
    outcomes.update(call.outcome for calls in clients.calls.values() for call in calls)
    return ""


def main() -> int:
    """The number of seeds that failed."""
    seeds = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000
    first = int(sys.argv[2]) if len(sys.argv) > 2 else time.time_ns() % 10**6
    began, failed = time.monotonic(), 0
    outcomes: Counter[str] = Counter()
    for seed in range(first, first + seeds):
        why = one(seed, outcomes)
        if why:
            failed += 1
            sys.stdout.write(f"seed {seed} failed: {why}\n")
            sys.stdout.flush()
    told = ", ".join(f"{count} {outcome}" for outcome, count in sorted(outcomes.items()))
    took = time.monotonic() - began
    sys.stdout.write(f"{seeds} seeds from {first}: {failed} failed; {told}; {took:.0f} s\n")
    times, began = seeds // 2 or 500, time.monotonic()
    losses = lose_power(times, first)
    sys.stdout.write(
        f"{times} times power loss: {losses.answered} answers, none lost; {losses.cut} commits "
        f"cut, {losses.kept} of them kept; {time.monotonic() - began:.0f} s\n"
    )
    return failed


if __name__ == "__main__":
    sys.exit(min(main(), 1))
