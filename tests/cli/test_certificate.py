"""A built package starts only while it is what its certificate was written for."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from servers import Server, python_module

from somac.cli import run_command
from somart.certificate import digest, mismatch, seal, sealed

WAY_OUT = "run `soma build` again, or start with --unverified"
SOURCE = 'cell A { memory { kept: Map [persistent] } on f() { "fine" } }'


@pytest.fixture(scope="module")
def pristine(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pristine")
    (folder / "app.cell").write_text(SOURCE, "utf-8")
    (folder / "static").mkdir()
    (folder / "static" / "page.html").write_text("<p>", "utf-8")
    assert run_command(["build", str(folder / "app.cell"), "-o", str(folder / "dist")]) == 0
    return folder / "dist"


@pytest.fixture
def package(pristine: Path, tmp_path: Path) -> Path:
    """A copy of the built package, to be changed."""
    return Path(shutil.copytree(pristine, tmp_path / "dist")) / "app"


def change(package: Path, name: str) -> None:
    with (package / name).open("a", encoding="utf-8") as file:
        file.write("\n# changed\n")


def forge(package: Path) -> None:
    path = package / "certificate.json"
    data = json.loads(path.read_text("utf-8"))
    data["verify"]["passed"] = not data["verify"]["passed"]
    path.write_text(json.dumps(data), "utf-8")


CHANGES: list[tuple[str, Callable[[Path], object], str]] = [
    ("module", lambda p: change(p, "a.py"), "a.py is not what certificate.json was written for"),
    ("source", lambda p: change(p, "app.cell"), "app.cell is not what certificate.json was"),
    ("no source", lambda p: (p / "app.cell").unlink(), "app.cell is missing"),
    ("certificate", forge, "certificate.json was changed after the build"),
    ("no certificate", lambda p: (p / "certificate.json").unlink(), "certificate.json is missing"),
    ("torn", lambda p: (p / "certificate.json").write_text("{"), "certificate.json cannot be read"),
    ("list", lambda p: (p / "certificate.json").write_text("[]"), "certificate.json cannot be"),
]


@pytest.mark.parametrize(("what", "alter", "message"), CHANGES, ids=[c[0] for c in CHANGES])
def test_each_change_is_named(
    package: Path, what: str, alter: Callable[[Path], object], message: str
) -> None:
    assert mismatch(package) is None
    alter(package)
    found = mismatch(package)
    assert found is not None
    assert message in found


def test_files_to_serve_and_the_layout_of_the_certificate_may_change(package: Path) -> None:
    change(package, "static/page.html")
    path = package / "certificate.json"
    path.write_text(json.dumps(json.loads(path.read_text("utf-8")), sort_keys=True), "utf-8")
    assert mismatch(package) is None


def test_the_seal_covers_what_json_cannot_tell_apart() -> None:
    whole = sealed({"pair": (1, "é"), "ways": {1: None}}, {"a.py": b"x"})
    assert json.loads(json.dumps(whole))["files"] == {"a.py": digest(b"x")}
    assert seal(json.loads(json.dumps(whole))) == whole["seal"]


@pytest.mark.slow
def test_a_changed_package_does_not_start_and_opens_no_data(package: Path) -> None:
    change(package, "a.py")
    done = subprocess.run(
        [*python_module("dist.app"), "-p", "0", "--data", "data"],
        cwd=package.parent.parent,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    wanted = f"error: a.py is not what certificate.json was written for; {WAY_OUT}\n"
    assert (done.returncode, done.stdout, done.stderr) == (1, "", wanted)
    assert not (package.parent.parent / "data").exists()


@pytest.mark.slow
def test_it_starts_unverified_with_a_warning(package: Path, tmp_path: Path) -> None:
    change(package, "a.py")
    command = [sys.executable, "-m", "dist.app", "--unverified"]
    server = Server(command, tmp_path, tmp_path / "data")
    try:
        assert server.call("/f") == {"result": "fine"}
    finally:
        assert server.stop() == 0
    assert server.log[0].startswith("warning: a.py is not what certificate.json was written for; ")
