"""The program: all cells of app.cell."""

from __future__ import annotations

import json
from pathlib import Path

from ._somart import App as BaseApp
from ._somart import ManifestSpec, ProgramSpec, SourceMap
from .job_queue import JobQueue
from .job_queue_tests import JobQueueTests


class App(BaseApp):
    """The running program; handlers reach other cells through it."""

    JobQueue: JobQueue


def _source_map() -> SourceMap:
    """From lines of these modules to lines of the Soma source, which lies beside them."""
    root = Path(__file__).parent
    table = root / "source_map.json"
    if not table.exists():
        return SourceMap()
    data = json.loads(table.read_text("utf-8"))
    return SourceMap(
        lines={name: [tuple(row) for row in rows] for name, rows in data["lines"].items()},
        sources={name: (root / name).read_text("utf-8") for name in data["sources"]},
        root=str(root),
    )


PROGRAM = ProgramSpec(
    name="jobqueue",
    cells=(JobQueue,),
    tests=(JobQueueTests,),
    manifest=ManifestSpec(
        name="jobqueue", version="0.1.0", description="A job queue: every job completes or expires"
    ),
    source_map=_source_map(),
    variants={},
    package=__package__,
    app_class=App,
)
