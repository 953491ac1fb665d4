"""The Makefile, the CI script and the package data say what is true."""

from __future__ import annotations

import os
import re
import subprocess
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
TARGETS = ["help", "venv", "demo", "test", "lint", "bench", "soak", "docs"]


def test_make_help_lists_every_target() -> None:
    done = subprocess.run(["make", "help"], cwd=ROOT, capture_output=True, text=True, timeout=60)
    listed = re.findall(r"^  make (\w+)\s+\S", done.stdout, re.MULTILINE)
    assert set(TARGETS) <= set(listed)


@pytest.mark.parametrize("target", TARGETS)
def test_every_target_can_be_made(target: str) -> None:
    """A dry run: the recipe exists and its prerequisites do."""
    done = subprocess.run(
        ["make", "-n", target], cwd=ROOT, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr


def test_the_ci_script_is_a_program() -> None:
    script = ROOT / ".ci" / "run"
    assert os.access(script, os.X_OK)
    assert subprocess.run(["bash", "-n", script], timeout=60).returncode == 0


def test_both_commands_are_installed() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    assert project["scripts"] == {"somac": "somac.cli:main", "soma": "somac.cli:main"}
    assert project["license"] == "MIT"
    assert (ROOT / "LICENSE").exists()


def test_generated_packages_need_what_the_runtime_needs() -> None:
    from somac.codegen.vendor import RUNTIME_DEPENDENCIES

    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    assert set(RUNTIME_DEPENDENCIES) <= set(project["dependencies"])


COVERED = re.compile(r"`(tests/[\w./*-]+)`")


def test_the_map_of_the_specification_names_tests_that_exist() -> None:
    text = (ROOT / "docs" / "spec-coverage.md").read_text("utf-8")
    missing = [name for name in set(COVERED.findall(text)) if not list(ROOT.glob(name))]
    assert not missing
    rows = [line for line in text.splitlines() if re.match(r"\| \d", line)]
    assert len(rows) >= 60
    assert all("`tests/" in row or "not yet" in row for row in rows)
