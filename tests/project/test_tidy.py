"""The house style, executed: sizes, forbidden words and shortcuts, in all code that ships."""

from __future__ import annotations

import ast
import re
import statistics
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
FUNCTION_LINES_MAX = 70
FUNCTION_LINES_MEDIAN_MAX = 10
FILE_LINES_MAX = 600
LONG_FILES = {"somac/frontend/nodes.py": 660}  # a list of records; may only shrink

SHIPPED = sorted([*(ROOT / "somac").rglob("*.py"), *(ROOT / "somart").rglob("*.py")])
TRACKED = sorted(
    path
    for folder in ("somac", "somart", "tests", "bench", "examples", "templates", "docs")
    for path in (ROOT / folder).rglob("*")
    if path.is_file() and path.suffix in {".py", ".md", ".j2", ".cell", ".toml", ".peg", ".txt"}
)

Function = ast.FunctionDef | ast.AsyncFunctionDef


@cache
def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text("utf-8"), str(path))


def functions(path: Path) -> Iterator[tuple[str, int]]:
    """Each function of a file with its length, decorators and nested functions not counted."""
    for node in ast.walk(tree(path)):
        if isinstance(node, Function):
            nested = sum(
                (inner.end_lineno or 0) - inner.lineno + 1
                for inner in ast.walk(node)
                if isinstance(inner, Function) and inner is not node
            )
            yield node.name, (node.end_lineno or 0) - node.lineno + 1 - nested


def place(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def test_functions_fit_on_a_screen() -> None:
    long = [
        f"{place(path)}: {name} has {lines} lines"
        for path in SHIPPED
        for name, lines in functions(path)
        if lines > FUNCTION_LINES_MAX
    ]
    assert not long, "\n".join(long)


def test_most_functions_are_short() -> None:
    lengths = [lines for path in SHIPPED for _, lines in functions(path)]
    assert statistics.median(lengths) <= FUNCTION_LINES_MEDIAN_MAX


def test_a_file_has_one_subject() -> None:
    lines = {place(path): len(path.read_text("utf-8").splitlines()) for path in SHIPPED}
    long = {name: n for name, n in lines.items() if n > LONG_FILES.get(name, FILE_LINES_MAX)}
    assert not long


def test_no_file_is_called_utils() -> None:
    names = {"utils.py", "util.py", "helpers.py", "misc.py", "common.py"}
    assert not [place(path) for path in SHIPPED if path.name in names]


def calls(path: Path, names: set[str]) -> list[str]:
    return [
        f"{place(path)}:{node.lineno}: {node.func.id}()"
        for node in ast.walk(tree(path))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in names
    ]


def test_only_the_command_line_prints() -> None:
    library = [p for p in SHIPPED if not place(p).startswith("somac/cli/")]
    assert not [found for path in library for found in calls(path, {"print", "input"})]


def test_data_is_never_executed() -> None:
    """`exec` has one place: the loader of freshly generated modules."""
    found = [hit for path in SHIPPED for hit in calls(path, {"eval", "exec"})]
    assert all(hit.startswith("somac/codegen/") and hit.endswith("exec()") for hit in found), found
    assert len(found) <= 1, found


def test_no_pickle_and_no_shell() -> None:
    text = {place(path): path.read_text("utf-8") for path in SHIPPED}
    words = re.compile(r"\bimport pickle\b|\bimport marshal\b|shell=True|yaml\.load\(|os\.system\(")
    assert not [name for name, source in text.items() if words.search(source)]


def test_no_error_is_swallowed() -> None:
    swallowed = [
        f"{place(path)}:{node.lineno}"
        for path in SHIPPED
        for node in ast.walk(tree(path))
        if isinstance(node, ast.ExceptHandler)
        and (node.type is None or ast.unparse(node.type) in {"Exception", "BaseException"})
        and all(isinstance(s, ast.Pass) for s in node.body)
    ]
    assert not swallowed


UNFINISHED = re.compile(
    "|".join(["TO" + "DO", "FIX" + "ME", r"\bXX" + r"X\b", "NotImplemented" + "Error"])
)


@pytest.mark.parametrize("folder", ["somac", "somart", "tests", "bench", "templates"])
def test_nothing_is_left_unfinished(folder: str) -> None:
    found = [
        f"{place(path)}:{number}"
        for path in TRACKED
        if place(path).startswith(f"{folder}/")
        for number, line in enumerate(path.read_text("utf-8").splitlines(), 1)
        if UNFINISHED.search(line)
    ]
    assert not found


def test_nothing_names_a_machine() -> None:
    """No absolute path of a developer's machine in what is published."""
    path_of_machine = re.compile(r"(?<![\w.])/(?:work|farm|root|home|Users)/[a-z.]")
    found = [
        f"{place(path)}:{number}"
        for path in TRACKED
        for number, line in enumerate(path.read_text("utf-8", "replace").splitlines(), 1)
        if path_of_machine.search(line) and path != Path(__file__)
    ]
    assert not found


def test_tests_never_sleep() -> None:
    sleeping = re.compile(r"\btime\.sleep\(")
    tests = [p for p in TRACKED if place(p).startswith("tests/") and p.suffix == ".py"]
    found = [
        place(p) for p in tests if p != Path(__file__) and sleeping.search(p.read_text("utf-8"))
    ]
    assert not found


def test_names_of_test_files_are_unique() -> None:
    names = [path.name for path in TRACKED if path.name.startswith("test_")]
    assert len(names) == len(set(names))
