"""Who may import whom. The same rules stand in pyproject.toml for import-linter."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
LAYERS = ["frontend", "check", "verify", "codegen", "cli"]  # each may import only those before it


def imports(path: Path, package: str) -> Iterator[str]:
    """The absolute names that a file imports, those inside `if TYPE_CHECKING:` included."""
    here = [package, *path.relative_to(ROOT / package).with_suffix("").parts]
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            yield node.module or ""
        elif isinstance(node, ast.ImportFrom):
            base = here[: -node.level]
            module = ".".join([*base, *([node.module] if node.module else [])])
            yield from (f"{module}.{alias.name}" for alias in node.names)


def files(package: str) -> list[Path]:
    return sorted((ROOT / package).rglob("*.py"))


def test_the_runtime_imports_itself_only_relatively() -> None:
    """It is vendored into packages under another name."""
    absolute = [
        f"{path.relative_to(ROOT)}:{node.lineno}"
        for path in files("somart")
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if (isinstance(node, ast.Import) and any(a.name.startswith("som") for a in node.names))
        or (isinstance(node, ast.ImportFrom) and node.level == 0 and "som" in (node.module or ""))
    ]
    assert not absolute


def test_the_runtime_knows_nothing_of_the_compiler() -> None:
    found = [(p, name) for p in files("somart") for name in imports(p, "somart")]
    assert not [(p, name) for p, name in found if name.startswith("somac")]


@pytest.mark.parametrize("layer", LAYERS)
def test_a_layer_imports_only_those_below(layer: str) -> None:
    above = {f"somac.{name}" for name in LAYERS[LAYERS.index(layer) + 1 :]}
    wrong = [
        (path.relative_to(ROOT).as_posix(), name)
        for path in sorted((ROOT / "somac" / layer).rglob("*.py"))
        for name in imports(path, "somac")
        if any(name == upper or name.startswith(f"{upper}.") for upper in above)
    ]
    assert not wrong


@pytest.mark.parametrize(
    ("library", "allowed"),
    [
        ("parsimonious", "somac/frontend/parser"),
        ("typer", "somac/cli/"),
        ("rich", "somac/cli/"),
        ("black", "somac/codegen/package"),
        ("jinja2", "somac/codegen/templates"),
    ],
)
def test_a_library_has_one_home(library: str, allowed: str) -> None:
    users = [
        path.relative_to(ROOT).as_posix()
        for package in ("somac", "somart")
        for path in files(package)
        if any(name.split(".")[0] == library for name in imports(path, package))
    ]
    assert all(user.startswith(allowed) for user in users), users


def modules_after(command: list[str]) -> set[str]:
    """The modules that a command has imported by the time it is done."""
    script = (
        "import sys\nfrom somac.cli import run_command\n"
        f"code = run_command({command!r})\n"
        "print('modules', *sorted(sys.modules), file=sys.stderr)\nsys.exit(code)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=60, cwd=ROOT
    )
    assert done.returncode == 0, done.stderr
    return set(done.stderr.splitlines()[-1].split()[1:])


@pytest.mark.slow
def test_check_imports_only_what_checking_needs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SOMA_CACHE_DIR", str(tmp_path))
    loaded = modules_after(["check", "examples/pricing/app.cell"])
    assert not loaded & {"jinja2", "black", "trio", "typer", "rich", "apsw", "somart"}


@pytest.mark.slow
def test_run_does_not_import_the_formatter() -> None:
    loaded = modules_after(["test", "examples/inventory/app.cell"])
    assert not loaded & {"black", "jinja2", "rich"}
