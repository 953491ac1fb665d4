"""Where everything can be had, nothing is left out: skips become failures there."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from required import must_run

ETCD = "Skipped: no `etcd` on this machine"


@pytest.mark.parametrize(
    ("reason", "ci", "user", "expected"),
    [
        (ETCD, "true", 0, True),
        (ETCD, "", 0, False),
        (ETCD, "false", 0, False),
        (ETCD, "true", 1000, False),
        ("Skipped: no network namespaces here: ip netns add: not permitted", "1", 0, True),
        ("Skipped: the command `ip` is missing (iproute2)", "1", 0, True),
        ("Skipped: the port below is taken", "true", 0, False),
    ],
)
def test_a_skip_that_hides_something_is_told_from_others(
    reason: str, ci: str, user: int, expected: bool
) -> None:
    assert must_run(reason, {"CI": ci}, user) == expected


@pytest.mark.slow
@pytest.mark.parametrize("ci", ["", "true"])
def test_such_a_skip_is_a_failure(tmp_path: Path, ci: str) -> None:
    (tmp_path / "test_it.py").write_text(
        "import pytest\n"
        "@pytest.fixture\ndef member(): pytest.skip('no `etcd` here')\n"
        "def test_a(member): pass\n"
        "@pytest.mark.skipif(True, reason='no network namespaces here')\ndef test_b(): pass\n"
        "def test_c(): pytest.skip('the port is taken')\n"
    )
    tests = str(Path(__file__).resolve().parents[1])
    alone = {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "PYTHONPATH": tests}
    environment = {**os.environ, **alone, "CI": ci}
    command = [sys.executable, "-m", "pytest", "-p", "required", "-p", "no:cacheprovider", "-q"]
    done = subprocess.run(
        command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=60
    )
    strict = bool(ci) and os.geteuid() == 0
    assert done.returncode == strict, done.stdout
    if strict:
        assert "root under CI has to run this test" in done.stdout
        assert "1 skipped, 2 errors" in done.stdout
