"""The time per line does not grow with the length of a program (CPU time, generous factors)."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from somac.check import check
from somac.codegen import generate
from somac.codegen.package import format_module
from somac.frontend.load import load
from somac.manifest import load_manifest

SHORT, LONG = 500, 2000  # lines
FACTOR = 2.0

HANDLER = """\
    on handler_{n}(name: String, amount: Int) {{
        let total = (book.get(name) ?? 0) + amount
        if total > {n} {{
            require total < 1000000 else too_much
            book.set(name, total)
        }} else {{
            total += handler_{before}("{n}", 1)
        }}
        map("name", name, "total", total, "text", "number {{total}} of {{name}}")
    }}
"""


def program(lines: int) -> str:
    """A program of about so many lines, in cells of twenty handlers that call each other."""
    count = lines // 10
    cells = []
    for first in range(0, count, 20):
        handlers = [
            HANDLER.format(n=n, before=max(n - 1, first))
            for n in range(first, min(first + 20, count))
        ]
        slots = "    memory { book: Map<String, Int> [persistent, consistent] }\n"
        cells.append(f"cell Part{first} {{\n{slots}{''.join(handlers)}}}\n")
    return "\n".join(cells)


def seconds_per_line(work: Callable[[str], None], path: Path, lines: int, runs: int = 1) -> float:
    """The best of a few runs, without what other tests have left for the collector to walk."""
    path.write_text(program(lines), "utf-8")
    times = []
    gc.collect()
    gc.freeze()
    for _ in range(runs):
        begin = time.process_time()
        work(str(path))
        times.append(time.process_time() - begin)
    gc.unfreeze()
    return min(times) / lines


def checked(path: str) -> None:
    loaded = load(path)
    assert loaded.program is not None
    check(loaded.program, load_manifest(path)[0])


def built(path: str) -> None:
    loaded = load(path)
    assert loaded.program is not None
    for module in generate(loaded.program, load_manifest(path)[0], runtime="somart").modules:
        format_module(module.text)


@pytest.mark.slow
@pytest.mark.parametrize(("work", "runs"), [(checked, 3), (built, 1)])
def test_time_per_line_stays(work: Callable[[str], None], runs: int, tmp_path: Path) -> None:
    path = tmp_path / "long.cell"
    seconds_per_line(work, path, 20)  # imports and first uses
    short = seconds_per_line(work, path, SHORT, runs)
    long = seconds_per_line(work, path, LONG, runs)
    assert long < short * FACTOR, f"{short * 1e6:.0f} and {long * 1e6:.0f} us per line"
