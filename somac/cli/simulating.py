"""`simulate`: a program on many nodes in one process, under virtual time and faults."""

from __future__ import annotations

import io
import time
from collections.abc import Callable, Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..frontend import nodes as n
from ..frontend.program import Program, handlers_of
from ..manifest import VERIFY_KEYS
from .pipeline import compile_in_memory, read_runnable
from .process import with_deep_stack
from .terminal import progress, remark, report, say

if TYPE_CHECKING:
    from somart.simulate.clients import Entry
    from somart.simulate.lifecycle import AllRules, LifecycleRules
    from somart.simulate.simulation import Outcome, Settings
    from somart.spec import ProgramSpec

    from ..manifest import Manifest


MINUTES_MOST = 100_000
"""Of virtual time: more than two months."""


@dataclass(frozen=True)
class Wanted:
    """The command line."""

    path: str
    nodes: int
    seed: int
    seeds: int
    minutes: float
    faults: str
    calls: int
    only: str
    trace: bool
    history: Path | None = None


class BadRequest(Exception):
    """The options cannot be meant; the text says why."""


def simulate_program(wanted: Wanted) -> int:
    """`soma simulate FILE …`; 1 when a promise was broken or nothing can be simulated, 2 when the
    options cannot be meant."""
    return with_deep_stack(partial(_simulate, wanted))


def _simulate(wanted: Wanted) -> int:
    try:
        settings = _settings(wanted)
        history = None if wanted.history is None else _writable(wanted.history)
    except BadRequest as error:
        report(str(error))
        return 2
    unit = read_runnable(wanted.path)
    if unit is None:
        return 1
    spec = compile_in_memory(unit)
    entries = entry_points(unit.program, spec)
    if not entries:
        report("the program has no handler that clients could call")
        return 1
    run = partial(_run, spec, entries, lifecycle_rules(unit.manifest, spec))
    failed = 0
    for seed in range(wanted.seed, wanted.seed + wanted.seeds):
        outcome = _timed(run, replace(settings, seed=seed))
        if history is not None:
            _write_history(outcome, history)
        if not outcome.passed:
            failed += 1
            _explain(wanted, run, outcome)
        elif wanted.trace:
            _show_trace(outcome, complete=True)
    if wanted.seeds > 1:
        say(f"{wanted.seeds} seeds: {wanted.seeds - failed} passed, {failed} failed")
    return int(failed > 0)


def _settings(wanted: Wanted) -> Settings:
    from dataclasses import replace

    from somart.cluster.config import ClusterConfig
    from somart.simulate.faults import FORGET_MS, KINDS
    from somart.simulate.minimise import with_only
    from somart.simulate.simulation import Settings

    names = tuple(filter(None, wanted.faults.split(",")))
    names = tuple(KINDS) if names == ("all",) else () if names == ("none",) else names
    unknown = [name for name in names if name not in KINDS]
    if unknown:
        raise BadRequest(f"unknown fault '{unknown[0]}'; there are {', '.join(KINDS)}")
    _check(wanted)
    settings = Settings(wanted.nodes, wanted.seed, wanted.minutes, names, wanted.calls)
    if "expel" in names:
        settings = replace(settings, config=ClusterConfig(forget_ms=FORGET_MS))
    try:
        settings = with_only(settings, wanted.only)
    except ValueError as error:
        raise BadRequest(f"--only: {error}") from error
    _check_picks(settings, range(wanted.seed, wanted.seed + wanted.seeds))
    return settings


def _check(wanted: Wanted) -> None:
    if not 1 <= wanted.nodes <= 200:
        raise BadRequest("--nodes is from 1 to 200")
    if not 0 < wanted.minutes <= MINUTES_MOST:
        raise BadRequest(f"--minutes is more than 0, and at most {MINUTES_MOST}")
    if wanted.seeds < 1:
        raise BadRequest("--seeds is the number of runs, 1 or more")
    if wanted.calls < 0:
        raise BadRequest("--calls is the number of calls, 0 or more")
    if wanted.history is not None and wanted.seeds > 1:
        raise BadRequest("--history takes the calls of one run: leave out --seeds")


def _check_picks(settings: Settings, seeds: range) -> None:
    """What `--only` picks must be there: a run without it would show nothing."""
    from somart.simulate.simulation import faults_of

    beyond = [number for number in settings.only_calls or () if number >= settings.calls]
    if beyond:
        there = f"c0-{settings.calls - 1}" if settings.calls else "none"
        raise BadRequest(f"--only: there is no call c{min(beyond)}; calls are {there} (--calls)")
    for seed in seeds if settings.only_faults else ():
        drawn = {fault.number for fault in faults_of(replace(settings, seed=seed))}
        missing = (settings.only_faults or frozenset()) - drawn
        if missing:
            number = min(missing)
            raise BadRequest(f"--only: seed {seed} has no fault f{number}; it has {len(drawn)}")


def _writable(path: Path) -> Path:
    """The file, empty: a long run would else end with nowhere to write to."""
    try:
        path.write_bytes(b"")
    except OSError as error:
        raise BadRequest(f"--history: cannot write '{path}': {error.strerror}") from error
    return path


def _write_history(outcome: Outcome, path: Path) -> None:
    """Writes the calls of a run (docs/histories.md)."""
    from somart.simulate.histories import write_operations

    with path.open("w", encoding="utf-8") as file:
        file.writelines(f"{line}\n" for line in write_operations(outcome.operations))
    remark(f"history: {len(outcome.operations)} calls written to {path}")


# --- the program ---------------------------------------------------------------------------------


def entry_points(program: Program, spec: ProgramSpec) -> tuple[Entry, ...]:
    """The handlers that clients may call, with the written types of their parameters."""
    from somart.simulate.clients import entries_of

    types = {
        (cell.name, name): [type_text(param.type) for param in handler.params]
        for cell in program.live
        for name, handler in handlers_of(cell).items()
    }
    return entries_of(spec, lambda cell, handler: types[cell, handler])


def type_text(type_: n.TypeRef) -> str:
    """A type as it is written."""
    inner = ", ".join(map(type_text, type_.args))
    return f"{type_.name}<{inner}>" if inner else type_.name


def lifecycle_rules(manifest: Manifest, spec: ProgramSpec) -> AllRules:
    """`never` and `after.X.never` of `[verify]` and of `[verify.MACHINE]`."""
    machines = {name for cell in spec.all_cells for name in cell.soma_machines}
    own = {name: section for name, section in manifest.verify.items() if name in machines}
    sections = {"": manifest.verify, **{name: own[name] for name in own if name not in VERIFY_KEYS}}
    return {name: _rules(section) for name, section in sections.items()}


def _rules(section: Any) -> LifecycleRules:
    from somart.simulate.lifecycle import LifecycleRules

    after = section.get("after", {})
    return LifecycleRules(
        frozenset(section.get("never", ())),
        {state: frozenset(demands.get("never", ())) for state, demands in after.items()},
    )


# --- runs ----------------------------------------------------------------------------------------


def _run(
    spec: ProgramSpec, entries: Sequence[Entry], rules: AllRules, settings: Settings
) -> Outcome:
    from somart.simulate.simulation import simulate
    from somart.simulate.subjects import subject

    factory, workload = subject(spec, entries, rules)
    with redirect_stdout(io.StringIO()):  # what handlers print
        outcome = simulate(settings, factory, workload)
    outcome.operations = workload.operations
    return outcome


def _timed(run: Callable[[Settings], Outcome], settings: Settings) -> Outcome:
    began = time.perf_counter()
    with progress("simulating"):
        outcome = run(settings)
    seconds = time.perf_counter() - began
    calls = ", ".join(f"{count} {how}" for how, count in outcome.calls.items() if count)
    verdict = "ok" if outcome.passed else "FAILED"
    say(
        f"seed {settings.seed}: {verdict}: {settings.nodes} nodes, {settings.minutes:g} min, "
        f"{len(outcome.faults)} faults, calls: {calls or 'none'}; {outcome.messages} messages, "
        f"all well {outcome.healed_ms / 1000:.0f} s after the last fault ({seconds:.1f} s)"
        if outcome.passed
        else f"seed {settings.seed}: {verdict}: {outcome.failures[0]}"
    )
    return outcome


def _explain(wanted: Wanted, run: Callable[[Settings], Outcome], failed: Outcome) -> None:
    from somart.simulate.minimise import Minimiser

    minimiser = Minimiser(run, failed)
    with progress("minimising"):
        least = minimiser.minimise()
    calls = least.settings.only_calls
    kept = least.settings.calls if calls is None else len(calls)
    remark(f"minimised in {minimiser.runs} runs to {len(least.faults)} faults and {kept} calls:")
    for fault in least.faults:
        say(f"  {fault.at / 1000:.3f} s: {fault}")
    for failure in least.failures:
        say(f"  ✗ {failure}")
    _show_trace(least, complete=wanted.trace)
    say(f"replay: {replay_command(wanted, least)}")


def replay_command(wanted: Wanted, outcome: Outcome) -> str:
    """The command that runs exactly this again."""
    from somart.simulate.minimise import only_text

    settings = outcome.settings
    words = [
        f"somac simulate {wanted.path} --nodes {settings.nodes} --seed {settings.seed}",
        f"--minutes {settings.minutes:g} --faults {wanted.faults} --calls {settings.calls}",
    ]
    only = only_text(settings)
    return " ".join([*words, f"--only {only}"] if only else words)


def _show_trace(outcome: Outcome, complete: bool) -> None:
    from somart.simulate.spacetime import render

    for line in render(
        outcome.trace, outcome.names, most=None if complete else 120, complete=complete
    ):
        say(line)
