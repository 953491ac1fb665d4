"""What the compiler writes for the examples, kept as files to be read: tests/golden/NAME/.

A difference is not an error in itself: read it, and if it is what you meant, run the tests once
more with UPDATE_GOLDEN=1 and commit the files.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from somac.cli import run_command

ROOT = Path(__file__).resolve().parents[2]
GOLDEN = ROOT / "tests" / "golden"
NAMES = ["pricing", "jobqueue", "chat", "kv", "inventory"]


def own_files(dist: Path) -> dict[str, str]:
    """The text of what was generated from the program; the runtime and the digests are left out."""
    skipped = {"certificate.json", "source_map.json"}
    return {
        path.relative_to(dist).as_posix(): path.read_text("utf-8")
        for path in sorted(dist.rglob("*"))
        if path.is_file()
        and "_somart" not in path.parts
        and not path.name.startswith(".")
        and path.name not in skipped
    }


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_the_package_is_as_it_was(name: str, tmp_path: Path) -> None:
    source = ROOT / "examples" / name / "app.cell"
    assert run_command(["build", str(source), "-o", str(tmp_path / "dist")]) == 0
    files = own_files(tmp_path / "dist")
    folder = GOLDEN / name
    if "UPDATE_GOLDEN" in os.environ:
        for path, text in files.items():
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_text(text, "utf-8")
    assert files == own_files(folder)


@pytest.mark.parametrize("name", NAMES)
def test_source_and_output_stand_side_by_side(name: str) -> None:
    kept = (GOLDEN / name / "app" / "app.cell").read_text("utf-8")
    assert kept == (ROOT / "examples" / name / "app.cell").read_text("utf-8")
