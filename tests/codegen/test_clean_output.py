"""What is generated from a sample of all kinds of programs is clean Python.

One run of each tool judges the whole sample. The settings are those that a package ships with.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from somac.check.native import native_errors
from somac.codegen import generate
from somac.codegen.package import format_module
from somac.frontend.load import load
from somac.manifest import Manifest

ROOT = Path(__file__).resolve().parents[2]
CASES = ROOT / "tests" / "conformance" / "cases"
EVERY = 7  # of the corpus; the areas are in alphabetical order, so each is met
MODULES_AT_LEAST = 100


def write_package(path: Path, folder: Path) -> int:
    """Writes the formatted modules of a program that compiles; the number of modules."""
    loaded = load(path)
    if loaded.program is None or native_errors(loaded.program):
        return 0
    modules = generate(loaded.program, Manifest(), runtime="somart").modules
    folder.mkdir()
    (folder / "__init__.py").write_text("", "utf-8")
    for module in modules:
        (folder / module.filename).write_text(format_module(module.text), "utf-8")
    return len(modules)


@pytest.fixture(scope="module")
def packages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("packages")
    written = 0
    for path in sorted(CASES.glob("*/*.cell"))[::EVERY]:
        name = re.sub(r"\W", "_", f"p_{path.parent.name}_{path.stem}")
        written += write_package(path, folder / name)
    assert written >= MODULES_AT_LEAST
    return folder


def run(folder: Path, *command: str) -> str:
    """What a tool prints about the packages; empty when it is content."""
    done = subprocess.run(
        [sys.executable, *command],
        cwd=folder,
        env={**os.environ, "MYPYPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    return "" if done.returncode == 0 else done.stdout + done.stderr


def shipped_rules() -> str:
    """The lint rules in the pyproject.toml of a generated package."""
    text = (ROOT / "templates" / "pyproject.toml.j2").read_text("utf-8")
    section = text[text.index("[tool.ruff.lint]") :]
    section = section[: section.index("\n\n")]
    rules: list[str] = tomllib.loads(section)["tool"]["ruff"]["lint"]["select"]
    return ",".join(rules)


@pytest.mark.slow
def test_python_compiles_it_without_a_warning(packages: Path) -> None:
    assert run(packages, "-W", "error", "-m", "compileall", "-q", ".") == ""


@pytest.mark.slow
def test_ruff_is_content(packages: Path) -> None:
    settings = ["--isolated", "--no-cache", "--line-length=100", "--target-version=py311"]
    assert run(packages, "-m", "ruff", "check", *settings, f"--select={shipped_rules()}", ".") == ""


@pytest.mark.slow
def test_mypy_is_content(packages: Path) -> None:
    names = sorted(path.name for path in packages.iterdir() if path.is_dir())
    listed = [part for name in names if name.startswith("p_") for part in ("-p", name)]
    assert run(packages, "-m", "mypy", "--strict", "--cache-dir=.mypy", *listed) == ""


@pytest.mark.slow
def test_the_form_is_stable(packages: Path) -> None:
    for path in sorted(packages.glob("p_*/*.py"))[::5]:
        text = path.read_text("utf-8")
        assert not text or format_module(text) == text, path.name
