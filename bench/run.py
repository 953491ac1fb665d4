"""Measures what the issue promises and prints ratios; run it with `make bench`.

Each pair is measured in alternating rounds on the same machine, and the medians are compared:
ratios travel between machines, absolute numbers do not.
"""

from __future__ import annotations

import argparse
import io
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
ROUNDS = 7


def milliseconds(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return (time.perf_counter() - started) * 1000


def row(name: str, ours: float, theirs: float, goal: str) -> None:
    print(f"{name:<34}{ours:>10.2f}{theirs:>12.2f}{ours / theirs:>8.2f}  {goal}")


def compare(name: str, ours: Callable[[], Any], theirs: Callable[[], Any], goal: str) -> None:
    """Checks that both sides give the same, then prints their medians and the ratio."""
    if (got := ours()) != (wanted := theirs()):
        raise SystemExit(f"{name}: {got!r} is not {wanted!r}")
    pairs = [(milliseconds(ours), milliseconds(theirs)) for _ in range(ROUNDS)]
    row(name, *(statistics.median(side) for side in zip(*pairs, strict=True)), goal)


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


# --- the table -----------------------------------------------------------------------------------


def pure_code() -> None:
    """Generated code against hand-written Python, called as one cell's handler calls another."""
    from somac.cli.pipeline import compile_in_memory, read_runnable
    from somart.app import App

    unit = read_runnable(str(HERE / "pure.cell"))
    if unit is None:
        raise SystemExit("bench/pure.cell does not compile")
    spec = compile_in_memory(unit)
    app = (spec.app_class or App)(spec)
    pure: Any = app.Pure
    rows = records(100_000)
    compare("fib(24)", lambda: pure.fib(24), lambda: fib(24), "<= 1.2")
    compare(
        "while loop, 1e6 steps", lambda: pure.loop(1_000_000), lambda: loop(1_000_000), "<= 1.2"
    )
    compare("build 1e5 records", lambda: pure.records(100_000), lambda: records(100_000), "<= 1.2")
    compare(
        "filter+map, 1e5 records",
        lambda: pure.select_rows(rows),
        lambda: select_rows(rows),
        "<= 1.2",
    )


def compile_times() -> None:
    """How long the compiler takes for the pricing example."""
    from somac.cli.checking import check_outcome, check_program

    source = str(HERE.parent / "examples" / "pricing" / "app.cell")
    check_outcome(source, False)  # imports and the grammar
    warm = statistics.median(
        milliseconds(lambda: check_outcome(source, False)) for _ in range(ROUNDS)
    )
    against("check pricing, in process", warm, 60)
    with tempfile.TemporaryDirectory() as folder, redirect_stdout(io.StringIO()):
        os.environ["SOMA_CACHE_DIR"] = folder
        check_program(source)
        again = statistics.median(
            milliseconds(lambda: check_program(source)) for _ in range(ROUNDS)
        )
    against("check pricing, nothing changed", again, 10)
    os.environ["SOMA_CACHE_DIR"] = os.devnull  # a folder that cannot be: every check is a new one
    command = [sys.executable, "-m", "somac", "check", source]
    cold = statistics.median(
        milliseconds(lambda: subprocess.run(command, check=True, stdout=subprocess.DEVNULL))
        for _ in range(ROUNDS)
    )
    against("check pricing, from the shell", cold, 180)
    build = statistics.median(milliseconds(lambda: build_in(source)) for _ in range(3))
    against("build pricing, from the shell", build, 1000)


def build_in(source: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "somac", "build", source, "-o", f"{folder}/dist"]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)


def against(name: str, measured: float, goal: float) -> None:
    print(f"{name:<34}{measured:>10.1f}{goal:>12.0f}{measured / goal:>8.2f}  <= 1")


def others(names: list[str]) -> None:
    """The benchmarks that are programs of their own."""
    for name in names:
        if (HERE / name).exists():
            print(f"\n{name}", flush=True)
            subprocess.run([sys.executable, str(HERE / name)], check=False)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="leave out storage and HTTP")
    quick = parser.parse_args().quick
    print(f"{'':<34}{'ours':>10}{'by hand':>12}{'ratio':>8}  goal")
    pure_code()
    print(f"\n{'':<34}{'ours (ms)':>10}{'goal (ms)':>12}{'ratio':>8}  goal")
    compile_times()
    if not quick:
        others(["memory.py", "serving.py"])


if __name__ == "__main__":
    main()
