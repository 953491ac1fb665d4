"""How long proofs take: machines as programs have them, and chains far beyond that.

Run it alone or with `make bench`. pyModelChecking and Spin (Debian: `spin`, `gcc`), if
they are installed, decide the same formula on the same graph; other columns are goals in
milliseconds. Chains are measured in processor time, the rest by the clock.
"""

from __future__ import annotations

import argparse
import functools
import gc
import importlib
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from somac.frontend import nodes as n
from somac.frontend.program import Program
from somac.frontend.source import Source
from somac.manifest import Manifest
from somac.verify import membership, verify
from somac.verify.checker import Checker
from somac.verify.ctl import parse
from somac.verify.distribution import distribution_block
from somac.verify.evidence import Explainer
from somac.verify.explorer import explore
from somac.verify.kripke import Kripke
from somac.verify.replicas import LoggingSystem, MergingSystem, Observer, Setting, Watch

ROUNDS = 5
WIDEST_PEER = 100  # states; the peer's time grows faster than ours
RING_FOR_SPIN = 1000  # states; gcc's time grows with the model


def milliseconds(work: Callable[[], object], rounds: int = ROUNDS) -> float:
    """The median time of some work."""
    times = []
    for _ in range(rounds):
        started = time.perf_counter()
        work()
        times.append((time.perf_counter() - started) * 1000)
    return statistics.median(times)


def own(work: Callable[[], object], rounds: int = ROUNDS) -> float:
    """The least processor time of some work of this process, in milliseconds: other processes of
    the machine lengthen it little."""
    times = []
    for _ in range(rounds):
        gc.collect()
        started = time.process_time()
        work()
        times.append((time.process_time() - started) * 1000)
    return min(times)


def command_line(size: int) -> float:
    """The processor time of `somac verify` on a chain, in milliseconds, all included."""
    with tempfile.TemporaryDirectory() as folder:
        arrows = "\n".join(f"s{i} -> s{i + 1}" for i in range(size))
        (Path(folder) / "app.cell").write_text(f"cell A {{ state m {{\n{arrows}\n}} }}", "utf-8")
        toml = f'[package]\nname = "app"\n[verify]\neventually = ["s{size}"]\nnever = ["s1"]\n'
        (Path(folder) / "soma.toml").write_text(toml, "utf-8")
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        words = [sys.executable, "-m", "somac", "verify", "app.cell"]
        done = subprocess.run(words, cwd=folder, capture_output=True, timeout=120, check=False)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if f"{size + 1} states" not in done.stdout.decode():
        raise SystemExit("verify failed")
    return (after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime) * 1000


def row(name: str, ours: float, other: float, goal: str) -> None:
    print(f"{name:<44}{ours:>10.2f}{other:>12.2f}{ours / other:>8.2f}  {goal}", flush=True)


def programme(arrows: list[tuple[str, str]]) -> Program:
    machine = n.Machine("m", None, (), "s0", tuple(n.Transition(a, b) for a, b in arrows))
    return Program(Source("a.cell", ""), (), (n.Cell("cell", "A", (machine,)),))


def ordinary() -> Callable[[], object]:
    """15 states, 30 transitions, one property of each kind."""
    arrows = [(f"s{i}", f"s{(i + 1) % 15}") for i in range(15)]
    arrows += [(f"s{i}", f"s{(i * 7 + 3) % 14}") for i in range(15)]
    demands = {
        "eventually": ["s3"],
        "never": ["s14", "gone"],
        "always": ["s0"],
        "after": {"s1": {"eventually": ["s2"], "never": ["s0"]}},
        "ctl": {"leads": "AG(s1 -> AF(s2 | s3))", "can": "EF s9"},
    }
    program, manifest = programme(arrows), Manifest(verify=demands)
    return lambda: verify([program], manifest, lambda _: False)


def chain(size: int) -> Callable[[], object]:
    """A chain whose last state is forbidden, and one that must be reached, each with its trace."""
    names = [f"s{i}" for i in range(size)]
    last = size - 1

    def work() -> object:
        graph = Kripke(names, [*((i + 1,) for i in range(last)), ()])
        checker = Checker(graph)
        safety, liveness = parse(f"AG !s{last}"), parse("AF nowhere")
        assert not checker.holds(safety)
        explainer = Explainer(checker)
        trace = explainer.counter_example(safety)
        assert len(trace.states) == size
        return explainer.counter_example(liveness)

    return work


def ring(size: int) -> tuple[list[str], list[list[int]]]:
    """States and successors of a ring in which every seventh state also leads to itself."""
    loops = set(range(0, size, 7))
    successors = [[(i + 1) % size, *([i] if i in loops else [])] for i in range(size)]
    return [f"s{i}" for i in range(size)], successors


def decide(size: int) -> bool:
    names, successors = ring(size)
    return Checker(Kripke(names, successors)).holds(parse("AF s50"))


def against_pymodelchecking() -> None:
    """The same formula on the same ring by a model checker in Python."""
    try:
        peer = importlib.import_module("pyModelChecking")
        ctl = importlib.import_module("pyModelChecking.CTL")
    except ImportError:
        print("pyModelChecking is not installed: no comparison")
        return
    size = WIDEST_PEER
    names, successors = ring(size)
    edges = [(i, target) for i, targets in enumerate(successors) for target in targets]
    theirs = peer.Kripke(R=edges, L={i: {names[i]} for i in range(size)})
    formula = ctl.A(ctl.F(ctl.AtomicProposition("s50")))
    if (0 in ctl.modelcheck(theirs, formula)) != decide(size):
        raise SystemExit("pyModelChecking disagrees")
    ours = milliseconds(lambda: decide(size))
    other = milliseconds(lambda: ctl.modelcheck(theirs, formula))
    row(f"AF on a ring of {size} (other: pyModelChecking)", ours, other, "< 1")


def promela(size: int) -> str:
    """The ring as a model for Spin."""
    _, successors = ring(size)
    steps = [
        f"  :: d_step {{ s == {source} -> s = {target} }}"
        for source, targets in enumerate(successors)
        for target in targets
    ]
    body = "\n".join(steps)
    return f"int s = 0;\nactive proctype m() {{ do\n{body}\n  od }}\nltl met {{ <> (s == 50) }}\n"


def against_spin() -> None:
    """The same formula on the same ring by Spin: its run alone, and with what makes it."""
    if shutil.which("spin") is None or shutil.which("gcc") is None:
        print("spin and gcc are not both installed: no comparison")
        return
    size = RING_FOR_SPIN
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "ring.pml").write_text(promela(size), "utf-8")

        def command(*words: str) -> str:
            done = subprocess.run(words, cwd=folder, capture_output=True, text=True, timeout=120)
            return done.stdout

        def prepare() -> None:
            command("spin", "-a", "ring.pml")
            command("gcc", "-O1", "-w", "-o", "pan", "pan.c")

        made = milliseconds(prepare, 1)
        holds = "errors: 0" in command("./pan", "-a", "-m1000000")
        ran = milliseconds(lambda: command("./pan", "-a", "-m1000000"))
    if holds != decide(size):
        raise SystemExit("Spin disagrees")
    ours = milliseconds(lambda: decide(size))
    row(f"AF on a ring of {size} (other: Spin's run)", ours, ran, "")
    row("  (other: Spin with generating and compiling)", ours, made + ran, "< 1")


def scaled(replicas: int) -> Callable[[], object]:
    """The arithmetic of a scale section."""
    scale = n.Scale((n.ScaleEntry("replicas", replicas), n.ScaleEntry("tolerance", 2)))
    cell = n.Cell("cell", "A", (scale,))
    return lambda: [distribution_block(cell, lambda _: False) for _ in range(1000)]


def grid(size: int) -> Callable[[], object]:
    """The states of three counters that go up one at a time."""

    def steps(state: tuple[int, int, int]) -> Iterator[tuple[str, tuple[int, int, int]]]:
        a, b, c = state
        if a < size - 1:
            yield "a", (a + 1, b, c)
        if b < size - 1:
            yield "b", (a, b + 1, c)
        if c < size - 1:
            yield "c", (a, b, c + 1)

    def work() -> object:
        found = explore([(0, 0, 0)], steps)
        assert found.states == size**3
        return found

    return work


def replicated(level: str, setting: Setting) -> None:
    """The states of two or three replicas of a lifecycle of 8 states and 12 arrows, with a property
    that is watched. The goal is 100,000 distinct states per second."""
    ring = [[1], [2], [3], [4, 1], [5, 7], [6, 2], [7], [0, 4]]
    graph = Kripke([f"s{i}" for i in range(8)], ring)

    def walk() -> int:
        observer = Observer(graph, [Watch(0, 5)])
        system: Any
        if level == "strong":
            system = LoggingSystem(observer, setting)
        else:
            system = MergingSystem(observer, setting, level == "causal")
        found: Any = explore(system.initial(), system.steps, system.breaks)
        assert found.complete
        return int(found.states)

    states = walk()
    what = "2 and a client" if setting.client else str(setting.replicas)
    row(f"replicas: {what}, {level}, {states:,} states", own(walk), states / 100, "<= 1")


def replicas() -> None:
    for level in ("eventual", "causal", "strong"):
        replicated(level, Setting(2, 3))
        replicated(level, Setting(3, 2))
        replicated(level, Setting(2, 2, client=True))
    for level in ("eventual", "strong"):
        states, _ = membership.examined(level)
        walk = functools.partial(membership.examined.__wrapped__, level)
        row(f"the cluster itself, {level}: {states:,} states", own(walk), 2000, "<= 1")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--large", action="store_true", help="also a chain of 1,000,000 states")
    large = parser.parse_args().large
    print(f"{'':<44}{'ours (ms)':>10}{'other (ms)':>12}{'ratio':>8}  goal")
    row("15 states, 30 transitions, all properties", milliseconds(ordinary()), 3, "<= 1")
    short = own(chain(10_000), 9)
    row("chain of 10,000 with counter-examples", short, 100, "<= 1")
    long = own(chain(100_000))
    row("chain of 100,000 against ten times 10,000", long, 10 * short, "<= 1.2")
    row("`somac verify` of a chain of 100,000", command_line(100_000), 4_000, "<= 1")
    row("explorer: 125,000 states of three counters", milliseconds(grid(50), 3), 1250, "<= 1")
    replicas()
    against_pymodelchecking()
    against_spin()
    few, many = milliseconds(scaled(50)), milliseconds(scaled(5_000))
    row("1,000 scale sections, 5,000 against 50 replicas", many, few, "<= 1.5")
    if large:  # the peak of the process is a bound for what this takes
        row("chain of 1,000,000 with counter-examples", own(chain(1_000_000), 1), 15_000, "<= 1")
        mebibytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        row("memory for it, in MiB", mebibytes, 2048, "<= 1")


if __name__ == "__main__":
    main()
