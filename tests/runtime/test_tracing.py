"""From a Python traceback to the place in the cell file, and the layout of an error."""

from __future__ import annotations

import os
import sys

import pytest

from somart import SourceMap, require_failed, type_error
from somart.tracing import Location, format_error, locate, render_error

ROOT, NAME = os.path.split(__file__)


def fail() -> None:
    raise require_failed("here")


def line_of_fail() -> int:
    return fail.__code__.co_firstlineno + 1


@pytest.fixture
def source_map() -> SourceMap:
    rows = ((1, "a.cell", 1, 1), (line_of_fail(), "a.cell", 2, 5), (line_of_fail() + 1, "", 0, 0))
    sources = {"a.cell": "cell A {\r\n    fail()\r\n}"}
    return SourceMap({NAME: rows[:2]}, sources, ROOT)


def caught() -> BaseException:
    try:
        fail()
    except Exception as error:
        return error
    raise AssertionError


def test_the_innermost_generated_frame_counts(source_map: SourceMap) -> None:
    assert locate(caught(), source_map) == Location("a.cell", 2, 5, "    fail()")


def test_the_place_of_a_cause_is_more_exact(source_map: SourceMap) -> None:
    outer = type_error("delegate error: …")
    outer.__cause__ = caught()
    assert locate(outer, source_map) == Location("a.cell", 2, 5, "    fail()")


def test_files_of_other_folders_do_not_count(source_map: SourceMap) -> None:
    elsewhere = SourceMap(source_map.lines, source_map.sources, "/elsewhere")
    assert locate(caught(), elsewhere) is None
    assert render_error(caught(), elsewhere) == "error: require failed: here\n"


def test_the_layout(source_map: SourceMap) -> None:
    assert render_error(caught(), source_map) == (
        "error: require failed: here\n"
        "  --> a.cell:2:5\n"
        "  |\n"
        "2 |     fail()\n"
        "  |     ^\n"
    )
    assert format_error("m", Location("b.cell", 12, 1, "x")) == (
        "error: m\n  --> b.cell:12:1\n   |\n12 | x\n   | ^\n"
    )


def test_a_deep_traceback_is_walked_quickly(source_map: SourceMap) -> None:
    def down(n: int) -> None:
        if n:
            down(n - 1)
        fail()

    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(20_000)
    try:
        with pytest.raises(Exception, match="here") as error:
            down(5_000)
    finally:
        sys.setrecursionlimit(limit)
    assert locate(error.value, source_map) == Location("a.cell", 2, 5, "    fail()")
