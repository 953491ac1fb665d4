"""A small hand-written program, as the compiler would generate it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from gauge_program import PROGRAM, Clock

from somart import App, ProgramSpec, StandaloneEngine


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def start(tmp_path: Path, clock: Clock) -> Iterator[Callable[..., App]]:
    """Starts an app on the test's data directory; closes those still open at the end."""
    started: list[App] = []

    def start_app(program: ProgramSpec = PROGRAM, durable: bool = True) -> App:
        engine = StandaloneEngine(tmp_path / "data" if durable else None, clock=clock)
        started.append(App(program, engine))
        return started[-1]

    yield start_app
    for app in started:
        app.close()
