"""`every` and `after`: the schedule as plain decisions, and the loop in virtual time."""

from __future__ import annotations

from collections.abc import Callable

import trio
import trio.testing
from gauge_program import Gauge

from somart import App, TimerInfo
from somart.engines.standalone import StandaloneEngine
from somart.timers import Schedule, Timer, run_timers

Start = Callable[..., App]


def test_an_every_block_has_a_fixed_delay_and_an_after_block_runs_once(start: Start) -> None:
    cell = start(durable=False).top_level[0]
    every = Timer(cell, TimerInfo("every", 2_000, "a"))
    after = Timer(cell, TimerInfo("after", 3_000, "b"))
    schedule = Schedule([every, after])
    schedule.start(10.0)
    assert schedule.take_due(11.9) == []
    assert schedule.next_due() == 12.0
    assert schedule.take_due(12.5) == [every]
    assert schedule.take_due(99.0) == [after]  # the other one still runs
    schedule.finished(every, 100.0)
    schedule.finished(after, 100.0)
    assert schedule.next_due() == 102.0  # no catching up


def test_ticks_run_as_transactions_and_errors_are_logged(start: Start) -> None:
    app = start(durable=False)
    log: list[str] = []

    async def main() -> None:
        with trio.move_on_after(3.05):
            await run_timers(app, log.append)

    trio.run(main, clock=trio.testing.MockClock(autojump_threshold=0))
    assert app.call("Gauge", "peek", ["ticks"]) == 3
    assert app.call("Gauge", "peek", ["after"]) == 1
    assert log[:3] == [
        "scheduler: every 1000ms [Gauge]",
        "scheduler: every 700ms [Gauge]",
        "scheduler: after 1500ms [Gauge]",
    ]
    message = "require failed: tick: constraint violated"
    assert log[3:5] == [f"[scheduler] error: {message}", f"[scheduler:Gauge] tick error: {message}"]
    assert len(log) == 3 + 2 * 4  # 0.7, 1.4, 2.1, 2.8


def test_timers_are_declared_in_source_order() -> None:
    assert [timer.milliseconds for timer in Gauge.soma_timers] == [1_000, 700, 1_500]


def test_a_failed_tick_is_told_with_its_place() -> None:
    from somac.codegen import generate, load_in_memory
    from somac.frontend.load import load_text
    from somac.manifest import Manifest

    loaded = load_text("cell A {\n    every 1s {\n        1 / 0\n    }\n    on f() { 1 }\n}\n")
    assert loaded.program is not None
    spec = load_in_memory(generate(loaded.program, Manifest(), runtime="somart"))
    app = App(spec, StandaloneEngine())
    log: list[str] = []

    async def main() -> None:
        with trio.move_on_after(1.5):
            await run_timers(app, log.append)

    trio.run(main, clock=trio.testing.MockClock(autojump_threshold=0))
    assert log[1:] == [
        "[scheduler] error: division by zero",
        "[scheduler:A] tick error: division by zero",
        "  at app.cell:3:9: 1 / 0",
    ]
