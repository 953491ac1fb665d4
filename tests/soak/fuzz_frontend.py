"""Fuzz the frontend for a while: `python tests/soak/fuzz_frontend.py SECONDS [SEED]`.

Prints how many programs it tried; on a failure the text is written to the system's folder for
temporary files and the assertion or exception is raised.
"""

from __future__ import annotations

import random
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "frontend"))

from frontend_mutations import assert_only_diagnostics, mutate, seeds

SLOWEST_SECONDS = 20.0


def run(seconds: float, seed: int) -> int:
    """Mutate programs until the time is over; the number of texts tried."""
    rng = random.Random(seed)
    programs, tried, stop = seeds(), 0, time.monotonic() + seconds
    while time.monotonic() < stop:
        text = rng.choice(programs)
        for _ in range(rng.randrange(1, 6)):
            text = mutate(text, rng)
        start = time.process_time()
        try:
            assert_only_diagnostics(text)
            assert time.process_time() - start < SLOWEST_SECONDS, "too slow"
        except BaseException:
            path = Path(tempfile.gettempdir()) / f"fuzz_frontend_{seed}_{tried}.cell"
            path.write_text(text, encoding="utf-8", errors="surrogatepass")
            print(f"seed {seed}, program {tried}: {path}", file=sys.stderr)
            raise
        tried += 1
    return tried


if __name__ == "__main__":
    duration = float(sys.argv[1]) if len(sys.argv) > 1 else 60.0
    chosen = int(sys.argv[2]) if len(sys.argv) > 2 else int(time.time())
    print(f"fuzz_frontend: seed {chosen}, {run(duration, chosen)} programs, only diagnostics")
