"""Measures what the project promises and prints one table; run it with `make bench`.

Each pair is measured in alternating rounds on the same machine, and medians are compared: ratios
travel between machines, absolute numbers do not. docs/benchmarks.md says what each figure means.
"""

from __future__ import annotations

import argparse
import os
import resource
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path
from typing import Any

from figures import Figure, cpu_milliseconds, median_of, print_table

HERE = Path(__file__).resolve().parent
PRICING = str(HERE.parent / "examples" / "pricing" / "app.cell")
ROUNDS = 7
RECORDS = 100_000


def compare(name: str, ours: Callable[[], Any], theirs: Callable[[], Any]) -> Figure:
    """Checks that both sides give the same, then compares their medians."""
    if (got := ours()) != (wanted := theirs()):
        raise SystemExit(f"{name}: {got!r} is not {wanted!r}")
    pairs = [(cpu_milliseconds(ours), cpu_milliseconds(theirs)) for _ in range(ROUNDS)]
    own, other = (statistics.median(side) for side in zip(*pairs, strict=True))
    return Figure(name, own / other, 1.2, detail=f"{own:.1f} against {other:.1f} ms")


# --- the same logic by hand ----------------------------------------------------------------------


def fib(n: int) -> int:
    return n if n < 2 else fib(n - 1) + fib(n - 2)


def loop(n: int) -> int:
    i = total = 0
    while i < n:
        if i % 3 == 0:
            total += i
        else:
            total -= 1
        i += 1
    return total


def records(n: int) -> list[dict[str, int]]:
    rows = []
    for i in range(n):
        rows.append({"id": i, "amount": i % 97})
    return rows


def select_rows(rows: list[dict[str, int]]) -> int:
    return len([row["amount"] * 2 for row in rows if row["amount"] > 40])


def summary(n: int) -> list[int]:
    rows = [{"id": i, "amount": i % 97} for i in range(n)]
    large = [row["amount"] * 2 for row in rows if row["amount"] > 40]
    return [len(large), sum(1 for row in rows if row["amount"] < 9)]


# --- the figures ---------------------------------------------------------------------------------


def pure_code() -> list[Figure]:
    """Generated code against hand-written Python, called as one cell's handler calls another."""
    from somac.cli.pipeline import compile_in_memory, read_runnable
    from somart.app import App

    unit = read_runnable(str(HERE / "pure.cell"))
    if unit is None:
        raise SystemExit("bench/pure.cell does not compile")
    spec = compile_in_memory(unit)
    app = (spec.app_class or App)(spec)
    pure: Any = app.Pure
    rows = records(RECORDS)
    steps = 1_000_000
    return [
        compare("fib(24)", lambda: pure.fib(24), lambda: fib(24)),
        compare("while loop, 1e6 steps", lambda: pure.loop(steps), lambda: loop(steps)),
        compare("build 1e5 records", lambda: pure.records(RECORDS), lambda: records(RECORDS)),
        compare(
            "map, filter, count over 1e5 own records",
            lambda: pure.summary(RECORDS),
            lambda: summary(RECORDS),
        ),
        compare(
            "map, filter over 1e5 records from outside",
            lambda: pure.select_rows(rows),
            lambda: select_rows(rows),
        ),
    ]


def compile_times() -> list[Figure]:
    """How long the compiler takes for the pricing example."""
    from somac.cli.checking import check_outcome, check_program

    check_outcome(PRICING, False)  # imports and the grammar
    warm = median_of(lambda: check_outcome(PRICING, False), ROUNDS)
    with tempfile.TemporaryDirectory() as folder, redirect_stdout(StringIO()):
        os.environ["SOMA_CACHE_DIR"] = folder
        check_program(PRICING)
        again = median_of(lambda: check_program(PRICING), ROUNDS)
    os.environ["SOMA_CACHE_DIR"] = os.devnull  # a folder that cannot be: every check is a new one
    cold = statistics.median(shell_milliseconds("check", PRICING) for _ in range(ROUNDS))
    build = statistics.median(build_milliseconds() for _ in range(3))
    return [
        Figure("check pricing, in process", warm, 60, unit="ms"),
        Figure("check pricing, nothing changed", again, 10, unit="ms"),
        Figure("check pricing, from the shell, CPU", cold, 180, unit="ms"),
        Figure("build pricing, from the shell, CPU", build, 1000, unit="ms"),
    ]


def build_milliseconds() -> float:
    with tempfile.TemporaryDirectory() as folder:
        return shell_milliseconds("build", PRICING, "-o", f"{folder}/dist")


def shell_milliseconds(*arguments: str) -> float:
    """User and system time of `soma` as a process of its own."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    command = [sys.executable, "-m", "somac", *arguments]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    seconds = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return seconds * 1000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="leave out storage and HTTP")
    quick = parser.parse_args().quick
    figures = [*pure_code(), *compile_times()]
    if not quick:
        import memory
        import serving

        figures += [*memory.figures(), *serving.figures()]
    print_table(figures)


if __name__ == "__main__":
    main()
