"""`make demo`, as it is shown to whoever looks at Soma for the first time."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
LIMIT_SECONDS = 240
PHASES = ["1", "2", "3", "4", "5", "6", "6 again"]
SEEN = {"2": 5, "3": 10, "4": 10, "5": 15, "6": 15, "6 again": 15}
"""Jobs that every living node sees at the end of each phase of the paper."""


def phases(shown: str) -> dict[str, str]:
    """What each phase has printed."""
    pieces = re.split(r"^== (?:.*\. )?Phase (\d(?: again)?)\b.*$", shown, flags=re.M)
    return dict(zip(pieces[1::2], pieces[2::2], strict=True))


@pytest.mark.slow
def test_the_demonstration_ends_as_promised(tmp_path: Path) -> None:
    found_first = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    environment = {**os.environ, "PATH": found_first, "TMPDIR": str(tmp_path)}
    command = [sys.executable, str(ROOT / "examples" / "demo.py")]
    with (tmp_path / "shown").open("w+", encoding="utf-8") as shown:
        demo = subprocess.Popen(
            command, stdout=shown, stderr=shown, env=environment, start_new_session=True
        )
        try:
            code = demo.wait(LIMIT_SECONDS)
        finally:  # its nodes as well, if it hangs
            with suppress(ProcessLookupError):
                os.killpg(demo.pid, signal.SIGKILL)
            demo.wait()
        shown.seek(0)
        text = shown.read()
    assert code == 0, text
    assert text.splitlines()[-1] == (
        "== Done: on one node or on three, nothing that was acknowledged is lost"
    )
    assert "after the restart: 25 trades, 5 of them confirmed" in text
    found = phases(text)
    assert list(found) == PHASES
    for phase, jobs in SEEN.items():
        assert re.search(rf"✓ node 1 sees {jobs} jobs", found[phase]), (phase, found[phase])
    assert not list(tmp_path.glob("soma-demo-*")), "it leaves nothing behind"
